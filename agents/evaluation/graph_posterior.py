"""Posteriors over directed graphs: probabilities of edges and paths, equivalence classes, distance to a known graph."""

from __future__ import annotations

import csv
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from agents.agent import Agent
from agents.errors import UnsupportedError
from agents.evaluation.evaluate import is_enumerable, learned_distribution, may_evaluate_rewards
from agents.threads import on_working_threads
from gfn_envs.arrays import BoolArray, FloatArray, IntArray, distinct
from gfn_envs.border import log_rewards
from gfn_envs.dag import Dag
from gfn_envs.enumeration import EnumerationError
from gfn_envs.text_files import read_text
from gfn_envs.validation import did_you_mean


@dataclass(frozen=True)
class GraphClass:
    """A Markov equivalence class: its graph, the share of graphs in it, and the highest log R among them."""

    graph: str
    probability: float
    log_reward: float | None


#: Share of the probability whose graphs are classified, and their largest number: the class of a graph takes time.
COVERED, MOST_CLASSIFIED = 0.999, 20_000


@dataclass(frozen=True)
class GraphPosterior:
    """Relations between nodes under a posterior over directed graphs.

    Attributes:
        names: the nodes.
        learned: relation -> probability that node i has it to node j, float64 (nodes, nodes).
        exact: the same under R / Z, for the relations with known exact values; {} if there are none.
        num_samples: number of sampled graphs; None if ``learned`` is exact for the agent.
        classes: the most probable equivalence classes among the learned graphs.
        classified: the share of the probability whose graphs were assigned to classes.
        seconds: time that ``exact`` took.
    """

    names: tuple[str, ...]
    learned: Mapping[str, FloatArray]
    exact: Mapping[str, FloatArray]
    num_samples: int | None
    classes: Sequence[GraphClass]
    classified: float
    seconds: float

    def largest_error(self, relation: str) -> float | None:
        """The largest difference between learned and exact probabilities; None if the latter are not known."""
        if relation not in self.exact:
            return None
        return float(np.abs(self.learned[relation] - self.exact[relation]).max())

    def rows(self) -> list[dict[str, Any]]:
        """One row per ordered pair of nodes: ``from``, ``to``, each relation, and ``exact_`` of each known one."""
        found = []
        for i, j in np.argwhere(~np.eye(len(self.names), dtype=bool)):
            row: dict[str, Any] = {"from": self.names[i], "to": self.names[j]}
            row |= {name: float(each[i, j]) for name, each in self.learned.items()}
            found.append(row | {f"exact_{name}": float(each[i, j]) for name, each in self.exact.items()})
        return found


@on_working_threads
def graph_posterior(
    agent: Agent,
    num_samples: int = 10_000,
    seed: int = 0,
    *,
    best: int = 5,
    rewards: str = "auto",
    exact_states: int | None = None,
) -> GraphPosterior:
    """The learned posterior, and the exact one if it is known. The agent and its random stream stay unchanged.

    Learned probabilities are exact if the environment has at most ``exact_states`` states, and shares of samples
    otherwise.

    Args:
        agent: an agent on an environment whose objects are directed graphs (``marginals``).
        num_samples: number of sampled graphs, at least 1.
        seed: seed of the samples.
        best: number of equivalence classes.
        rewards: "none": no exact probabilities and no log R; "auto": as "none" if rewards are expensive; "all".
        exact_states: see :func:`agents.evaluation.evaluate.is_enumerable`.

    Raises:
        UnsupportedError: objects of the environment are not directed graphs.
    """
    dag = agent.dag
    if not dag.has("marginals"):
        raise UnsupportedError(f"posteriors over graphs need objects that are directed graphs (marginals), got {dag!r}")
    allowed = may_evaluate_rewards(dag, rewards)
    by_listing = allowed and agent.samples_by_policy and is_enumerable(dag, exact_states)
    if by_listing:
        states, weights = dag.terminal_states(), learned_distribution(agent)
    else:
        drawn, row = distinct(agent.sample(num_samples, rng=np.random.default_rng(seed)))
        states, weights = drawn, np.bincount(row.ravel()) / num_samples
    start, exact = time.perf_counter(), {}
    if allowed:
        try:
            exact = dag.exact_marginals()
        except EnumerationError:
            exact = {}
    seconds = time.perf_counter() - start
    found, classified = classes(dag, states, weights, best, allowed)
    return GraphPosterior(
        dag.names,
        dag.marginals(states, weights),
        exact,
        None if by_listing else num_samples,
        found,
        classified,
        seconds,
    )


