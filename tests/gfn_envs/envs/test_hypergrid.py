"""HyperGrid against its definition: rewards, modes and encodings, by hand and in plain Python."""

from __future__ import annotations

import itertools
import math
import re
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gfn_envs import HyperGrid, check_dag
from gfn_envs.envs.hypergrid.rewards import REWARDS
from tests.gfn_envs.envs.grid_oracles import grid_oracle, stopped


def compare_with_oracle(dag: HyperGrid, reward: str, cells: list[tuple[int, ...]]) -> None:
    expected, modes = zip(*(grid_oracle(reward, cell, dag.side) for cell in cells), strict=True)
    np.testing.assert_allclose(dag.reward(np.array(cells)), expected, rtol=1e-12)
    np.testing.assert_allclose(dag.log_reward(stopped(cells)), np.log(expected), rtol=1e-12, atol=1e-12)
    np.testing.assert_array_equal(dag.mode_index(stopped(cells)) >= 0, modes)


@pytest.mark.parametrize("reward", REWARDS)
def test_grid_rewards_in_every_cell_of_a_line(reward: str) -> None:
    """Sides up to 44 include cells exactly on each threshold: 0.1, 0.25, 0.3 and 0.4."""
    for side in range(2, 45):
        compare_with_oracle(HyperGrid(ndim=1, side=side, reward=reward), reward, [(x,) for x in range(side)])


@pytest.mark.parametrize("reward", REWARDS)
@pytest.mark.parametrize(("ndim", "side"), [(2, 2), (2, 6), (2, 8), (2, 11), (2, 21), (3, 7), (4, 5)])
def test_grid_rewards_in_every_cell(reward: str, ndim: int, side: int) -> None:
    dag = HyperGrid(ndim=ndim, side=side, reward=reward)
    cells = list(itertools.product(range(side), repeat=ndim))
    compare_with_oracle(dag, reward, cells)
    assert (dag.num_modes or 0) == sum(grid_oracle(reward, cell, side)[1] for cell in cells)


