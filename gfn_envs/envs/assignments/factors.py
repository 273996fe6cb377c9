"""Factor graphs: log potentials on cliques of variables, and the four families of Buesing et al. 2020."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from gfn_envs.arrays import BoolArray, FloatArray, IntArray
from gfn_envs.user_arrays import ordered, real_array
from gfn_envs.validation import positive_int, shown

#: A random graph is drawn at most MAX_TRIES times until it is connected and no clique has more than MAX_CLIQUE nodes.
MAX_TRIES, MAX_CLIQUE = 10_000, 4


class Factor(NamedTuple):
    """A table of log potentials over the values of some variables."""

    variables: tuple[int, ...]
    table: FloatArray
    """Log potentials, float64, one axis of length K per variable."""


class Factors(NamedTuple):
    """The factors of a graph, and an order of its variables."""

    factors: tuple[Factor, ...]
    order: IntArray
    """The order in which autoregressive construction assigns the variables, a permutation (D,)."""


# ---------------------------------------------------------------------- evaluation


class FactorSum:
    """The sum of the log potentials of all factors whose variables are all assigned.

    Args:
        factors: the factors.
        num_variables: D.
        num_values: K; a variable with value K is unassigned.
    """

    def __init__(self, factors: Sequence[Factor], num_variables: int, num_values: int):
        size = num_values + 1
        self._strides = np.zeros((num_variables, len(factors)), dtype=np.int64)
        tables = []
        for f, (variables, table) in enumerate(factors):
            # The additional value on each axis stands for an unassigned variable, for which the factor is 0.
            padded = np.zeros((size,) * len(variables))
            padded[(slice(num_values),) * len(variables)] = table
            tables.append(padded.ravel())
            self._strides[list(variables), f] = size ** np.arange(len(variables))[::-1]
        self._tables = np.concatenate([*tables, np.zeros(0)])
        self._offsets = np.cumsum([0] + [len(table) for table in tables])[: len(factors)]

    def __call__(self, states: IntArray) -> FloatArray:
        """The sums, float64 (n,), of states (n, D)."""
        entries = states.astype(np.int64) @ self._strides + self._offsets
        return np.asarray(self._tables.take(entries).sum(1), dtype=np.float64)


# ---------------------------------------------------------------------- families


def chain(num_variables: int, num_values: int, rng: np.random.Generator) -> Factors:
    """Unary potentials from a Gaussian process over (variable, value), and 2.5 |x_i - x_i+1| between neighbors.

    The kernel is 0.5 exp(-distance^2 / 2). A difference of K - 1 counts as 1, as the values 0 and K - 1 are adjacent.
    """
    points = np.stack(np.meshgrid(np.arange(num_variables), np.arange(num_values), indexing="ij"), -1).reshape(-1, 2)
    kernel = 0.5 * np.exp(-0.5 * ((points[:, None] - points) ** 2).sum(-1))
    root = np.linalg.cholesky(kernel + 1e-8 * np.eye(len(kernel)))
    unary = (root @ rng.normal(size=len(kernel))).reshape(num_variables, num_values)
    difference = np.abs(np.arange(num_values)[:, None] - np.arange(num_values))
    pair = 2.5 * np.where(difference == num_values - 1, 1, difference)
    factors = [Factor((i,), unary[i]) for i in range(num_variables)]
    factors += [Factor((i, i + 1), pair) for i in range(num_variables - 1)]
    return Factors(tuple(factors), np.arange(num_variables))


def permuted_chain(num_variables: int, num_values: int, rng: np.random.Generator) -> Factors:
    """log p(x_i+1 | x_i) between neighbors, with rows drawn from Dirichlet(1, ..., 1), and a random order."""
    tables = np.log(rng.dirichlet(np.ones(num_values), size=(num_variables - 1, num_values)))
    factors = tuple(Factor((i, i + 1), table) for i, table in enumerate(tables))
    return Factors(factors, rng.permutation(num_variables))


def factor_graph_1(num_variables: int, num_values: int, rng: np.random.Generator) -> Factors:
    """N(0, 1) potentials on the maximal cliques of a connected Erdos-Renyi graph, p = 2 log D / D."""
    cliques = random_cliques(num_variables, 2 * math.log(num_variables) / num_variables, rng)
    factors = tuple(Factor(clique, rng.normal(size=(num_values,) * len(clique))) for clique in cliques)
    return Factors(factors, by_clique_size(factors, num_variables))


def factor_graph_2(num_variables: int, num_values: int, rng: np.random.Generator) -> Factors:
    """XOR factors on D / 2 pairs of binary variables, and majority factors across pairs.

    An XOR factor is 2 if the variables of the pair differ. A majority factor is 2 if at least half of its variables are
    1. There is one majority factor per maximal clique of a connected Erdos-Renyi graph over the pairs, p = 3 log(D / 2)
    / D, on one variable of each pair in the clique, drawn at random.

    Raises:
        ValueError: the number of variables is odd, or the number of values is not 2.
    """
    if num_variables % 2 or num_values != 2:
        raise ValueError(
            "factor_graph_2 needs an even number of variables with 2 values each, "
            f"got {num_variables} with {num_values}"
        )
    factors = []
    for clique in random_cliques(num_variables // 2, 3 * math.log(num_variables / 2) / num_variables, rng):
        chosen = tuple(
            2 * pair + int(which) for pair, which in zip(clique, rng.integers(2, size=len(clique)), strict=True)
        )
        factors.append(Factor(chosen, 2.0 * (np.indices((2,) * len(clique)).sum(0) >= len(clique) / 2)))
    factors += [Factor((i, i + 1), np.array([[0.0, 2.0], [2.0, 0.0]])) for i in range(0, num_variables, 2)]
    return Factors(tuple(factors), by_clique_size(factors, num_variables))


FAMILIES: dict[str, Callable[[int, int, np.random.Generator], Factors]] = {
    "chain": chain,
    "permuted_chain": permuted_chain,
    "factor_graph_1": factor_graph_1,
    "factor_graph_2": factor_graph_2,
}


def by_clique_size(factors: Sequence[Factor], num_variables: int) -> IntArray:
    """The variables (D,), sorted by the size of the largest factor that contains them, largest first."""
    listed = [v for factor in sorted(factors, key=lambda f: len(f.variables), reverse=True) for v in factor.variables]
    return np.array(list(dict.fromkeys([*listed, *range(num_variables)])))


# ---------------------------------------------------------------------- random graphs


def random_cliques(num_nodes: int, probability: float, rng: np.random.Generator) -> list[tuple[int, ...]]:
    """Maximal cliques of an Erdos-Renyi graph that is connected and has no clique of more than MAX_CLIQUE nodes.

    The graph is redrawn until it has these properties.

    Raises:
        ValueError: no such graph was drawn in MAX_TRIES tries.
    """
    for _ in range(MAX_TRIES):
        upper = np.triu(rng.random((num_nodes, num_nodes)) < probability, 1)
        adjacency = upper | upper.T
        if _is_connected(adjacency):
            cliques = sorted(maximal_cliques(adjacency))
            if max(map(len, cliques)) <= MAX_CLIQUE:
                return cliques
    raise ValueError(
        f"no connected random graph of {num_nodes} nodes without cliques of more than {MAX_CLIQUE} in {MAX_TRIES} tries"
    )


def _is_connected(adjacency: BoolArray) -> bool:
    reached = np.zeros(len(adjacency), dtype=bool)
    reached[0] = True
    for _ in range(len(adjacency)):
        reached |= adjacency[reached].any(0)
    return bool(reached.all())


def maximal_cliques(adjacency: BoolArray) -> list[tuple[int, ...]]:
    """Cliques that no other node extends, by the algorithm of Bron and Kerbosch 1973."""
    neighbors = [set(np.flatnonzero(row).tolist()) for row in adjacency]
    found: list[tuple[int, ...]] = []

    def extend(clique: list[int], candidates: set[int], excluded: set[int]) -> None:
        if not candidates and not excluded:
            found.append(tuple(sorted(clique)))
        for node in sorted(candidates):
            extend([*clique, node], candidates & neighbors[node], excluded & neighbors[node])
            candidates, excluded = candidates - {node}, excluded | {node}

    extend([], set(range(len(adjacency))), set())
    return found


# ---------------------------------------------------------------------- factors from the user


def checked_factors(factors: Any, num_variables: int, num_values: int, where: str) -> Factors:
    """Factors from (variables, table) pairs, with variables of large factors first in the order.

    Raises:
        TypeError: the factors have no order or are not pairs, variables are not integers or have no order, or a table
            has labels or other entries than real numbers.
        ValueError: a factor's variables are not distinct or not in 0..D - 1, its table does not have one axis of length
            K per variable, or a log potential is masked or non-finite. The message gives the position of the factor.
    """
    if isinstance(factors, Mapping):
        raise TypeError(f"{where}: graph is a mapping; give a list of (variables, table) pairs: list(graph.items())")
    if isinstance(factors, os.PathLike):
        raise TypeError(f"{where}: graph cannot be a file ({factors}); allowed: a name or a list of factors")
    factors = ordered(factors, where, "graph")
    if not hasattr(factors, "__len__"):
        raise TypeError(f"{where}: graph must be a name or a list of (variables, table) pairs, got {shown(factors)}")
    result = []
    for f, factor in enumerate(factors):
        here = f"{where}: factor {f}"
        if not isinstance(factor, tuple | list) or len(factor) != 2:
            size = f" of {len(factor)}" if hasattr(factor, "__len__") else ""
            raise TypeError(f"{here}: expected a pair (variables, table), got a {type(factor).__name__}{size}")
        scope, values = _scope(factor[0], num_variables, here), real_array(factor[1], here, "the table")
        if values.shape != (num_values,) * len(scope):
            raise ValueError(f"{here}: the table must have shape {(num_values,) * len(scope)}, got {values.shape}")
        if not np.isfinite(values).all():
            raise ValueError(f"{here}: log potentials must be finite, got {values[~np.isfinite(values)][0]}")
        result.append(Factor(scope, values))
    return Factors(tuple(result), by_clique_size(result, num_variables))


def _scope(variables: Any, num_variables: int, where: str) -> tuple[int, ...]:
    """The variables of a factor, in the order of the axes of its table."""
    variables = ordered(variables, where, "variables")
    if not hasattr(variables, "__len__") or np.ndim(variables) != 1:
        raise TypeError(f"{where}: variables must be a tuple of integers, got {variables!r}")
    scope = tuple(positive_int(f"variables[{i}]", v, where, 0, num_variables - 1) for i, v in enumerate(variables))
    if not scope or len(set(scope)) < len(scope):
        raise ValueError(f"{where}: variables must be distinct and in 0..{num_variables - 1}, got {list(scope)}")
    return scope