def classes(
    dag: Dag, states: IntArray, weights: FloatArray, best: int, with_rewards: bool
) -> tuple[list[GraphClass], float]:
    """The most probable Markov equivalence classes of weighted graphs, and the probability that was classified.

    The most probable graphs with 99.9% of the probability are classified, at most 20,000.

    Args:
        dag: an environment with ``equivalence_classes``.
        states: distinct graphs (n, state_width).
        weights: their probabilities (n,).
        best: largest number of classes.
        with_rewards: whether to evaluate rewards.
    """
    order = np.argsort(-weights, kind="stable")
    covered = np.cumsum(weights[order])
    number = min(int(np.searchsorted(covered, COVERED * covered[-1])) + 1, MOST_CLASSIFIED)
    likely = order[: max(number, best)]
    names = np.array(dag.equivalence_classes(states[likely]), dtype=object)
    log_reward = log_rewards(dag, states[likely]) if with_rewards else None
    graphs, row = np.unique(names, return_inverse=True)
    shares = np.bincount(row.ravel(), weights=weights[likely])
    listed = [
        GraphClass(
            graphs[c], float(shares[c]), None if log_reward is None else float(log_reward[row.ravel() == c].max())
        )
        for c in np.argsort(-shares, kind="stable")[:best]
    ]
    return listed, float(weights[likely].sum() / covered[-1])


def expected_shd(edge: FloatArray, truth: BoolArray) -> float:
    """Expected structural Hamming distance to a known graph: the number of pairs of nodes with different edges.

    A reversed edge counts once.

    Args:
        edge: probability of each edge i -> j (d, d).
        truth: adjacency matrix of the known graph (d, d).
    """
    neither = 1 - edge - edge.T
    same = np.where(truth, edge, np.where(truth.T, edge.T, neither))
    return float(np.triu(1 - same, 1).sum())


def known_graph(dag: Dag) -> BoolArray | None:
    """Adjacency matrix (nodes, nodes) of the true graph of simulated data; None of other data."""
    if dag.true_graph is None:
        return None
    return (dag.true_graph >> np.arange(len(dag.names))[:, None] & 1).astype(bool)


def read_graph(path: Path, names: Sequence[str]) -> BoolArray:
    """Adjacency matrix (nodes, nodes) from a CSV file with one edge per line, in the columns ``from`` and ``to``.

    Raises:
        OSError: the file cannot be read.
        ValueError: it does not have these columns, names an unknown node, or has an edge from a node to itself or in
            both directions. The message has the line.
    """
    reader = csv.DictReader(read_text(path, "known graph").splitlines())
    if not {"from", "to"} <= set(reader.fieldnames or ()):
        raise ValueError(f"{path}, line 1: expected the columns from,to, got {','.join(reader.fieldnames or ())}")
    truth = np.zeros((len(names), len(names)), dtype=bool)
    for row in reader:
        ends = [(row[end] or "").strip() for end in ("from", "to")]
        for end in ends:
            if end not in names:
                raise ValueError(
                    f"{path}, line {reader.line_num}: no node {end!r}{did_you_mean(end, names)}; known: "
                    f"{', '.join(names)}"
                )
        i, j = (names.index(end) for end in ends)
        if i == j or truth[j, i]:
            problem = "an edge from a node to itself" if i == j else "an edge in both directions"
            raise ValueError(f"{path}, line {reader.line_num}: {problem}: {ends[0]}, {ends[1]}")
        truth[i, j] = True
    return truth
