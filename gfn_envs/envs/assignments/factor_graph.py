"""FactorGraph: assignments of discrete variables, weighted by potentials on cliques."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

import numpy as np

from gfn_envs.arrays import FloatArray, IntArray
from gfn_envs.envs.assignments import elimination
from gfn_envs.envs.assignments.assignment import MAX_VALUES, Assignment
from gfn_envs.envs.assignments.factors import FAMILIES, MAX_CLIQUE, FactorSum, checked_factors
from gfn_envs.validation import check_size, checked_seed, positive_int, shown


class FactorGraph(Assignment):
    """Assign a value to every variable of a factor graph; log R is the sum of its log potentials.

    ## Description
    D variables with K values each, and factors, which are tables of log potentials on cliques of variables. The named
    families are those of Buesing et al. 2020, drawn at random from ``seed``:

    * "chain": unary potentials from a Gaussian process, and 2.5 |x_i - x_i+1| between neighbors (a difference of K - 1
      counts as 1).
    * "permuted_chain": log p(x_i+1 | x_i) with Dirichlet(1) rows. Autoregressive construction uses a random order.
    * "factor_graph_1": N(0, 1) potentials on the maximal cliques of a connected Erdos-Renyi graph whose cliques have at
      most 4 variables.
    * "factor_graph_2": K = 2; pairs of variables that prefer to differ (XOR), and majorities over variables of several
      pairs.

    ## Action Space
    non_autoregressive: ``Discrete(D K)``, action = variable * K + value, legal if the variable is unassigned.
    autoregressive: ``Discrete(K)``, the value of the next variable. Variables of the largest factors come first in
    "factor_graph_1", "factor_graph_2" and factors from the user.

    ## Backward actions
    non_autoregressive: D, each of which unassigns one variable. autoregressive: 1, which unassigns the last variable
    (so P_B = 1).

    ## Observation Space
    ``MultiDiscrete([K + 1] * D)``: the value of each variable, or K if it is unassigned. The state row is the same. The
    network features are the one-hot values, all zeros for an unassigned variable.

    ## Starting State
    All variables are unassigned.

    ## Rewards
    log R(x) = sum of the log potentials.

    The intermediate log reward is the sum over the factors whose variables are all assigned. A step adds the factors
    that it completes.

    ## Episode End
    When every variable is assigned. There is no stop action.

    ## Number of states
    (K + 1)^D non-autoregressive, (K^(D + 1) - 1) / (K - 1) autoregressive; K^D objects.

    ## Arguments
    * ``graph``: "chain", "permuted_chain", "factor_graph_1" or "factor_graph_2"; or a sequence of factors (variables,
      table), where the table of log potentials has one axis of length K per variable.
    * ``num_variables``: D, at least 2.
    * ``num_values``: K, at least 2.
    * ``construction``: "non_autoregressive" (Deleu et al. 2024) or "autoregressive" (Buesing et al. 2020).
    * ``seed``: seed of the named families.

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
        k = positive_int("num_values", num_values, where, at_least=2, at_most=MAX_VALUES)
        seed = checked_seed(seed, where)
        check_size(f"{d:,} variables of {k:,} values", d * k, where)
        if not isinstance(graph, str):
            self.factors, order = checked_factors(graph, d, k, where)
            graph = [(list(variables), table.tolist()) for variables, table in self.factors]
        elif graph in FAMILIES:
            # "chain" needs a covariance matrix of all values of all variables; the others need matrices (D, D) and
            # tables (K, K) or (K,) * 4.
            axes = MAX_CLIQUE if graph == "factor_graph_1" else 2
            entries = 2 * (d * k) ** 2 if graph == "chain" else max(d * d, d * k**axes)
            check_size(f"{graph!r} of {d:,} variables of {k:,} values", entries, where)
            self.factors, order = FAMILIES[graph](d, k, np.random.default_rng(seed))
        else:
            raise ValueError(
                f"{where}: graph must be one of {tuple(FAMILIES)}, or a sequence of factors, got {shown(graph)}"
            )
        super().__init__(d, k, construction, order)
        self.arguments = {
            "graph": graph,
            "num_variables": d,
            "num_values": k,
            "construction": construction,
            "seed": seed,
        }
        self._log_potential_sum = FactorSum(self.factors, d, k)

    @functools.cached_property
    def _eliminated(self) -> tuple[list[elimination.Bucket], float]:
        return elimination.eliminate(self.factors, self.num_variables, self.num_values)

    def exact_log_z(self) -> float:
        """log Z by elimination of variables, for graphs of small treewidth such as chains of any length."""
        return self._eliminated[1]

    def sample_target(self, n: int, rng: np.random.Generator) -> IntArray:
        return elimination.sample(self._eliminated[0], n, rng).astype(self.state_dtype)

    def partial_log_reward(self, states: IntArray) -> FloatArray:
        return self._log_potential_sum(states)
