"""Forests of rooted trees in Newick notation."""

from __future__ import annotations

from collections.abc import Sequence

from gfn_envs.arrays import IntArray


def newick_trees(taxa: Sequence[str], into: IntArray, merged: IntArray) -> list[str]:
    """The trees of a forest in Newick notation, without semicolons.

    Args:
        taxa: name of each taxon.
        into: label of the tree that stays in each join, from the leaves up, (m,); -1 after the last join.
        merged: label of the tree that joins it, (m,); -1 after the last join.
    """
    trees = {i: _quoted(name) for i, name in enumerate(taxa)}
    for i, j in zip(into.tolist(), merged.tolist(), strict=True):
        if i >= 0:
            trees[i] = f"({trees[i]},{trees.pop(j)})"
    return list(trees.values())


def _quoted(name: str) -> str:
    """The name of a taxon, in quotes if it has special characters."""
    return name if all(c.isalnum() or c in "_.-|" for c in name) else "'" + name.replace("'", "''") + "'"
