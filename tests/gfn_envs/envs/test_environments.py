"""Each environment against its definition: rewards, modes, encodings and refusals, by hand and by plain Python."""

from __future__ import annotations

import copy
import itertools
import math
import pickle
import re
from collections import Counter
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gfn_envs import Bag, BitSequence, Dag, HyperGrid
from gfn_envs.envs.hypergrid.rewards import REWARDS
from tests.helpers import SMALL, all_states, small_dag

small = pytest.mark.parametrize(("env_id", "kwargs"), SMALL)

# ---------------------------------------------------------------------- every environment


@small
def test_every_mode_is_found_and_no_other(env_id: str, kwargs: dict[str, Any]) -> None:
    dag = small_dag(env_id, kwargs)
    found = dag.mode_index(dag.terminal_states())
    assert len(set(found[found >= 0].tolist())) == (dag.num_modes or 0)


@small
def test_a_copy_is_the_same_environment(env_id: str, kwargs: dict[str, Any]) -> None:
    dag = small_dag(env_id, kwargs)
    objects = dag.terminal_states()
    for other in (
        pickle.loads(pickle.dumps(dag)),
        copy.deepcopy(dag),
        eval(repr(dag), {type(dag).__name__: type(dag)}),
    ):
        assert other is not dag
        assert (repr(other), other.num_modes) == (repr(dag), dag.num_modes)
        np.testing.assert_array_equal(other.terminal_states(), objects)
        np.testing.assert_array_equal(other.log_reward(objects), dag.log_reward(objects))


# ---------------------------------------------------------------------- HyperGrid


def reward_oracle(name: str, cell: tuple[int, ...], side: int, R0: float, R1: float, R2: float) -> tuple[float, bool]:
    """(R, mode) in plain Python, with exact a_i."""
    a = [abs(Fraction(x, side - 1) - Fraction(1, 2)) for x in cell]
    ring = all(Fraction(3, 10) < v < Fraction(4, 10) for v in a)
    if name == "corners":
        return R0 + R1 * all(v > Fraction(1, 4) for v in a) + R2 * ring, ring
    if name == "deceptive":
        return R0 + R1 - R1 * all(v > Fraction(1, 10) for v in a) + R2 * ring, ring
    if name == "cosine":
        bumps = [(math.cos(50 * v) + 1) * math.exp(-((5 * v) ** 2) / 2) / math.sqrt(2 * math.pi) for v in a]
        return R0 + R1 * math.prod(bumps), False
    raise AssertionError(name)


def prime_exponents(value: int, primes: tuple[int, ...]) -> list[int] | None:
    """Exponents of ``primes`` in ``value``; None where it has other factors, or is 0."""
    exponents = []
    for prime in primes:
        exponents.append(0)
        while value and value % prime == 0:
            value, exponents[-1] = value // prime, exponents[-1] + 1
    return exponents if value == 1 else None


def tier_oracle(holds: list[bool], weights: tuple[float, ...], R0: float) -> tuple[float, bool]:
    reward = R0
    for t in range(len(holds)):
        reward += weights[t] * all(holds[: t + 1])
    return reward, all(holds)


def xor_oracle(cell: tuple[int, ...], bits_per_tier: tuple[int, ...]) -> list[bool]:
    even = [sum(x >> plane & 1 for x in cell) % 2 == 0 for plane in range(64)]
    return [all(even[:bits]) for bits in bits_per_tier]


def coprime_oracle(cell: tuple[int, ...], primes: tuple[int, ...], caps: tuple[int, ...]) -> list[bool]:
    exponents = [prime_exponents(x, primes) for x in cell]
    coprime = all(math.gcd(x, y) == 1 for x, y in itertools.pairwise(cell))
    return [coprime and all(e is not None and max(e) <= cap for e in exponents) for cap in caps]


