"""Trees as nested pairs: of taxa 0, ..., n - 2, with the root where taxon n - 1 hangs."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from gfn_envs.envs.phylogenetics.clade_distribution import Split

#: The number of a taxon, or a pair of trees, that with the smaller taxon first.
Tree = Any


def first(tree: Tree) -> int:
    """The smallest taxon of a tree, which is its label."""
    while not isinstance(tree, int):
        tree = tree[0]
    return tree


def pair(a: Tree, b: Tree) -> Tree:
    """Two trees joined."""
    return (a, b) if first(a) < first(b) else (b, a)


def neighbors(tree: Tree) -> Iterator[tuple[Tree, int, Tree]]:
    """Nearest-neighbor interchanges: the tree below an inner edge, which of its children moves, and the result.

    The second child (0) or the first (1) changes places with the sibling.
    """
    if isinstance(tree, int):
        return
    for inner, other in (tree, tree[::-1]):
        if not isinstance(inner, int):
            a, b = inner
            yield inner, 0, pair(pair(a, other), b)
            yield inner, 1, pair(pair(b, other), a)
        for below, which, changed in neighbors(inner):
            yield below, which, pair(changed, other)


def regrafted(tree: Tree, moved: int, target: int) -> Tree:
    """The tree after its clade ``moved`` was cut off and put into the branch above the clade ``target``, both as bits.

    ``target`` is not inside ``moved``. It may contain it.
    """
    cut: list[Tree] = []

    def walk(node: Tree) -> tuple[Tree, int]:
        """What is left of a tree, and its taxa."""
        if isinstance(node, int):
            left, mask = node, 1 << node
        else:
            (one, mask_one), (two, mask_two) = walk(node[0]), walk(node[1])
            left, mask = one if two is None else two if one is None else pair(one, two), mask_one | mask_two
        if mask == moved:
            cut.append(left)
            return None, mask
        return left, mask

    def insert(node: Tree) -> Tree:
        if clade(node) == target & ~moved:
            return pair(node, cut[0])
        below = 0 if clade(node[0]) & target else 1
        return pair(insert(node[below]), node[1 - below])

    return insert(walk(tree)[0])


def clade(tree: Tree) -> int:
    """The taxa of a tree as bits."""
    return 1 << tree if isinstance(tree, int) else clade(tree[0]) | clade(tree[1])


def joins(tree: Tree, taxa: int) -> tuple[list[int], list[int], list[int]]:
    """Labels of the two sides of each join, the last with taxon ``taxa - 1``, and the taxa below each node as bits."""
    into, merged, masks = [], [], [1 << taxon for taxon in range(taxa)]

    def walk(node: Tree) -> int:
        if isinstance(node, int):
            return 1 << node
        left, right = (walk(child) for child in node)
        into.append(first(node[0]))
        merged.append(first(node[1]))
        masks.append(left | right)
        return left | right

    walk(tree)
    return [*into, 0], [*merged, taxa - 1], masks


def tree_of(clades: set[int], taxa: int) -> Tree:
    """The tree with these clades of two or more taxa, as bits, up to that of all but the last taxon."""
    trees: dict[int, Tree] = {taxon: taxon for taxon in range(taxa - 1)}
    for clade in sorted(clades, key=int.bit_count):
        one, other = (taxon for taxon in list(trees) if clade >> taxon & 1)
        trees[one] = pair(trees[one], trees.pop(other))
    return trees[0]


def combined(tree: Tree, better: list[Tree], taxa: int) -> Tree:
    """The tree with those of the interchanges, the first ones first, that do not exclude each other."""
    old = set(joins(tree, taxa)[2][taxa:])
    clades = set(old)
    for other in better:
        new = set(joins(other, taxa)[2][taxa:])
        rest, added = clades - (old - new), new - old
        if (old - new) <= clades and all(a & c in (0, a, c) for a in added for c in rest):
            clades = rest | added
    return tree_of(clades, taxa)


def splits(tree: Tree) -> list[Split]:
    """Each clade of two or more taxa with its first part, from the leaves up."""
    found: list[Split] = []

    def walk(node: Tree) -> int:
        if isinstance(node, int):
            return 1 << node
        part = walk(node[0])
        whole = part | walk(node[1])
        found.append((whole, part))
        return whole

    walk(tree)
    return found


def tree_of_splits(found: list[Split]) -> Tree:
    """The tree with these splits, in any order."""
    parts = dict(found)

    def build(clade: int) -> Tree:
        return (build(parts[clade]), build(clade ^ parts[clade])) if clade in parts else clade.bit_length() - 1

    return build(max(parts))