@pytest.mark.parametrize("reward", REWARDS)
@pytest.mark.parametrize(("ndim", "side"), [(4, 20), (3, 101), (8, 20), (6, 32), (2, 40_000)])
def test_grid_rewards_in_random_cells_of_large_grids(reward: str, ndim: int, side: int) -> None:
    rng = np.random.default_rng(0)
    uniform = rng.integers(side, size=(60, ndim))
    # Uniform cells are hardly ever modes, so coordinates are also drawn from a few values that occur in modes.
    few = rng.choice([1, 2, side - 2, side * 17 // 20, side * 3 // 20], size=(60, ndim))
    cells = [tuple(cell) for cell in np.concatenate([uniform, few]).tolist()]
    dag = HyperGrid(ndim=ndim, side=side, reward=reward)
    expected = [grid_oracle(reward, cell, side) for cell in cells]
    np.testing.assert_allclose(dag.reward(np.array(cells)), [r for r, _ in expected], rtol=1e-9)
    states = np.column_stack([cells, np.ones(len(cells), dtype=int)]).astype(dag.state_dtype)
    np.testing.assert_allclose(np.exp(dag.log_reward(states)), [r for r, _ in expected], rtol=1e-9)


@pytest.mark.parametrize(
    ("reward", "cell", "value"),
    [
        # At side 8, the distances a from the center are 7/14, 5/14, 3/14, 1/14, and then the reverse.
        ("standard", (0, 0), 0.6),
        ("standard", (0, 1), 0.6),
        ("standard", (1, 1), 2.6),
        ("standard", (1, 6), 2.6),
        ("standard", (1, 2), 0.1),
        ("standard", (3, 3), 0.1),
        ("easy", (6, 6), 2.501),
        ("easy", (3, 0), 0.001),
        ("hard", (1, 1), 4.0001),
        ("hard", (7, 7), 1.0001),
        ("hard", (4, 7), 0.0001),
        ("niu", (1, 1), 2.51),
        ("deceptive", (1, 1), 2.00001),
        ("deceptive", (0, 0), 0.00001),
        ("deceptive", (3, 3), 0.10001),
        ("deceptive", (3, 0), 0.10001),
        ("sparse", (1, 6), 1 + 1e-12),
        ("sparse", (1, 1), 1 + 1e-12),
        ("sparse", (1, 0), 1e-12),
        # 1 + cos(25) = 1.9912028..., phi(2.5) = 0.0175283...
        ("cosine", (0, 0), 0.1 + 0.5 * (1.9912028118634736 * 0.01752830049356854) ** 2),
        # Three bits; the tiers compare one, two and three of them: 3 = 011 and 1 = 001 differ in the second.
        ("bitwise_xor", (5, 5), 111.001),
        ("bitwise_xor", (3, 1), 1.001),
        ("bitwise_xor", (7, 3), 11.001),
        ("bitwise_xor", (4, 1), 0.001),
        # 4 = 2^2 satisfies the caps 3 and 2 but not 1; 7 is not a product of 2, 3 and 5; 6 and 3 are not coprime.
        ("multiplicative_coprime", (1, 6), 111.001),
        ("multiplicative_coprime", (4, 3), 11.001),
        ("multiplicative_coprime", (7, 1), 0.001),
        ("multiplicative_coprime", (6, 3), 0.001),
        ("multiplicative_coprime", (0, 1), 0.001),
    ],
)
def test_grid_rewards_by_hand(reward: str, cell: tuple[int, int], value: float) -> None:
    dag = HyperGrid(ndim=2, side=8, reward=reward)
    assert np.isclose(dag.log_reward(stopped([cell]))[0], math.log(value), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(
    ("ndim", "side", "reward", "modes"),
    [
        (1, 8, "standard", 2),
        (2, 8, "standard", 4),
        (4, 8, "hard", 16),
        (2, 20, "standard", 16),  # 16/19 and 17/19 lie in (0.8, 0.9)
        (4, 20, "easy", 256),
        (2, 5, "standard", None),  # 0, 1/4, 1/2: no cell in (0.3, 0.4)
        (3, 10, "sparse", 8),
        (2, 3, "sparse", 1),
        (2, 8, "cosine", None),
        (2, 8, "bitwise_xor", 8),
        (6, 20, "standard", None),  # too large to count
    ],
)
def test_number_of_modes(ndim: int, side: int, reward: str, modes: int | None) -> None:
    assert HyperGrid(ndim=ndim, side=side, reward=reward).num_modes == modes


@pytest.mark.parametrize(
    ("reward", "reward_kwargs", "cell", "value"),
    [
        ("standard", {"R0": 3.0}, (3, 3), 3.0),
        ("standard", {"R0": 0.0625, "R1": 0.125, "R2": 0.25}, (1, 1), 0.4375),
        ("sparse", {"floor": 0.5}, (0, 0), 0.5),
        ("deceptive", {"R1": 0.25, "R0": 0.5}, (3, 3), 0.75),
        ("bitwise_xor", {"tier_weights": (2.0,), "bits_per_tier": (1,), "R0": 1.0}, (2, 4), 3.0),
        # The second condition holds at (2, 4), but the second tier requires the first too.
        ("bitwise_xor", {"tier_weights": (2.0, 8.0), "bits_per_tier": (2, 1), "R0": 1.0}, (2, 4), 1.0),
        ("multiplicative_coprime", {"tier_weights": (5,), "primes": (7,), "exponent_caps": (1,)}, (7, 1), 5.001),
    ],
)
def test_grid_reward_parameters(reward: str, reward_kwargs: dict[str, Any], cell: Any, value: float) -> None:
    dag = HyperGrid(ndim=2, side=8, reward=reward, reward_kwargs=reward_kwargs)
    assert np.isclose(dag.log_reward(stopped([cell]))[0], math.log(value), rtol=1e-12)


def test_tiers_and_weights_must_match() -> None:
    dag = HyperGrid(reward="bitwise_xor", reward_kwargs={"tier_weights": (1.0, 2.0), "bits_per_tier": (1,)})
    with pytest.raises(ValueError, match="tier_weights and bits_per_tier must have equal lengths, got 2 and 1"):
        dag.log_reward(stopped([(0, 0)]))


@given(st.integers(1, 5), st.integers(2, 9), st.integers(0, 2**32 - 1))
def test_callable_rewards_get_cells(ndim: int, side: int, seed: int) -> None:
    seen = []

    def reward(cells: np.ndarray) -> np.ndarray:
        seen.append(cells.copy())
        return 1.0 + cells.sum(1)

    dag = HyperGrid(ndim=ndim, side=side, reward=reward)
    cells = np.random.default_rng(seed).integers(side, size=(7, ndim))
    np.testing.assert_allclose(dag.log_reward(stopped(cells)), np.log(1.0 + cells.sum(1)), rtol=1e-15)
    np.testing.assert_array_equal(seen[-1], cells)
    assert seen[-1].dtype == np.int64  # so that 1000 * cells does not overflow
    calls = len(seen)
    assert dag.num_modes is None
    assert (dag.mode_index(stopped(cells)) == -1).all()
    assert len(seen) == calls


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf, -2.0, 0.0])
def test_bad_callable_rewards_name_the_cell(bad: float) -> None:
    dag = HyperGrid(ndim=2, side=4, reward=lambda cells: np.where(cells[:, 0] == 2, bad, 1.0))
    good = stopped([(0, 0), (1, 3)])
    np.testing.assert_array_equal(dag.log_reward(good), [0.0, 0.0])
    with pytest.raises(
        ValueError, match=rf"HyperGrid: the reward of object \(2, 3\) is {bad}; allowed: finite and > 0"
    ):
        dag.log_reward(np.concatenate([good, stopped([(2, 3), (2, 0)])]))


def test_callable_rewards_of_wrong_shape_raise() -> None:
    dag = HyperGrid(reward=lambda cells: np.ones((len(cells), 1)))
    with pytest.raises(ValueError, match=r"rewards must have shape \(2,\), got \(2, 1\)"):
        dag.log_reward(stopped([(0, 0), (1, 1)]))


def test_a_reward_of_zero_from_parameters_raises() -> None:
    with pytest.raises(ValueError, match=r"the reward of object \(.*\) is 0.0"):
        HyperGrid(reward_kwargs={"R0": 0.0}).log_reward(stopped([(3, 3)]))


def test_grid_actions_and_observations_by_hand() -> None:
    dag = HyperGrid(ndim=2, side=4)
    states = np.array([[0, 0, 0], [3, 1, 0], [3, 1, 1]], dtype=np.int16)
    assert dag.forward_mask(states).tolist() == [[True, True, True], [False, True, True], [False, False, False]]
    assert dag.backward_mask(states).tolist() == [[False, False, False], [True, True, False], [False, False, True]]
    assert dag.observe(states).tolist() == [[0, 0], [3, 1], [3, 1]]
    assert dag.encode(states[1:2]).tolist() == [[0, 0, 0, 1, 0, 1, 0, 0]]
    assert dag.step(states[:1].repeat(3, axis=0), np.arange(3)).tolist() == [[1, 0, 0], [0, 1, 0], [0, 0, 1]]
    assert [dag.action_label(a) for a in range(3)] == ["+x0", "+x1", "stop"]
    assert [dag.render_text(s) for s in states] == ["(0, 0)", "(3, 1)", "(3, 1) stopped"]


@pytest.mark.parametrize(("ndim", "side"), [(1, 2), (2, 8), (3, 4), (10, 20)])
def test_grid_sizes(ndim: int, side: int) -> None:
    dag = HyperGrid(ndim=ndim, side=side)
    assert (dag.num_actions, dag.num_backward_actions, dag.max_length) == (ndim + 1, ndim + 1, ndim * (side - 1) + 1)
    assert (dag.num_states, dag.num_terminal_states) == (2 * side**ndim, side**ndim)


def test_wide_grids_count_beyond_16_bits() -> None:
    dag = HyperGrid(ndim=1, side=100_000)
    state = dag.step(np.array([[99_998, 0]]).astype(dag.state_dtype), np.array([0]))
    assert (state.tolist(), dag.forward_mask(state).tolist()) == ([[99_999, 0]], [[False, True]])


def test_objects_are_cells_of_the_grid() -> None:
    dag = HyperGrid(ndim=2, side=3)
    assert dag.grid_shape == (3, 3)
    cells = dag.grid_cells(dag.terminal_states())
    assert (cells.dtype, sorted(cells.tolist())) == (np.int64, [[x, y] for x in range(3) for y in range(3)])


@pytest.mark.parametrize(
    ("arguments", "floor"),
    [
        ({}, 0.1),
        ({"reward": "hard"}, 1e-4),
        ({"reward": "hard", "reward_kwargs": {"R0": 0.25}}, 0.25),
        ({"reward": "bitwise_xor"}, 1e-3),
        ({"reward": "sparse"}, None),
        ({"reward": lambda cells: 1.0 + cells.sum(1)}, None),
    ],
)
def test_reward_floor_is_the_lowest_level(arguments: dict[str, Any], floor: float | None) -> None:
    dag = HyperGrid(ndim=2, side=8, **arguments)
    assert dag.reward_floor == floor
    if floor is not None:
        assert math.isclose(np.exp(dag.log_reward(dag.terminal_states()).min()), floor)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"ndim": 0}, "HyperGrid: ndim must be an integer >= 1, got 0"),
        ({"ndim": 1.5}, "HyperGrid: ndim must be an integer >= 1, got 1.5"),
        ({"ndim": True}, "HyperGrid: ndim must be an integer >= 1, got True"),
        ({"side": 1}, "HyperGrid: side must be an integer >= 2, got 1"),
        ({"side": "eight"}, "HyperGrid: side must be an integer >= 2, got 'eight'"),
        ({"side": None}, "HyperGrid: side must be an integer >= 2, got None"),
        ({"ndim": 63, "side": 2}, "side ** ndim must be below 2**63, got 2 ** 63"),
        ({"reward": "standart"}, "unknown reward 'standart'; allowed: standard, easy, hard, niu, cosine,"),
        ({"reward": None}, "unknown reward None; allowed: standard"),
        ({"reward_kwargs": {"R3": 1, "R0": 1}}, "has no parameters ['R3']; allowed: ['R0', 'R1', 'R2']"),
        ({"reward": "sparse", "reward_kwargs": {"R0": 1}}, "has no parameters ['R0']; allowed: ['floor']"),
        ({"reward": np.sum, "reward_kwargs": {"R0": 1}}, "{'R0': 1} were given with a callable reward"),
    ],
)
def test_bad_arguments_raise(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        HyperGrid(**arguments)


# ---------------------------------------------------------------------- episodes that end at the border


@pytest.mark.parametrize(("ndim", "side"), [(1, 2), (1, 5), (2, 2), (2, 5), (3, 4)])
def test_episodes_end_at_the_border(ndim: int, side: int) -> None:
    """As in Kim et al. 2025: a cell with a coordinate side - 1 is terminal, so that no cell has two of them."""
    dag = HyperGrid(ndim, side, "deceptive", ends_at_border=True)
    check_dag(dag)
    expected = [cell for cell in itertools.product(range(side), repeat=ndim) if cell.count(side - 1) < 2]
    objects = dag.terminal_states()
    assert sorted(map(tuple, objects[:, :-1].tolist())) == expected
    assert (objects[:, -1] == ~(objects[:, :-1] == side - 1).any(1)).all()
    np.testing.assert_allclose(np.exp(dag.log_reward(objects)), dag.reward(objects[:, :-1]))
    assert dag.declared_num_states == len(np.concatenate(list(dag.levels())))
    assert (dag.num_modes or 0) == sum(grid_oracle("deceptive", cell, side)[1] for cell in expected)
    assert not dag.can_stop_anywhere
    assert eval(repr(dag), {"HyperGrid": HyperGrid}).ends_at_border


def test_published_size_of_a_deceptive_grid() -> None:
    dag = HyperGrid(4, 16, "deceptive", ends_at_border=True)
    assert dag.num_terminal_states == 15**4 + 4 * 15**3
    check_dag(dag, max_states=50, num_walks=5)
    with pytest.raises(ValueError, match="HyperGrid: ends_at_border must be True or False, got 1"):
        HyperGrid(ends_at_border=1)
