"""Lower bounds of log p(alignment) of DS1 to DS8 by summing over the best topologies, beside published estimates.

The model is that of the published estimates: JC69, all unrooted topologies equally probable, independent exponential
priors of branch lengths with mean 0.1. p(alignment | tree) is GFN/PhyloTree-v0's reward with score="jc69". The search
starts at the neighbor-joining tree (Saitou and Nei 1987). It maximizes the branch lengths of the most promising tree
not yet visited, and values the tree's nearest-neighbor interchanges with one new branch length each. The sum over the
integrated trees, divided by the number of all trees, is a lower bound, up to the error of Laplace's approximation. It
comes close if few trees have most of the posterior. The estimate adds the other trees: their integral is the maximum of
the integrand times the mean ratio of the two.

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
#: Trees whose integrand at the maximum is lower than the best by more are not integrated.
WINDOW = 6.0

Tree = Any  # The number of a taxon, or a pair of trees, that with the smaller taxon first.
Lengths = dict[int, float]


def first(tree: Tree) -> int:
    """The smallest taxon of a tree, which is its label."""
    while not isinstance(tree, int):
        tree = tree[0]
    return tree


def pair(a: Tree, b: Tree) -> Tree:
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

    def __init__(self, alignment: str):
        self.dag = gfn_envs.make_dag("GFN/PhyloTree-v0", alignment=alignment, score="jc69", constant=0.0)
        self.likelihood, self.taxa = self.dag.likelihood, self.dag.num_taxa
        start = neighbor_joining(jukes_cantor_distances(list(self.dag.sequences.values())))
        #: Values of trees that were not visited, at most their maxima, and logs of branch lengths by clade.
        self.waiting: dict[Tree, tuple[float, Lengths]] = {start: (-math.inf, {})}
        #: Maxima of the visited trees, with the logs of the lengths.
        self.maxima: dict[Tree, tuple[float, Lengths]] = {}
        self.integrals: dict[Tree, float] = {}

    def trees(self, tree: Tree) -> tuple[Trees, list[int]]:
        """A batch of one tree, and the taxa below each of its nodes as bits."""
        into, merged, masks = joins(tree, self.taxa)
        return trees_of(np.array([into]), np.array([merged])), masks

    def maximize(self, tree: Tree, lengths: Lengths, tolerance: float) -> tuple[Trees, list[int], np.ndarray]:
        """The tree with the logs of its branch lengths (1, branches) at the maximum, from those of a neighbor."""
        trees, masks = self.trees(tree)
        start = np.array([[lengths.get(mask, math.log(0.02)) for mask in masks]])
        return trees, masks, self.likelihood.log_lengths(trees, start, tolerance)[0]

    def visit(self, tree: Tree) -> None:
        """Maximize a tree, and value its neighbors, and the tree with all better interchanges at once."""
        trees, masks, logs = self.maximize(tree, self.waiting.pop(tree)[1], tolerance=0.1)
        value, lengths = float(self.likelihood.value(trees, logs)[0]), dict(zip(masks, logs[0].tolist(), strict=True))
        self.maxima[tree] = value, lengths
        nodes, gains, log_lengths = self.likelihood.interchanges(trees, logs)
        place = {masks[node]: row for row, node in enumerate(nodes.tolist())}
        better = []
        for inner, which, other in neighbors(tree):
            row = place[clade(inner)]
            gain = float(gains[row, which])
            if gain > 0:
                better.append((gain, other))
            new = joins(other, self.taxa)[2]
            changed = next(mask for mask in new if mask not in lengths)
            self.wait(other, value + gain, {**lengths, changed: float(log_lengths[row, which])})
        better.sort(key=lambda pair: -pair[0])
        if len(better) > 1:
            self.wait(combined(tree, [other for _, other in better], self.taxa), value + better[0][0] + 1e-6, lengths)

    def wait(self, tree: Tree, value: float, lengths: Lengths) -> None:
        if tree not in self.maxima and value > self.waiting.get(tree, (-math.inf, {}))[0]:
            self.waiting[tree] = value, lengths

    def integrate(self, until: float) -> None:
        """The best visited trees within the window, one after the other, until this CPU time."""
        for tree in sorted(self.maxima, key=lambda tree: -self.maxima[tree][0]):
            least = max(value for value, _ in self.maxima.values()) - WINDOW
            if self.integrals and (time.process_time() > until or self.maxima[tree][0] < least):
                break
            trees, _, logs = self.maximize(tree, self.maxima[tree][1], tolerance=1e-6)
            self.integrals[tree] = float(self.likelihood.integral(trees, logs)[0])

    def run(self, seconds: float) -> None:
        """Visit the most promising trees for half of the time, and integrate for the other half."""
        start = time.process_time()
        while self.waiting and time.process_time() - start < seconds / 2:
            self.visit(max(self.waiting, key=lambda tree: self.waiting[tree][0]))
        self.integrate(until=start + seconds)

    def log_marginal_likelihood(self) -> float:
        """The lower bound."""
        return self.dag.log_marginal_likelihood(float(np.logaddexp.reduce(list(self.integrals.values()))))

    def estimate(self) -> float:
        """The lower bound with all other trees, whose integrals are estimated from their maxima."""
        ratio = np.mean([integral - self.maxima[tree][0] for tree, integral in self.integrals.items()])
        others = {**self.waiting, **self.maxima}
        rest = [value + ratio for tree, (value, _) in others.items() if tree not in self.integrals]
        return self.dag.log_marginal_likelihood(float(np.logaddexp.reduce([*self.integrals.values(), *rest])))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--alignments", nargs="+", default=list(PUBLISHED))
    parser.add_argument("--seconds", type=float, default=60.0, help="CPU seconds per alignment")
    options = parser.parse_args()
    header = "alignment | taxa | lower bound | estimate | integrated | visited | VBPI | PhyloGFN | CPU seconds"
    print(f"| {header} |\n{'|---' * 9}|")
    for alignment in options.alignments:
        start = time.process_time()
        search = Search(alignment)
        search.run(options.seconds)
        published = [f"{value:,.2f}" for value in PUBLISHED.get(alignment, ())] or ["", ""]
        cells = [
            alignment,
            search.taxa,
            f"{search.log_marginal_likelihood():,.2f}",
            f"{search.estimate():,.2f}",
            len(search.integrals),
            len(search.maxima),
        ]
        cells += [*published, f"{time.process_time() - start:.0f}"]
        print("| " + " | ".join(map(str, cells)) + " |", flush=True)


if __name__ == "__main__":
    main()
