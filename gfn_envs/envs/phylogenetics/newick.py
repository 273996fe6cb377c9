"""Forests of trees in Newick notation."""

from __future__ import annotations

from collections.abc import Sequence

from gfn_envs.arrays import IntArray


def newick_trees(taxa: Sequence[str], into: IntArray, merged: IntArray, rooted: bool = True) -> list[str]:
    """The trees of a forest in Newick notation, without semicolons.

    Args:
        taxa: name of each taxon.
        into: label of the tree that stays in each join, from the leaves up, (m,); -1 after the last join.
        merged: label of the tree that joins it, (m,); -1 after the last join.
        rooted: False: the last join, if there is one, is an edge of an unrooted tree, not its root. By convention,
            unrooted trees have three subtrees at the outermost node.
    """
    trees = {i: quoted(name) for i, name in enumerate(taxa)}
    for k, (i, j) in enumerate(zip(into.tolist(), merged.tolist(), strict=True)):
        if i >= 0:
            left, right = trees[i], trees.pop(j)
            is_edge = not rooted and k == len(into) - 1
            trees[i] = f"({left[1:-1]},{right})" if is_edge else f"({left},{right})"
    return list(trees.values())


def quoted(name: str) -> str:
    """The name of a taxon, in quotes if it has special characters."""
    return name if all(c.isalnum() or c in "_.-|" for c in name) else "'" + name.replace("'", "''") + "'"
