"""Lower bounds of log p(alignment) of DS1 to DS8 by summing over the best topologies, beside published estimates.

The model is that of the published estimates: JC69, all unrooted topologies equally probable, independent exponential
priors of branch lengths with mean 0.1. p(alignment | tree) is GFN/PhyloTree-v0's reward with score="jc69". The search
starts at the neighbor-joining tree (Saitou and Nei 1987) and visits the nearest-neighbor interchanges of the best tree
that it has not yet visited. The sum over the trees that it found, divided by the number of all trees, is a lower bound,
up to the error of Laplace's approximation. It comes close if few trees have most of the posterior.

Alignments are data sets (gfn data fetch phylo-ds1).

python examples/phylogenetics_marginal_likelihood.py --seconds 60
python examples/phylogenetics_marginal_likelihood.py --alignments mine.fasta
"""

from __future__ import annotations

import argparse
import math
import time
from collections.abc import Iterator
from typing import Any

import numpy as np

import gfn_envs
from gfn_envs.envs.phylogenetics.pruning import Trees, trees_of

#: Published estimates: variational Bayes (VBPI, Zhang and Matsen 2019) and PhyloGFN (Zhou et al. 2024).
PUBLISHED = {
    "DS1": (-7108.42, -7108.95),
    "DS2": (-26367.72, -26368.90),
    "DS3": (-33735.10, -33735.60),
    "DS4": (-13329.94, -13331.83),
    "DS5": (-8214.61, -8215.15),
    "DS6": (-6724.34, -6730.68),
    "DS7": (-37332.03, -37359.96),
    "DS8": (-8650.63, -8654.76),
}
#: Neighbors whose integrand at the maximum is lower than the best by more are not integrated.
WINDOW = 6.0

Tree = Any  # The number of a taxon, or a pair of trees, that with the smaller taxon first.


def first(tree: Tree) -> int:
    """The smallest taxon of a tree, which is its label."""
    while not isinstance(tree, int):
        tree = tree[0]
    return tree


def pair(a: Tree, b: Tree) -> Tree:
    return (a, b) if first(a) < first(b) else (b, a)


def neighbors(tree: Tree) -> Iterator[Tree]:
    """Nearest-neighbor interchanges: across each inner edge, a subtree changes places with one of two others."""
    if isinstance(tree, int):
        return
    for inner, other in (tree, tree[::-1]):
        if not isinstance(inner, int):
            a, b = inner
            yield pair(pair(a, other), b)
            yield pair(pair(b, other), a)
        for changed in neighbors(inner):
            yield pair(changed, other)


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


def neighbor_joining(distances: np.ndarray) -> Tree:
    """The tree of taxa 0, ..., n - 2 with its root where taxon n - 1 hangs."""
    d, trees = distances.copy(), list(range(len(distances)))
    while len(trees) > 3:
        total = d.sum(1)
        q = (len(d) - 2) * d - total[:, None] - total
        # The last taxon stays alone, which the choice of pairs allows: it is one of at least four.
        q[-1] = q[:, -1] = np.inf
        np.fill_diagonal(q, np.inf)
        i, j = sorted(divmod(int(q.argmin()), len(d)))
        d[i] = d[:, i] = (d[i] + d[j] - d[i, j]) / 2
        d[i, i] = 0.0
        trees[i] = pair(trees[i], trees[j])
        del trees[j]
        d = np.delete(np.delete(d, j, 0), j, 1)
    return pair(trees[0], trees[1])


def jukes_cantor_distances(sequences: list[str]) -> np.ndarray:
    letters = np.array([list(sequence.upper()) for sequence in sequences])
    known = np.isin(letters, list("ACGT"))
    both = known[:, None] & known
    different = ((letters[:, None] != letters) & both).sum(2) / np.maximum(both.sum(2), 1)
    return -0.75 * np.log(1 - 4 / 3 * np.minimum(different, 0.7))


