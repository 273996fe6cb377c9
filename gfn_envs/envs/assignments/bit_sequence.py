"""BitSequence: strings of bits made of k-bit words, with a reward that peaks at hidden modes."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
from gymnasium import spaces

from gfn_envs import rendering
from gfn_envs.arrays import BoolArray, FloatArray, IntArray, all_columns, log_factorials, one_hot_table
from gfn_envs.dag import Dag
from gfn_envs.validation import positive_int

CONSTRUCTIONS = ("autoregressive", "non_autoregressive")

#: The five 8-bit words that modes are made of (Malkin et al. 2022, section 5.3).
MODE_WORDS = np.array([[int(bit) for bit in w] for w in ["00000000", "11111111", "11110000", "00001111", "00111100"]])


class BitSequence(Dag):
    """Build a string of n bits, k bits at a time; the reward is high near a hidden set of modes.

    ## Description
    A string of ``n`` bits consists of n / word_size slots, each filled with one of the 2^word_size words.
    Autoregressive construction appends a word; non-autoregressive construction fills any empty slot.

    ## Action Space
    autoregressive: ``Discrete(2^word_size)``, the word to append. non_autoregressive:
    ``Discrete(slots * 2^word_size)``, action = slot * 2^word_size + word, legal where the slot is empty.

    ## Backward actions
    autoregressive: 1, which drops the last word (so P_B = 1). non_autoregressive: ``slots``, which empties a filled
    slot.

    ## Observation Space
    ``MultiDiscrete([2^word_size + 1] * slots)``: the word in each slot, 2^word_size where it is empty. The state row is
    the same. Network features are the one-hot words, zeros for an empty slot.

    ## Starting State
    All slots empty.

    ## Rewards
    log R(x) = -beta min_{y in M} Hamming(x, y) / n, where M holds ``num_modes`` distinct modes, each the concatenation
    of n / 8 words drawn uniformly from {00000000, 11111111, 11110000, 00001111, 00111100}.

    The intermediate log reward of a partial string is the same with the distance counted over the filled slots alone.

    A mode y is found by x when Hamming(x, y) < ``mode_radius``; x counts for its nearest mode.

    ## Episode End
    When every slot is filled: after n / word_size actions. There is no stop action.

    ## Number of states
    With q = 2^word_size and m slots: (q + 1)^m non-autoregressive, (q^(m + 1) - 1) / (q - 1) autoregressive; q^m = 2^n
    objects.

    ## Arguments
    * ``n``: bits, a multiple of 8 and of word_size.
    * ``word_size``: bits a word k; 1, 2, 4, 6, 8 and 10 are used in the literature.
    * ``construction``: "autoregressive" or "non_autoregressive".
    * ``beta``: reward exponent (3 in gfnx; 2 in Tiapkin et al. 2024).
    * ``num_modes``: size of M, at most 5^(n / 8).
    * ``mode_radius``: Hamming distance below which a mode is found; default n / 4 (30 for n = 120).
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
        self.n = n = positive_int("n", n, where)
        self.word_size = word_size = positive_int("word_size", word_size, where)
        self.num_modes = num_modes = positive_int("num_modes", num_modes, where)
        if n % 8 or n % word_size:
            raise ValueError(f"{where}: n must be a multiple of 8 and of word_size = {word_size}, got {n}")
        if word_size > 16:
            raise ValueError(f"{where}: word_size must be at most 16, got {word_size}")
        if num_modes > len(MODE_WORDS) ** (n // 8):
            raise ValueError(f"{where}: only {len(MODE_WORDS) ** (n // 8)} modes of {n} bits exist, got {num_modes=}")
        if construction not in CONSTRUCTIONS:
            raise ValueError(f"{where}: construction must be one of {CONSTRUCTIONS}, got {construction!r}")
        if not (np.isfinite(beta) and beta >= 0):
            raise ValueError(f"{where}: beta must be finite and >= 0, got {beta}")
        self.arguments = {
            "n": n,
            "word_size": word_size,
            "construction": construction,
            "beta": beta,
            "num_modes": num_modes,
            "mode_radius": mode_radius,
            "seed": seed,
        }
        self.beta, self.seed = float(beta), seed
        self.mode_radius = n / 4 if mode_radius is None else mode_radius
        if not self.mode_radius > 0:
            raise ValueError(f"{where}: mode_radius must be > 0, got {mode_radius}")
        self.autoregressive = construction == "autoregressive"
        self.num_slots = self.state_width = self.max_length = n // word_size
        self.num_words = 2**word_size
        self.num_actions = self.num_words * (1 if self.autoregressive else self.num_slots)
        self.num_backward_actions = 1 if self.autoregressive else self.num_slots
        self.state_dtype = np.dtype(np.int32)
        self.num_features = self.num_slots * self.num_words
        self.num_tokens, self.num_positions = self.num_words + 1, self.num_slots
        self.observation_space = spaces.MultiDiscrete([self.num_words + 1] * self.num_slots)
        q, m = self.num_words, self.num_slots
        self.declared_num_terminal_states = q**m
        self.declared_num_states = sum(q**t for t in range(m + 1)) if self.autoregressive else (q + 1) ** m
        self._word_bits = (np.arange(q)[:, None] >> np.arange(word_size)[::-1] & 1).astype(np.int8)
        self._mask_if_full = np.array([[True] * q, [False] * q])  # autoregressive

    # ------------------------------------------------------------------ modes

    @functools.cached_property
    def modes(self) -> IntArray:
        """The mode set M as bits, int8 (num_modes, n), distinct."""
        rng = np.random.default_rng(self.seed)
        chosen: dict[bytes, IntArray] = {}
        while len(chosen) < self.num_modes:
            words = rng.integers(len(MODE_WORDS), size=self.n // 8)
            chosen.setdefault(words.tobytes(), MODE_WORDS[words].ravel().astype(np.int8))
        return np.stack(list(chosen.values()))

    def flip_test_set(self, seed: int | None = None) -> IntArray:
        """Terminal states (num_modes * n, state_width): each mode with c = 0..n-1 random distinct bits flipped.

        Malkin et al. 2022, section 5.3: the set on which the correlation of log p(x) with log R(x) is measured.
        """
        rng = np.random.default_rng(self.seed if seed is None else seed)
        bits = np.repeat(self.modes, self.n, axis=0)
        order = rng.permuted(np.tile(np.arange(self.n), (len(bits), 1)), axis=1)
        flips = np.tile(np.arange(self.n), self.num_modes)
        return self.from_bits(bits ^ (order < flips[:, None]))

    def from_bits(self, bits: IntArray) -> IntArray:
        """Terminal states (m, state_width) of bit strings (m, n)."""
        words = np.asarray(bits).reshape(len(bits), self.num_slots, self.word_size)
        return (words @ (1 << np.arange(self.word_size)[::-1])).astype(self.state_dtype)

    def to_bits(self, states: IntArray) -> IntArray:
        """Bits int8 (m, n) of terminal states (m, state_width)."""
        return self._word_bits[states].reshape(len(states), self.n)

    @functools.cached_property
    def _distance_table(self) -> FloatArray:
        """Hamming distance of every word in every slot to each mode's, int (slots * words, modes)."""
        mode_words = self.modes.reshape(-1, 1, self.num_slots, self.word_size)
        dtype = np.int16 if self.n < 2**15 else np.int64  # of sums over slots too
        differ = (mode_words != self._word_bits[:, None, :]).sum(-1)
        return np.ascontiguousarray(differ.transpose(2, 1, 0).reshape(-1, self.num_modes), dtype=dtype)

    def mode_distances(self, states: IntArray) -> IntArray:
        """Hamming distance of terminal states to every mode, int (m, num_modes)."""
        slots = np.arange(self.num_slots) * self.num_words
        # Slots first, and no wider than need be: the sum is then several times faster.
        per_slot = self._distance_table.take((states + slots).T, axis=0)
        distances: IntArray = np.add.reduce(per_slot, axis=0, dtype=per_slot.dtype)
        return distances

    def mode_index(self, states: IntArray) -> IntArray:
        distances = self.mode_distances(states)
        return np.where(distances.min(1) < self.mode_radius, distances.argmin(1), -1)

    # ------------------------------------------------------------------ the contract

    def source(self, n: int) -> IntArray:
        return np.full((n, self.num_slots), self.num_words, dtype=self.state_dtype)

    def is_terminal(self, states: IntArray) -> BoolArray:
        if self.autoregressive:
            return states[:, -1] != self.num_words
        return (states != self.num_words).all(1)

    def forward_mask(self, states: IntArray) -> BoolArray:
        if self.autoregressive:
            return self._mask_if_full.take(self.is_terminal(states), axis=0)
        return np.repeat(states == self.num_words, self.num_words, axis=1)

    def backward_mask(self, states: IntArray) -> BoolArray:
        if self.autoregressive:
            return states[:, :1] != self.num_words
        return states != self.num_words

    def _slot_and_word(self, states: IntArray, actions: IntArray) -> tuple[IntArray, IntArray]:
        if self.autoregressive:
            return (states == self.num_words).argmax(1), np.asarray(actions)  # the first empty slot
        return np.divmod(actions, self.num_words)

    def _length(self, states: IntArray) -> IntArray:
        return (states != self.num_words).sum(1)

    def step(self, states: IntArray, actions: IntArray) -> IntArray:
        slot, word = self._slot_and_word(states, actions)
        out = states.copy()
        out[np.arange(len(out)), slot] = word
        return out

    def undo(self, states: IntArray, backward_actions: IntArray) -> IntArray:
        slot = self._length(states) - 1 if self.autoregressive else backward_actions
        out = states.copy()
        out[np.arange(len(out)), slot] = self.num_words
        return out

    def backward_action(self, states: IntArray, actions: IntArray) -> IntArray:
        if self.autoregressive:
            return np.zeros(len(states), dtype=np.int64)
        return np.asarray(actions, dtype=np.int64) // self.num_words

    def forward_action(self, states: IntArray, backward_actions: IntArray) -> IntArray:
        slot = self._length(states) - 1 if self.autoregressive else np.asarray(backward_actions, dtype=np.int64)
        word = states[np.arange(len(states)), slot].astype(np.int64)
        return word if self.autoregressive else slot * self.num_words + word

    def log_reward(self, states: IntArray) -> FloatArray:
        return -self.beta * self.mode_distances(states).min(1) / self.n

    @functools.cached_property
    def _one_hot(self) -> FloatArray:
        # Made at first use: long words that are seen as numbers never need it.
        return one_hot_table(self.num_words)

    def encode(self, states: IntArray) -> FloatArray:
        return self._one_hot.take(states, axis=0).reshape(len(states), self.num_features)

    def observe(self, states: IntArray) -> IntArray:
        return states.astype(np.int64)

    # ------------------------------------------------------------------ optional capabilities

    def partial_log_reward(self, states: IntArray) -> FloatArray:
        empty = states == self.num_words
        slots = np.arange(self.num_slots) * self.num_words
        per_slot = self._distance_table.take((np.where(empty, 0, states) + slots).T, axis=0)
        per_slot[empty.T] = 0
        return -self.beta * per_slot.sum(0).min(1) / self.n

    def contains(self, states: IntArray, objects: IntArray) -> BoolArray:
        """Every filled slot holds the object's word: a prefix (autoregressive), or some of its slots."""
        return all_columns(lambda word, of_object: (word == self.num_words) | (word == of_object), states, objects)

    def tokens(self, states: IntArray) -> IntArray:
        """The word in each slot, num_words where it is empty, int64 (n, num_slots)."""
        return states.astype(np.int64)

    @functools.cached_property
    def _log_orders(self) -> FloatArray:
        """log of the number of orders to fill k slots, k = 0..slots: any, or the one from left to right."""
        return np.zeros(self.num_slots + 1) if self.autoregressive else log_factorials(self.num_slots)

    def log_num_paths(self, states: IntArray) -> FloatArray:
        """log k! with k filled slots (non-autoregressive), 0 where there is one order alone (autoregressive)."""
        return self._log_orders[self._length(states)]

    # ------------------------------------------------------------------ for people

    def _word_text(self, word: int) -> str:
        return "".join(map(str, self._word_bits[word])) if word < self.num_words else "." * self.word_size

    def action_label(self, action: int) -> str:
        slot, word = divmod(action, self.num_words)
        return f"append {self._word_text(word)}" if self.autoregressive else f"slot {slot} = {self._word_text(word)}"

    def render_text(self, state: IntArray) -> str:
        return " ".join(self._word_text(int(word)) for word in state)

    def render_image(self, state: IntArray, path: IntArray | None = None) -> rendering.Image:
        """One row of tiles a slot: dark for 1, white for 0, grey while empty."""
        palette = np.stack([rendering.WHITE, rendering.BLACK, rendering.GREY])
        bits: Any = np.full((self.num_slots, self.word_size), 2)
        filled = state < self.num_words
        bits[filled] = self._word_bits[state[filled]]
        # A word of few bits makes a thin picture: lay the slots out in lines of about 16 bits.
        per_line = max(1, 16 // self.word_size)
        lines = -(-self.num_slots // per_line)
        bits = np.pad(bits, ((0, lines * per_line - self.num_slots), (0, 0)), constant_values=0)
        return rendering.tiles(palette[bits.reshape(lines, -1)], tile=16)
