"""Generative augmented flow networks."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from agents.config_checks import require
from agents.gflownets.gflownet import BalanceGFlowNet, LogZConfig
from agents.losses.balance import COMPLETE, Balance
from agents.policies.mlp import MLP
from agents.trajectories import Trajectories
from gfn_envs.arrays import IntArray

#: Outputs of the networks of random network distillation.
EMBEDDING = 64


@dataclass(frozen=True)
class GAFNConfig(LogZConfig):
    """Settings of generative augmented flow networks."""

    intrinsic: float = 0.01
    """Factor of the intrinsic rewards, > 0, in the units of R."""
    edges: bool = True
    """Intrinsic rewards of all states on the way (edge-based and state-based), or of the objects alone."""

    def __post_init__(self) -> None:
        super().__post_init__()
        require(0 < self.intrinsic < float("inf"), "intrinsic must be finite and > 0", self.intrinsic)


class GAFN(BalanceGFlowNet):
    """Trajectory balance with intrinsic rewards of novel states, by random network distillation (RND).

    log Z + sum log P_F - log(R(x) + r(x)) - sum log(P_B(s|s') + r(s') / F(s')), the second sum without r on the last
    edge (Pan et al. 2023, Generative augmented flow networks, equations 4 and 6). r(s) is ``intrinsic`` times the
    distance between a frozen random network and one that learns to predict it on visited states (Burda et al. 2019). It
    falls with the number of visits, and the target becomes R.

    Departures: F is a separate network, trained by this loss alone. Both networks of RND have the hidden layers of the
    policy, ReLU and 64 outputs. The authors' code of the adaptive teacher has the same terms.
    """

    name = "gafn"
    paper = "Pan et al. 2023"
    config_class = GAFNConfig
    config: GAFNConfig

    def make_modules(self) -> dict[str, nn.Module]:
        hidden = [self.dag.num_features, *(self.config.hidden or (64,))]
        flow: dict[str, nn.Module] = {"flow": MLP([*hidden, 1])} if self.config.edges else {}
        return flow | {"rnd": MLP([*hidden, EMBEDDING]), "random": MLP([*hidden, EMBEDDING]).requires_grad_(False)}

    def novelty(self, states: IntArray) -> Tensor:
        """Distance between the prediction and the random network, (n,), with its gradient."""
        seen = torch.from_numpy(self.dag.encode(states)).to(self.device)
        return torch.linalg.vector_norm(self.modules["rnd"](seen) - self.modules["random"](seen), dim=1)

    def loss(self, trajectories: Trajectories) -> Tensor:
        """Trajectory balance with augmented rewards, plus the mean novelty, which trains the prediction."""
        found, novelty = self.log_probs(trajectories), self.novelty(trajectories.states)
        log_r = (self.config.intrinsic * novelty.detach()).log().to(found.log_pf)
        log_pb = found.log_pb
        if self.config.edges:
            inner = np.ones(trajectories.num_edges, dtype=bool)
            inner[trajectories.edge_offsets[1:] - 1] = False
            edges = torch.from_numpy(np.flatnonzero(inner)).to(self.device)
            entered = trajectories.states[trajectories.targets[inner]]
            log_flow = self.modules["flow"](torch.from_numpy(self.dag.encode(entered)).to(self.device)).squeeze(1)
            more = log_r[torch.from_numpy(trajectories.targets[inner]).to(self.device)] - log_flow
            log_pb = log_pb.index_copy(0, edges, torch.logaddexp(log_pb[edges], more.to(log_pb)))
        log_reward = np.logaddexp(trajectories.log_reward, log_r.double().cpu().numpy()[trajectories.last])
        augmented = dataclasses.replace(trajectories, log_reward=log_reward)
        balance = Balance(COMPLETE, flow="log_z")
        return self.balance_loss(balance, found._replace(log_pb=log_pb), augmented) + novelty.mean()
