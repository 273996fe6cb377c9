"""BayesNet: structures of Bayesian networks, with probability proportional to their posterior given data."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

import numpy as np
from gymnasium import spaces

from gfn_envs import rendering
from gfn_envs.arrays import BoolArray, FloatArray, IntArray, all_columns, log_factorials
from gfn_envs.envs.bayes_net import bitmask_graphs as digraphs
from gfn_envs.envs.bayes_net import digraphs_by_name as by_name
from gfn_envs.envs.bayes_net.csv_table import DECIMALS, SEPARATORS
from gfn_envs.envs.bayes_net.data_table import read_table
from gfn_envs.envs.bayes_net.families import LocalScore
from gfn_envs.envs.bayes_net.graph_posterior import GraphPosterior
from gfn_envs.envs.bayes_net.random_network import simulated
from gfn_envs.envs.bayes_net.scores import CachedScores, local_score, log_prior
from gfn_envs.graph_layout import GraphLayout, PairActions
from gfn_envs.validation import checked_seed, one_of, positive_int, real

#: The product of a parent set and the number of nodes must fit in a 64-bit integer.
MAX_NODES = 56


class BayesNet(GraphPosterior):
    """Build the graph of a Bayesian network, edge by edge; the reward is proportional to its posterior given data.

    ## Description
    Directed acyclic graphs on d nodes, which are the columns of a data table. A state row holds the set of parents of
    each node as the bits of an integer, and then 1 if the graph is finished.

    ## Action Space
    ``Discrete(d (d - 1) + 1)``: each action but the last adds one edge i -> j. The edges are in the order of the rows
    of the adjacency matrix, without its diagonal: 0 -> 1 is the first. An edge is legal if it is absent, closes no
    cycle, and leaves j with at most ``max_parents`` parents. The last action stops and is always legal.

    ## Backward actions
    d (d - 1) + 1, in the same order: remove one edge; the last one undoes the stop.

    ## Observation Space
    ``MultiDiscrete([2] * d^2)``: the adjacency matrix, row by row; entry i d + j is 1 if i -> j is an edge. The network
    features are the same.

    ## Starting State
    The graph without edges.

    ## Rewards
    log R(G) = log p(data | G) + log prior(G), minus the same sum for the graph without edges. This constant does not
    change the posterior and keeps log R in a range that networks can predict. log p(data | G) is a sum of local scores,
    each of which is computed once. :meth:`log_score` returns it without the constant.

    * "bge": Bayesian Gaussian equivalent, for continuous data; alpha_mu = 1, alpha_w = d + 2, centered columns.
    * "bdeu": Bayesian Dirichlet equivalent uniform, for discrete data; equivalent_sample_size = 1.
    * "gaussian_bic": BIC of linear regressions with Gaussian noise.
    * "linear_gaussian": weights N(0, 1), noise variance 0.1.

    The intermediate log reward of an unfinished graph is the log reward of stopping there.

    ## Episode End
    At the stop action.

    ## Number of states
    1, 3, 25, 543, 29,281, 3,781,503, ... objects for d = 1, 2, 3, ..., and twice as many states.

    ## Arguments
    * ``num_nodes``: number of nodes d, from 2 to 56; None: the number of columns of ``data``, or 5.
    * ``data``: a pandas DataFrame, an array (rows, columns), a mapping from names to columns, or the path of a CSV file
      whose first line names the columns. Columns hold numbers, or labels (text or booleans). Row names and constant
      columns raise. None simulates data from a network on an Erdos-Renyi graph: binary with conditional probabilities
      U(0, 1) if the score is "bdeu", else linear-Gaussian with weights N(0, 1) and noise N(0, 0.1).
    * ``score``: "bge", "bdeu", "gaussian_bic" or "linear_gaussian"; or a callable (nodes (m,), parents bool (m, d)) ->
      log scores (m,). "auto": "bdeu" if all columns are discrete (labels, or at most 10 whole numbers with 5 rows each
      on average), "bge" if none is; a mixture raises.
    * ``score_kwargs``: alpha_mu, alpha_w and center for "bge", equivalent_sample_size for "bdeu", noise_variance for
      "linear_gaussian".
    * ``prior``: "uniform" over graphs, or "fair", which gives each size of a parent set the same total probability.
    * ``max_parents``: largest number of parents of a node; None: no limit.
    * ``num_samples``: number of rows of the simulated data.
    * ``edges_per_node``: expected number of edges per node in the simulated network.
    * ``seed``: seed of the simulated network and data.
    * ``missing``: "raise" if a value is missing, or "drop": leave out rows with a missing value.
    * ``separator``: of a CSV file: ",", ";", "|", "tab" or "space"; "auto" finds it.
    * ``decimal``: decimal mark of a CSV file, "." or ","; "auto" finds it.

    ## References
    Deleu et al. 2022, Bayesian Structure Learning with Generative Flow Networks; Kuipers et al. 2014 (BGe);
    Heckerman et al. 1995 (BDeu)

    ## Version History
    * v0: initial version.
    """

    can_stop_anywhere = True
    feature_bounds = (0.0, 1.0)

    def __init__(
        self,
        num_nodes: int | None = None,
        data: Any = None,
        score: str | LocalScore = "auto",
        score_kwargs: Mapping[str, Any] | None = None,
        prior: str = "uniform",
        max_parents: int | None = None,
        num_samples: int = 100,
        edges_per_node: float = 1.0,
        seed: int = 0,
        missing: str = "raise",
        separator: str = "auto",
        decimal: str = "auto",
    ):
        where = "BayesNet"
        self.true_graph: IntArray | None = None
        seed = checked_seed(seed, where)
        num_samples = positive_int("num_samples", num_samples, where, at_least=2)
        edges_per_node = real("edges_per_node", edges_per_node, where, at_least=0)
        one_of("missing", missing, ("raise", "drop"), where)
        one_of("separator", separator, ("auto", *SEPARATORS), where)
        one_of("decimal", decimal, ("auto", *DECIMALS), where)
        if num_nodes is not None:
            num_nodes = positive_int("num_nodes", num_nodes, where, at_least=2, at_most=MAX_NODES)
        if data is None:
            d, discrete = 5 if num_nodes is None else num_nodes, isinstance(score, str) and score == "bdeu"
            self.true_graph, table = simulated(d, num_samples, edges_per_node, seed, discrete, separator, decimal)
        else:
            table = read_table(data, where, missing, separator, decimal)
            if isinstance(data, str | os.PathLike):
                data, where = str(data), f"{where}: {data}"
            else:
                data = table.as_columns()
        d = len(table.names)
        if num_nodes not in (None, d) or not 2 <= d <= MAX_NODES:
            raise ValueError(
                f"{where}: data must have num_nodes columns, from 2 to {MAX_NODES}, got {d} columns, {num_nodes=}"
            )
        if max_parents is not None:
            max_parents = positive_int("max_parents", max_parents, where)
        self.names, self.data, self.labels = table.names, table.values, table.labels
        self.num_nodes = d
        self.max_parents = d - 1 if max_parents is None else min(d - 1, max_parents)
        self._scores = CachedScores(local_score(score, score_kwargs, table, where), d, where)
        self._log_prior = log_prior(prior, d)
        try:
            self._empty_scores = self._scores(np.zeros((1, d), dtype=np.int64))
        except Exception as error:  # of a user's function
            if isinstance(error, ValueError) and where in str(error):
                raise
            text = " ".join(str(error).split())
            raise ValueError(f"{where}: the local score raised {type(error).__name__}: {text}") from error
        self.arguments = {
            "num_nodes": num_nodes,
            "data": data,
            "score": score,
            "score_kwargs": None if score_kwargs is None else dict(score_kwargs),
            "prior": prior,
            "max_parents": max_parents,
            "num_samples": num_samples,
            "edges_per_node": edges_per_node,
            "seed": seed,
            "missing": missing,
            "separator": separator,
            "decimal": decimal,
        }
        self.num_actions = self.num_backward_actions = d * (d - 1) + 1
        self.state_width, self.state_dtype = d + 1, np.dtype(np.int64)
        self.max_length = sum(min(j, self.max_parents) for j in range(d)) + 1
        self.num_features = d * d
        self.num_tokens, self.num_positions = 2, d * d
        self.observation_space = spaces.MultiDiscrete([2] * (d * d))
        if self.max_parents == d - 1:
            self.declared_num_terminal_states = digraphs.number_of_dags(d)
            self.declared_num_states = 2 * self.declared_num_terminal_states
        self._bits = 1 << np.arange(d, dtype=np.int64)
        # Entry of the adjacency matrix per edge, and column and bit that each action writes; the stop writes no bit.
        self._entries = np.flatnonzero(~np.eye(d, dtype=bool))
        edges = PairActions(self._entries)
        self.graph_layout = GraphLayout(d, d + 1, 2, edges, edges)
        self._target = np.append(self._entries % d, 0)
        self._bit = np.append(self._bits[self._entries // d], 0)
        self._log_factorials = log_factorials(self.max_length)

    # ------------------------------------------------------------------ the contract

    def source(self, n: int) -> IntArray:
        return np.zeros((n, self.state_width), dtype=self.state_dtype)

    def is_terminal(self, states: IntArray) -> BoolArray:
        return states[:, -1] != 0

    def forward_mask(self, states: IntArray) -> BoolArray:
        parents, unfinished = states[:, :-1], ~self.is_terminal(states)
        has = digraphs.unpack(parents, self.num_nodes)
        full = has.sum(2) >= self.max_parents
        # i -> j closes a cycle if j is an ancestor of i, or i itself.
        closes = digraphs.unpack(digraphs.ancestors(parents) | self._bits, self.num_nodes)
        legal = ~(closes | has.transpose(0, 2, 1) | full[:, None, :]) & unfinished[:, None, None]
        return self._by_action(legal, unfinished)

    def backward_mask(self, states: IntArray) -> BoolArray:
        stopped = self.is_terminal(states)
        edges = digraphs.adjacency(states[:, :-1]) & ~stopped[:, None, None]
        return self._by_action(edges, stopped)

    def _by_action(self, edges: BoolArray, stop: BoolArray) -> BoolArray:
        """A mask of actions from a mask of edges (n, d, d) and a mask of the stop (n,)."""
        flat = edges.reshape(len(edges), self.num_features).take(self._entries, axis=1)
        return np.concatenate([flat, stop[:, None]], axis=1)

    def step(self, states: IntArray, actions: IntArray) -> IntArray:
        out = states.copy()
        out[np.arange(len(out)), self._target.take(actions)] |= self._bit.take(actions)
        out[:, -1] |= np.asarray(actions) == self.num_actions - 1
        return out

    def undo(self, states: IntArray, backward_actions: IntArray) -> IntArray:
        out = states.copy()
        out[np.arange(len(out)), self._target.take(backward_actions)] &= ~self._bit.take(backward_actions)
        out[np.asarray(backward_actions) == self.num_actions - 1, -1] = 0
        return out

    def backward_action(self, states: IntArray, actions: IntArray) -> IntArray:
        return np.array(actions, dtype=np.int64)

    def forward_action(self, states: IntArray, backward_actions: IntArray) -> IntArray:
        return np.array(backward_actions, dtype=np.int64)

    def log_score(self, states: IntArray) -> FloatArray:
        """log p(data | G) of any states, float64 (n,): the sum of the local scores, without prior and constant."""
        return self._scores(states[:, :-1]).sum(1)

    # They are those of this reward: see Dag.is_of_this_reward.
    exact_log_z, exact_marginals = GraphPosterior.exact_log_z, GraphPosterior.exact_marginals

    def log_reward(self, states: IntArray) -> FloatArray:
        parents = states[:, :-1]
        prior = self._log_prior[digraphs.unpack(parents, self.num_nodes).sum(2)]
        return (self._scores(parents) - self._empty_scores + prior).sum(1)

    def encode(self, states: IntArray) -> FloatArray:
        return digraphs.adjacency(states[:, :-1]).reshape(len(states), self.num_features).astype(np.float32)

    def observe(self, states: IntArray) -> IntArray:
        return digraphs.adjacency(states[:, :-1]).reshape(len(states), self.num_features).astype(np.int64)

    # ------------------------------------------------------------------ optional capabilities

    def partial_log_reward(self, states: IntArray) -> FloatArray:
        return self.log_reward(states)

    def contains(self, states: IntArray, objects: IntArray) -> BoolArray:
        """True if the state is a subgraph of the object. A finished graph contains only itself."""
        contained = all_columns(lambda mine, theirs: mine & ~theirs == 0, states, objects)
        stopped = self.is_terminal(states)
        contained[stopped] = all_columns(np.equal, states[stopped], objects)
        return contained

    def tokens(self, states: IntArray) -> IntArray:
        """The adjacency matrix row by row, int64 (n, d^2)."""
        return self.observe(states)

    def labelled_graphs(self, states: IntArray) -> IntArray:
        """The adjacency matrix. Node j has the label 1 + j because the columns of the data are not interchangeable."""
        graphs = digraphs.adjacency(states[:, :-1]).astype(np.int64, order="C")
        np.einsum("nii->ni", graphs)[:] = 1 + np.arange(self.num_nodes)
        return graphs

    def log_num_paths(self, states: IntArray) -> FloatArray:
        """log k! of a graph with k edges: they can be added in any order, as every subgraph is acyclic."""
        return self._log_factorials[digraphs.unpack(states[:, :-1], self.num_nodes).sum((1, 2))]

    # ------------------------------------------------------------------ labels and rendering

    def action_label(self, action: int) -> str:
        if action == self.num_actions - 1:
            return "stop"
        i, j = divmod(int(self._entries[action]), self.num_nodes)
        return f"{self.names[i]} -> {self.names[j]}"

    def object_names(self, states: IntArray) -> list[str]:
        """The edges, such as ``a -> b, b -> c``."""
        return by_name.edge_texts(digraphs.adjacency(states[:, :-1]), self.names)

    def render_text(self, state: IntArray) -> str:
        return self.object_names(state[None])[0] + " stopped" * bool(state[-1])

    def render_image(self, state: IntArray, path: IntArray | None = None) -> rendering.Image:
        """The adjacency matrix with a gray diagonal. Edges are black, or red if the graph is finished."""
        palette = np.stack([rendering.WHITE, rendering.RED if state[-1] else rendering.BLACK, rendering.GREY])
        cells = digraphs.adjacency(state[None, :-1])[0].astype(np.int64)
        np.fill_diagonal(cells, 2)
        border = np.pad(palette[cells], ((1, 1), (1, 1), (0, 0)), constant_values=128)
        border[[0, -1]] = border[:, [0, -1]] = palette[1]
        return rendering.tiles(border, tile=max(4, 192 // (self.num_nodes + 2)))
