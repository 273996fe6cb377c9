"""Random linear-Gaussian networks, and data that are sampled from them."""

from __future__ import annotations

import math

import numpy as np

from gfn_envs.arrays import FloatArray, IntArray
from gfn_envs.envs.bayes_net.bitmask_graphs import pack


def sample_network(
    num_nodes: int, num_samples: int, edges_per_node: float, rng: np.random.Generator
) -> tuple[IntArray, FloatArray]:
    """A random linear-Gaussian network on an Erdos-Renyi graph, and samples from it (Deleu et al. 2022, section 5).

    Weights are N(0, 1), and the variance of the noise is 0.1.

    Args:
        num_nodes: number of nodes d, >= 2.
        num_samples: number of samples.
        edges_per_node: expected number of edges per node, >= 0.
        rng: source of randomness.

    Returns:
        The parents of each node as bit masks, int64 (d,), and the samples, float64 (num_samples, d).
    """
    order = rng.permutation(num_nodes)
    probability = min(1.0, 2 * edges_per_node / (num_nodes - 1))
    edge = np.triu(rng.random((num_nodes, num_nodes)) < probability, 1)
    weights = edge * rng.normal(size=(num_nodes, num_nodes))
    noise = math.sqrt(0.1) * rng.normal(size=(num_samples, num_nodes))
    values = np.zeros((num_samples, num_nodes))
    adjacency = np.zeros((num_nodes, num_nodes), dtype=bool)
    for place, node in enumerate(order):
        before = order[:place]
        values[:, node] = values[:, before] @ weights[:place, place] + noise[:, node]
        adjacency[before, node] = edge[:place, place]
    return pack(adjacency.T), values
