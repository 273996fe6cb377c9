"""Every trajectory of a small DAG, for exact expectations."""

import numpy as np
import torch

from agents.losses import policy_gradient as pg
from agents.losses.segments import segment_sum
from agents.policies.masking import masked_log_softmax
from gfn_envs import exact
from gfn_envs.enumeration import state_graph
from tests.helpers import small_dag


def tensor(array):
    return torch.tensor(np.array(array), dtype=torch.float64)


class Enumerated:
    """Every trajectory of a small DAG, with a table of logits for P_F and an arbitrary P_B."""

    def __init__(self, env_id, kwargs, seed=0):
        self.dag = dag = small_dag(env_id, kwargs)
        self.graph = graph = state_graph(dag)
        rng = np.random.default_rng(seed)
        out = [np.flatnonzero(graph.source == s) for s in range(len(graph.states))]
        paths, unfinished = [], [[e] for e in out[0]]
        while unfinished:
            path = unfinished.pop()
            following = out[graph.target[path[-1]]]
            paths += [] if len(following) else [path]
            unfinished += [[*path, e] for e in following]
        self.paths, self.edges = paths, np.concatenate(paths)
        self.offsets = torch.tensor(np.cumsum([0] + [len(path) for path in paths]))
        weight = rng.normal(size=len(graph.source))
        total = np.full(len(graph.states), -np.inf)
        np.logaddexp.at(total, graph.target, weight)
        self.edge_log_pb = tensor(weight - total[graph.target])
        self.logits = tensor(rng.normal(size=(len(graph.states), dag.num_actions))).requires_grad_()
        self.log_z = tensor(0.3).requires_grad_()
        ends = graph.states[graph.target[[path[-1] for path in paths]]]
        self.log_reward = tensor(dag.log_reward(ends))
        self.mask = dag.forward_mask(graph.states)

    def table(self):
        return masked_log_softmax(self.logits, self.mask)

    def log_pf(self):
        """log P_F of the edges of all trajectories."""
        return self.table()[self.graph.source, self.graph.action][self.edges]

    def log_pb(self):
        return self.edge_log_pb[self.edges]

    def costs(self):
        return pg.forward_costs(self.log_pf(), self.log_pb(), self.log_reward, self.log_z, self.offsets)

    def path_probability(self):
        return segment_sum(self.log_pf(), self.offsets).exp()

    def kl(self):
        """KL(P_F || P_B R / Z), exactly, differentiable."""
        log_pf = segment_sum(self.log_pf(), self.offsets)
        log_pb = segment_sum(self.log_pb(), self.offsets)
        log_target = log_pb + self.log_reward - exact.log_partition(self.dag)
        return (log_pf.exp() * (log_pf - log_target)).sum()
