"""Posteriors over graphs: relations between nodes, their exact probabilities, and Markov equivalence classes."""

from __future__ import annotations

from typing import Any

import numpy as np

from gfn_envs import exact
from gfn_envs.arrays import BoolArray, FloatArray, IntArray
from gfn_envs.dag import Dag
from gfn_envs.enumeration import EnumerationError
from gfn_envs.envs.bayes_net import bitmask_graphs as digraphs
from gfn_envs.envs.bayes_net import digraphs_by_name as by_name
from gfn_envs.envs.bayes_net import exact_posterior
from gfn_envs.envs.bayes_net.equivalence import cpdag
from gfn_envs.envs.bayes_net.scores import CachedScores


class GraphPosterior(Dag):
    """A Dag whose rows hold the parents of each of ``num_nodes`` nodes as a mask, and then 1 if they are finished.

    Attributes:
        num_nodes: number of nodes d.
        names: their names.
        max_parents: largest number of parents.
        true_graph: the parents of each node in the true graph (d,); None if it is not known.
    """

    num_nodes: int
    names: tuple[str, ...]
    max_parents: int
    true_graph: IntArray | None
    _scores: CachedScores
    _empty_scores: FloatArray
    _log_prior: FloatArray

    def exact_log_z(self) -> float:
        """log Z without listing graphs, on up to 12 nodes.

        Raises:
            NotImplementedError: there are more nodes, or ``on_error`` changes rewards of graphs.
        """
        if self.on_error != "raise":
            raise NotImplementedError(f"BayesNet: rewards are not sums of scores with on_error={self.on_error!r}")
        if self.num_nodes > exact_posterior.MAX_SUMMED:
            raise NotImplementedError(f"BayesNet: log Z is exact on up to {exact_posterior.MAX_SUMMED} nodes")
        return exact_posterior.log_partition(self._family_scores()) - float(self._empty_scores.sum())

    def features(self, states: IntArray) -> dict[str, BoolArray]:
        """``edge``, ``path`` and ``markov_blanket`` of graphs, each bool (n, d, d); see bitmask_graphs.features."""
        return digraphs.features(states[:, :-1])

    def marginals(self, states: IntArray, weights: FloatArray | None = None) -> dict[str, FloatArray]:
        """Weighted means of :meth:`features` over graphs (n, state_width), each float64 (d, d).

        ``weights`` (n,) are normalized; None weights all graphs equally.
        """
        return {name: np.average(each, axis=0, weights=weights) for name, each in self.features(states).items()}

    def exact_marginals(self) -> dict[str, FloatArray]:
        """:meth:`marginals` under the exact posterior: all of them on up to 6 nodes, ``edge`` alone on up to 12.

        With another ``on_error`` than "raise" or another reward, all of them are computed if all graphs can be
        enumerated.

        Raises:
            EnumerationError: there are more nodes.
        """
        if self.on_error != "raise" or not self.is_of_this_reward("exact_marginals"):
            return self.marginals(self.terminal_states(), exact.target_distribution(self))
        if self.num_nodes > exact_posterior.MAX_SUMMED:
            raise EnumerationError(
                f"BayesNet: exact probabilities of edges need at most {exact_posterior.MAX_SUMMED} nodes, got "
                f"{self.num_nodes}"
            )
        if self.num_nodes <= exact_posterior.MAX_LISTED:
            return exact_posterior.listed_marginals(self._family_scores())
        return {"edge": exact_posterior.summed_edges(self._family_scores())}

    def _family_scores(self) -> FloatArray:
        return exact_posterior.log_family_scores(self._scores, self._log_prior, self.max_parents)

    def equivalence_classes(self, states: IntArray) -> list[str]:
        """The CPDAG of each graph, such as ``a -> b, b - c``. Markov-equivalent graphs have the same one."""
        return by_name.edge_texts(cpdag(digraphs.adjacency(states[:, :-1])), self.names)

    def to_digraph(self, state: IntArray) -> Any:
        """The ``networkx.DiGraph`` of one state (state_width,). Its nodes are the names of the columns."""
        return by_name.to_digraph(digraphs.adjacency(state[None, :-1])[0], self.names)

    def from_digraph(self, *graphs: Any) -> IntArray:
        """Finished states (n, state_width) of NetworkX digraphs whose nodes are names of columns.

        Raises:
            ValueError: a graph has an unknown node, a cycle, or too many parents; the message names it.
        """
        states = self.source(len(graphs))
        states[:, :-1], states[:, -1] = by_name.from_digraphs(graphs, self.names, self.max_parents), 1
        return states
