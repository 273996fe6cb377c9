"""Numbers of connected colored multigraphs with bounded degrees, up to isomorphism, by Burnside's lemma.

For each cycle type, the multigraphs that a permutation fixes are counted, one cycle after the other. The inverse of
Euler's transform removes those that are not connected (Harary and Palmer 1973).
"""

from __future__ import annotations

import functools
import math
from collections import Counter
from collections.abc import Iterator, Sequence
from fractions import Fraction


def connected(valences: Sequence[int], most: int, orders: int = 3) -> list[int]:
    """Numbers for 1..most atoms of elements with these valences, and bonds of order 1..orders."""
    every, found, sums = [1], [], []
    for n in range(1, most + 1):
        total = Fraction(0)
        for cycles in partitions(n, n):
            centralizer = math.prod(k**m * math.factorial(m) for k, m in Counter(cycles).items())
            total += Fraction(fixed(cycles, valences, orders), centralizer)
        assert total.denominator == 1
        every.append(int(total))
        sums.append(n * every[n] - sum(sums[k - 1] * every[n - k] for k in range(1, n)))
        found.append((sums[-1] - sum(d * found[d - 1] for d in range(1, n) if n % d == 0)) // n)
    return found


def partitions(n: int, largest: int) -> Iterator[list[int]]:
    if n == 0:
        yield []
    for part in range(min(n, largest), 0, -1):
        for rest in partitions(n - part, part):
            yield [part, *rest]


def fixed(cycles: Sequence[int], valences: Sequence[int], orders: int) -> int:
    """Number of colored multigraphs that a permutation with these cycles fixes."""

    @functools.cache
    def ways(used: tuple[int, ...]) -> int:
        """``used``: number of bonds so far of an atom of each remaining cycle."""
        if not used:
            return 1
        size, total = cycles[-len(used)], 0
        for valence in valences:
            # Pairs within the cycle at distance d are one orbit; opposite atoms have one such pair each, not two.
            bonds = [used[0]]
            for distance in range(1, size // 2 + 1):
                each = 1 if 2 * distance == size else 2
                bonds = [b + each * order for b in bonds for order in range(orders + 1)]
            total += sum(number * outward(b, used[1:], (), valence) for b, number in Counter(bonds).items())
        return total

    def outward(bonds: int, left: tuple[int, ...], done: tuple[int, ...], valence: int) -> int:
        """Ways to bond a cycle, whose atoms have ``bonds`` bonds, to the cycles left, and of these to each other."""
        if bonds > valence or (done and done[-1] > max(valences)):
            return 0
        if not left:
            return ways(done)
        a, b = cycles[-len(left) - len(done) - 1], cycles[-len(left)]
        orbits = math.gcd(a, b)
        sums = Counter([0])
        for _ in range(orbits):
            sums = Counter({s: sum(sums[s - o] for o in range(orders + 1)) for s in range(max(sums) + orders + 1)})
        return sum(
            number * outward(bonds + s * b // orbits, left[1:], (*done, left[0] + s * a // orbits), valence)
            for s, number in sums.items()
        )

    return ways((0,) * len(cycles))