class Search:
    """Topologies with the maximum of the integrand over branch lengths; for good ones log p(alignment | topology)."""

    def __init__(self, alignment: str, single: bool = False):
        self.single = single
        self.dag = gfn_envs.make_dag("GFN/PhyloTree-v0", alignment=alignment, score="jc69", constant=0.0)
        self.likelihood, self.taxa = self.dag.likelihood, self.dag.num_taxa
        self.maxima: dict[Tree, tuple[float, dict[int, float]]] = {}  # with the logs of the lengths by clade
        self.integrals: dict[Tree, float] = {}
        self.visited: set[Tree] = set()
        start = neighbor_joining(jukes_cantor_distances(list(self.dag.sequences.values())))
        self.maximize([start], {})

    def batches(self, trees: list[Tree]) -> Iterator[tuple[list[Tree], list[list[int]], Trees]]:
        """Trees in chunks, with the taxa below each node as bits."""
        each = [joins(tree, self.taxa) for tree in trees]
        every = trees_of(np.array([into for into, _, _ in each]), np.array([merged for _, merged, _ in each]))
        for rows in self.likelihood.chunks(every):
            yield [trees[row] for row in rows], [each[row][2] for row in rows], every.take(rows)

    def maximize(self, trees: list[Tree], lengths: dict[int, float]) -> None:
        """From the lengths of a neighbor, by clade, roughly."""
        for some, masks, chunk in self.batches(trees):
            start = np.array([[lengths.get(mask, math.log(0.02)) for mask in of_tree] for of_tree in masks])
            logs, _ = self.likelihood.log_lengths(chunk, start, tolerance=0.3)
            values = self.likelihood.value(chunk, logs).tolist()
            for tree, value, of_tree, log in zip(some, values, masks, logs.tolist(), strict=True):
                self.maxima[tree] = value, dict(zip(of_tree, log, strict=True))

    def integrate(self, until: float) -> None:
        """The best trees within the window, one after the other, until this CPU time."""
        for tree in self.best():
            if self.integrals and time.process_time() > until:
                break
            for _, (masks,), chunk in self.batches([tree]):
                start = np.array([[self.maxima[tree][1][mask] for mask in masks]])
                logs, _ = self.likelihood.log_lengths(chunk, start)
                self.integrals[tree] = float(self.likelihood.integral(chunk, logs)[0])

    def best(self, window: float = WINDOW) -> list[Tree]:
        """The trees within a window below the best, the best first."""
        least = max(value for value, _ in self.maxima.values()) - window
        good = [tree for tree, (value, _) in self.maxima.items() if value > least]
        return sorted(good, key=lambda tree: -self.maxima[tree][0])

    def visit(self, tree: Tree) -> None:
        """Maximize the neighbors of a tree and, unless ``single``, the tree with all better interchanges at once."""
        self.visited.add(tree)
        value, lengths = self.maxima[tree]
        around = list(dict.fromkeys(neighbors(tree)))
        if new := [other for other in around if other not in self.maxima]:
            self.maximize(new, lengths)
        better = [] if self.single else [other for other in around if self.maxima[other][0] > value]
        better.sort(key=lambda other: -self.maxima[other][0])
        if len(better) > 1 and (both := combined(tree, better, self.taxa)) not in self.maxima:
            self.maximize([both], lengths)

    def run(self, seconds: float) -> None:
        """Visit the best tree that was not visited for half of the time, and integrate for the other half."""
        start = time.process_time()
        while time.process_time() - start < seconds / 2:
            tree = next((tree for tree in self.best(math.inf) if tree not in self.visited), None)
            if tree is None:
                break
            self.visit(tree)
        self.integrate(until=start + seconds)

    def log_marginal_likelihood(self) -> float:
        return self.dag.log_marginal_likelihood(float(np.logaddexp.reduce(list(self.integrals.values()))))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--alignments", nargs="+", default=list(PUBLISHED))
    parser.add_argument("--seconds", type=float, default=60.0, help="CPU seconds per alignment")
    parser.add_argument("--single", action="store_true", help="one interchange at a time: slower, to other optima")
    options = parser.parse_args()
    print("| alignment | taxa | lower bound | trees | visited | VBPI | PhyloGFN | CPU seconds |\n" + "|---" * 8 + "|")
    for alignment in options.alignments:
        start = time.process_time()
        search = Search(alignment, options.single)
        search.run(options.seconds)
        published = [f"{value:,.2f}" for value in PUBLISHED.get(alignment, ())] or ["", ""]
        cells = [
            alignment,
            search.taxa,
            f"{search.log_marginal_likelihood():,.2f}",
            len(search.integrals),
            len(search.visited),
        ]
        cells += [*published, f"{time.process_time() - start:.0f}"]
        print("| " + " | ".join(map(str, cells)) + " |", flush=True)


if __name__ == "__main__":
    main()
