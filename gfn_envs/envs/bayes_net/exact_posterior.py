"""Exact posteriors over graphs: all of them on up to 6 nodes, and sums over them on up to 12."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from gfn_envs.arrays import FloatArray, IntArray
from gfn_envs.envs.bayes_net import bitmask_graphs as digraphs

Extended = npt.NDArray[np.longdouble]

#: Up to this many nodes, all graphs are listed: 3,781,503 of 6 nodes, and 1.1 billion of 7.
MAX_LISTED = 6
#: Up to this many nodes, sums over graphs are computed: 3^12 terms for each edge.
MAX_SUMMED = 12
#: Graphs per chunk.
CHUNK = 2**17


def all_graphs(d: int) -> IntArray:
    """The parents of each node in every directed acyclic graph on d <= 6 nodes, as masks, int64 (number of graphs, d).

    Each graph on j nodes gives those on j + 1 nodes by all parents and children of the new node that close no cycle.
    """
    graphs = np.zeros((1, 1), dtype=np.int64)
    for j in range(1, d):
        parents, children = np.divmod(np.arange(4**j), 2**j)
        # A cycle needs a path from a child of the new node to a parent of it.
        ancestors = np.zeros((len(graphs), 2**j), dtype=np.int64)
        of_each = digraphs.ancestors(graphs)
        for i in range(j):
            ancestors |= np.where(np.arange(2**j) >> i & 1, of_each[:, i, None] | 1 << i, 0)
        row, choice = np.nonzero(ancestors[:, parents] & children == 0)
        grown = np.empty((len(row), j + 1), dtype=np.int64)
        grown[:, :j] = graphs[row] | (children[choice, None] >> np.arange(j) & 1) << j
        grown[:, j] = parents[choice]
        graphs = grown
    return graphs


def log_family_scores(scores: Callable[[IntArray], FloatArray], log_prior: FloatArray, max_parents: int) -> FloatArray:
    """Log score plus log prior of each node and parent set, float64 (d, 2^d); -inf if it is not allowed.

    Args:
        scores: local scores (n, d) of parent sets (n, d).
        log_prior: log prior of each number of parents (d,).
        max_parents: largest number of parents.
    """
    d = len(log_prior)
    masks = np.arange(2**d)
    sizes = digraphs.unpack(masks, d).sum(1)
    allowed = (masks[:, None] >> np.arange(d) & 1 == 0) & (sizes <= max_parents)[:, None]
    found = scores(np.where(allowed, masks[:, None], 0)) + log_prior[np.minimum(sizes, d - 1)][:, None]
    return np.where(allowed, found, -np.inf).T


def listed_marginals(log_scores: FloatArray) -> dict[str, FloatArray]:
    """Posterior means of :func:`bitmask_graphs.features` over all graphs, each float64 (d, d).

    Args:
        log_scores: of each node and parent set (d, 2^d), d <= 6.
    """
    d = len(log_scores)
    graphs = all_graphs(d)
    log_reward = sum(log_scores[j][graphs[:, j]] for j in range(d))
    weights = np.exp(log_reward - np.max(log_reward))
    weights /= weights.sum()
    total: dict[str, FloatArray] = {}
    for first in range(0, len(graphs), CHUNK):
        part = slice(first, first + CHUNK)
        for name, masks in digraphs.feature_masks(graphs[part]).items():
            counts = [np.bincount(column, weights[part], minlength=2**d) for column in masks.T]
            total[name] = total.get(name, 0) + np.array(counts)
    # From the probability of each mask to that of each bit.
    bits = np.arange(2**d)[:, None] >> np.arange(d) & 1
    return {name: (probabilities @ bits).T for name, probabilities in total.items()}


# ---------------------------------------------------------------------- sums over graphs


def summed_edges(log_scores: FloatArray) -> FloatArray:
    """Posterior probability of each edge i -> j, float64 (d, d), in 3^d steps (Tian and He 2009).

    Args:
        log_scores: of each node and parent set (d, 2^d).
    """
    d = len(log_scores)
    log_z = _log_sums(log_scores.astype(np.longdouble), with_edges=True)
    return np.exp(log_z[1:] - log_z[0]).astype(np.float64).reshape(d, d)


def log_partition(log_scores: FloatArray) -> float:
    """log of the sum over all graphs of the product of the scores of their families."""
    return float(_log_sums(log_scores.astype(np.longdouble), with_edges=False)[0])


def _log_sums(log_scores: Extended, with_edges: bool) -> Extended:
    """log of the sum over all graphs (1,); and over those with the edge i -> j, at 1 + i d + j, (1 + d^2,).

    Z(U) = sum over nonempty S of U of (-1)^(|S| + 1) Z(U - S) prod over j in S of the sum of the scores of j over its
    parents in U - S: inclusion and exclusion over the nodes S without children. Each term is at most Z(U), so extended
    precision suffices despite cancellation.
    """
    d = len(log_scores)
    masks = np.arange(2**d)
    with np.errstate(divide="ignore"):
        below = _over_subsets(log_scores)  # log of the sum over parent sets within a set, (d, 2^d)
        shift = np.zeros((2**d, d, 1), dtype=np.longdouble)
        if with_edges:
            # The same with parent i among them, less the one above: [set, j, 1 + i d + j].
            shift = np.zeros((2**d, d, 1 + d * d), dtype=np.longdouble)
            for i in range(d):
                kept = np.where(masks >> i & 1, log_scores, -np.inf)
                shift[:, np.arange(d), 1 + i * d + np.arange(d)] = (_over_subsets(kept) - below).T
        log_z = np.zeros((2**d, shift.shape[2]), dtype=np.longdouble)
        for union in masks[1:]:
            members = np.flatnonzero(union >> np.arange(d) & 1)
            chosen = (np.arange(1, 2 ** len(members))[:, None] >> np.arange(len(members)) & 1).astype(bool)
            rest = union - (chosen << members).sum(1)
            terms = log_z[rest]
            for place, j in enumerate(members):
                rows = np.flatnonzero(chosen[:, place])
                terms[rows] += below[j, rest[rows], None] + shift[rest[rows], j]
            largest = terms.max(0)
            scaled = np.exp(terms - np.where(np.isfinite(largest), largest, 0))
            sign = np.where(chosen.sum(1) % 2, 1, -1)
            log_z[union] = np.log(np.maximum(sign @ scaled, 0)) + largest
    return log_z[-1]


def _over_subsets(logs: Extended) -> Extended:
    """log of the sums of exp(logs) (d, 2^d) over the subsets of each set."""
    d = len(logs)
    total = logs.copy()
    for k in range(d):
        halves = total.reshape(d, -1, 2, 2**k)
        halves[:, :, 1] = np.logaddexp(halves[:, :, 1], halves[:, :, 0])
    return total
