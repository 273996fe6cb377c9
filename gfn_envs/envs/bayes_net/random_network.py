"""Random linear-Gaussian and discrete networks, and data that are sampled from them."""

from __future__ import annotations

import math

import numpy as np

from gfn_envs.arrays import BoolArray, FloatArray, IntArray
from gfn_envs.envs.bayes_net.bitmask_graphs import pack
from gfn_envs.envs.bayes_net.data_table import Table
from gfn_envs.validation import check_size


def simulated(
    num_nodes: int,
    num_samples: int,
    edges_per_node: float,
    seed: int,
    discrete: bool,
    separator: str = "auto",
    decimal: str = "auto",
) -> tuple[IntArray, Table]:
    """A random network of columns X0, X1, ... as bit masks of parents (d,), and samples from it.

    Raises:
        ValueError: the table would be too large; or ``separator`` or ``decimal`` is set, which are for files.
    """
    for name, value in (("separator", separator), ("decimal", decimal)):
        if value != "auto":
            raise ValueError(f"BayesNet: {name} is for the file of data, but data is None")
    check_size("num_samples", num_samples * num_nodes, "BayesNet")
    sample = sample_discrete_network if discrete else sample_network
    graph, values = sample(num_nodes, num_samples, edges_per_node, np.random.default_rng(seed))
    return graph, Table(tuple(f"X{j}" for j in range(num_nodes)), values, (None,) * num_nodes)


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
    order, edge = _random_graph(num_nodes, edges_per_node, rng)
    weights = edge * rng.normal(size=(num_nodes, num_nodes))
    noise = math.sqrt(0.1) * rng.normal(size=(num_samples, num_nodes))
    values = np.zeros((num_samples, num_nodes))
    adjacency = np.zeros((num_nodes, num_nodes), dtype=bool)
    for place, node in enumerate(order):
        before = order[:place]
        values[:, node] = values[:, before] @ weights[:place, place] + noise[:, node]
        adjacency[before, node] = edge[:place, place]
    return pack(adjacency.T), values


def sample_discrete_network(
    num_nodes: int, num_samples: int, edges_per_node: float, rng: np.random.Generator
) -> tuple[IntArray, FloatArray]:
    """A random network of binary variables on an Erdos-Renyi graph, and samples from it.

    Each probability of a value given the values of the parents is uniform on [0, 1]. Arguments and results are those
    of :func:`sample_network`; samples are 0 or 1, and none of the columns is constant.
    """
    order, edge = _random_graph(num_nodes, edges_per_node, rng)
    values = np.zeros((num_samples, num_nodes))
    adjacency = np.zeros((num_nodes, num_nodes), dtype=bool)
    for place, node in enumerate(order):
        parents = order[:place][edge[:place, place]]
        adjacency[parents, node] = True
        _, configuration = np.unique(values[:, parents], axis=0, return_inverse=True)
        while np.ptp(values[:, node]) == 0:
            probability = rng.random(configuration.max() + 1)[configuration.reshape(-1)]
            values[:, node] = rng.random(num_samples) < probability
    return pack(adjacency.T), values


def _random_graph(num_nodes: int, edges_per_node: float, rng: np.random.Generator) -> tuple[IntArray, BoolArray]:
    """A random order of nodes (d,), and edges between places in this order, bool (d, d), upper triangular."""
    order = rng.permutation(num_nodes)
    probability = min(1.0, 2 * edges_per_node / (num_nodes - 1))
    return order, np.triu(rng.random((num_nodes, num_nodes)) < probability, 1)
