"""Exact numbers of block trees, by Polya's theorem for rooted trees and Otter's theorem for unrooted ones.

Series are lists of integers: entry d counts the trees of d blocks. A stem is open or has a planted tree, which is
bonded to it by an arm of the vocabulary. A position with c stems holds a multiset of c of these choices, and the
automorphisms of a block permute its positions.
"""

from __future__ import annotations

from collections import Counter
from fractions import Fraction
from functools import cache, lru_cache

from gfn_envs.arrays import IntArray
from gfn_envs.envs.molecules.vocabulary import Vocabulary

Series = list[int]
#: Sorted pairs (length, capacity), one per cycle of positions under an automorphism.
CycleType = tuple[tuple[int, int], ...]


@lru_cache(maxsize=64)
def count_states(vocabulary: Vocabulary, max_blocks: int, min_blocks: int) -> tuple[int, int]:
    """The numbers of states and of terminal states of FragmentMolecule."""
    trees = unrooted(vocabulary, max_blocks, allow_open=True)
    closed = unrooted(vocabulary, max_blocks, allow_open=False)
    unfinished = [trees[b] - closed[b] for b in range(max_blocks)]
    # Full and closed trees are terminal. A tree with an open stem is one unfinished state and, if stopped, a terminal
    # one.
    terminal = trees[max_blocks] + sum(closed[:max_blocks]) + sum(unfinished[min_blocks:])
    return 1 + sum(unfinished) + terminal, terminal


def unrooted(vocabulary: Vocabulary, max_blocks: int, allow_open: bool) -> Series:
    """Numbers of trees of 0..max_blocks blocks that can be built, with or without open stems.

    Otter's theorem (1948): every tree has v - e + s = 1. Up to symmetry, v is its number of blocks, e its number of
    bonds, and s its number of bonds whose ends a symmetry exchanges. Here v counts only blocks from which the tree can
    be built, and e only bonds between two of them.
    """
    rooted_types, planted_types = _cycle_types(vocabulary)
    planted: Series = [0] * (max_blocks + 1)
    for _ in range(max_blocks):
        planted = _filled(planted_types, planted, allow_open)
    trees = _filled(rooted_types, planted, allow_open)
    pairs = _product(planted, planted)
    mirrored = _spread(planted, 2)
    return [t - (p + s) // 2 + s for t, p, s in zip(trees, pairs, mirrored, strict=True)]


def _cycle_types(vocabulary: Vocabulary) -> tuple[dict[CycleType, Fraction], dict[CycleType, Fraction]]:
    """Weights of the cycle types of all kinds, and of all arms without the stem by which they are bonded."""
    rooted: Counter[CycleType] = Counter()
    planted: Counter[CycleType] = Counter()
    for k, kind in enumerate(vocabulary.kinds):
        group, capacity = kind.automorphisms, list(kind.capacity)
        for image in group:
            rooted[_cycle_type(image, capacity)] += Fraction(1, len(group))  # type: ignore[assignment]
        # Arms that an automorphism exchanges count once.
        for position in {int(group[:, p].min()) for kind_, p in vocabulary.arms.tolist() if kind_ == k}:
            fixing = [image for image in group if image[position] == position]
            rest = [c - (p == position) for p, c in enumerate(capacity)]
            for image in fixing:
                planted[_cycle_type(image, rest)] += Fraction(1, len(fixing))  # type: ignore[assignment]
    return dict(rooted), dict(planted)  # type: ignore[arg-type]


def _cycle_type(image: IntArray, capacity: list[int]) -> CycleType:
    cycles, seen = [], set()
    for start in range(len(image)):
        length, p = 0, start
        while p not in seen:
            seen.add(p)
            length, p = length + 1, int(image[p])
        if length and capacity[start]:
            cycles.append((length, capacity[start]))
    return tuple(sorted(cycles))


def _filled(types: dict[CycleType, Fraction], planted: Series, allow_open: bool) -> Series:
    """Blocks with an open stem or a planted tree at each stem: x times the cycle index, evaluated at ``planted``."""
    choices = [int(allow_open) + planted[0], *planted[1:]]

    @cache
    def multisets(length: int, capacity: int) -> tuple[int, ...]:
        return tuple(_spread(_multisets(choices, capacity), length))

    total = [Fraction(0)] * len(planted)
    for cycles, weight in types.items():
        product: Series = [1] + [0] * (len(planted) - 1)
        for length, capacity in cycles:
            product = _product(product, list(multisets(length, capacity)))
        total = [t + weight * p for t, p in zip(total, product, strict=True)]
    return [0, *(int(t) for t in total[:-1])]


def _multisets(choices: Series, count: int) -> Series:
    """Multisets of ``count`` choices by Newton's identity k h_k = sum over i of p_i h_(k-i), p_i = choices(x^i)."""
    result: list[Series] = [[1] + [0] * (len(choices) - 1)]
    for k in range(1, count + 1):
        terms = [_product(_spread(choices, i), result[k - i]) for i in range(1, k + 1)]
        result.append([sum(column) // k for column in zip(*terms, strict=True)])
    return result[count]


def _spread(series: Series, step: int) -> Series:
    """The series of x^step."""
    return [series[d // step] if d % step == 0 else 0 for d in range(len(series))]


def _product(left: Series, right: Series) -> Series:
    return [sum(left[i] * right[d - i] for i in range(d + 1)) for d in range(len(left))]
