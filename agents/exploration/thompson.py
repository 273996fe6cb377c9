"""Thompson sampling with an ensemble (Rector-Brooks et al. 2023, Thompson sampling for improved exploration)."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from agents.config_checks import require
from agents.errors import UnsupportedError
from agents.exploration.explorer import Behaviors, Explorer
from agents.losses.segments import segment_sum
from agents.policies.masking import masked_log_softmax
from agents.policies.mlp import MLP
from agents.rollout import Logits
from agents.trajectories import Trajectories
from gfn_envs.arrays import IntArray, distinct


class Thompson(Explorer):
    """Each trajectory is sampled by one member of an ensemble of forward policies, drawn at random.

    The members are heads of one network plus frozen random networks (priors; Osband et al. 2018). Each learns
    trajectory balance from a random share of the trajectories, so that they disagree where there are few data.

    Departures: the agent's own P_F learns from all trajectories, and evaluations sample it; the paper evaluates a
    member. The members use the agent's P_B without training it, take the best log Z of each batch (VarGrad), and are
    multi-layer perceptrons on ``dag.encode`` whatever the agent's network.

    Args:
        members: number of members >= 1; 100 in the paper.
        share: probability that a member learns from a trajectory, in (0, 1].
        prior: factor of the frozen networks >= 0.
    """

    name = "thompson"

    def __init__(self, members: int = 10, share: float = 0.5, prior: float = 1.0):
        require(isinstance(members, int) and members >= 1, "members must be an integer of at least 1", members)
        require(0 < share <= 1, "share must lie in (0, 1]", share)
        require(0 <= prior < float("inf"), "prior must be finite and >= 0", prior)
        self.members, self.share, self.prior = members, float(share), float(prior)

    def modules(self, agent: Any) -> dict[str, nn.Module]:
        if agent.balance is None:
            raise UnsupportedError(f"explorer 'thompson' needs an agent with a balance objective, got {agent.name!r}")
        dag = agent.dag
        sizes = [dag.num_features, *(agent.config.hidden or (64,)), self.members * dag.num_actions]
        return {"members": MLP(sizes), "priors": MLP(sizes).requires_grad_(False)}

    def logits(self, agent: Any, states: IntArray) -> Tensor:
        """Logits of all members, (n, members, num_actions)."""
        seen = torch.from_numpy(agent.dag.encode(states)).to(agent.device)
        found = agent.modules["members"](seen) + self.prior * agent.modules["priors"](seen)
        return found.view(len(states), self.members, -1)

    def behaviors(self, agent: Any, n: int) -> Behaviors:
        counts = agent.rng.multinomial(n, np.full(self.members, 1 / self.members))
        return [(self.member(agent, k), int(count)) for k, count in enumerate(counts) if count]

    def member(self, agent: Any, k: int) -> Logits:
        """The policy of a member."""
        return lambda states: self.logits(agent, states)[:, k].cpu().numpy()

    def loss(self, agent: Any, batch: Trajectories) -> Tensor:
        states, row = distinct(batch.states[batch.sources])
        legal = np.repeat(agent.dag.forward_mask(states), self.members, axis=0)
        log_p = masked_log_softmax(self.logits(agent, states).flatten(0, 1), legal).view(len(states), self.members, -1)
        rows, actions = (torch.from_numpy(a).to(agent.device) for a in (row, batch.actions))
        with torch.no_grad():
            log_pb = agent.log_probs(batch).log_pb
        offsets = torch.from_numpy(batch.edge_offsets).to(agent.device)
        log_pf = log_p[rows, :, actions]
        score = torch.stack([segment_sum(log_pf[:, k] - log_pb, offsets) for k in range(self.members)], 1)
        score = score - torch.from_numpy(batch.log_reward).to(score)[:, None]
        learns = torch.from_numpy(agent.rng.random(score.shape) < self.share).to(score)
        count = learns.sum(0).clamp(min=1)
        mean = (learns * score).sum(0) / count
        return ((learns * (score - mean).square()).sum(0) / count).mean()
