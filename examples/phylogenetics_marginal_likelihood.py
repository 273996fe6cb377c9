"""Estimates of log p(alignment) of DS1 to DS8 by importance sampling of trees, beside published estimates.

The model is that of the published estimates: JC69, all unrooted topologies equally probable, independent exponential
priors of branch lengths with mean 0.1.

1. Search. It starts at neighbor-joining trees (Saitou and Nei 1987) of all sites and of resampled sites, maximizes the
   branch lengths of the most promising tree not yet visited, and values the tree's nearest-neighbor interchanges with
   one new branch length each. If these do not help, it moves subtrees of the best tree to all other branches.
2. A distribution over trees in which clades split independently is fitted to these trees, then to its own samples with
   importance weights, for a few rounds. It combines parts of trees, so it reaches the many trees that share a flat
   posterior.
3. Trees are sampled from the last distribution. The mean of their weights estimates the sum over trees of the maxima of
   the integrands. A few trees, drawn in proportion to weights, give the mean ratio of the integral over branch lengths
   to the maximum. Each integral is estimated by importance sampling too.

The standard error is that of the last step. If the posterior has parts that no sample reached, the estimate is too low.

Alignments are data sets (gfn data fetch phylo-ds1).

python examples/phylogenetics_marginal_likelihood.py --seconds 60
python examples/phylogenetics_marginal_likelihood.py --alignments mine.fasta
"""

from __future__ import annotations

import argparse
import heapq
import math
import time
from collections.abc import Callable

import numpy as np

import gfn_envs
from gfn_envs.envs.phylogenetics.branch_sampling import log_importance_weights, log_mean
from gfn_envs.envs.phylogenetics.clade_distribution import CladeDistribution, Split, count_splits, mix, shares
from gfn_envs.envs.phylogenetics.neighbor_joining import jukes_cantor_distances, neighbor_joining
from gfn_envs.envs.phylogenetics.nested_trees import (
    Tree,
    clade,
    combined,
    joins,
    neighbors,
    regrafted,
    splits,
    tree_of_splits,
)
from gfn_envs.envs.phylogenetics.pruning import Trees, trees_of

#: Published estimates: variational Bayes with pre-generated trees (VBPI, Zhang and Matsen 2019) with the published
#: standard deviation, and PhyloGFN (Zhou et al. 2024).
PUBLISHED = {
    "DS1": (-7108.42, 0.10, -7108.95),
    "DS2": (-26367.72, 0.12, -26368.90),
    "DS3": (-33735.10, 0.11, -33735.60),
    "DS4": (-13329.94, 0.31, -13331.83),
    "DS5": (-8214.61, 0.67, -8215.15),
    "DS6": (-6724.34, 0.68, -6730.68),
    "DS7": (-37332.03, 0.43, -37359.96),
    "DS8": (-8650.63, 0.55, -8654.76),
}
#: Shares of the time after which the search, the rounds of fitting, and the sampling end. Integrals take the rest.
SEARCHED, FITTED, SAMPLED = 0.4, 0.65, 0.8
#: Trees per round, draws of the branch lengths per integral, trees of the first fit, and the fewest integrals.
ROUND, DRAWS, FIRST, FEWEST = 100, 64, 3000, 20
#: Visits without a better tree before a scan, and trees that it maximizes.
PATIENCE, SCANNED = 15, 40
#: Sampled trees per round whose neighbors are fitted, the smallest ratio of these, and proportions in the fit.
BASES, SMALL, SHARES = 10, 1e-4, {"search": 0.05, "samples": 0.55, "near": 0.4}

Lengths = dict[int, float]


