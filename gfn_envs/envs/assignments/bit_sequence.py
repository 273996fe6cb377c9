"""BitSequence: strings of bits made of k-bit words, with a reward that peaks at hidden modes."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np

from gfn_envs import rendering
from gfn_envs.arrays import FloatArray, IntArray
from gfn_envs.envs.assignments.assignment import Assignment
from gfn_envs.validation import check_size, checked_seed, positive, positive_int, real, shown

#: Largest number of bits.
MAX_BITS = 2**16

#: Exact samples are given up if fewer than one random string in this many is accepted.
MAX_PROPOSALS = 2000

#: The five 8-bit words that modes consist of (Malkin et al. 2022, section 5.3).
MODE_WORDS = np.array([[int(bit) for bit in w] for w in ["00000000", "11111111", "11110000", "00001111", "00111100"]])


class BitSequence(Assignment):
    """Build a string of n bits, k bits at a time; the reward is high near a hidden set of modes.

    ## Description
    A string of ``n`` bits consists of n / word_size slots. Each slot is filled with one of the 2^word_size words.
    Autoregressive construction appends a word; non-autoregressive construction fills any empty slot.

    ## Action Space
    autoregressive: ``Discrete(2^word_size)``, the word to append. non_autoregressive:
    ``Discrete(slots * 2^word_size)``, action = slot * 2^word_size + word, legal if the slot is empty.

    ## Backward actions
    autoregressive: 1, which removes the last word (so P_B = 1). non_autoregressive: ``slots``, each of which empties a
    filled slot.

    ## Observation Space
    ``MultiDiscrete([2^word_size + 1] * slots)``: the word in each slot, or 2^word_size if the slot is empty. The state
    row is the same. The network features are the one-hot words, all zeros for an empty slot.

    ## Starting State
    All slots are empty.

    ## Rewards
    log R(x) = -beta min_{y in M} Hamming(x, y) / n, where M holds ``num_modes`` distinct modes. Each mode is the
    concatenation of n / 8 words drawn uniformly from {00000000, 11111111, 11110000, 00001111, 00111100}.

    The intermediate log reward of a partial string uses the same formula, with distances over the filled slots only.

    A string x has found the mode y if Hamming(x, y) < ``mode_radius``. It finds its nearest mode only.

    ## Episode End
    When every slot is filled: after n / word_size actions. There is no stop action.

    ## Number of states
    With q = 2^word_size and m slots: (q + 1)^m non-autoregressive, (q^(m + 1) - 1) / (q - 1) autoregressive; q^m = 2^n
    objects.

    ## Arguments
    * ``n``: number of bits, a multiple of 8 and of word_size.
    * ``word_size``: bits per word k, from 1 to 16; 1, 2, 4, 6, 8 and 10 are used in the literature.
    * ``construction``: "autoregressive" or "non_autoregressive".
    * ``beta``: reward exponent, >= 0 (3 in gfnx; 2 in Tiapkin et al. 2024).
    * ``num_modes``: size of M, at most 5^(n / 8).
    * ``mode_radius``: Hamming distance below which a mode is found; None is n / 4 (30 for n = 120).
    * ``seed``: seed of the mode set.

    ## References
    Malkin et al. 2022, Trajectory Balance (section 5.3); Madan et al. 2023 (SubTB); Tiapkin et al. 2024.

    ## Version History
    * v0: initial version.
    """

    num_modes: int

    def __init__(
        self,
        n: int = 120,
        word_size: int = 8,
        construction: str = "autoregressive",
        beta: float = 3.0,
        num_modes: int = 60,
        mode_radius: float | None = None,
        seed: int = 0,
    ):
        where = "BitSequence"
        self.n = n = positive_int("n", n, where, at_most=MAX_BITS)
        self.word_size = word_size = positive_int("word_size", word_size, where)
        seed = checked_seed(seed, where)
        self.num_modes = num_modes = positive_int("num_modes", num_modes, where)
        if n % 8 or n % word_size:
            raise ValueError(f"{where}: n must be a multiple of 8 and of word_size = {word_size}, got {n}")
        if word_size > 16:
            raise ValueError(f"{where}: word_size must be at most 16, got {shown(word_size)}")
        if num_modes > len(MODE_WORDS) ** (n // 8):
            raise ValueError(
                f"{where}: only {len(MODE_WORDS) ** (n // 8)} modes of {n} bits exist, got num_modes={shown(num_modes)}"
            )
        check_size("num_modes", num_modes * n, where)
        self.beta = real("beta", beta, where, at_least=0.0)
        self.arguments = {
            "n": n,
            "word_size": word_size,
            "construction": construction,
            "beta": beta,
            "num_modes": num_modes,
            "mode_radius": mode_radius,
            "seed": seed,
        }
        self.seed = seed
        self.mode_radius = n / 4 if mode_radius is None else positive("mode_radius", mode_radius, where)
        super().__init__(n // word_size, 2**word_size, construction)
        self.num_slots, self.num_words = self.num_variables, self.num_values
        self._word_bits = (np.arange(self.num_words)[:, None] >> np.arange(word_size)[::-1] & 1).astype(np.int8)

    # ------------------------------------------------------------------ modes

    @functools.cached_property
    def modes(self) -> IntArray:
        """The mode set M: distinct strings of bits, int8 (num_modes, n)."""
        rng = np.random.default_rng(self.seed)
        chosen: dict[bytes, IntArray] = {}
        while len(chosen) < self.num_modes:
            words = rng.integers(len(MODE_WORDS), size=self.n // 8)
            chosen.setdefault(words.tobytes(), MODE_WORDS[words].ravel().astype(np.int8))
        return np.stack(list(chosen.values()))

    def flip_test_set(self, seed: int | None = None) -> IntArray:
        """Every mode with c random bits flipped, for c = 0..n-1, as terminal states (num_modes * n, num_slots).

        Malkin et al. 2022 (section 5.3) measure the correlation of log p(x) with log R(x) on this set.
        """
        rng = np.random.default_rng(self.seed if seed is None else seed)
        bits = np.repeat(self.modes, self.n, axis=0)
        order = rng.permuted(np.tile(np.arange(self.n), (len(bits), 1)), axis=1)
        flips = np.tile(np.arange(self.n), self.num_modes)
        return self.from_bits(bits ^ (order < flips[:, None]))

    def from_bits(self, bits: IntArray) -> IntArray:
        """Terminal states (m, num_slots) of strings of bits (m, n)."""
        words = np.asarray(bits).reshape(len(bits), self.num_slots, self.word_size)
        return (words @ (1 << np.arange(self.word_size)[::-1])).astype(self.state_dtype)

    def to_bits(self, states: IntArray) -> IntArray:
        """Bits, int8 (m, n), of terminal states (m, num_slots)."""
        return self._word_bits[states].reshape(len(states), self.n)

    @functools.cached_property
    def _distance_table(self) -> FloatArray:
        """Hamming distance of every word in every slot to each mode's word there, int (slots * words, modes)."""
        mode_words = self.modes.reshape(-1, 1, self.num_slots, self.word_size)
        dtype = np.int16 if self.n < 2**15 else np.int64  # also holds sums over slots
        differ = (mode_words != self._word_bits[:, None, :]).sum(-1)
        return np.ascontiguousarray(differ.transpose(2, 1, 0).reshape(-1, self.num_modes), dtype=dtype)

    def _distances_per_slot(self, states: IntArray) -> IntArray:
        """Hamming distance to each mode in each slot of terminal states, int (num_slots, m, num_modes)."""
        # With slots on the first axis, sums over slots are several times faster.
        return self._distance_table.take((states + np.arange(self.num_slots) * self.num_words).T, axis=0)

    def mode_distances(self, states: IntArray) -> IntArray:
        """Hamming distance of terminal states to every mode, int (m, num_modes)."""
        per_slot = self._distances_per_slot(states)
        # The narrow dtype of the table suffices, and is faster than the default of sums.
        distances: IntArray = np.add.reduce(per_slot, axis=0, dtype=per_slot.dtype)
        return distances

    def mode_index(self, states: IntArray) -> IntArray:
        distances = self.mode_distances(states)
        return np.where(distances.min(1) < self.mode_radius, distances.argmin(1), -1)

    # ------------------------------------------------------------------ rewards

    def log_reward(self, states: IntArray) -> FloatArray:
        return -self.beta * self.mode_distances(states).min(1) / self.n

    def partial_log_reward(self, states: IntArray) -> FloatArray:
        empty = states == self.num_words
        per_slot = self._distances_per_slot(np.where(empty, 0, states))
        per_slot[empty.T] = 0
        return -self.beta * per_slot.sum(0).min(1) / self.n

    def sample_target(self, n: int, rng: np.random.Generator) -> IntArray:
        """By rejection: a random string x is accepted with probability R(x), as R is 1 at most.

        Raises:
            NotImplementedError: beta is so large that fewer than one string in ``MAX_PROPOSALS`` is accepted.
        """
        found, proposed = [self.source(0)], 0
        while sum(map(len, found)) < n:
            states = rng.integers(self.num_words, size=(1024, self.num_slots)).astype(self.state_dtype)
            found.append(states[rng.random(len(states)) < np.exp(self.log_reward(states))])
            proposed += len(states)
            if proposed > MAX_PROPOSALS * max(16, sum(map(len, found))):
                raise NotImplementedError(f"random strings are accepted too rarely with beta = {self.beta:g}")
        return np.concatenate(found)[:n]

    # ------------------------------------------------------------------ labels and rendering

    def _word_text(self, word: int) -> str:
        return "".join(map(str, self._word_bits[word])) if word < self.num_words else "." * self.word_size

    def action_label(self, action: int) -> str:
        slot, word = divmod(action, self.num_words)
        return f"append {self._word_text(word)}" if self.autoregressive else f"slot {slot} = {self._word_text(word)}"

    def render_text(self, state: IntArray) -> str:
        return " ".join(self._word_text(int(word)) for word in state)

    def render_image(self, state: IntArray, path: IntArray | None = None) -> rendering.Image:
        """One tile per bit: black for 1, white for 0, gray if its slot is empty; about 16 bits per line."""
        palette = np.stack([rendering.WHITE, rendering.BLACK, rendering.GREY])
        bits: Any = np.full((self.num_slots, self.word_size), 2)
        filled = state < self.num_words
        bits[filled] = self._word_bits[state[filled]]
        per_line = max(1, 16 // self.word_size)
        lines = -(-self.num_slots // per_line)
        bits = np.pad(bits, ((0, lines * per_line - self.num_slots), (0, 0)), constant_values=0)
        return rendering.tiles(palette[bits.reshape(lines, -1)], tile=16)
