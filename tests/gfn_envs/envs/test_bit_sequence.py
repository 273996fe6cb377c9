"""BitSequence against its definition: rewards, modes and encodings, against explicit values and plain Python."""

from __future__ import annotations

import itertools
import re
from collections import Counter
from typing import Any

import numpy as np
import pytest

from gfn_envs import BitSequence

WORDS = {"00000000", "11111111", "11110000", "00001111", "00111100"}


def bit_text(dag: BitSequence, state: np.ndarray) -> str:
    """The bits of a terminal state; each word starts with its most significant bit."""
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


def test_modes_use_all_words_equally_often() -> None:
    """Of 900 uniform words, each of the five has expected count 180 and standard deviation 12; four are allowed."""
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


def test_the_test_set_flips_every_number_of_bits() -> None:
    dag = BitSequence()
    states = dag.flip_test_set()
    assert states.shape == (7200, 15)
    assert dag.is_terminal(states).all()
    flips = dag.to_bits(states).reshape(60, 120, 120) != dag.modes[:, None, :]
    np.testing.assert_array_equal(flips.sum(2), np.tile(np.arange(120), (60, 1)))
    # Each bit flips in 7200 (119/2)/120 = 3570 strings on average; four standard deviations are about 140.
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
def test_a_mode_is_found_strictly_within_the_radius(radius: float | None, found_up_to: int) -> None:
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
def test_bit_sequences_accept_numpy_integers_and_whole_floats(integer: Any) -> None:
    dag = BitSequence(n=integer(120), word_size=integer(8), num_modes=integer(60))
    assert (dag.num_states, dag.num_terminal_states) == ((256**16 - 1) // 255, 2**120)
    assert dag.observation_space == BitSequence().observation_space
    np.testing.assert_array_equal(dag.modes, BitSequence().modes)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"n": 0}, "BitSequence: n must be an integer from 1 to 65,536, got 0"),
        ({"n": 12, "word_size": 2}, "n must be a multiple of 8 and of word_size = 2, got 12"),
        ({"n": 16, "word_size": 3}, "n must be a multiple of 8 and of word_size = 3, got 16"),
        ({"word_size": 0}, "BitSequence: word_size must be an integer >= 1, got 0"),
        ({"n": 120, "word_size": 20}, "word_size must be at most 16, got 20"),
        ({"n": 8, "num_modes": 6}, "only 5 modes of 8 bits exist, got num_modes=6"),
        ({"num_modes": 0}, "BitSequence: num_modes must be an integer >= 1, got 0"),
        ({"construction": "prepend"}, "('autoregressive', 'non_autoregressive'), got 'prepend'"),
        ({"beta": -1.0}, "beta must be finite and >= 0, got -1.0"),
        ({"beta": np.nan}, "beta must be finite and >= 0, got nan"),
        ({"mode_radius": 0}, "mode_radius must be finite and > 0, got 0"),
        ({"mode_radius": np.nan}, "mode_radius must be finite and > 0, got nan"),
    ],
)
def test_bad_arguments_raise(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        BitSequence(**arguments)
