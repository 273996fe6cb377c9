"""An agent with a table for a policy, whose every probability is known."""

import numpy as np
import torch
from torch import nn

import agents
from agents.policies import Heads, Policy
from gfn_envs import exact
from gfn_envs.enumeration import state_graph
from tests.helpers import UNEVEN_EDGES, TableDag


class TablePolicy(Policy):
    """Logits in double precision, looked up by one-hot features."""

    learns_backward = learns_flow = False

    def __init__(self, dag, logits):
        super().__init__()
        self.inputs = dag.encode
        self.table = nn.Parameter(torch.from_numpy(logits))

    def forward(self, states):
        return Heads(self.read(states) @ self.table, None, None)

    def head(self, head):
        return lambda states: self.read(states) @ self.table


def table_agent(noise=0.0, dag=None):
    """An agent on a small DAG whose P_F is the exact flow policy, its logits moved by ``noise``."""
    dag = dag or TableDag(UNEVEN_EDGES)
    graph = state_graph(dag)
    logits = np.random.default_rng(3).normal(size=(len(graph.states), dag.num_actions)) * noise
    logits[graph.states[graph.source, 0], graph.action] += exact.optimal_edge_log_probabilities(dag)
    agent = agents.make_agent("tb", dag, backward="uniform")
    agent.policy = TablePolicy(dag, logits)
    return agent


def paths(dag, agent):
    """Every trajectory: (object, probability under P_F, probability under uniform P_B)."""
    found, stack = [], [(dag.source(1), 1.0, 1.0)]
    while stack:
        state, pf, pb = stack.pop()
        if dag.is_terminal(state)[0]:
            found.append((int(state[0, 0]), pf, pb))
            continue
        for action in np.flatnonzero(dag.forward_mask(state)[0]):
            child = dag.step(state, np.array([action]))
            p = agent.probabilities(state)[0, action]
            stack.append((child, pf * p, pb / dag.backward_mask(child).sum()))
    return found
