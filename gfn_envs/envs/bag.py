"""Bag: multisets of letters, with a large reward on a hidden subset of them."""

from __future__ import annotations

import functools
import os
from math import comb
from pathlib import Path

import numpy as np
from gymnasium import spaces

from gfn_envs import rendering
from gfn_envs.arrays import BoolArray, FloatArray, IntArray, all_columns, log_factorials, row_keys, unique_rows
from gfn_envs.closed_levels import ProductLevels, product_levels
from gfn_envs.dag import Dag
from gfn_envs.text_files import read_text
from gfn_envs.user_arrays import real_array
from gfn_envs.validation import checked_log_reward, checked_seed, positive_int, shown

#: Largest capacity, and largest number of strings, for all letters together, from which modes are drawn.
MAX_CAPACITY, MAX_FILLERS = 10**6, 5 * 10**7


class Bag(Dag):
    """Fill a bag with letters, one at a time; only a few of the full bags have a high reward.

    ## Description
    A state is a multiset of at most ``capacity`` letters: the order in which the letters were added does not matter.

    ## Action Space
    ``Discrete(num_letters)``: add one letter.

    ## Backward actions
    ``num_letters``: remove one letter that is in the bag.

    ## Observation Space
    ``MultiDiscrete([capacity + 1] * num_letters)``: the count of each letter. The state row is the same. The network
    features are the counts, the largest count, and a flag that is 1 if the largest count is at least ``repeats``.

    ## Starting State
    The empty bag.

    ## Rewards
    30 if the multiset is a mode; otherwise 10 if some letter occurs at least ``repeats`` times; otherwise 0.01. The
    argument ``rewards`` changes these three values.

    By default, the modes are generated from ``seed`` by the rule behind the published set. For each letter, consider
    the strings of other letters that fill up a bag with ``repeats`` copies of that letter. A random quarter of these
    strings is drawn, and each distinct multiset that results is one mode. Several strings give one multiset, so that
    with the default arguments 49% of the bags with a repeated letter are modes, and the mean reward of an exact sampler
    is 24.79. The published code computes 18.17 instead, the mean over strings of which a quarter are modes.

    ## Episode End
    When the bag holds ``capacity`` letters. There is no stop action.

    ## Number of states
    C(capacity + num_letters, num_letters) states, C(capacity + num_letters - 1, num_letters - 1) objects.

    ## Arguments
    * ``num_letters``: size of the alphabet A, B, C, ...; from 2 to 26.
    * ``capacity``: number of letters in a full bag.
    * ``repeats``: number of copies of one letter that earns the second reward; at most ``capacity``.
    * ``rewards``: rewards of (a mode, a bag with a repeated letter, any other bag), each finite and > 0.
    * ``modes``: path of a text file with one string of ``capacity`` letters per line, such as Shen et al.'s
      bagmodes-7-13-ABCDEFG.txt. None generates the modes.
    * ``seed``: seed of the generated modes.

    ## References
    Shen et al. 2023, Towards Understanding and Improving GFlowNet Training (section 7).

    ## Version History
    * v0: initial version.
    """

    num_modes: int

    def __init__(
        self,
        num_letters: int = 7,
        capacity: int = 13,
        repeats: int = 7,
        rewards: tuple[float, float, float] = (30.0, 10.0, 0.01),
        modes: str | os.PathLike[str] | None = None,
        seed: int = 0,
    ):
        where = "Bag"
        self.num_letters = positive_int("num_letters", num_letters, where, at_least=2, at_most=26)
        self.capacity = self.max_length = positive_int("capacity", capacity, where, at_most=MAX_CAPACITY)
        self.repeats = positive_int("repeats", repeats, where, at_most=self.capacity)
        self.seed = checked_seed(seed, where)
        levels = real_array(rewards, where, "rewards")
        if levels.shape != (3,) or not (np.isfinite(levels) & (levels > 0)).all():
            raise ValueError(f"{where}: rewards must be three finite numbers > 0, got {shown(rewards)}")
        if not (modes is None or isinstance(modes, str | os.PathLike)):
            raise TypeError(f"{where}: modes must be None or the path of a text file, got {shown(modes)}")
        self.rewards = tuple(levels.tolist())
        self.arguments = {
            "num_letters": self.num_letters,
            "capacity": self.capacity,
            "repeats": self.repeats,
            "rewards": self.rewards,
            "modes": None if modes is None else str(modes),
            "seed": self.seed,
        }
        self.letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"[: self.num_letters]
        self.num_actions = self.num_backward_actions = self.state_width = self.num_letters
        self.state_dtype = np.dtype(np.int16 if self.capacity < 2**15 else np.int64)
        self.num_features = self.num_letters + 2
        self.num_tokens, self.num_positions = self.capacity + 1, self.num_letters
        self.observation_space = spaces.MultiDiscrete([self.capacity + 1] * self.num_letters)
        self.declared_num_states = comb(self.capacity + self.num_letters, self.num_letters)
        self.declared_num_terminal_states = comb(self.capacity + self.num_letters - 1, self.num_letters - 1)
        self._unit = np.eye(self.num_letters, dtype=self.state_dtype)
        # A product with ones gives the row sums twice as fast as sum().
        self._ones = np.ones(self.num_letters, dtype=self.state_dtype)
        self._mask_if_full = np.array([[True] * self.num_letters, [False] * self.num_letters])
        self.modes = unique_rows(self._generated_modes() if modes is None else self._read_modes(Path(modes)))
        self.num_modes = len(self.modes)
        self._mode_keys = row_keys(self.modes)

    @functools.cached_property
    def closed_levels(self) -> ProductLevels | None:  # type: ignore[override]
        """The level of a state is its number of letters."""
        return product_levels([range(self.capacity + 1)] * self.num_letters, self.state_dtype, self.capacity)

    # ------------------------------------------------------------------ modes

    def _generated_modes(self) -> IntArray:
        """Letter counts of modes by the published rule, (m, num_letters); rows may repeat."""
        rng = np.random.default_rng(self.seed)
        length = self.capacity - self.repeats
        fillers = self._filler_counts(length)
        modes = []
        for letter in range(self.num_letters):
            chosen = fillers[rng.permutation(len(fillers))[: max(1, len(fillers) // 4)]]
            modes.append(np.insert(chosen.astype(self.state_dtype), letter, self.repeats, axis=1))
        return np.concatenate(modes)

    def _filler_counts(self, length: int) -> IntArray:
        """Letter counts of every string of ``length`` other letters, integers (num_strings, num_letters - 1)."""
        others = self.num_letters - 1
        if others > 1 and (length > 24 or self.num_letters * others**length > MAX_FILLERS):
            raise ValueError(
                f"Bag: {others}^{length} fillers are too many to generate modes from; give a file of modes instead"
            )
        counts = np.zeros((1, others), dtype=np.int16 if length < 2**15 else np.int64)
        if others == 1:
            return counts + length
        unit = np.eye(others, dtype=counts.dtype)
        for _ in range(length):  # In alphabetical order: the last letter varies fastest.
            counts = (counts[:, None] + unit).reshape(-1, others)
        return counts

    def _read_modes(self, path: Path) -> IntArray:
        """Letter counts of the modes in a file of strings, (m, num_letters).

        Raises:
            FileNotFoundError: the file does not exist.
            ValueError: the file is not UTF-8 or holds no modes, or a line is not ``capacity`` letters of the alphabet.
        """
        lines = [line.strip() for line in read_text(path, "Bag").splitlines()]
        for number, line in enumerate(lines, 1):
            if line and (len(line) != self.capacity or set(line) - set(self.letters)):
                raise ValueError(
                    f"Bag: {path}, line {number}: {line[:40]!r} is not {self.capacity} letters of {self.letters}"
                )
        lines = [line for line in lines if line]
        if not lines:
            raise ValueError(f"Bag: {path} holds no modes")
        codes = np.array([list(line.encode()) for line in lines]) - ord("A")
        return (codes[:, :, None] == np.arange(self.num_letters)).sum(1).astype(self.state_dtype)

    def mode_index(self, states: IntArray) -> IntArray:
        keys = row_keys(np.asarray(states, dtype=self.state_dtype))
        position = np.minimum(np.searchsorted(self._mode_keys, keys), self.num_modes - 1)
        return np.where(self._mode_keys[position] == keys, position, -1)

    # ------------------------------------------------------------------ the contract

    def source(self, n: int) -> IntArray:
        return np.zeros((n, self.num_letters), dtype=self.state_dtype)

    def is_terminal(self, states: IntArray) -> BoolArray:
        return states @ self._ones == self.capacity

    def forward_mask(self, states: IntArray) -> BoolArray:
        return self._mask_if_full.take(self.is_terminal(states), axis=0)

    def backward_mask(self, states: IntArray) -> BoolArray:
        return states > 0

    def step(self, states: IntArray, actions: IntArray) -> IntArray:
        return states + self._unit.take(actions, axis=0)

    def undo(self, states: IntArray, backward_actions: IntArray) -> IntArray:
        return states - self._unit.take(backward_actions, axis=0)

    def backward_action(self, states: IntArray, actions: IntArray) -> IntArray:
        return np.array(actions, dtype=np.int64)

    def forward_action(self, states: IntArray, backward_actions: IntArray) -> IntArray:
        return np.array(backward_actions, dtype=np.int64)

    def log_reward(self, states: IntArray) -> FloatArray:
        mode, repeated, other = self.rewards
        reward = np.where(states.max(1) >= self.repeats, repeated, other)
        reward = np.where(self.mode_index(states) >= 0, mode, reward)
        return checked_log_reward(reward, states, "Bag", self.object_names)

    def encode(self, states: IntArray) -> FloatArray:
        largest = states.max(1, keepdims=True)
        return np.concatenate([states, largest, largest >= self.repeats], axis=1, dtype=np.float32)

    def observe(self, states: IntArray) -> IntArray:
        return states.astype(np.int64)

    # ------------------------------------------------------------------ optional capabilities

    def contains(self, states: IntArray, objects: IntArray) -> BoolArray:
        """True if no letter occurs more often in the state than in the object, bool (n, m)."""
        return all_columns(np.less_equal, states, objects)

    def tokens(self, states: IntArray) -> IntArray:
        """The count of each letter, int64 (n, num_letters)."""
        return states.astype(np.int64)

    @functools.cached_property
    def _log_factorials(self) -> FloatArray:
        return log_factorials(self.capacity)

    def log_num_paths(self, states: IntArray) -> FloatArray:
        """log of the number of strings with these letters, (c_A + c_B + ...)! / (c_A! c_B! ...), float64 (n,)."""
        counts = states.astype(np.int64)
        return self._log_factorials[counts.sum(1)] - self._log_factorials[counts].sum(1)

    # ------------------------------------------------------------------ labels and rendering

    def action_label(self, action: int) -> str:
        return f"add {self.letters[action]}"

    def render_text(self, state: IntArray) -> str:
        return "".join(letter * int(count) for letter, count in zip(self.letters, state, strict=True)) or "(empty)"

    def render_image(self, state: IntArray, path: IntArray | None = None) -> rendering.Image:
        """One bar per letter, as high as its count; red if the bag is full."""
        return rendering.bars(state, self.capacity, rendering.RED if state.sum() == self.capacity else rendering.BLUE)
