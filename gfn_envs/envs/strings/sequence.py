"""Sequence: strings over an alphabet, built in one of four ways, with any reward."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Mapping
from collections.abc import Sequence as Letters

import numpy as np
from gymnasium import spaces

from gfn_envs import rendering
from gfn_envs.arrays import BoolArray, FloatArray, IntArray, one_hot_table, row_keys
from gfn_envs.dag import Dag
from gfn_envs.envs.strings import reward_table as string_table
from gfn_envs.envs.strings.constructions import CONSTRUCTIONS
from gfn_envs.envs.strings.edit_distance import pairwise_distances
from gfn_envs.validation import checked_log_reward, positive, positive_int

Reward = Callable[[IntArray], FloatArray] | Mapping[str, float] | Letters[float] | str | os.PathLike[str]


class Sequence(Dag):
    """Build a string, letter by letter, in one of four ways; the reward is a table or a function of the user's.

    ## Description
    Strings of ``length`` letters, or of ``min_length`` to ``length`` where ``min_length`` is given. A string is one
    state however it was built. With q letters and n = ``length``:

    ## Action Space
    | construction | actions | |
    |---|---|---|
    | append | q | append a letter |
    | prepend_append | 2 q | 0..q-1 prepend a letter, q..2q-1 append one |
    | insert | n q | position * q + letter, for positions from 0 to the number of letters |
    | fill | n q | slot * q + letter, for empty slots |

    With ``min_length``, one action more, the last, stops; "fill" has no such form. Different actions can lead to the
    same string (prepending and appending to a string of one repeated letter; inserting next to an equal letter): they
    are different edges.

    ## Backward actions
    append: 1, drops the last letter. prepend_append: 2, drop the first or the last. insert: n, delete a position.
    fill: n, empty a slot. With ``min_length``, one more, the last, undoes the stop.

    ## Observation Space
    ``MultiDiscrete([q + 1] * n)``: the letters, q where there is none. The state row has one number more: the number
    of letters, plus n + 1 once stopped. Network features are the one-hot letters, zeros where there is none.

    ## Starting State
    The empty string.

    ## Rewards
    R(x) = max(value(x), floor)^exponent, with the values of ``reward``. A mode is a string among the best
    ``mode_fraction``, ties with the last included.

    ## Episode End
    After n letters; with ``min_length``, at the stop action, which is legal from ``min_length`` letters on and forced
    after n.

    ## Number of states
    q^n objects of fixed length. sum of q^t for t = 0..n states; (q + 1)^n with fill. With ``min_length`` m, the
    objects are sum of q^t for t = m..n, and come on top of the states.

    ## Arguments
    * ``alphabet``: the letters: a text of different characters, or a list of names.
    * ``length``: letters of a finished string, or the most of them.
    * ``construction``: "append", "prepend_append", "insert" or "fill".
    * ``reward``: a callable from tokens, int64 (n, length), q behind the end, to values (n,); a mapping from strings
      to values, or a pandas Series labelled by strings; values in order of length and alphabet; or a text file with a
      string and its value a line. None gives every string the value 1.
    * ``exponent``: beta, the power of the value.
    * ``floor``: smaller values are raised to it; None: they must be above 0.
    * ``min_length``: fewest letters of a string of variable length; None: all strings have ``length`` letters.
    * ``mode_fraction``: in (0, 1], or None for no modes.

    ## References
    Shen et al. 2023, Towards Understanding and Improving GFlowNet Training; Malkin et al. 2022, Trajectory Balance

    ## Version History
    * v0: initial version.
    """

    def __init__(
        self,
        alphabet: str | Letters[str] = "ACGT",
        length: int = 8,
        construction: str = "append",
        reward: Reward | None = None,
        exponent: float = 1.0,
        floor: float | None = None,
        min_length: int | None = None,
        mode_fraction: float | None = None,
    ):
        where = type(self).__name__
        self.letters = tuple(alphabet)
        self.length = length = positive_int("length", length, where)
        self.min_length = length if min_length is None else positive_int("min_length", min_length, where)
        self.num_letters = q = len(self.letters)
        if q < 2 or len(set(self.letters)) < q or not all(isinstance(x, str) and x for x in self.letters):
            raise ValueError(f"{where}: alphabet must be at least two different letters, got {alphabet!r}")
        if construction not in CONSTRUCTIONS:
            raise ValueError(f"{where}: construction must be one of {tuple(CONSTRUCTIONS)}, got {construction!r}")
        if self.min_length > length or (min_length is not None and construction == "fill"):
            raise ValueError(
                f"{where}: min_length must be at most length, and None where construction is 'fill', "
                f"got {min_length=}, {length=}, {construction=}"
            )
        self.exponent = positive("exponent", exponent, where)
        self.floor = None if floor is None else positive("floor", floor, where)
        if mode_fraction is not None and not 0 < mode_fraction <= 1:
            raise ValueError(f"{where}: mode_fraction must be in (0, 1], got {mode_fraction}")
        self.mode_fraction = mode_fraction
        self._reward = reward
        self.arguments = {
            "alphabet": alphabet,
            "length": length,
            "construction": construction,
            "reward": reward,
            "exponent": exponent,
            "floor": floor,
            "min_length": min_length,
            "mode_fraction": mode_fraction,
        }
        self._build = CONSTRUCTIONS[construction](q, length)
        self._stops = min_length is not None
        self.num_actions = self._build.num_actions + self._stops
        self.num_backward_actions = self._build.num_backward_actions + self._stops
        self.max_length, self.state_width = length + self._stops, length + 1
        self.state_dtype = np.dtype(np.int16 if max(q, 2 * length) < 2**14 else np.int64)
        self.num_features = length * q
        self.num_tokens, self.num_positions = q + 1, length
        self.observation_space = spaces.MultiDiscrete([q + 1] * length)
        objects = string_table.num_strings(q, self.min_length, length)
        self.declared_num_terminal_states = objects
        if self._stops:
            self.declared_num_states = string_table.num_strings(q, 0, length) + objects
            self._forward_masks, self._backward_masks = self._masks_with_stop()
        else:
            self.declared_num_states = (
                (q + 1) ** length if construction == "fill" else sum(q**t for t in range(length + 1))
            )

    def _masks_with_stop(self) -> tuple[BoolArray, BoolArray]:
        """Legal actions by the last number of a row, bool (2 length + 2, actions): running, then stopped."""
        size = np.arange(2 * self.length + 2)[:, None]
        stopped = size > self.length
        forward, backward = self._build.forward_masks, self._build.backward_masks
        may_stop = (size >= self.min_length) & ~stopped
        return (
            np.hstack([np.vstack([forward, np.zeros_like(forward)]), may_stop]),
            np.hstack([np.vstack([backward, np.zeros_like(backward)]), stopped]),
        )

    # ------------------------------------------------------------------ rewards and modes

    def values(self, tokens: IntArray) -> FloatArray:
        """What ``reward`` says of finished strings, tokens int64 (n, length), before floor and exponent."""
        if callable(self._reward):
            return np.asarray(self._reward(tokens), dtype=np.float64)
        if self.reward_table is not None:
            raise TypeError(f"{type(self).__name__}: values of a table are in reward_table")
        return np.ones(len(tokens))

    @functools.cached_property
    def reward_table(self) -> FloatArray | None:
        """R of every string in order of length and alphabet, float64 (objects,); None where it is a callable."""
        if self._reward is None or callable(self._reward):
            return None
        table = string_table.table_values(self._reward, self.letters, self.min_length, self.length, type(self).__name__)
        return self._shaped(table)

    def _shaped(self, values: FloatArray) -> FloatArray:
        """max(value, floor)^exponent."""
        values = self._raised(values)
        # Otherwise an even exponent would make a negative value good.
        return np.where(values > 0, np.abs(values) ** self.exponent, values)

    def _raised(self, values: FloatArray) -> FloatArray:
        """max(value, floor)."""
        return values if self.floor is None else np.maximum(values, self.floor)

    def log_reward(self, states: IntArray) -> FloatArray:
        if self.reward_table is not None:
            return self._log_reward_table.take(self.string_index(states))
        tokens = self.tokens(states)
        return checked_log_reward(self._shaped(self.values(tokens)), tokens, type(self).__name__)

    @functools.cached_property
    def _log_reward_table(self) -> FloatArray:
        table = self.reward_table
        assert table is not None
        good = (table > 0) & np.isfinite(table)
        if not good.all():
            bad = int(np.argmin(good))
            text = string_table.string_at(bad, self.letters, self.min_length)
            raise ValueError(
                f"{type(self).__name__}: the reward of {text!r} is {table[bad]}; allowed: finite, > 0 "
                "(give a floor, or a smaller exponent)"
            )
        return np.log(table)

    def string_index(self, states: IntArray) -> IntArray:
        """Position of finished strings in order of length and alphabet, int64 (n,)."""
        if not self._stops:
            return states @ self._strides
        tokens, size = states[:, :-1], states[:, -1] - (self.length + 1)
        code = np.where(tokens == self.num_letters, 0, tokens) @ self._strides[:-1]
        return code // self.num_letters ** (self.length - size.astype(np.int64)) + self._offsets[size]

    @functools.cached_property
    def _strides(self) -> IntArray:
        """What each token counts in a string's position; the number of letters counts nothing."""
        if self.num_letters**self.length >= 2**62:
            raise ValueError(f"{self!r} has too many strings to number them")
        return np.append(self.num_letters ** np.arange(self.length)[::-1], 0)

    @functools.cached_property
    def _offsets(self) -> IntArray:
        return np.array(
            [string_table.num_strings(self.num_letters, self.min_length, t - 1) for t in range(self.length + 1)]
        )

    @functools.cached_property
    def mode_strings(self) -> IntArray | None:
        """Positions (:meth:`string_index`) of the modes, ascending, int64 (num_modes,); None where there are none."""
        if self.mode_fraction is None:
            return None
        if self.reward_table is not None:
            return string_table.top_fraction(self.reward_table, self.mode_fraction)
        objects = self.terminal_states()
        order = np.argsort(self.string_index(objects))
        return string_table.top_fraction(self.log_reward(objects[order]), self.mode_fraction)

    @functools.cached_property
    def num_modes(self) -> int | None:  # type: ignore[override]
        """Number of modes; None where none are defined."""
        return None if self.mode_strings is None else len(self.mode_strings)

    def mode_index(self, states: IntArray) -> IntArray:
        modes = self.mode_strings
        if modes is None:
            return np.full(len(states), -1, dtype=np.int64)
        index = self.string_index(states)
        place = np.minimum(np.searchsorted(modes, index), len(modes) - 1)
        return np.where(modes[place] == index, place, -1)

    # ------------------------------------------------------------------ the contract

    def source(self, n: int) -> IntArray:
        return self._source.repeat(n, axis=0)

    @functools.cached_property
    def _source(self) -> IntArray:
        return np.array([[self.num_letters] * self.length + [0]], dtype=self.state_dtype)

    def is_terminal(self, states: IntArray) -> BoolArray:
        return states[:, -1] > self.length if self._stops else states[:, -1] == self.length

    def forward_mask(self, states: IntArray) -> BoolArray:
        if self._stops:
            return self._forward_masks.take(states[:, -1], axis=0)
        return self._build.forward_mask(states)

    def backward_mask(self, states: IntArray) -> BoolArray:
        if self._stops:
            return self._backward_masks.take(states[:, -1], axis=0)
        return self._build.backward_mask(states)

    def step(self, states: IntArray, actions: IntArray) -> IntArray:
        if not self._stops:
            return self._build.grow(states, np.asarray(actions))
        out, going = states.copy(), np.asarray(actions) != self.num_actions - 1
        out[~going, -1] += self.length + 1
        out[going] = self._build.grow(states[going], np.asarray(actions)[going])
        return out

    def undo(self, states: IntArray, backward_actions: IntArray) -> IntArray:
        if not self._stops:
            return self._build.shrink(states, np.asarray(backward_actions))
        out, running = states.copy(), states[:, -1] <= self.length
        out[~running, -1] -= self.length + 1
        out[running] = self._build.shrink(states[running], np.asarray(backward_actions)[running])
        return out

    def backward_action(self, states: IntArray, actions: IntArray) -> IntArray:
        if not self._stops:
            return self._build.backward_action(states, actions)
        out, going = np.full(len(states), self.num_backward_actions - 1), np.asarray(actions) != self.num_actions - 1
        out[going] = self._build.backward_action(states[going], np.asarray(actions)[going])
        return out

    def forward_action(self, states: IntArray, backward_actions: IntArray) -> IntArray:
        if not self._stops:
            return self._build.forward_action(states, np.asarray(backward_actions))
        out, running = np.full(len(states), self.num_actions - 1), states[:, -1] <= self.length
        out[running] = self._build.forward_action(states[running], np.asarray(backward_actions)[running])
        return out

    @functools.cached_property
    def _one_hot(self) -> FloatArray:
        return one_hot_table(self.num_letters)

    def encode(self, states: IntArray) -> FloatArray:
        return self._one_hot.take(states[:, :-1], axis=0).reshape(len(states), self.num_features)

    def observe(self, states: IntArray) -> IntArray:
        return states[:, :-1].astype(np.int64)

    # ------------------------------------------------------------------ optional capabilities

    def tokens(self, states: IntArray) -> IntArray:
        """The letters as numbers, q where there is none, int64 (n, num_positions), below num_tokens = q + 1."""
        return states[:, :-1].astype(np.int64)

    def contains(self, states: IntArray, objects: IntArray) -> BoolArray:
        """Whether each of ``objects`` (m, width), finished, can still be built from each of ``states``, bool (n, m).

        append: the state is a prefix; prepend_append: a substring; insert: a subsequence; fill: the object agrees
        wherever the state is filled. A finished string contains itself only.
        """
        result = self._build.contains(states[:, :-1], objects[:, :-1])
        if self._stops:
            result &= (states[:, -1] <= self.length)[:, None] | (row_keys(states)[:, None] == row_keys(objects))
        return result

    distance_name = "levenshtein"

    def distance(self, states: IntArray, others: IntArray) -> FloatArray:
        """Levenshtein distances between strings, float64 (n, m). Raises ImportError where rapidfuzz is missing."""
        # A character for each letter: names of letters may be longer.
        strings, known = (
            ["".join(map(chr, row[row < self.num_letters])) for row in rows[:, :-1]] for rows in (states, others)
        )
        return pairwise_distances(strings, known).astype(np.float64)

    def log_num_paths(self, states: IntArray) -> FloatArray:
        """With k letters: log k! (insert, fill), k log 2 (prepend_append), 0 (append), float64 (n,)."""
        return self._build.log_paths[states[:, -1] % (self.length + 1)]

    # ------------------------------------------------------------------ for people

    def from_text(self, strings: Letters[str]) -> IntArray:
        """Finished states (n, width) of strings. Raises ValueError for a string that is none; needs short letters."""
        string_table.positions(strings, self.letters, self.min_length, self.length, type(self).__name__)
        states = self.source(len(strings))
        number = {letter: i for i, letter in enumerate(self.letters)}
        for row, string in zip(states, strings, strict=True):
            row[: len(string)] = [number[letter] for letter in string]
            row[-1] = len(string) + (self.length + 1) * self._stops
        return states

    def to_text(self, states: IntArray) -> list[str]:
        """Strings of states, without what is empty."""
        letters = np.array([*self.letters, ""])
        return ["".join(row) for row in letters[states[:, :-1]]]

    def action_label(self, action: int) -> str:
        return "stop" if action == self._build.num_actions else self._build.label(action, self.letters)

    def render_text(self, state: IntArray) -> str:
        gap = " " if any(len(letter) > 1 for letter in self.letters) else ""
        text = gap.join([*self.letters, "."][token] for token in state[:-1])
        return text + " stopped" * bool(state[-1] > self.length)

    def render_image(self, state: IntArray, path: IntArray | None = None) -> rendering.Image:
        """One tile a letter, coloured by which it is, grey where there is none; a stop darkens the last line."""
        colours = rendering.colormap(np.arange(self.num_letters) / (self.num_letters - 1))
        palette = np.vstack([colours, rendering.GREY])
        columns = min(self.length, 20)
        lines = -(-self.length // columns)
        tokens = np.pad(state[:-1], (0, lines * columns - self.length), constant_values=self.num_letters)
        tiles = palette[tokens.reshape(lines, columns)]
        end = rendering.BLACK if self.is_terminal(state[None])[0] else rendering.WHITE
        return rendering.tiles(np.concatenate([tiles, np.broadcast_to(end, (1, columns, 3))]), tile=16)