class Search:
    """Topologies with the maximum of the integrand over branch lengths, and samples of them."""

    def __init__(self, alignment: str):
        self.dag = gfn_envs.make_dag("GFN/PhyloTree-v0", alignment=alignment, score="jc69", constant=0.0)
        self.likelihood, self.taxa = self.dag.likelihood, self.dag.num_taxa
        self.sequences = list(self.dag.sequences.values())
        #: Values of trees to visit, at most their maxima, and logs of branch lengths by clade.
        self.waiting: dict[Tree, tuple[float, Lengths]] = {}
        #: Maxima of the visited trees, with the logs of the lengths.
        self.maxima: dict[Tree, tuple[float, Lengths]] = {}
        #: Logs of the branch lengths above clades in the trees visited last.
        self.lengths: Lengths = {}
        #: Values of the neighbors of each visited tree, minus its own.
        self.ratios: dict[Tree, dict[Tree, float]] = {}
        #: Sampled trees, with the logs of maximum / probability; and of trees drawn from them, the logs of
        #: integral / maximum, by importance sampling and by Laplace's approximation.
        self.weights: list[tuple[Tree, float]] = []
        self.integrals: list[tuple[float, float]] = []

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
        """Maximize a tree, and value its interchanges, and the tree with all better ones at once."""
        trees, masks, logs = self.maximize(tree, self.waiting.pop(tree)[1], tolerance=0.1)
        value, lengths = float(self.likelihood.value(trees, logs)[0]), dict(zip(masks, logs[0].tolist(), strict=True))
        self.maxima[tree] = value, lengths
        self.lengths |= lengths
        nodes, gains, log_lengths = self.likelihood.interchanges(trees, logs)
        place = {masks[node]: row for row, node in enumerate(nodes.tolist())}
        better, self.ratios[tree] = [], {}
        for inner, which, other in neighbors(tree):
            row = place[clade(inner)]
            gain = self.ratios[tree][other] = float(gains[row, which])
            if gain > 0:
                better.append((gain, other))
            new = joins(other, self.taxa)[2]
            changed = next(mask for mask in new if mask not in lengths)
            self.wait(other, value + gain, {**lengths, changed: float(log_lengths[row, which])})
        better.sort(key=lambda pair: -pair[0])
        if len(better) > 1:
            self.wait(combined(tree, [other for _, other in better], self.taxa), value + better[0][0] + 1e-6, lengths)

    def scan(self, tree: Tree) -> None:
        """Maximize the most promising trees that differ by moving one subtree (SPR), which then wait for a visit."""
        trees, masks, logs = self.maximize(tree, self.maxima[tree][1], tolerance=0.1)
        inner = [k for k, mask in enumerate(masks) if k not in (trees.left[0, -1], trees.right[0, -1])]
        lengths, nodes = np.exp(logs), np.array(inner, dtype=np.int64)
        lengths[0, trees.no_branch] = 0.0
        rows = self.likelihood.chunks(trees.take(np.zeros(len(nodes), dtype=np.int64)))
        gains = np.concatenate([self.likelihood.pruning.regrafts(trees, lengths, nodes[part]) for part in rows])
        found: set[Tree] = set()
        for k in gains.argsort(axis=None)[::-1].tolist():
            node, target = masks[nodes[k // len(masks)]], masks[k % len(masks)]
            if target & node != target and target != 1 << self.taxa - 1:
                other = regrafted(tree, node, target)
                found |= {other} - self.maxima.keys()
            if len(found) == SCANNED:
                break
        self.maximize_all(list(found))

    def wait(self, tree: Tree, value: float, lengths: Lengths) -> None:
        if tree not in self.ratios and value > self.waiting.get(tree, (-math.inf, {}))[0]:
            self.waiting[tree] = value, lengths

    def search(self, go_on: Callable[[], bool], rng: np.random.Generator) -> None:
        """Climb from the neighbor-joining tree, and then from those of resampled sites (bootstrap)."""
        sites = np.arange(len(self.sequences[0]))
        while go_on():
            distances = jukes_cantor_distances(["".join(map(row.__getitem__, sites)) for row in self.sequences])
            others, self.waiting = self.waiting, {neighbor_joining(distances): (-math.inf, {})}
            self.climb(go_on)
            for tree, (value, lengths) in others.items():
                self.wait(tree, value, lengths)
            sites = rng.integers(0, len(sites), len(sites))

    def climb(self, go_on: Callable[[], bool]) -> None:
        """Visit the most promising tree; after visits in vain, scan the best tree, and stop if that was in vain too."""
        best, vain, scanned = -math.inf, 0, None
        while self.waiting and go_on():
            tree = max(self.waiting, key=lambda tree: self.waiting[tree][0])
            self.visit(tree)
            if self.maxima[tree][0] > best + 0.1:
                top, best, vain = tree, self.maxima[tree][0], 0
            else:
                vain += 1
            if vain == PATIENCE:
                if scanned == top:
                    break
                vain, scanned = 0, top
                self.scan(top)

    def maximize_all(self, trees: list[Tree]) -> None:
        """Maximize the branch lengths of several trees, from those above the same clades in other trees."""
        for few in (trees[k : k + 10] for k in range(0, len(trees), 10)):
            into, merged, masks = zip(*(joins(tree, self.taxa) for tree in few), strict=True)
            batch = trees_of(np.array(into), np.array(merged))
            start = np.array([[self.lengths.get(mask, math.log(0.02)) for mask in of_tree] for of_tree in masks])
            logs, _ = self.likelihood.log_lengths(batch, start, tolerance=0.1)
            for tree, of_tree, row, value in zip(few, masks, logs, self.likelihood.value(batch, logs), strict=True):
                lengths = dict(zip(of_tree, row.tolist(), strict=True))
                self.maxima[tree] = float(value), lengths
                self.lengths |= lengths
                self.wait(tree, float(value), lengths)

    def sample(self, distribution: CladeDistribution, rng: np.random.Generator) -> list[tuple[Tree, float]]:
        """Trees with the logs of maximum / probability."""
        drawn = [distribution.sample(rng) for _ in range(ROUND)]
        found = [(tree_of_splits(of_tree), log_prob) for of_tree, log_prob in drawn]
        self.maximize_all([tree for tree in dict.fromkeys(tree for tree, _ in found) if tree not in self.maxima])
        return [(tree, self.maxima[tree][0] - log_prob) for tree, log_prob in found]

    def fit(self, until: Callable[[], bool], rng: np.random.Generator) -> CladeDistribution:
        """Fit a distribution to trees of the search, to weighted samples, and to neighbors of some of these.

        If a tree is a sample of the posterior, its neighbors, weighted by their ratios to it, have the posterior's
        proportions too: they bring in clades that no sample has.
        """
        values = {tree: value for tree, (value, _) in [*self.waiting.items(), *self.maxima.items()]}
        first = heapq.nlargest(FIRST, values, key=values.__getitem__)
        # Flatter than the posterior, so that more trees get weight.
        search = shares(map(splits, first), np.array([values[tree] for tree in first]) / 2)
        sampled, near, weight = list[tuple[Tree, float]](), dict[Split, float](), 0.0
        fitted = CladeDistribution(search)
        while until():
            sampled += self.sample(fitted, rng)
            trees, logs = zip(*sampled, strict=True)
            # Truncated weights (Ionides 2008).
            cut = np.minimum(logs, log_mean(np.array(logs))[0] + math.log(len(logs)) / 2)
            for k in (cut + rng.gumbel(size=len(cut))).argsort()[-BASES:]:
                if trees[k] not in self.ratios:
                    self.visit(trees[k])
                others = {other: min(math.exp(ratio), 1) for other, ratio in self.ratios[trees[k]].items()}
                others = {other: share for other, share in others.items() if share > SMALL}
                weight += sum(others.values())
                near = mix([(1.0, near), (1.0, count_splits(map(splits, others), others.values()))])
            parts = {"search": search, "samples": shares(map(splits, trees), cut)}
            fitted = CladeDistribution(
                mix([*((SHARES[name], part) for name, part in parts.items()), (SHARES["near"] / weight, near)])
            )
        return fitted

    def integrate(self, number: int, until: float, rng: np.random.Generator) -> None:
        """Ratios of integral to maximum, of up to ``number`` trees drawn by weight. The time never leaves too few."""
        logs = np.array([log_weight for _, log_weight in self.weights])
        ends = np.exp(logs - logs.max()).cumsum()
        # Systematic resampling, in a random order, in which the time may end.
        places = (np.arange(number) + rng.random()) / number * ends[-1]
        for k in rng.permutation(np.searchsorted(ends, places)):
            if len(self.integrals) >= FEWEST and time.process_time() > until:
                break
            tree = self.weights[k][0]
            maximum, lengths = self.maxima[tree]
            trees, _, logs = self.maximize(tree, lengths, tolerance=1e-6)
            hessian = self.likelihood.hessian(trees, logs)
            draws = log_importance_weights(self.likelihood, trees, logs, hessian, DRAWS, rng)
            laplace = float(self.likelihood.integral(trees, logs, hessian)[0])
            self.integrals.append((log_mean(draws)[0] - maximum, laplace - maximum))

    def run(self, seconds: float, seed: int = 0) -> None:
        """All steps, within this CPU time, but at least one tree."""
        start, rng = time.process_time(), np.random.default_rng(seed)
        early = lambda share: not self.maxima or time.process_time() - start < seconds * share  # noqa: E731
        self.search(lambda: early(SEARCHED), rng)
        last = self.fit(lambda: early(FITTED), rng)
        while not self.weights or early(SAMPLED):
            self.weights += self.sample(last, rng)
        self.integrate(200, start + seconds, rng)

    def estimate(self) -> tuple[float, float]:
        """log p(alignment), and its standard error."""
        total, error = log_mean(np.array([log_weight for _, log_weight in self.weights]))
        ratio, error_of_ratio = log_mean(np.array(self.integrals)[:, 0])
        return self.dag.log_marginal_likelihood(total + ratio), math.hypot(error, error_of_ratio)

    def laplace_error(self) -> float:
        """What Laplace's approximation of the integrals would add to the estimate."""
        exact, laplace = np.array(self.integrals).T
        return log_mean(laplace)[0] - log_mean(exact)[0]

    def effective_size(self) -> float:
        """Effective number of sampled trees."""
        _, error = log_mean(np.array([log_weight for _, log_weight in self.weights]))
        return 1 / (1 / len(self.weights) + error**2)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--alignments", nargs="+", default=list(PUBLISHED))
    parser.add_argument("--seconds", type=float, default=60.0, help="CPU seconds per alignment")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    header = (
        "alignment | taxa | estimate | Laplace error | trees | effective | integrals | VBPI | PhyloGFN | CPU seconds"
    )
    print(f"| {header} |\n{'|---' * 10}|")
    for alignment in options.alignments:
        start = time.process_time()
        search = Search(alignment)
        search.run(options.seconds, options.seed)
        value, error = search.estimate()
        published = ["{:,.2f} ± {:.2f}", "{2:,.2f}"] if alignment in PUBLISHED else ["", ""]
        cells = [
            alignment,
            search.taxa,
            f"{value:,.2f} ± {error:.2f}",
            f"{search.laplace_error():+.2f}",
            len(search.weights),
            f"{search.effective_size():.0f}",
            len(search.integrals),
            *(form.format(*PUBLISHED.get(alignment, ())) for form in published),
            f"{time.process_time() - start:.0f}",
        ]
        print("| " + " | ".join(map(str, cells)) + " |", flush=True)


if __name__ == "__main__":
    main()