PARAMETERS = {
    "standard": ("corners", 0.1, 0.5, 2.0),
    "easy": ("corners", 1e-3, 0.5, 2.0),
    "hard": ("corners", 1e-4, 1.0, 3.0),
    "niu": ("corners", 1e-2, 0.5, 2.0),
    "cosine": ("cosine", 0.1, 0.5, 0.0),
    "deceptive": ("deceptive", 1e-5, 0.1, 2.0),
}
WEIGHTS, PRIMES, CAPS = (1.0, 10.0, 100.0), (2, 3, 5), (3, 2, 1)


def grid_oracle(reward: str, cell: tuple[int, ...], side: int) -> tuple[float, bool]:
    if reward == "sparse":
        mode = all(x in (1, side - 2) for x in cell)
        return mode + 1e-12, mode
    if reward == "bitwise_xor":
        bits = (side - 1).bit_length()
        tiers = (math.ceil(bits / 3), math.ceil(2 * bits / 3), bits)
        return tier_oracle(xor_oracle(cell, tiers), WEIGHTS, 1e-3)
    if reward == "multiplicative_coprime":
        return tier_oracle(coprime_oracle(cell, PRIMES, CAPS), WEIGHTS, 1e-3)
    name, *parameters = PARAMETERS[reward]
    return reward_oracle(name, cell, side, *parameters)


def stopped(cells: Any) -> np.ndarray:
    """Terminal states of cells."""
    return np.column_stack([cells, np.ones(len(cells), dtype=int)]).astype(np.int16)


def compare_with_oracle(dag: HyperGrid, reward: str, cells: list[tuple[int, ...]]) -> None:
    expected, modes = zip(*(grid_oracle(reward, cell, dag.side) for cell in cells), strict=True)
    np.testing.assert_allclose(dag.reward(np.array(cells)), expected, rtol=1e-12)
    np.testing.assert_allclose(dag.log_reward(stopped(cells)), np.log(expected), rtol=1e-12, atol=1e-12)
    np.testing.assert_array_equal(dag.mode_index(stopped(cells)) >= 0, modes)


@pytest.mark.parametrize("reward", REWARDS)
def test_grid_rewards_in_every_cell_of_a_line(reward: str) -> None:
    """Sides up to 44 put cells exactly on every threshold: 0.1, 0.25, 0.3 and 0.4."""
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
    # Uniform cells are hardly ever modes: also draw coordinates from few values, good ones among them.
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
        # At side 8 the distances a from the middle are 7/14, 5/14, 3/14, 1/14 and back.
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
        # Three bits, tiers of one, two and three of them: 3 = 011 and 1 = 001 differ in the second.
        ("bitwise_xor", (5, 5), 111.001),
        ("bitwise_xor", (3, 1), 1.001),
        ("bitwise_xor", (7, 3), 11.001),
        ("bitwise_xor", (4, 1), 0.001),
        # 4 = 2^2 passes the caps 3 and 2, not 1; 7 is not a product of 2, 3 and 5; 6 and 3 are not coprime.
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
        (6, 20, "standard", None),  # not counted
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
        # The second tier holds at (2, 4), but counts only where the first does too.
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
    assert seen[-1].dtype == np.int64  # a user's 1000 * cells must not overflow
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
        ValueError, match=rf"HyperGrid: the reward of object \[2, 3\] is {bad}; allowed: finite and > 0"
    ):
        dag.log_reward(np.concatenate([good, stopped([(2, 3), (2, 0)])]))


def test_callable_rewards_of_wrong_shape_are_refused() -> None:
    dag = HyperGrid(reward=lambda cells: np.ones((len(cells), 1)))
    with pytest.raises(ValueError, match=r"rewards must have shape \(2,\), got \(2, 1\)"):
        dag.log_reward(stopped([(0, 0), (1, 1)]))


def test_zero_reward_by_parameters_is_refused() -> None:
    with pytest.raises(ValueError, match=r"the reward of object \[.*\] is 0.0"):
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


