"""Four ways to build a string over q letters, as batched functions of state rows.

A row holds ``length`` tokens, then the number of letters. A token is a letter 0..q-1, or q if the position is empty.
Every construction except "fill" keeps the letters at the left, so that a string is the same row no matter how it was
built.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from gfn_envs.arrays import BoolArray, FloatArray, IntArray, log_factorials


class Construction:
    """Actions that add a letter and backward actions that remove one. Full strings have no forward action.

    Args:
        num_letters: q.
        length: number of positions.

    Attributes:
        num_actions: number of actions that add a letter.
        num_backward_actions: number of actions that remove a letter.
        forward_masks: legal actions by number of letters, bool (length + 1, num_actions).
        backward_masks: legal backward actions by number of letters, bool (length + 1, num_backward_actions).
        log_paths: log of the number of paths to a string of k letters, float64 (length + 1,). It is the product of the
            numbers of backward actions on the way, which depend only on k.
    """

    num_actions: int
    num_backward_actions: int
    forward_masks: BoolArray
    backward_masks: BoolArray
    log_paths: FloatArray

    def __init__(self, num_letters: int, length: int):
        self.num_letters, self.length = num_letters, length
        size = np.arange(length + 1)[:, None]
        self._not_full, self._not_empty = size < length, size > 0  # (length + 1, 1)
        # Source column of each column after an insertion or deletion. The incoming token is in the last column.
        column, place = np.arange(length + 1), np.arange(length)[:, None]
        self._insert_from = np.where(column < place, column, np.where(column == place, length, column - 1))
        self._delete_from = np.where(column < place, column, np.minimum(column + 1, length))

    def forward_mask(self, states: IntArray) -> BoolArray:
        return self.forward_masks.take(states[:, -1], axis=0)

    def backward_mask(self, states: IntArray) -> BoolArray:
        return self.backward_masks.take(states[:, -1], axis=0)

    def grow(self, states: IntArray, actions: IntArray) -> IntArray:
        """Rows with one more letter."""
        raise NotImplementedError

    def shrink(self, states: IntArray, backward_actions: IntArray) -> IntArray:
        """Rows with one fewer letter."""
        raise NotImplementedError

    def backward_action(self, states: IntArray, actions: IntArray) -> IntArray:
        """Backward action that removes the letter that ``actions`` add to ``states``, int64 (n,)."""
        raise NotImplementedError

    def forward_action(self, states: IntArray, backward_actions: IntArray) -> IntArray:
        """Action that adds again the letter that ``backward_actions`` remove from ``states``, int64 (n,)."""
        raise NotImplementedError

    def contains(self, tokens: IntArray, objects: IntArray) -> BoolArray:
        """True at [i, j] if ``objects[j]`` can be built from ``tokens[i]``, both rows of ``length``, bool (n, m)."""
        return self._agree(tokens, objects)

    def label(self, action: int, letters: Sequence[str]) -> str:
        """Text for an action, with the names of the letters."""
        raise NotImplementedError

    def _agree(self, tokens: IntArray, objects: IntArray) -> BoolArray:
        """True at [i, j] if every letter of ``tokens[i]`` is at the same position in ``objects[j]``, bool (n, m)."""
        result = np.ones((len(tokens), len(objects)), dtype=bool)
        for mine, theirs in zip(tokens.T, objects.T, strict=True):
            result &= (mine[:, None] == theirs) | (mine == self.num_letters)[:, None]
        return result

    def _insert(self, states: IntArray, position: IntArray, letter: IntArray) -> IntArray:
        """Rows with ``letter`` (n,) inserted before ``position`` (n,)."""
        return self._move(states, self._insert_from, position, letter, 1)

    def _delete(self, states: IntArray, position: IntArray) -> IntArray:
        """Rows without the letter at ``position`` (n,)."""
        return self._move(states, self._delete_from, position, self.num_letters, -1)

    def _move(
        self, states: IntArray, table: IntArray, position: IntArray, incoming: IntArray | int, change: int
    ) -> IntArray:
        """Rows with ``incoming`` as last column, then columns moved by ``table[position]``, and a new length."""
        rows = states.copy()
        rows[:, -1] = incoming
        origin = table.take(position, axis=0)
        origin += np.arange(0, states.size, self.length + 1)[:, None]
        out: IntArray = rows.take(origin)
        np.add(states[:, -1], change, out=out[:, -1])
        return out


class Append(Construction):
    """Action = letter to append; the backward action removes the last letter."""

    def __init__(self, num_letters: int, length: int):
        super().__init__(num_letters, length)
        self.num_actions, self.num_backward_actions = num_letters, 1
        self.forward_masks, self.backward_masks = np.repeat(self._not_full, num_letters, axis=1), self._not_empty
        self.log_paths = np.zeros(length + 1)

    def grow(self, states: IntArray, actions: IntArray) -> IntArray:
        out = states.copy()
        out[np.arange(len(out)), states[:, -1]] = actions
        out[:, -1] += 1
        return out

    def shrink(self, states: IntArray, backward_actions: IntArray) -> IntArray:
        out = states.copy()
        out[np.arange(len(out)), states[:, -1] - 1] = self.num_letters
        out[:, -1] -= 1
        return out

    def backward_action(self, states: IntArray, actions: IntArray) -> IntArray:
        return np.zeros(len(states), dtype=np.int64)

    def forward_action(self, states: IntArray, backward_actions: IntArray) -> IntArray:
        return states[np.arange(len(states)), states[:, -1] - 1].astype(np.int64)

    def label(self, action: int, letters: Sequence[str]) -> str:
        return f"append {letters[action]}"


class PrependAppend(Construction):
    """Actions 0..q-1 prepend a letter, q..2q-1 append one; backward actions 0 and 1 remove the first or the last."""

    def __init__(self, num_letters: int, length: int):
        super().__init__(num_letters, length)
        self.num_actions, self.num_backward_actions = 2 * num_letters, 2
        self.forward_masks = np.repeat(self._not_full, 2 * num_letters, axis=1)
        self.backward_masks = np.repeat(self._not_empty, 2, axis=1)
        self.log_paths = np.arange(length + 1) * np.log(2.0)  # 2^k, as the first letter can also be added in two ways

    def grow(self, states: IntArray, actions: IntArray) -> IntArray:
        at_end, letter = np.divmod(actions, self.num_letters)
        return self._insert(states, at_end * states[:, -1], letter)

    def shrink(self, states: IntArray, backward_actions: IntArray) -> IntArray:
        return self._delete(states, backward_actions * (states[:, -1] - 1))

    def backward_action(self, states: IntArray, actions: IntArray) -> IntArray:
        return np.asarray(actions, dtype=np.int64) // self.num_letters

    def forward_action(self, states: IntArray, backward_actions: IntArray) -> IntArray:
        position = backward_actions * (states[:, -1] - 1)
        letter = states[np.arange(len(states)), position].astype(np.int64)
        return letter + self.num_letters * np.asarray(backward_actions, dtype=np.int64)

    def contains(self, tokens: IntArray, objects: IntArray) -> BoolArray:
        """True for substrings. They are compared as base-(q + 1) integers if these fit into 64 bits."""
        base = self.num_letters + 1
        if base**self.length >= 2**62:
            return self._contains_letters(tokens, objects)
        result = np.zeros((len(tokens), len(objects)), dtype=bool)
        size = (tokens != self.num_letters).sum(1)
        for k in np.unique(size):
            rows, powers = np.flatnonzero(size == k), base ** np.arange(k)
            windows = (objects[:, shift : shift + k] @ powers for shift in range(self.length - k + 1))
            mine, found = (tokens[rows, :k] @ powers)[:, None], np.zeros((len(rows), len(objects)), dtype=bool)
            for window in windows:
                found |= mine == window
            result[rows] = found
        return result

    def _contains_letters(self, tokens: IntArray, objects: IntArray) -> BoolArray:
        """True for substrings, compared letter by letter."""
        result = np.zeros((len(tokens), len(objects)), dtype=bool)
        padded = np.pad(objects, ((0, 0), (0, self.length)), constant_values=self.num_letters)
        for shift in range(self.length):
            result |= self._agree(tokens, padded[:, shift : shift + self.length])
        return result

    def label(self, action: int, letters: Sequence[str]) -> str:
        at_end, letter = divmod(action, self.num_letters)
        return f"{'append' if at_end else 'prepend'} {letters[letter]}"


class Insert(Construction):
    """Action = position * q + letter, for positions 0..number of letters; backward action = position to delete."""

    def __init__(self, num_letters: int, length: int):
        super().__init__(num_letters, length)
        self.num_actions, self.num_backward_actions = length * num_letters, length
        size = np.arange(length + 1)[:, None]
        self.forward_masks = np.repeat((np.arange(length) <= size) & (size < length), num_letters, axis=1)
        self.backward_masks = np.arange(length) < size
        self.log_paths = log_factorials(length)  # k!, as any of the k letters can have been added last

    def grow(self, states: IntArray, actions: IntArray) -> IntArray:
        return self._insert(states, *np.divmod(actions, self.num_letters))

    def shrink(self, states: IntArray, backward_actions: IntArray) -> IntArray:
        return self._delete(states, backward_actions)

    def backward_action(self, states: IntArray, actions: IntArray) -> IntArray:
        return np.asarray(actions, dtype=np.int64) // self.num_letters

    def forward_action(self, states: IntArray, backward_actions: IntArray) -> IntArray:
        position = np.asarray(backward_actions, dtype=np.int64)
        return position * self.num_letters + states[np.arange(len(states)), position]

    def contains(self, tokens: IntArray, objects: IntArray) -> BoolArray:
        """True for subsequences. Letters are matched greedily from the left."""
        tokens = np.pad(tokens, ((0, 0), (0, 1)), constant_values=self.num_letters)
        matched = np.zeros((len(tokens), len(objects)), dtype=np.int64)
        row = np.arange(len(tokens))[:, None]
        for theirs in objects.T:
            matched += (tokens[row, matched] == theirs) & (theirs != self.num_letters)
        return tokens[row, matched] == self.num_letters

    def label(self, action: int, letters: Sequence[str]) -> str:
        position, letter = divmod(action, self.num_letters)
        return f"insert {letters[letter]} at {position}"


class Fill(Construction):
    """Action = slot * q + letter, for any empty slot; backward action = slot to empty."""

    def __init__(self, num_letters: int, length: int):
        super().__init__(num_letters, length)
        self.num_actions, self.num_backward_actions = length * num_letters, length
        self.log_paths = log_factorials(length)  # k!, as the slots can be filled in any order

    def forward_mask(self, states: IntArray) -> BoolArray:
        return np.repeat(states[:, :-1] == self.num_letters, self.num_letters, axis=1)

    def backward_mask(self, states: IntArray) -> BoolArray:
        return states[:, :-1] != self.num_letters

    def grow(self, states: IntArray, actions: IntArray) -> IntArray:
        slot, letter = np.divmod(actions, self.num_letters)
        return self._set(states, slot, letter, 1)

    def shrink(self, states: IntArray, backward_actions: IntArray) -> IntArray:
        return self._set(states, backward_actions, self.num_letters, -1)

    def _set(self, states: IntArray, slot: IntArray, token: IntArray | int, change: int) -> IntArray:
        out = states.copy()
        out[np.arange(len(out)), slot] = token
        out[:, -1] += change
        return out

    def backward_action(self, states: IntArray, actions: IntArray) -> IntArray:
        return np.asarray(actions, dtype=np.int64) // self.num_letters

    def forward_action(self, states: IntArray, backward_actions: IntArray) -> IntArray:
        slot = np.asarray(backward_actions, dtype=np.int64)
        return slot * self.num_letters + states[np.arange(len(states)), slot]

    def label(self, action: int, letters: Sequence[str]) -> str:
        slot, letter = divmod(action, self.num_letters)
        return f"slot {slot} = {letters[letter]}"


CONSTRUCTIONS: dict[str, type[Construction]] = {
    "append": Append,
    "prepend_append": PrependAppend,
    "insert": Insert,
    "fill": Fill,
}
