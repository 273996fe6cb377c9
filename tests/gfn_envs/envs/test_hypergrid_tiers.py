"""Tiered rewards of the HyperGrid: rules, corruption and modes."""

from __future__ import annotations

import itertools
import math
import re
from typing import Any

import numpy as np
import pytest

from gfn_envs import HyperGrid
from tests.gfn_envs.envs.grid_oracles import (
    CAPS,
    PRIMES,
    WEIGHTS,
    coprime_oracle,
    digits_oracle,
    hash_oracle,
    stopped,
    tier_oracle,
    xor_oracle,
)


def modes_of(ndim: int, side: int, reward: str, **kwargs: Any) -> int:
    return int((HyperGrid(ndim, side, reward, kwargs).num_modes) or 0)


@pytest.mark.parametrize(("ndim", "base", "levels", "width"), [(2, 2, 3, 1), (3, 4, 1, 2), (2, 4, 2, 2), (1, 3, 3, 2)])
@pytest.mark.parametrize("num_rules", [1, 2, 4])
def test_modes_of_digits_do_not_depend_on_the_number_of_rules(
    ndim: int, base: int, levels: int, width: int, num_rules: int
) -> None:
    for tiers in range(1, levels + 1):
        kwargs = {"base": base, "filter_width": width, "num_rules": num_rules, "tier_weights": [1.0] * tiers}
        expected = (width**tiers * base ** (levels - tiers)) ** ndim
        assert modes_of(ndim, base**levels, "conditional_multiscale", **kwargs) == expected


def test_digits_of_several_rules_by_hand() -> None:
    dag = HyperGrid(3, 16, "conditional_multiscale", {"num_rules": 3})
    cells = list(itertools.product(range(16), repeat=3))[::7]
    expected = [tier_oracle(digits_oracle(cell, 16, rules=3), WEIGHTS, 1e-3)[0] for cell in cells]
    np.testing.assert_allclose(dag.reward(np.array(cells)), expected)
    one = HyperGrid(3, 16, "conditional_multiscale").reward(np.array(cells))
    assert (one != expected).any()


@pytest.mark.parametrize("head_checks", [1, 2])
@pytest.mark.parametrize("num_rules", [1, 2, 4])
def test_parities_of_several_rules(num_rules: int, head_checks: int) -> None:
    """The 16 bits of 4 coordinates: all parities are independent, whatever the rules."""
    kwargs = {"num_rules": num_rules, "head_checks": head_checks, "tier_weights": (1.0,)}
    dag = HyperGrid(4, 16, "bitwise_xor", kwargs)
    rewards = dag.reward(dag._cells())
    assert dag.num_modes == 2 ** (16 - 4 * (1 + head_checks))
    assert (np.isclose(rewards, 1001.001).sum(), np.isclose(rewards, 0.001).sum()) == (dag.num_modes, 2**16 - 2**12)


def test_least_common_multiples_of_several_rules() -> None:
    targets = (6, 12, 2)
    dag = HyperGrid(2, 16, "multiplicative_coprime", {"rule_targets": targets})
    for cell in itertools.product(range(16), repeat=2):
        tiers = coprime_oracle(cell, PRIMES, CAPS)
        tiers[-1] = tiers[-1] and math.lcm(*cell) == targets[sum(cell) % 3]
        expected, mode = tier_oracle(tiers, WEIGHTS, 1e-3)
        assert dag.reward(np.array([cell]))[0] == pytest.approx(expected)
        assert (dag.mode_index(stopped([cell]))[0] >= 0) == mode


@pytest.mark.parametrize("reward", ["bitwise_xor", "multiplicative_coprime", "conditional_multiscale"])
def test_corruption_moves_tiers_by_a_hash_of_the_cell(reward: str) -> None:
    side, rate = 8, 0.3
    cells = list(itertools.product(range(side), repeat=3))
    plain = {
        "bitwise_xor": lambda cell: xor_oracle(cell, (1, 2, 3)),
        "multiplicative_coprime": lambda cell: coprime_oracle(cell, PRIMES, CAPS),
        "conditional_multiscale": lambda cell: digits_oracle(cell, side),
    }[reward]
    holds = np.array([plain(cell) for cell in cells])
    shares = holds.mean(0)
    for cell, row in zip(cells, holds, strict=True):
        for t, share in enumerate(shares):
            gain = min(rate * share / max(1 - share, 1e-9), 1.0)
            row[t] = hash_oracle(cell, 137 + 2 * t) >= rate if row[t] else hash_oracle(cell, 138 + 2 * t) < gain
    expected = [tier_oracle(list(row), WEIGHTS, 1e-3)[0] for row in holds]
    dag = HyperGrid(3, side, reward, {"corruption": rate})
    np.testing.assert_allclose(dag.reward(np.array(cells)), expected)
    np.testing.assert_allclose(dag.reward(np.array(cells[5:9])), expected[5:9])
    assert abs(holds.mean(0) - shares)[shares < 1].max() < 0.1
    assert (dag.reward(np.array(cells)) != HyperGrid(3, side, reward).reward(np.array(cells))).any()


def test_corruption_of_a_large_grid_is_calibrated_on_random_cells() -> None:
    dag = HyperGrid(10, 16, "conditional_multiscale", {"corruption": 0.5, "tier_weights": [1.0]})
    cells = np.random.default_rng(3).integers(16, size=(50_000, 10))
    assert (dag.reward(cells) > 1).mean() == pytest.approx(2.0**-10, rel=0.3)


def test_modes_of_uniform_random_rewards_are_as_frequent_as_asked() -> None:
    assert modes_of(2, 200, "uniform_random", mode_probability=0.05) == pytest.approx(2000, rel=0.1)
    assert modes_of(2, 200, "uniform_random", seed=1) != modes_of(2, 200, "uniform_random", seed=2)


@pytest.mark.parametrize(
    ("reward", "kwargs", "message"),
    [
        ("bitwise_xor", {"num_rules": 2}, "HyperGrid: num_rules = 2 needs head_checks >= 1"),
        ("bitwise_xor", {"num_rules": 4, "head_checks": 2}, "2 coordinates of 3 bits are too few for num_rules = 4"),
        ("bitwise_xor", {"corruption": 1.0}, "HyperGrid: corruption must be >= 0 and < 1, got 1"),
        ("bitwise_xor", {"corruption": -0.1}, "HyperGrid: corruption must be finite and >= 0, got -0.1"),
        ("conditional_multiscale", {"tier_weights": [1] * 3}, "side 8 has 2 digits in base 4, got 3 tier_weights"),
        ("conditional_multiscale", {"base": 1}, "HyperGrid: base must be an integer >= 2, got 1"),
        ("uniform_random", {"seed": -1}, "HyperGrid: seed must be an integer >= 0, got -1"),
    ],
)
def test_bad_rules_raise(reward: str, kwargs: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        HyperGrid(2, 8, reward, kwargs).log_reward(stopped([(0, 0)]))
