"""StringDag: base class of environments that build strings; it defines everything but the reward."""

from __future__ import annotations

import functools
from collections.abc import Sequence as Letters

import numpy as np
from gymnasium import spaces

from gfn_envs import rendering
from gfn_envs.arrays import BoolArray, FloatArray, IntArray, one_hot_table, row_keys
from gfn_envs.dag import Dag
from gfn_envs.envs.strings import numbering
from gfn_envs.envs.strings.constructions import CONSTRUCTIONS, Append
from gfn_envs.envs.strings.edit_distance import pairwise_distances
from gfn_envs.user_arrays import ordered
from gfn_envs.validation import check_size, one_of, positive_int, shown

#: Letters of sequences in FASTA files: nucleotides and amino acids with their ambiguity codes, stop and gap.
FASTA_LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ*-"


class StringDag(Dag):
    """Strings over q letters, of one length or of several, built in one of four ways.

    A state row holds ``length`` tokens, then one entry for the number of letters. A token is a letter 0..q-1, or q if
    the position is empty. The last entry is larger by ``length`` + 1 once the string has stopped.

    Args:
        alphabet: q >= 2 distinct letters: a string of characters, or a list of names.
        length: number of letters of a finished string, or the largest number.
        construction: "append", "prepend_append", "insert" or "fill".
        min_length: smallest number of letters if strings end by a stop action; None: all strings have ``length``.

    Raises:
        ValueError: an argument is out of range.
    """

    distance_name = "levenshtein"
    feature_bounds = (0.0, 1.0)

    def __init__(self, alphabet: str | Letters[str], length: int, construction: str, min_length: int | None):
        where = type(self).__name__
        self.letters = letters_of(alphabet, where)
        self.length = length = positive_int("length", length, where)
        self.min_length = length if min_length is None else positive_int("min_length", min_length, where)
        self.num_letters = q = len(self.letters)
        self.object_formats = ("fasta",) if set(self.letters) <= set(FASTA_LETTERS) else ()
        one_of("construction", construction, CONSTRUCTIONS, where)
        if self.min_length > length or (min_length is not None and construction == "fill"):
            raise ValueError(
                f"{where}: min_length must be at most length, and None if construction is 'fill', "
                f"got {min_length=}, {length=}, {construction=}"
            )
        # Tables of masks by number of letters, and of columns moved by insertions.
        actions = q * {"append": 1, "prepend_append": 2}.get(construction, length)
        check_size(f"length = {length:,}", (length + 1) * max(actions, length + 1), where)
        self._build = CONSTRUCTIONS[construction](q, length)
        self._stops = min_length is not None
        self.num_actions = self._build.num_actions + self._stops
        self.num_backward_actions = self._build.num_backward_actions + self._stops
        self.max_length, self.state_width = length + self._stops, length + 1
        self.state_dtype = np.dtype(np.int16 if max(q, 2 * length) < 2**14 else np.int64)
        self.num_features = length * q
        self.num_tokens, self.num_positions = q + 1, length
        self.observation_space = spaces.MultiDiscrete([q + 1] * length)
        objects = numbering.num_strings(q, self.min_length, length)
        self.declared_num_terminal_states = objects
        if self._stops:
            self.declared_num_states = numbering.num_strings(q, 0, length) + objects
            self._forward_masks, self._backward_masks = self._masks_with_stop()
        else:
            self.declared_num_states = (
                (q + 1) ** length if construction == "fill" else numbering.num_strings(q, 0, length)
            )

    def _masks_with_stop(self) -> tuple[BoolArray, BoolArray]:
        """Forward and backward masks by the last entry of a row, bool (2 length + 2, actions)."""
        size = np.arange(2 * self.length + 2)[:, None]
        stopped = size > self.length
        forward, backward = self._build.forward_masks, self._build.backward_masks
        may_stop = (size >= self.min_length) & ~stopped
        return (
            np.hstack([np.vstack([forward, np.zeros_like(forward)]), may_stop]),
            np.hstack([np.vstack([backward, np.zeros_like(backward)]), stopped]),
        )

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
        out, running = states.copy(), np.asarray(actions) != self.num_actions - 1
        out[~running, -1] += self.length + 1
        out[running] = self._build.grow(states[running], np.asarray(actions)[running])
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
        running = np.asarray(actions) != self.num_actions - 1
        out = np.full(len(states), self.num_backward_actions - 1)
        out[running] = self._build.backward_action(states[running], np.asarray(actions)[running])
        return out

    def forward_action(self, states: IntArray, backward_actions: IntArray) -> IntArray:
        if not self._stops:
            return self._build.forward_action(states, np.asarray(backward_actions))
        running = states[:, -1] <= self.length
        out = np.full(len(states), self.num_actions - 1)
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
        """The letter at each position, q if the position is empty, int64 (n, length)."""
        return states[:, :-1].astype(np.int64)

    @property
    def token_order(self) -> IntArray | None:  # type: ignore[override]
        return np.arange(self.length) if isinstance(self._build, Append) else None

    def contains(self, states: IntArray, objects: IntArray) -> BoolArray:
        """True at [i, j] if the finished string j can still be built from state i, bool (n, m).

        append: the state is a prefix; prepend_append: a substring; insert: a subsequence; fill: all filled positions
        agree. A stopped string contains only itself.
        """
        result = self._build.contains(states[:, :-1], objects[:, :-1])
        if self._stops:
            result &= (states[:, -1] <= self.length)[:, None] | (row_keys(states)[:, None] == row_keys(objects))
        return result

    def distance(self, states: IntArray, others: IntArray) -> FloatArray:
        """Levenshtein distances between strings, float64 (n, m).

        Raises:
            ImportError: rapidfuzz is not installed.
        """
        # One character per letter, as the names of letters may be longer.
        strings, known = (
            ["".join(map(chr, row[row < self.num_letters])) for row in rows[:, :-1]] for rows in (states, others)
        )
        return pairwise_distances(strings, known).astype(np.float64)

    def log_num_paths(self, states: IntArray) -> FloatArray:
        """For k letters: log k! (insert, fill), k log 2 (prepend_append) or 0 (append), float64 (n,)."""
        return self._build.log_paths[states[:, -1] % (self.length + 1)]

    # ------------------------------------------------------------------ text and order of strings

    def from_text(self, strings: Letters[str]) -> IntArray:
        """Finished states (n, length + 1) of strings.

        Raises:
            ValueError: a string has a wrong length or an unknown letter, or letters have names of several characters.
        """
        numbering.positions(strings, self.letters, self.min_length, self.length, type(self).__name__)
        states = self.source(len(strings))
        number = {letter: i for i, letter in enumerate(self.letters)}
        for row, string in zip(states, strings, strict=True):
            row[: len(string)] = [number[letter] for letter in string]
            row[-1] = len(string) + (self.length + 1) * self._stops
        return states

    def to_text(self, states: IntArray) -> list[str]:
        """The strings of states; empty positions are left out."""
        letters = np.array([*self.letters, ""])
        return ["".join(row) for row in letters[states[:, :-1]]]

    def string_index(self, states: IntArray) -> IntArray:
        """Positions of finished strings in order of length, then alphabet, int64 (n,).

        Raises:
            ValueError: there are too many strings for 64-bit integers.
        """
        if not self._stops:
            return states @ self._strides
        tokens, size = states[:, :-1], states[:, -1] - (self.length + 1)
        code = np.where(tokens == self.num_letters, 0, tokens) @ self._strides[:-1]
        return code // self.num_letters ** (self.length - size.astype(np.int64)) + self._offsets[size]

    @functools.cached_property
    def _strides(self) -> IntArray:
        """Place value of each token in a string's position; 0 for the number of letters."""
        if self.num_letters**self.length >= 2**62:
            raise ValueError(f"{self!r} has too many strings to number them")
        return np.append(self.num_letters ** np.arange(self.length)[::-1], 0)

    @functools.cached_property
    def _offsets(self) -> IntArray:
        """Position of the first string of each length."""
        return np.array(
            [numbering.num_strings(self.num_letters, self.min_length, t - 1) for t in range(self.length + 1)]
        )

    # ------------------------------------------------------------------ labels and rendering

    def action_label(self, action: int) -> str:
        return "stop" if action == self._build.num_actions else self._build.label(action, self.letters)

    def object_names(self, states: IntArray) -> list[str]:
        """The strings; letters of several characters are separated by spaces."""
        gap = " " if any(len(letter) > 1 for letter in self.letters) else ""
        return [gap.join(self.letters[token] for token in row if token < self.num_letters) for row in states[:, :-1]]

    def render_text(self, state: IntArray) -> str:
        gap = " " if any(len(letter) > 1 for letter in self.letters) else ""
        text = gap.join([*self.letters, "."][token] for token in state[:-1])
        return text + " stopped" * bool(state[-1] > self.length)

    def render_image(self, state: IntArray, path: IntArray | None = None) -> rendering.Image:
        """One tile per position, colored by its letter, grey if empty; the last line is black for finished strings."""
        colors = rendering.colormap(np.arange(self.num_letters) / (self.num_letters - 1))
        palette = np.vstack([colors, rendering.GREY])
        columns = min(self.length, 20)
        lines = -(-self.length // columns)
        tokens = np.pad(state[:-1], (0, lines * columns - self.length), constant_values=self.num_letters)
        tiles = palette[tokens.reshape(lines, columns)]
        end = rendering.BLACK if self.is_terminal(state[None])[0] else rendering.WHITE
        return rendering.tiles(np.concatenate([tiles, np.broadcast_to(end, (1, columns, 3))]), tile=16)


def letters_of(alphabet: str | Letters[str], where: str) -> tuple[str, ...]:
    """The letters of an alphabet in order.

    Raises:
        TypeError: the alphabet has no order, such as a set, or has labels that would be dropped, such as a mapping.
        ValueError: it is not at least two different texts.
    """
    letters = alphabet if isinstance(alphabet, str) else ordered(alphabet, where, "alphabet")
    allowed = f"{where}: alphabet must be at least two different letters, got {shown(alphabet)}"
    if not hasattr(letters, "__len__") or not all(isinstance(letter, str) and letter for letter in letters):
        raise ValueError(allowed)
    if len(letters) < 2 or len(set(letters)) < len(letters):
        raise ValueError(allowed)
    return tuple(map(str, letters))
