"""Text, order and pictures of strings: what StringDag has for people."""

from __future__ import annotations

import functools
from collections.abc import Sequence as Letters

import numpy as np

from gfn_envs import rendering
from gfn_envs.arrays import IntArray
from gfn_envs.dag import Dag
from gfn_envs.envs.strings import numbering
from gfn_envs.envs.strings.constructions import Construction
from gfn_envs.envs.strings.language import Language
from gfn_envs.envs.strings.strands import canonical
from gfn_envs.user_arrays import ordered
from gfn_envs.validation import shown


class StringText(Dag):
    """Base class of :class:`StringDag`, which sets the attributes.

    Attributes:
        letters: the alphabet.
        length, min_length: largest and smallest number of letters of a finished string.
    """

    letters: tuple[str, ...]
    length: int
    min_length: int
    num_letters: int
    _build: Construction
    _stops: bool
    _language: Language | None
    _complement: IntArray | None

    # ------------------------------------------------------------------ text and order of strings

    def from_text(self, strings: Letters[str]) -> IntArray:
        """Finished states (n, length + 1) of strings.

        Raises:
            ValueError: a string has a wrong length or an unknown letter, violates fixed positions or motifs, or letters
                have names of several characters.
        """
        tokens = numbering.tokens_of(strings, self.letters, self.min_length, self.length, type(self).__name__)
        size = (tokens != self.num_letters).sum(1) + (self.length + 1) * self._stops
        states = np.column_stack([tokens, size]).astype(self.state_dtype)
        if self._complement is not None:
            states[:, :-1] = canonical(states[:, :-1], self._complement)
        if self._language is not None:
            possible = self._language.final[self._language.walk(states[:, :-1])]
            if not possible.all():
                bad = strings[int(np.argmin(possible))]
                raise ValueError(f"{type(self).__name__}: {bad!r} violates fixed, forbidden or required")
        return states

    def to_text(self, states: IntArray) -> list[str]:
        """The strings of states; empty positions are left out."""
        letters = np.array([*self.letters, ""])
        return ["".join(row) for row in letters[self.whole_tokens(states)]]

    def whole_tokens(self, states: IntArray) -> IntArray:
        """The letters of whole strings, int64 (n, length), of which :meth:`tokens` can be a part."""
        return self.tokens(states)

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
        return self._token_names(self.whole_tokens(states))

    def _token_names(self, tokens: IntArray) -> list[str]:
        """Names of the strings of tokens (n, length)."""
        gap = " " if any(len(letter) > 1 for letter in self.letters) else ""
        return [gap.join(self.letters[token] for token in row if token < self.num_letters) for row in tokens.tolist()]

    def render_text(self, state: IntArray) -> str:
        gap = " " if any(len(letter) > 1 for letter in self.letters) else ""
        text = gap.join([*self.letters, "."][token] for token in state[:-1])
        return text + " stopped" * bool(state[-1] > self.length)

    def render_image(self, state: IntArray, path: IntArray | None = None) -> rendering.Image:
        """One tile per position, colored by its letter, gray if empty; the last line is black for finished strings."""
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
