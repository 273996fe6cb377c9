"""Exact numbers of block trees, by Polya's theorem for rooted trees and Otter's theorem for unrooted ones.

Series are lists of integers: entry d counts the trees of d blocks. A stem is open or has a planted tree, which is
bonded to it by an arm of the vocabulary that may bond to it. A position with c stems holds a multiset of c of these
choices, and the automorphisms of a block permute its positions.
"""

from __future__ import annotations

from collections import Counter
from fractions import Fraction
from functools import cache, lru_cache

from gfn_envs.arrays import IntArray
from gfn_envs.envs.molecules.series import Series, multisets, product, spread, total
from gfn_envs.envs.molecules.vocabulary import Vocabulary

#: Sorted triples (length, capacity, type of stem), one per cycle of positions under an automorphism.
CycleType = tuple[tuple[int, int, int], ...]
Weights = dict[CycleType, Fraction]


@lru_cache(maxsize=64)
def count_states(vocabulary: Vocabulary, max_blocks: int, min_blocks: int) -> tuple[int, int, int]:
    """The numbers of states and of terminal states of FragmentMolecule, and of the blocks of its largest tree."""
    trees = unrooted(vocabulary, max_blocks, allow_open=True)
    closed = unrooted(vocabulary, max_blocks, allow_open=False)
    unfinished = [trees[b] - closed[b] for b in range(max_blocks)]
    # Full and closed trees are terminal. A tree with an open stem is one unfinished state and, if stopped, a terminal
    # one.
    terminal = trees[max_blocks] + sum(closed[:max_blocks]) + sum(unfinished[min_blocks:])
    return 1 + sum(unfinished) + terminal, terminal, max(b for b in range(max_blocks + 1) if trees[b])


def unrooted(vocabulary: Vocabulary, max_blocks: int, allow_open: bool) -> Series:
    """Numbers of trees of 0..max_blocks blocks that can be built, with or without open stems.

    Otter's theorem (1948): every tree has v - e + s = 1. Up to symmetry, v is its number of blocks, e its number of
    bonds, and s its number of bonds whose ends a symmetry exchanges. Here v counts only blocks from which the tree can
    be built, and e only bonds between two of them.
    """
    rooted_weights, planted_weights = _cycle_types(vocabulary)
    size, may_bond = max_blocks + 1, vocabulary.may_bond
    types = range(len(may_bond))
    planted: list[Series] = [[0] * size for _ in types]

    def choices() -> list[Series]:
        """An open stem, or a planted tree that may bond to it, by the type of the stem."""
        every = [total([planted[u] for u in types if may_bond[t, u]], size) for t in types]
        return [[series[0] + int(allow_open), *series[1:]] for series in every]

    for _ in range(max_blocks):
        planted = [_filled(weights, choices()) for weights in planted_weights]
    trees = _filled(rooted_weights, choices())
    pairs = total([product(planted[t], planted[u]) for t in types for u in types if may_bond[t, u]], size)
    mirrored = total([spread(planted[t], 2) for t in types if may_bond[t, t]], size)
    return [t - (p + s) // 2 + s for t, p, s in zip(trees, pairs, mirrored, strict=True)]


def _cycle_types(vocabulary: Vocabulary) -> tuple[Weights, list[Weights]]:
    """Weights of the cycle types of all kinds; and of all arms without the stem by which they are bonded, by type."""
    rooted: Counter[CycleType] = Counter()
    planted: list[Counter[CycleType]] = [Counter() for _ in vocabulary.may_bond]
    for k, kind in enumerate(vocabulary.kinds):
        group, capacity, types = kind.automorphisms, list(vocabulary.capacity[k]), vocabulary.types[k]
        for image in group:
            rooted[_cycle_type(image, capacity, types)] += Fraction(1, len(group))  # type: ignore[assignment]
        # Arms that an automorphism exchanges count once. A stem without capacity cannot be bonded.
        for position in {int(group[:, p].min()) for kind_, p in vocabulary.arms.tolist() if kind_ == k}:
            if not capacity[position]:
                continue
            fixing = [image for image in group if image[position] == position]
            rest = [c - (p == position) for p, c in enumerate(capacity)]
            for image in fixing:
                weight = Fraction(1, len(fixing))
                planted[types[position]][_cycle_type(image, rest, types)] += weight  # type: ignore[assignment]
    return dict(rooted), [dict(weights) for weights in planted]  # type: ignore[arg-type]


def _cycle_type(image: IntArray, capacity: list[int], types: tuple[int, ...]) -> CycleType:
    cycles, seen = [], set()
    for start in range(len(image)):
        length, p = 0, start
        while p not in seen:
            seen.add(p)
            length, p = length + 1, int(image[p])
        if length and capacity[start]:
            cycles.append((length, capacity[start], types[start]))
    return tuple(sorted(cycles))


def _filled(weights: Weights, choices: list[Series]) -> Series:
    """Blocks with one of ``choices`` at each stem: x times the cycle index, evaluated at the choices of each type."""
    size = len(choices[0])

    @cache
    def cycle(length: int, capacity: int, kind: int) -> tuple[int, ...]:
        return tuple(spread(multisets(choices[kind], capacity), length))

    result = [Fraction(0)] * size
    for cycles, weight in weights.items():
        filled: Series = [1] + [0] * (size - 1)
        for each in cycles:
            filled = product(filled, list(cycle(*each)))
        result = [t + weight * p for t, p in zip(result, filled, strict=True)]
    return [0, *(int(t) for t in result[:-1])]
