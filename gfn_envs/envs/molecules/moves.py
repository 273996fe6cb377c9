"""Moves on batches of block trees: bond an arm of the vocabulary to an open stem, or remove a leaf.

This module knows trees only. FragmentDag adds the state rows and the stop action.
"""

from __future__ import annotations

import numpy as np

from gfn_envs.arrays import BoolArray, IntArray
from gfn_envs.envs.molecules.canonical_trees import LARGEST, BlockTrees, Codes, Contents, Trees
from gfn_envs.envs.molecules.recent_contents import RecentContents
from gfn_envs.envs.molecules.vocabulary import Vocabulary


class BlockMoves:
    """Moves on trees of at most ``max_blocks`` blocks; see :class:`gfn_envs.FragmentMolecule`.

    A forward action is location * num_arms + arm, where a location is block * num_stems + position. A backward action
    is the index of a leaf.

    Args:
        vocabulary: the blocks and their arms.
        max_blocks: largest number of blocks m.
    """

    def __init__(self, vocabulary: Vocabulary, max_blocks: int):
        kinds = vocabulary.kinds
        self.max_blocks = max_blocks
        self.trees = BlockTrees([kind.automorphisms for kind in kinds])
        self._contents = RecentContents(self.trees)
        self.num_kinds, self.num_arms, self.num_stems = len(kinds), len(vocabulary.arms), self.trees.num_positions
        self.num_locations = (max_blocks - 1) * self.num_stems
        # For each kind + 1 and position: the number of stems, and the first arm with this stem, else -1.
        self.capacity = np.zeros((self.num_kinds + 1, self.num_stems), dtype=np.int64)
        self._arm = np.full((self.num_kinds + 1, self.num_stems), -1)
        self._type = np.zeros((self.num_kinds + 1, self.num_stems), dtype=np.int64)
        for k, kind in enumerate(kinds):
            self.capacity[k + 1, : len(kind.capacity)] = vocabulary.capacity[k]
            self._type[k + 1, : len(kind.capacity)] = vocabulary.types[k]
            for position in range(len(kind.atoms)):
                same = np.isin(vocabulary.arms[:, 1], kind.automorphisms[:, position])
                found = np.flatnonzero(same & (vocabulary.arms[:, 0] == k))
                self._arm[k + 1, position] = found[0] if len(found) else -1
        self._num_stems = self.capacity.sum(1)
        self._arm_kind, self._arm_position = vocabulary.arms[:, 0] + 1, vocabulary.arms[:, 1]
        #: Whether an arm may bond to a stem of each type, (t, num_arms).
        self._legal_arms = vocabulary.may_bond[:, self._type[self._arm_kind, self._arm_position]]
        self._legal_arms &= self._arm[self._arm_kind, self._arm_position] == np.arange(self.num_arms)
        # One arm per kind adds the first block.
        self._first_arm = np.array([np.flatnonzero(self._arm_kind == k + 1)[0] for k in range(self.num_kinds)])
        self._first_arms = np.isin(np.arange(self.num_arms), self._first_arm)

    # ------------------------------------------------------------------ legal moves

    def open_stems(self, trees: Trees) -> IntArray:
        """Number of open stems at each position of each block, (n, m, s)."""
        left = self.capacity[trees.kind]
        row, block = np.nonzero(trees.kind[:, 1:])
        block += 1
        start = row * trees.kind.shape[1]
        used = np.concatenate(
            [
                (start + block) * self.num_stems + trees.entry[row, block],
                (start + trees.parent[row, block]) * self.num_stems + trees.port[row, block],
            ]
        )
        left -= np.bincount(used, minlength=left.size).reshape(left.shape)
        return left

    def must_end(self, trees: Trees) -> BoolArray:
        """True if a tree has ``max_blocks`` blocks or no open stem to which an arm may bond, bool (n,)."""
        count = np.count_nonzero(trees.kind, axis=1)
        # Each bond takes two stems.
        full = self._num_stems.take(trees.kind).sum(1) == 2 * (count - 1)
        return (count == self.max_blocks) | ((count > 0) & full)

    def allow_additions(self, trees: Trees, mask: BoolArray, rows: IntArray) -> None:
        """Set the legal forward actions of ``trees`` in rows of a mask: the first of equivalent stems and arms.

        Args:
            trees: n trees.
            mask: (k, num_locations * num_arms), False in these rows.
            rows: the row of each tree (n,).
        """
        by_location = mask.reshape(len(mask), self.num_locations, self.num_arms)  # A view, as actions are contiguous.
        row, location = np.nonzero(_first_of_each(self._stems(trees, self._contents(trees))))
        block, position = np.divmod(location, self.num_stems)
        by_location[rows.take(row), location] = self._legal_arms.take(self._type[trees.kind[row, block], position], 0)
        by_location[rows[trees.kind[:, 0] == 0], 0] = self._first_arms

    def removals(self, trees: Trees) -> BoolArray:
        """Leaves that can be removed, bool (n, m): the first of equivalent leaves."""
        return _first_of_each(np.where(self._leaf_arms(trees) >= 0, self._contents(trees).root, LARGEST))

    def _leaf_arms(self, trees: Trees) -> IntArray:
        """The arm that adds each leaf again, (n, m); -1 for blocks that are not leaves or have no such arm."""
        n, m = trees.kind.shape
        present = trees.kind > 0
        row, block = np.nonzero(present[:, 1:])
        block += 1
        children = np.bincount(row * m + trees.parent[row, block], minlength=n * m).reshape(n, m)
        position = trees.entry.copy()
        # A root with one child is a leaf. Its own position of the bond is the port of that child, which is block 1.
        position[:, 0] = trees.port[:, 1]
        leaf = present & (children == (np.arange(m) == 0))
        arms = np.where(leaf, self._arm[trees.kind, position], -1)
        alone = present.sum(1) == 1
        arms[alone, 0] = self._first_arm[trees.kind[alone, 0] - 1]
        return arms

    def _stems(self, trees: Trees, contents: Contents) -> Codes:
        """Codes of the open stems of all blocks but the last, (n, num_locations); LARGEST for other positions."""
        codes = np.where(self.open_stems(trees) > 0, self.trees.stem_codes(trees, contents), LARGEST)
        return codes[:, :-1].reshape(len(codes), -1)

    # ------------------------------------------------------------------ moves and their inverses

    def add(self, trees: Trees, actions: IntArray) -> Trees:
        """Trees with one more block, in canonical form."""
        larger, _ = self._with_block(trees, actions)
        grown, moved = self.trees.canonical(larger, self.trees.contents(larger))
        self._contents.keep(grown, moved.contents)
        return grown

    def added_leaf(self, trees: Trees, actions: IntArray) -> IntArray:
        """Index of the new block in the result of :meth:`add`, (n,): the first of the leaves equivalent to it."""
        larger, new = self._with_block(trees, actions)
        contents, rows = self.trees.contents(larger), np.arange(len(new))
        same = (contents.root == contents.root[rows, new][:, None]) & (self._leaf_arms(larger) >= 0)
        _, moved = self.trees.canonical(larger, contents)
        return np.where(same, moved.block, self.max_blocks).min(1)

    def _with_block(self, trees: Trees, actions: IntArray) -> tuple[Trees, IntArray]:
        """Trees with the new block after the others, and its index (n,)."""
        location, arm = np.divmod(np.asarray(actions, dtype=np.int64), self.num_arms)
        larger, rows = Trees(*(array.copy() for array in trees)), np.arange(len(arm))
        new = (trees.kind > 0).sum(1)
        larger.kind[rows, new] = self._arm_kind[arm]
        at, bonded = rows[new > 0], new[new > 0]
        larger.parent[at, bonded], larger.port[at, bonded] = np.divmod(location[at], self.num_stems)
        larger.entry[at, bonded] = self._arm_position[arm[at]]
        return larger, new

    def remove(self, trees: Trees, leaves: IntArray) -> Trees:
        """Trees without one leaf, in canonical form."""
        smaller, _, _ = self._without_leaf(trees, leaves)
        return self.trees.canonical(smaller, self.trees.contents(smaller))[0]

    def removed_and_action(self, trees: Trees, leaves: IntArray) -> tuple[Trees, IntArray]:
        """The result of :meth:`remove`, and the actions that add the leaves again, (n,)."""
        smaller, block, position = self._without_leaf(trees, leaves)
        contents, rows = self.trees.contents(smaller), np.arange(len(leaves))
        stems = self._stems(smaller, contents).reshape(len(rows), -1, self.num_stems)
        same = stems == stems[rows, block, position][:, None, None]
        parents, moved = self.trees.canonical(smaller, contents)
        places = moved.block[:, :-1, None] * self.num_stems + moved.position[:, :-1]
        location = np.where(same, places, self.num_locations).min((1, 2))
        empty = parents.kind[:, 0] == 0
        return parents, np.where(empty, 0, location) * self.num_arms + self._leaf_arms(trees)[rows, leaves]

    def _without_leaf(self, trees: Trees, leaves: IntArray) -> tuple[Trees, IntArray, IntArray]:
        """Trees without one leaf, and the block and the position to which it was bonded."""
        rows, others = np.arange(len(leaves)), np.arange(self.max_blocks - 1)
        # If the leaf is the root, it was bonded to block 1, which becomes the root.
        is_root = leaves == 0
        block = np.where(is_root, 1, trees.parent[rows, leaves])
        position = np.where(is_root, trees.entry[:, 1], trees.port[rows, leaves])
        kept = others + (others >= leaves[:, None])
        smaller = Trees(*(np.pad(np.take_along_axis(array, kept, axis=1), ((0, 0), (0, 1))) for array in trees))
        smaller.parent[:] = np.maximum(smaller.parent - (smaller.parent > leaves[:, None]), 0)
        for array in smaller[1:]:
            array[:, 0] = 0
        return smaller, np.maximum(block - (block > leaves), 0), position


def _first_of_each(codes: Codes) -> BoolArray:
    """True at the first occurrence of each code in its row, bool (n, k); False at LARGEST."""
    order = np.argsort(codes, axis=1, kind="stable")
    ranked = np.take_along_axis(codes, order, axis=1)
    new = np.ones(codes.shape, dtype=bool)
    new[:, 1:] = ranked[:, 1:] != ranked[:, :-1]
    first = np.zeros(codes.shape, dtype=bool)
    np.put_along_axis(first, order, new & (ranked != LARGEST), axis=1)
    return first