# ---------------------------------------------------------------------- BitSequence

WORDS = {"00000000", "11111111", "11110000", "00001111", "00111100"}


def bit_text(dag: BitSequence, state: np.ndarray) -> str:
    """A terminal state's bits, each word most significant bit first."""
    return "".join(format(word, f"0{dag.word_size}b") for word in state.tolist())


def hamming(x: str, y: str) -> int:
    return sum(a != b for a, b in zip(x, y, strict=True))


def mode_texts(dag: BitSequence) -> list[str]:
    return ["".join(map(str, mode)) for mode in dag.modes.tolist()]


@pytest.mark.parametrize("construction", ["autoregressive", "non_autoregressive"])
@pytest.mark.parametrize(
    ("n", "word_size", "num_modes"),
    [(8, 1, 5), (8, 8, 3), (16, 2, 25), (24, 6, 7), (40, 10, 9), (40, 5, 1), (120, 1, 60), (120, 8, 60), (120, 3, 2)],
)
def test_bit_rewards_against_hamming_distances(construction: str, n: int, word_size: int, num_modes: int) -> None:
    dag = BitSequence(n=n, word_size=word_size, construction=construction, beta=2.5, num_modes=num_modes)
    rng = np.random.default_rng(1)
    near_modes = dag.flip_test_set()[:: max(1, n * num_modes // 40)]
    states = np.concatenate([rng.integers(dag.num_words, size=(20, dag.num_slots)), near_modes]).astype(np.int32)
    distances = [[hamming(bit_text(dag, x), y) for y in mode_texts(dag)] for x in states]
    np.testing.assert_array_equal(dag.mode_distances(states), distances)
    np.testing.assert_allclose(dag.log_reward(states), [-2.5 * min(d) / n for d in distances], rtol=1e-14, atol=1e-15)
    expected = [int(np.argmin(d)) if min(d) < n / 4 else -1 for d in distances]
    np.testing.assert_array_equal(dag.mode_index(states), expected)


def test_default_bit_sequences_are_those_of_the_papers() -> None:
    dag = BitSequence()
    assert (dag.n, dag.word_size, dag.max_length, dag.num_actions) == (120, 8, 15, 256)
    assert (dag.num_modes, dag.mode_radius, dag.beta) == (60, 30, 3.0)
    assert dag.num_terminal_states == 2**120


@pytest.mark.parametrize("seed", [0, 1, 2])
@pytest.mark.parametrize(("n", "num_modes"), [(8, 5), (16, 25), (120, 60)])
def test_modes_are_distinct_sequences_of_the_five_words(n: int, num_modes: int, seed: int) -> None:
    modes = mode_texts(BitSequence(n=n, num_modes=num_modes, seed=seed))
    assert len(modes) == len(set(modes)) == num_modes
    assert {mode[i : i + 8] for mode in modes for i in range(0, n, 8)} <= WORDS


def test_modes_use_each_word_as_often() -> None:
    """900 words drawn uniformly: each of the five 180 times, give or take four standard deviations of 12."""
    modes = mode_texts(BitSequence())
    counts = Counter(mode[i : i + 8] for mode in modes for i in range(0, 120, 8))
    assert set(counts) == WORDS
    assert all(180 - 48 < count < 180 + 48 for count in counts.values())


def test_the_seed_alone_decides_the_modes() -> None:
    modes = BitSequence(seed=3).modes
    for other in (
        BitSequence(seed=3),
        BitSequence(seed=3, word_size=1),
        BitSequence(seed=3, construction="non_autoregressive"),
        BitSequence(seed=3, beta=1.0, mode_radius=5),
    ):
        np.testing.assert_array_equal(other.modes, modes)
    assert not np.array_equal(BitSequence(seed=4).modes, modes)


def test_the_test_set_flips_each_number_of_bits() -> None:
    dag = BitSequence()
    states = dag.flip_test_set()
    assert states.shape == (7200, 15)
    assert dag.is_terminal(states).all()
    flips = dag.to_bits(states).reshape(60, 120, 120) != dag.modes[:, None, :]
    np.testing.assert_array_equal(flips.sum(2), np.tile(np.arange(120), (60, 1)))
    # Each bit flips in 7200 (119/2)/120 = 3570 strings; four standard deviations are about 140.
    assert (np.abs(flips.sum((0, 1)) - 3570) < 140).all()
    np.testing.assert_array_equal(dag.flip_test_set(), states)
    np.testing.assert_array_equal(dag.flip_test_set(seed=0), states)
    assert not np.array_equal(dag.flip_test_set(seed=1), states)


@pytest.mark.parametrize("construction", ["autoregressive", "non_autoregressive"])
@pytest.mark.parametrize(("n", "word_size"), [(8, 1), (8, 8), (24, 3), (40, 10), (120, 4)])
def test_bits_and_states_are_inverse(n: int, word_size: int, construction: str) -> None:
    dag = BitSequence(n=n, word_size=word_size, construction=construction, num_modes=1)
    rng = np.random.default_rng(0)
    bits = rng.integers(2, size=(30, n))
    states = dag.from_bits(bits)
    assert states.dtype == dag.state_dtype
    assert dag.is_terminal(states).all()
    np.testing.assert_array_equal(dag.to_bits(states), bits)
    assert [bit_text(dag, state) for state in states] == ["".join(map(str, row)) for row in bits.tolist()]
    states = rng.integers(dag.num_words, size=(30, dag.num_slots)).astype(dag.state_dtype)
    np.testing.assert_array_equal(dag.from_bits(dag.to_bits(states)), states)


@pytest.mark.parametrize(("radius", "found_up_to"), [(None, 29), (30, 29), (30.5, 30), (1, 0), (121, 120)])
def test_a_mode_is_found_within_the_radius_and_not_on_it(radius: float | None, found_up_to: int) -> None:
    dag = BitSequence(num_modes=1, mode_radius=radius)
    flipped = dag.modes ^ np.tri(121, 120, -1, dtype=np.int8)  # row c: the first c bits flipped
    found = dag.mode_index(dag.from_bits(flipped))
    np.testing.assert_array_equal(found, np.where(np.arange(121) <= found_up_to, 0, -1))


def test_modes_find_themselves() -> None:
    dag = BitSequence()
    states = dag.from_bits(dag.modes)
    np.testing.assert_array_equal(dag.mode_index(states), np.arange(60))
    np.testing.assert_array_equal(dag.log_reward(states), 0.0)


@pytest.mark.parametrize("beta", [0.0, 0.5, 3.0, 8.0])
def test_beta_scales_the_log_reward(beta: float) -> None:
    states = BitSequence().flip_test_set()[::100]
    unit = BitSequence(beta=1.0).log_reward(states)
    np.testing.assert_allclose(BitSequence(beta=beta).log_reward(states), beta * unit, rtol=1e-14, atol=0)
    assert unit.min() < -0.2


def test_fills_commute_and_appends_do_not() -> None:
    fill = BitSequence(n=16, word_size=4, num_modes=1, construction="non_autoregressive")
    actions = [0 * 16 + 5, 2 * 16 + 7, 3 * 16 + 15, 1 * 16 + 0]
    ends = set()
    for order in itertools.permutations(actions):
        state = fill.source(1)
        for action in order:
            assert fill.forward_mask(state)[0, action]
            state = fill.step(state, np.array([action]))
        ends.add(tuple(state[0].tolist()))
    assert ends == {(5, 0, 7, 15)}
    append = BitSequence(n=16, word_size=4, num_modes=1)
    state = append.source(1)
    for word in (5, 0, 7, 15):
        state = append.step(state, np.array([word]))
    assert state.tolist() == [[5, 0, 7, 15]]


def test_bit_observations_by_hand() -> None:
    dag = BitSequence(n=8, word_size=2, num_modes=1)
    states = np.array([[4, 4, 4, 4], [2, 1, 4, 4]], dtype=np.int32)
    assert dag.observe(states).tolist() == states.tolist()
    assert dag.encode(states).tolist() == [[0] * 16, [0, 0, 1, 0, 0, 1, 0, 0] + [0] * 8]
    assert dag.render_text(states[1]) == "10 01 .. .."
    assert dag.action_label(2) == "append 10"
    fill = BitSequence(n=8, word_size=2, num_modes=1, construction="non_autoregressive")
    assert fill.action_label(3 * 4 + 1) == "slot 3 = 01"


@pytest.mark.parametrize("integer", [np.int64, np.int32, np.uint8, float])
def test_bit_sequences_count_with_numpy_integers_too(integer: Any) -> None:
    dag = BitSequence(n=integer(120), word_size=integer(8), num_modes=integer(60))
    assert (dag.num_states, dag.num_terminal_states) == ((256**16 - 1) // 255, 2**120)
    assert dag.observation_space == BitSequence().observation_space
    np.testing.assert_array_equal(dag.modes, BitSequence().modes)


# ---------------------------------------------------------------------- Bag

SMALL_BAGS = [(3, 4, 2), (3, 4, 4), (2, 5, 3), (4, 6, 4), (7, 4, 3)]


@pytest.mark.parametrize(("num_letters", "capacity", "repeats"), SMALL_BAGS)
def test_bags_are_multisets(num_letters: int, capacity: int, repeats: int) -> None:
    dag = Bag(num_letters, capacity, repeats)
    letters = dag.letters
    expected = {
        "".join(bag) for size in range(capacity + 1) for bag in itertools.combinations_with_replacement(letters, size)
    }
    assert {dag.render_text(state).replace("(empty)", "") for state in all_states(dag)} == expected
    assert dag.num_states == len(expected)
    assert dag.num_terminal_states == sum(len(bag) == capacity for bag in expected)


@pytest.mark.parametrize(("num_letters", "capacity", "repeats"), SMALL_BAGS)
def test_bag_rewards_of_every_object(num_letters: int, capacity: int, repeats: int) -> None:
    dag = Bag(num_letters, capacity, repeats, rewards=(5.0, 3.0, 0.25))
    modes = {dag.render_text(mode) for mode in dag.modes}
    expected = []
    for bag in map(dag.render_text, dag.terminal_states()):
        most = max(Counter(bag).values())
        expected.append(5.0 if bag in modes else 3.0 if most >= repeats else 0.25)
    np.testing.assert_allclose(np.exp(dag.log_reward(dag.terminal_states())), expected, rtol=1e-14)
    assert expected.count(5.0) == dag.num_modes


@pytest.mark.parametrize(("num_letters", "capacity", "repeats"), [*SMALL_BAGS, (7, 13, 7), (5, 9, 5)])
def test_generated_modes_follow_the_published_rule(num_letters: int, capacity: int, repeats: int) -> None:
    """Each mode has ``repeats`` of a letter and others besides; no letter has more modes than a quarter of fillers."""
    dag = Bag(num_letters, capacity, repeats)
    assert (dag.modes.sum(1) == capacity).all()
    assert (dag.modes == repeats).any(1).all()
    assert len(np.unique(dag.modes, axis=0)) == dag.num_modes
    quarter = max(1, (num_letters - 1) ** (capacity - repeats) // 4)
    for letter in range(num_letters):
        assert (dag.modes[:, letter] == repeats).sum() >= 1
    assert dag.num_modes <= num_letters * quarter


def test_fillers_of_the_right_number_are_chosen() -> None:
    # 4 other letters, one to fill: a quarter of 4 is one for each of the 5 letters.
    assert Bag(5, 4, 3).num_modes == 5
    # 2 other letters: less than four fillers, and still one each.
    assert Bag(3, 4, 3).num_modes == 3
    # Nothing to fill: the letter alone.
    assert sorted(Bag(3, 4, 4).modes.tolist()) == [[0, 0, 4], [0, 4, 0], [4, 0, 0]]


def test_the_seed_decides_the_modes() -> None:
    np.testing.assert_array_equal(Bag(seed=5).modes, Bag(seed=5).modes)
    assert not np.array_equal(Bag(seed=5).modes, Bag(seed=6).modes)


def test_default_bag_by_hand() -> None:
    dag = Bag()
    assert (dag.num_letters, dag.capacity, dag.num_states, dag.num_terminal_states) == (7, 13, 77_520, 27_132)
    mode = dag.modes[:1]
    states = np.array([[13, 0, 0, 0, 0, 0, 0], [6, 7, 0, 0, 0, 0, 0], [2, 2, 2, 2, 2, 2, 1]], dtype=np.int16)
    assert dag.mode_index(states)[[0, 2]].tolist() == [-1, -1]
    np.testing.assert_allclose(np.exp(dag.log_reward(states[[0, 2]])), [10.0, 0.01])
    np.testing.assert_allclose(np.exp(dag.log_reward(mode)), [30.0])
    np.testing.assert_array_equal(dag.mode_index(dag.modes), np.arange(dag.num_modes))
    np.testing.assert_array_equal(
        dag.encode(states), [[13, *[0] * 6, 13, 1], [6, 7, *[0] * 5, 7, 1], [*[2] * 6, 1, 2, 0]]
    )
    assert dag.render_text(states[1]) == "AAAAAABBBBBBB"
    assert (dag.render_text(dag.source(1)[0]), dag.action_label(6)) == ("(empty)", "add G")


@pytest.mark.parametrize("newline", ["\n", "\r\n", "\n\n"])
def test_modes_from_a_file(tmp_path: Path, newline: str) -> None:
    path = tmp_path / "modes.txt"
    path.write_bytes(newline.join(["AABC", "CABA", "BBBB", "CCCA"]).encode())
    for modes in (path, str(path)):
        dag = Bag(3, 4, 3, modes=modes)
        assert sorted(dag.modes.tolist()) == [[0, 4, 0], [1, 0, 3], [2, 1, 1]]
        objects = np.array([[2, 1, 1], [0, 4, 0], [1, 0, 3], [1, 3, 0], [2, 2, 0]], dtype=np.int16)
        np.testing.assert_allclose(np.exp(dag.log_reward(objects)), [30, 30, 30, 10, 0.01])
        assert (dag.mode_index(objects) >= 0).tolist() == [True, True, True, False, False]
        assert dag.num_modes == 3


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("AABC\nAAB\n", "entry 2: 'AAB' is not 4 letters of ABC"),
        ("AABC\nBBBB\nAABCA\n", "entry 3: 'AABCA' is not 4 letters of ABC"),
        ("AABD\n", "entry 1: 'AABD' is not 4 letters of ABC"),
        ("aabc\n", "entry 1: 'aabc' is not 4 letters of ABC"),
        ("AAB\u00c4\n", "entry 1: "),
        ("", "holds no modes"),
        ("\n \n", "holds no modes"),
    ],
)
def test_bad_files_of_modes_name_the_entry(tmp_path: Path, content: str, message: str) -> None:
    path = tmp_path / "modes.txt"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(ValueError, match=r"modes\.txt") as caught:
        Bag(3, 4, 3, modes=path)
    assert message in str(caught.value)


def test_a_missing_file_of_modes_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="nowhere"):
        Bag(3, 4, 3, modes=tmp_path / "nowhere.txt")


# ---------------------------------------------------------------------- bad arguments


@pytest.mark.parametrize(
    ("make", "arguments", "message"),
    [
        (HyperGrid, {"ndim": 0}, "HyperGrid: ndim must be an integer >= 1, got 0"),
        (HyperGrid, {"ndim": 1.5}, "HyperGrid: ndim must be an integer >= 1, got 1.5"),
        (HyperGrid, {"ndim": True}, "HyperGrid: ndim must be an integer >= 1, got True"),
        (HyperGrid, {"side": 1}, "HyperGrid: side must be an integer >= 2, got 1"),
        (HyperGrid, {"side": "eight"}, "HyperGrid: side must be an integer >= 2, got 'eight'"),
        (HyperGrid, {"side": None}, "HyperGrid: side must be an integer >= 2, got None"),
        (HyperGrid, {"ndim": 63, "side": 2}, "side ** ndim must be below 2**63, got 2 ** 63"),
        (HyperGrid, {"reward": "standart"}, "unknown reward 'standart'; allowed: standard, easy, hard, niu, cosine,"),
        (HyperGrid, {"reward": None}, "unknown reward None; allowed: standard"),
        (HyperGrid, {"reward_kwargs": {"R3": 1, "R0": 1}}, "has no parameters ['R3']; allowed: ['R0', 'R1', 'R2']"),
        (HyperGrid, {"reward": "sparse", "reward_kwargs": {"R0": 1}}, "has no parameters ['R0']; allowed: ['floor']"),
        (HyperGrid, {"reward": np.sum, "reward_kwargs": {"R0": 1}}, "{'R0': 1} were given with a callable reward"),
        (BitSequence, {"n": 0}, "BitSequence: n must be an integer >= 1, got 0"),
        (BitSequence, {"n": 12, "word_size": 2}, "n must be a multiple of 8 and of word_size = 2, got 12"),
        (BitSequence, {"n": 16, "word_size": 3}, "n must be a multiple of 8 and of word_size = 3, got 16"),
        (BitSequence, {"word_size": 0}, "BitSequence: word_size must be an integer >= 1, got 0"),
        (BitSequence, {"n": 120, "word_size": 20}, "word_size must be at most 16, got 20"),
        (BitSequence, {"n": 8, "num_modes": 6}, "only 5 modes of 8 bits exist, got num_modes=6"),
        (BitSequence, {"num_modes": 0}, "BitSequence: num_modes must be an integer >= 1, got 0"),
        (BitSequence, {"construction": "prepend"}, "('autoregressive', 'non_autoregressive'), got 'prepend'"),
        (BitSequence, {"beta": -1.0}, "beta must be finite and >= 0, got -1.0"),
        (BitSequence, {"beta": np.nan}, "beta must be finite and >= 0, got nan"),
        (BitSequence, {"mode_radius": 0}, "mode_radius must be > 0, got 0"),
        (BitSequence, {"mode_radius": np.nan}, "mode_radius must be > 0, got nan"),
        (Bag, {"num_letters": 1}, "Bag: num_letters must be an integer >= 2, got 1"),
        (Bag, {"num_letters": 27}, "num_letters must be at most 26"),
        (Bag, {"capacity": 0}, "Bag: capacity must be an integer >= 1, got 0"),
        (Bag, {"repeats": 0}, "Bag: repeats must be an integer >= 1, got 0"),
        (Bag, {"repeats": 14}, "repeats at most capacity, got num_letters=7, repeats=14, capacity=13"),
        (Bag, {"rewards": (1.0, 2.0)}, "rewards must be three finite numbers > 0, got (1.0, 2.0)"),
        (Bag, {"rewards": (1.0, 2.0, 0.0)}, "rewards must be three finite numbers > 0, got (1.0, 2.0, 0.0)"),
        (Bag, {"rewards": (1.0, np.inf, 1.0)}, "rewards must be three finite numbers > 0, got (1.0, inf, 1.0)"),
        (Bag, {"num_letters": 26, "capacity": 26}, "25^19 fillers are too many to generate modes from"),
    ],
)
def test_bad_arguments_are_named(make: Callable[..., Dag], arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        make(**arguments)
