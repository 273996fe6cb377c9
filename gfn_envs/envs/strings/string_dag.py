"""StringDag: base class of environments that build strings; it defines everything but the reward."""

from __future__ import annotations

import functools
from collections.abc import Sequence as Letters

import numpy as np
from gymnasium import spaces

from gfn_envs.arrays import BoolArray, FloatArray, IntArray, one_hot_columns, one_hot_table, row_keys
from gfn_envs.envs.strings import numbering
from gfn_envs.envs.strings.constructions import CONSTRUCTIONS, Append
from gfn_envs.envs.strings.edit_distance import pairwise_distances
from gfn_envs.envs.strings.language import Limits, language_of
from gfn_envs.envs.strings.motifs import complement_of
from gfn_envs.envs.strings.reachability import letter_mask
from gfn_envs.envs.strings.state_counts import num_contained
from gfn_envs.envs.strings.strands import canonical, num_palindromes, reverse_complement
from gfn_envs.envs.strings.string_text import StringText, letters_of
from gfn_envs.validation import check_size, one_of, positive_int

#: Letters of sequences in FASTA files: nucleotides and amino acids with their ambiguity codes, stop and gap.
FASTA_LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ*-"


class StringDag(StringText):
    """Strings over q letters, of one length or of several, built in one of four ways.

    A state row holds ``length`` tokens, then one entry for the number of letters. A token is a letter 0..q-1, or q if
    the position is empty. The last entry is larger by ``length`` + 1 once the string has stopped.

    Args:
        alphabet: q >= 2 distinct letters: a string of characters, or a list of names.
        length: number of letters of a finished string, or the largest number.
        construction: "append", "prepend_append", "insert" or "fill".
        min_length: smallest number of letters if strings end by a stop action; None: all strings have ``length``.
        limits: fixed positions, motifs, and whether a string and its reverse complement are one object, whose row is
            that of the alphabetically first. They then end by a stop action, which leads from both to this row.

    Raises:
        ValueError: an argument is out of range.
    """

    distance_name = "levenshtein"
    feature_bounds = (0.0, 1.0)

    def __init__(
        self,
        alphabet: str | Letters[str],
        length: int,
        construction: str,
        min_length: int | None,
        limits: Limits = Limits(),  # noqa: B008  # a tuple
    ):
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
        self._language = language_of(limits, self.letters, self.min_length, length, where)
        self._complement = complement_of(self.letters, where) if limits.reverse_complement else None
        if limits.reverse_complement and construction == "fill":
            raise ValueError(f"{where}: reverse_complement does not support construction 'fill'")
        self._stops = min_length is not None or limits.reverse_complement
        self.num_actions = self._build.num_actions + self._stops
        self.num_backward_actions = self._build.num_backward_actions + self._stops + limits.reverse_complement
        self.max_length, self.state_width = length + self._stops, length + 1
        self.state_dtype = np.dtype(np.int16 if max(q, 2 * length) < 2**14 else np.int64)
        self.num_features = length * q
        self.num_tokens, self.num_positions = q + 1, length
        self.observation_space = spaces.MultiDiscrete([q + 1] * length)
        if self._stops:
            self._forward_masks, self._backward_masks = self._masks_with_stop()
        self.declared_num_terminal_states, self.declared_num_states = self._counts(construction)

    @property
    def is_unlimited(self) -> bool:
        """True if all strings of the allowed lengths are objects, each strand its own."""
        return self._language is None and self._complement is None

    def _counts(self, construction: str) -> tuple[int | None, int | None]:
        """Number of objects and of states, None where only enumeration gives it."""
        language, q, n = self._language, self.num_letters, self.length
        objects = numbering.num_strings(q, self.min_length, n) if language is None else language.num_strings
        if self._complement is not None:
            if language is not None:
                return None, None
            objects = (objects + num_palindromes(self._complement, self.min_length, n)) // 2
        if language is not None:
            append = construction == "append"
            running = language.num_prefixes if append else num_contained(self._build, language)
            return objects, None if running is None else running + objects * self._stops
        if self._stops:
            return objects, numbering.num_strings(q, 0, n) + objects
        return objects, (q + 1) ** n if construction == "fill" else numbering.num_strings(q, 0, n)

    def _masks_with_stop(self) -> tuple[BoolArray, BoolArray]:
        """Forward and backward masks by the last entry of a row, bool (2 length + 2, actions)."""
        size = np.arange(2 * self.length + 2)[:, None]
        stopped = size > self.length
        forward, backward = self._build.forward_masks, self._build.backward_masks
        may_stop = (size >= self.min_length) & ~stopped
        return (
            np.hstack([np.vstack([forward, np.zeros_like(forward)]), may_stop]),
            np.hstack(
                [np.vstack([backward, np.zeros_like(backward)]), *[stopped] * (1 + (self._complement is not None))]
            ),
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
        mask = self._forward_masks.take(states[:, -1], axis=0) if self._stops else self._build.forward_mask(states)
        if self._language is not None:
            tokens, letters = states[:, :-1], mask[:, : self._build.num_actions]
            letters &= letter_mask(self._build, self._language, tokens)
            if self._stops:
                mask[:, -1] &= self._language.final[self._language.walk(tokens)]
        return mask

    def backward_mask(self, states: IntArray) -> BoolArray:
        if not self._stops:
            return self._build.backward_mask(states)
        mask = self._backward_masks.take(states[:, -1], axis=0)
        if self._complement is not None:
            mask[:, -1] &= ~self._is_palindrome(states)
        return mask

    def step(self, states: IntArray, actions: IntArray) -> IntArray:
        if not self._stops:
            return self._build.grow(states, np.asarray(actions))
        out, running = states.copy(), np.asarray(actions) != self.num_actions - 1
        if self._complement is not None:
            out[~running, :-1] = canonical(states[~running, :-1], self._complement)
        out[~running, -1] += self.length + 1
        out[running] = self._build.grow(states[running], np.asarray(actions)[running])
        return out

    def undo(self, states: IntArray, backward_actions: IntArray) -> IntArray:
        if not self._stops:
            return self._build.shrink(states, np.asarray(backward_actions))
        out, running = states.copy(), states[:, -1] <= self.length
        if self._complement is not None:
            other = ~running & (np.asarray(backward_actions) == self.num_backward_actions - 1)
            out[other, :-1] = reverse_complement(states[other, :-1], self._complement)
        out[~running, -1] -= self.length + 1
        out[running] = self._build.shrink(states[running], np.asarray(backward_actions)[running])
        return out

    def backward_action(self, states: IntArray, actions: IntArray) -> IntArray:
        if not self._stops:
            return self._build.backward_action(states, actions)
        running = np.asarray(actions) != self.num_actions - 1
        out = np.full(len(states), self._build.num_backward_actions)
        if self._complement is not None:
            stopping = states[~running, :-1]
            out[~running] += (canonical(stopping, self._complement) != stopping).any(1)
        out[running] = self._build.backward_action(states[running], np.asarray(actions)[running])
        return out

    def forward_action(self, states: IntArray, backward_actions: IntArray) -> IntArray:
        if not self._stops:
            return self._build.forward_action(states, np.asarray(backward_actions))
        running = states[:, -1] <= self.length
        out = np.full(len(states), self.num_actions - 1)
        out[running] = self._build.forward_action(states[running], np.asarray(backward_actions)[running])
        return out

    def _is_palindrome(self, states: IntArray) -> BoolArray:
        """True if a string is its own reverse complement, bool (n,)."""
        assert self._complement is not None
        return (reverse_complement(states[:, :-1], self._complement) == states[:, :-1]).all(1)

    @functools.cached_property
    def _one_hot(self) -> FloatArray:
        return one_hot_table(self.num_letters)

    def encode(self, states: IntArray) -> FloatArray:
        return self._one_hot.take(states[:, :-1], axis=0).reshape(len(states), self.length * self.num_letters)

    def active_features(self, states: IntArray) -> IntArray:
        return one_hot_columns(states[:, :-1], self.num_letters)

    def observe(self, states: IntArray) -> IntArray:
        return states[:, :-1].astype(np.int64)

    # ------------------------------------------------------------------ optional capabilities

    def tokens(self, states: IntArray) -> IntArray:
        """The letter at each position, q if the position is empty, int64 (n, length)."""
        return states[:, :-1].astype(np.int64)

    @property
    def token_order(self) -> IntArray | None:  # type: ignore[override]
        in_order = isinstance(self._build, Append) and self._complement is None
        return np.arange(self.length) if in_order else None

    def contains(self, states: IntArray, objects: IntArray) -> BoolArray:
        """True at [i, j] if the finished string j can still be built from state i, bool (n, m).

        append: the state is a prefix; prepend_append: a substring; insert: a subsequence; fill: all filled positions
        agree. A stopped string contains only itself.
        """
        result = self._build.contains(states[:, :-1], objects[:, :-1])
        if self._complement is not None:
            result |= self._build.contains(states[:, :-1], reverse_complement(objects[:, :-1], self._complement))
        if self._stops:
            result &= (states[:, -1] <= self.length)[:, None] | (row_keys(states)[:, None] == row_keys(objects))
        return result

    def distance(self, states: IntArray, others: IntArray) -> FloatArray:
        """Levenshtein distances between strings, float64 (n, m); the smaller one if strings represent two strands.

        Raises:
            ImportError: rapidfuzz is not installed.
        """
        distances = pairwise_distances(self._characters(states[:, :-1]), self._characters(others[:, :-1]))
        if self._complement is not None:
            other = self._characters(reverse_complement(others[:, :-1], self._complement))
            distances = np.minimum(distances, pairwise_distances(self._characters(states[:, :-1]), other))
        return distances.astype(np.float64)

    def _characters(self, tokens: IntArray) -> list[str]:
        """One character per letter, as the names of letters may be longer."""
        return ["".join(map(chr, row[row < self.num_letters])) for row in tokens]

    def log_num_paths(self, states: IntArray) -> FloatArray:
        """For k letters: log k! (insert, fill), k log 2 (prepend_append) or 0 (append), float64 (n,).

        A finished string that represents two strands has twice as many paths.
        """
        paths: FloatArray = self._build.log_paths[states[:, -1] % (self.length + 1)]
        if self._complement is not None:
            paths = paths + np.log(2.0) * (self.is_terminal(states) & ~self._is_palindrome(states))
        return paths
