"""Policies that are tables in double precision, their exact contents, and every trajectory of a small DAG."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from agents import Agent, Trajectories
from agents.policies import Heads, Policy
from agents.registry import GFLOWNETS
from gfn_envs import Dag, exact
from gfn_envs.enumeration import state_graph

#: The agents that have an objective of their own. Policy gradients have none: see test_policy_gradients.py.
#: gafn has intrinsic rewards too: see test_posteriors_and_intrinsic_rewards.py.
BALANCE = [name for name in GFLOWNETS if not name.startswith("rl-") and name != "gafn"]


def tensor(array: Any) -> Tensor:
    return torch.tensor(np.array(array), dtype=torch.float64)


class Table(Policy):
    """A row of logits and a log flow for every state, float64."""

    def __init__(self, dag: Dag, backward: bool = True, flow: bool = True):
        super().__init__()
        self.dag, self.learns_backward, self.learns_flow = dag, backward, flow
        self.inputs = lambda states: dag.state_index(states)
        rows = dag.num_states
        self.forward_table = nn.Parameter(torch.zeros(rows, dag.num_actions, dtype=torch.float64))
        self.backward_table = nn.Parameter(torch.zeros(rows, dag.num_backward_actions, dtype=torch.float64))
        self.flow_table = nn.Parameter(torch.zeros(rows, dtype=torch.float64))

    def forward(self, states: np.ndarray) -> Heads:
        row = self.read(states)
        backward = self.backward_table[row] if self.learns_backward else None
        return Heads(self.forward_table[row], backward, self.flow_table[row] if self.learns_flow else None)

    def head(self, head: str) -> Callable[[np.ndarray], Tensor]:
        table = self.forward_table if head == "forward" else self.backward_table
        return lambda states: table[self.read(states)]


class ExactFlows:
    """Flows that fit the reward and an arbitrary P_B, by dynamic programming; of every state and edge of a graph."""

    def __init__(self, dag: Dag, seed: int = 0):
        self.dag, self.graph = dag, state_graph(dag)
        weight = np.random.default_rng(seed).normal(size=len(self.graph.target))
        total = np.full(len(self.graph.states), -np.inf)
        np.logaddexp.at(total, self.graph.target, weight)
        self.log_pb = weight - total[self.graph.target]
        self.log_flow = exact.log_flows(dag, self.log_pb)
        self.log_pf = exact.optimal_edge_log_probabilities(dag, self.log_pb)
        self.log_z = exact.log_partition(dag)
        self.backward_action = dag.backward_action(self.graph.states[self.graph.source], self.graph.action)

    def table(self, name: str) -> Table:
        """These flows as parameters of an agent."""
        table, graph, flow = Table(self.dag, backward=name != "fm"), self.graph, self.log_flow
        # Flow matching's logits are edge flows; forward-looking flows are corrections.
        scores = self.log_pf + flow[graph.source] if name == "fm" else self.log_pf
        if name.startswith("fl"):
            flow = flow - self.dag.partial_log_reward(graph.states)
        with torch.no_grad():
            table.forward_table[graph.source, graph.action] = tensor(scores)
            table.backward_table[graph.target, self.backward_action] = tensor(self.log_pb)
            table.flow_table.copy_(tensor(flow))
        return table

    def agent(self, name: str, **settings: Any) -> Agent:
        return tabular_agent(name, self.dag, self.table(name), self.log_z, **settings)


def tabular_agent(name: str, dag: Dag, policy: Policy, log_z: float = 0.0, **settings: Any) -> Agent:
    """An agent on a table; its log Z is in double precision too."""
    chosen = GFLOWNETS[name]
    agent = chosen(dag, chosen.config_class(**settings), policy=policy)
    if agent.log_z_parameter is not None:
        agent.log_z_parameter = nn.Parameter(tensor(log_z))
    return agent


def packed(dag: Dag, paths: Iterable[np.ndarray]) -> Trajectories:
    """Trajectories given as edges of the state graph, in order."""
    graph, paths = state_graph(dag), [np.asarray(path) for path in paths]
    edges = np.concatenate(paths)
    states = np.concatenate([np.append(graph.source[path], graph.target[path[-1]]) for path in paths])
    ends = graph.states[[graph.target[path[-1]] for path in paths]]
    actions = graph.action[edges]
    back = dag.backward_action(graph.states[graph.source[edges]], actions)
    offsets = np.cumsum([0] + [len(path) + 1 for path in paths])
    return Trajectories(graph.states[states], actions, back, offsets, dag.log_reward(ends))


def all_paths(dag: Dag) -> list[list[int]]:
    """Every trajectory, as edges of the state graph."""
    graph = state_graph(dag)
    out = [np.flatnonzero(graph.source == s) for s in range(len(graph.states))]
    done, unfinished = [], [[int(e)] for e in out[0]]
    while unfinished:
        path = unfinished.pop()
        following = out[graph.target[path[-1]]]
        done += [] if len(following) else [path]
        unfinished += [[*path, int(e)] for e in following]
    return done


class Walks:
    """For each state one way from s0 and one way to the end, as edges of the state graph."""

    def __init__(self, dag: Dag):
        graph = state_graph(dag)
        self.graph = graph
        self.first_out = np.full(len(graph.states), -1)
        self.first_in = np.full(len(graph.states), -1)
        # Assigned in reverse, so that the first edge of each state stays.
        self.first_out[graph.source[::-1]] = np.arange(len(graph.source))[::-1]
        self.first_in[graph.target[::-1]] = np.arange(len(graph.source))[::-1]

    def through(self, edge: int) -> list[int]:
        """A trajectory that takes an edge."""
        path = [edge]
        while (before := self.first_in[self.graph.source[path[0]]]) >= 0:
            path.insert(0, int(before))
        while (after := self.first_out[self.graph.target[path[-1]]]) >= 0:
            path.append(int(after))
        return path

    def pair(self, edge: int) -> list[list[int]]:
        """A trajectory that takes an edge, and one that leaves it there for a sibling, where it has one."""
        siblings = np.flatnonzero(self.graph.source == self.graph.source[edge])
        return [self.through(edge), *(self.through(int(e)) for e in siblings[siblings != edge][:1])]
