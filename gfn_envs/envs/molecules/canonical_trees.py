"""Canonical forms of batches of block trees: all representations of one tree become the same arrays.

A block of kind k has stem atoms at positions 0, 1, ..., and automorphisms of the block permute these positions. A tree
bonds blocks at positions. The canonical form follows that of Aho, Hopcroft and Ullman for rooted trees, with 64-bit
hashes as codes:

* The code of a block, seen from a neighbor, depends on its kind and on the codes of the subtrees at its positions. It
  is the smallest over the automorphisms of the block, so it does not depend on the numbering of the positions.
* The root is the block with the smallest code, if no block is above it. Children are sorted by position and code. The
  automorphism that gave the smallest code renumbers the positions of each block.

Two blocks of a tree have the same code if and only if an automorphism of the tree exchanges them; the same holds for
stems. The hash has no random seed: a canonical form is the same in every process and on every machine. Codes are
compared only within one tree; the probability of a collision in a tree with 50 codes is about 1e-16.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

IntArray = npt.NDArray[Any]
Codes = npt.NDArray[np.uint64]

LARGEST = np.uint64(2**64 - 1)


class Trees(NamedTuple):
    """n trees of at most m blocks. A parent comes before its children; block 0 is the root.

    Attributes:
        kind: 1 + the kind of each block, and then 0 for absent blocks, int64 (n, m).
        parent: index of the block that each block is bonded to; 0 for the root and for absent blocks, int64 (n, m).
        port: position of that bond on the parent, int64 (n, m).
        entry: position of that bond on the block itself, int64 (n, m).
    """

    kind: IntArray
    parent: IntArray
    port: IntArray
    entry: IntArray


class Contents(NamedTuple):
    """Codes of the blocks of :class:`Trees`. Automorphisms come first, which makes minima over them fast.

    Attributes:
        totals: weighted sums of the codes at the positions of each block, per automorphism, uint64 (g, m, n).
        root: code of each block as the root, uint64 (n, m). It is equal for blocks that an automorphism exchanges.
        down: code of each block seen from its parent, uint64 (n, m).
        up: code of the parent seen from each block, without the block itself, uint64 (n, m).
    """

    totals: Codes
    root: Codes
    down: Codes
    up: Codes


class Relabeling(NamedTuple):
    """A map from old to new indices.

    Attributes:
        block: new index of each block, int64 (n, m).
        position: new index of each position of each block, int64 (n, m, s).
        contents: the codes of the relabeled trees.
    """

    block: IntArray
    position: IntArray
    contents: Contents


def mix(x: Codes) -> Codes:
    """The finalizer of splitmix64 (Steele et al. 2014), a bijection of 64-bit integers that scrambles all bits."""
    x = x ^ (x >> np.uint64(30))
    x *= np.uint64(0xBF58476D1CE4E5B9)
    x ^= x >> np.uint64(27)
    x *= np.uint64(0x94D049BB133111EB)
    x ^= x >> np.uint64(31)
    return x


def _products(images: IntArray) -> IntArray:
    """Numbers [b, a] of the automorphisms that apply b first and then a, for automorphisms (g, s), int64 (g, g)."""
    number = {tuple(image): a for a, image in reversed(list(enumerate(images.tolist())))}
    return np.array([[number[tuple(after[image].tolist())] for after in images] for image in images])


def _constants(start: int, count: int) -> Codes:
    return mix(np.arange(start, start + count, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15))


#: Codes of two special contents of a position: the bond to the parent, and the stem whose code is computed.
PARENT, STEM = _constants(1, 2)


class BlockTrees:
    """Canonical forms of trees whose blocks have given symmetries.

    Args:
        automorphisms: for each kind, its automorphisms (g, s), including the identity. Automorphism i maps position p
            to ``[i, p]``.
    """

    def __init__(self, automorphisms: Sequence[IntArray]):
        kinds = len(automorphisms)
        self.num_positions = max(a.shape[1] for a in automorphisms)
        order = max(len(a) for a in automorphisms)
        #: Image of each position under each automorphism, (kinds + 1, g, s), padded with the identity.
        self.image = np.tile(np.arange(self.num_positions), (kinds + 1, order, 1))
        for k, group in enumerate(automorphisms):
            self.image[k + 1, : len(group), : group.shape[1]] = group
        # The hash of the contents of a block is the sum of code * weight of the image of the position.
        weight = (_constants(100, self.num_positions) | np.uint64(1))[self.image]
        #: Weights by automorphism, and by kind * positions + position, (g, (kinds + 1) s).
        self.weight = np.ascontiguousarray(weight.transpose(1, 0, 2).reshape(order, -1))
        self.salt = _constants(10_000, kinds + 1)
        #: Number of the automorphism that applies automorphism b first and then a, by kind * order + b and a, (.., g).
        self.product = np.array([_products(images) for images in self.image]).reshape(-1, order)

    def _weights(self, kind: IntArray, position: IntArray | int) -> Codes:
        """Weights of one position of each block, for kinds and positions (m, n), uint64 (g, m, n)."""
        return self.weight.take(kind * self.num_positions + position, axis=1)

    def contents(self, trees: Trees) -> Contents:
        """Codes of every block of ``trees``, seen from both ends of each bond."""
        kind, parent, port, entry = (np.ascontiguousarray(array.T) for array in trees)
        m, n = kind.shape
        last = int(np.count_nonzero(kind.any(1)))
        bonded = kind > 0
        bonded[0] = False
        salt, at_entry = self.salt[kind], self._weights(kind, entry)
        above = parent * n + np.arange(n)
        # A block that is not bonded adds nothing to its parent, which is the root.
        at_port = self._weights(kind.take(above), port) * bonded
        totals = np.zeros(at_entry.shape, dtype=np.uint64)
        flat = totals.reshape(len(totals), m * n)
        down, up = np.zeros((2, m, n), dtype=np.uint64)
        own = PARENT * at_entry + salt
        for v in range(last - 1, 0, -1):
            down[v] = mix(totals[:, v] + own[:, v]).min(0)
            flat[:, above[v]] += down[v] * at_port[:, v]
        down *= bonded
        other = (PARENT - down) * at_port + salt.take(above)
        for v in range(1, last):
            up[v] = mix(flat.take(above[v], axis=1) + other[:, v]).min(0)
            up[v] *= bonded[v]
            totals[:, v] += up[v] * at_entry[:, v]
        root = np.where(kind > 0, mix(totals + salt).min(0), LARGEST)
        return Contents(totals, *(np.ascontiguousarray(array.T) for array in (root, down, up)))

    def stem_codes(self, trees: Trees, contents: Contents) -> Codes:
        """Code of each position of each block, uint64 (n, m, s); equal for positions that an automorphism exchanges."""
        kind = trees.kind.T
        base = contents.totals + self.salt[kind]
        codes = [mix(base + STEM * self._weights(kind, p)).min(0).T for p in range(self.num_positions)]
        return np.stack(codes, axis=2)

    def canonical(self, trees: Trees, contents: Contents) -> tuple[Trees, Relabeling]:
        """The canonical form of each tree, and the map from old to new blocks and positions."""
        n, m = trees.kind.shape
        rows = np.arange(n)[:, None]
        present = trees.kind > 0
        root = contents.root.argmin(1)
        parent, port, entry, code, above = _rerooted(trees, contents, root)
        # ``best`` is the automorphism of each block that gives the smallest code.
        not_root = np.arange(m) != root[:, None]
        seen = np.where(not_root, PARENT - above, 0).T * self._weights(trees.kind.T, entry.T)
        seen += contents.totals
        seen += self.salt[trees.kind.T]
        best = mix(seen).argmin(0).T
        position = self.image[trees.kind, best]
        entry = np.take_along_axis(position, entry[:, :, None], axis=2)[:, :, 0]
        port = position[rows, parent, port]
        block = _ranks(parent, port, code, present, root)
        # Absent blocks get the indices after the others, so each row of ``block`` is a permutation.
        out = Trees(*(np.zeros_like(trees.kind) for _ in range(4)))
        out.kind[rows, block] = trees.kind
        linked = present & not_root
        for array, values in zip(out[1:], (block[rows, parent], port, entry), strict=True):
            array[rows, block] = np.where(linked, values, 0)
        # The new position p of a block is position[p] of the old one, so its automorphisms change places.
        moved = Contents(np.empty_like(contents.totals), *(np.zeros((n, m), dtype=np.uint64) for _ in range(3)))
        each = self.product.take(trees.kind * len(seen) + best, axis=0)
        place = np.arange(m) * n + rows
        moved.totals[:, block, rows] = contents.totals.reshape(-1).take(each.transpose(2, 0, 1) * (m * n) + place)
        moved.root[rows, block] = contents.root
        moved.down[rows, block], moved.up[rows, block] = np.where(not_root, code, 0), np.where(not_root, above, 0)
        return out, Relabeling(block, position, moved)


def _rerooted(trees: Trees, contents: Contents, root: IntArray) -> tuple[IntArray, IntArray, IntArray, Codes, Codes]:
    """Parents, ports and entries for the new ``root`` (n,), and the codes down and up of each block."""
    _, parent, port, entry = (array.copy() for array in trees)
    code, above = contents.down.copy(), contents.up.copy()
    rows, current = np.arange(len(root)), root.copy()
    # Bonds on the path from the new root to the old one change direction. The limit ends the loop on invalid rows.
    for _ in range(trees.kind.shape[1]):
        climbing = current != 0
        rows, current = rows[climbing], current[climbing]
        before = trees.parent[rows, current]
        parent[rows, before] = current
        port[rows, before] = trees.entry[rows, current]
        entry[rows, before] = trees.port[rows, current]
        code[rows, before] = contents.up[rows, current]
        above[rows, before] = contents.down[rows, current]
        current = before
    every = np.arange(len(root))
    for array in (parent, port, entry):
        array[every, root] = 0
    return parent, port, entry, code, above


def _ranks(parent: IntArray, port: IntArray, code: Codes, present: npt.NDArray[np.bool_], root: IntArray) -> IntArray:
    """New index of each block, (n, m): breadth first, with the children of a block in order of port and code."""
    n, m = parent.shape
    size = np.count_nonzero(present, axis=1)
    key = (port.astype(np.uint64) << np.uint64(58)) | (code >> np.uint64(6))
    # Absent blocks come last, in the order of their indices.
    by_key = np.argsort(np.where(present, key, LARGEST), axis=1, kind="stable")
    child = np.take_along_axis(present, by_key, axis=1) & (by_key != root[:, None])
    # No block is bonded to block m, so blocks that are not placed yet have no children.
    parent = np.where(child, np.take_along_axis(parent, by_key, axis=1), -1)
    order = np.full((n, m), m)
    order[:, 0] = root
    count = np.ones(n, dtype=np.int64)
    for i in range(int(size.max(initial=0))):
        mine = parent == order[:, i, None]
        place = mine.cumsum(1)
        which = np.nonzero(mine)
        order[which[0], (place + (count - 1)[:, None])[which]] = by_key[which]
        count += place[:, -1]
    block = np.empty((n, m + 1), dtype=np.int64)
    block[:, :m] = np.cumsum(~present, axis=1) - 1 + size[:, None]
    block[np.arange(n)[:, None], order] = np.arange(m)
    return block[:, :m]
