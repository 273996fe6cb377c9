"""Exact numbers of acyclic molecules of single atoms, by the theorems of Polya and Otter.

Series are lists of integers: entry d counts the trees of d atoms. An atom of valence v has branches whose bond orders
sum to at most v; hydrogens take the rest. The branches of one order are a multiset.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence

from gfn_envs.envs.molecules.series import Series, multisets, product, spread, total


def count_acyclic(valence: Sequence[int], bonded: Sequence[Sequence[bool]], max_atoms: int, orders: int) -> Series:
    """Numbers of acyclic molecules of 0..max_atoms atoms.

    Otter's theorem (1948), as in counting.py: trees = atoms - bonds + bonds whose ends a symmetry exchanges, all up to
    symmetry.

    Args:
        valence: valence of each element.
        bonded: True where two elements may be bonded, symmetric.
        max_atoms: largest number of atoms.
        orders: largest order of a bond.
    """
    size = max_atoms + 1
    # Trees by element of the root and order of the bond above it.
    planted = {(e, o): [0] * size for e in range(len(valence)) for o in range(1, min(orders, valence[e]) + 1)}

    def rooted(element: int, free: int) -> Series:
        """An atom with branches whose orders sum to at most ``free``."""
        choices = [
            total([series for (e, o), series in planted.items() if o == order and bonded[element][e]], size)
            for order in range(1, orders + 1)
        ]
        terms = []
        for counts in itertools.product(*(range(free // order + 1) for order in range(1, orders + 1))):
            if sum(order * count for order, count in enumerate(counts, 1)) <= free:
                term: Series = [1] + [0] * max_atoms
                for branches, count in zip(choices, counts, strict=True):
                    term = product(term, multisets(branches, count))
                terms.append(term)
        return [0, *total(terms, size)[:-1]]

    for _ in range(max_atoms):
        planted = {(e, o): rooted(e, valence[e] - o) for e, o in planted}
    trees = total([rooted(e, v) for e, v in enumerate(valence)], size)
    ends = [(a, b, o) for a, o in planted for b in range(len(valence)) if bonded[a][b] and (b, o) in planted]
    pairs = total([product(planted[a, o], planted[b, o]) for a, b, o in ends], size)
    mirrored = total([spread(planted[a, o], 2) for a, b, o in ends if a == b], size)
    return [t - (p - s) // 2 for t, p, s in zip(trees, pairs, mirrored, strict=True)]
