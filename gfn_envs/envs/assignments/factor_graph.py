"""FactorGraph: assignments of variables, weighted by potentials on cliques."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from gfn_envs.arrays import FloatArray, IntArray
from gfn_envs.envs.assignments.assignment import Assignment
from gfn_envs.envs.assignments.factors import FAMILIES, FactorSum, given_factors
from gfn_envs.validation import positive_int


class FactorGraph(Assignment):
    """Give every variable of a factor graph a value; log R is the sum of its log potentials.

    ## Description
    D variables with K values each, and factors: tables of log potentials on cliques of variables. The families are
    those of Buesing et al. 2020, drawn from ``seed``:

    * "chain": unary potentials from a Gaussian process, and 2.5 |x_i - x_i+1| between neighbours (a difference of K - 1
      counts as 1).
    * "permuted_chain": log p(x_i+1 | x_i) with Dirichlet(1) rows, assigned in a random order.
    * "factor_graph_1": N(0, 1) potentials on the maximal cliques, of at most 4, of a connected Erdos-Renyi graph.
    * "factor_graph_2": K = 2; pairs that prefer to differ (XOR), and majorities between pairs.

    ## Action Space
    non_autoregressive: ``Discrete(D K)``, action = variable * K + value, legal where the variable has no value.
    autoregressive: ``Discrete(K)``, the value of the next variable in ``order``.

    ## Backward actions
    non_autoregressive: D, which takes a variable's value away. autoregressive: 1, the last variable's.

    ## Observation Space
    ``MultiDiscrete([K + 1] * D)``: the values, K where there is none. The state row is the same. Network features are
    one-hot, zeros where there is no value.

    ## Starting State
    No variable has a value.

    ## Rewards
    log R(x) = sum of the log potentials.

    The intermediate log reward is the sum over the factors whose variables all have a value; a step adds those that it
    completes.

    ## Episode End
    When every variable has a value. There is no stop action.

    ## Number of states
    (K + 1)^D non-autoregressive, (K^(D + 1) - 1) / (K - 1) autoregressive; K^D objects.

    ## Arguments
    * ``graph``: "chain", "permuted_chain", "factor_graph_1" or "factor_graph_2"; or factors of your own, a sequence of
      (variables, table), with one axis of length K a variable in the table of log potentials.
    * ``num_variables``: D, at least 2.
    * ``num_values``: K, at least 2.
    * ``construction``: "non_autoregressive" (Deleu et al. 2024) or "autoregressive" (Buesing et al. 2020).
    * ``seed``: of the family.

    ## References
    Buesing et al. 2020, Approximate Inference in Discrete Distributions with Monte Carlo Tree Search; Deleu et al.
    2024, Discrete Probabilistic Inference as Control in Multi-path Environments

    ## Version History
    * v0: initial version.
    """

    def __init__(
        self,
        graph: str | Sequence[tuple[Sequence[int], Any]] = "chain",
        num_variables: int = 6,
        num_values: int = 5,
        construction: str = "non_autoregressive",
        seed: int = 0,
    ):
        where = "FactorGraph"
        d = positive_int("num_variables", num_variables, where, at_least=2)
        k = positive_int("num_values", num_values, where, at_least=2)
        if not isinstance(graph, str):
            self.factors, order = given_factors(graph, d, k, where)
            graph = [(list(variables), table.tolist()) for variables, table in self.factors]
        elif graph in FAMILIES:
            self.factors, order = FAMILIES[graph](d, k, np.random.default_rng(seed))
        else:
            raise ValueError(f"{where}: graph must be one of {tuple(FAMILIES)}, or factors, got {graph!r}")
        super().__init__(d, k, construction, order)
        self.arguments = {
            "graph": graph,
            "num_variables": d,
            "num_values": k,
            "construction": construction,
            "seed": seed,
        }
        self._log_potential = FactorSum(self.factors, d, k)

    def partial_log_reward(self, states: IntArray) -> FloatArray:
        return self._log_potential(states)
