"""Relative trajectory balance and Trust-PCL: posteriors under a prior policy."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor, nn

from agents.baselines.pcl import PathSettings
from agents.config import Config, GFlowNetConfig, LogZSettings
from agents.gflownets.gflownet import BalanceGFlowNet
from agents.log_probs import LogProbs
from agents.losses.balance import COMPLETE, Balance, paths
from agents.policies.given import given_policy
from agents.policies.masking import masked_log_softmax
from agents.policies.policy import frozen_copy
from agents.trajectories import Trajectories
from gfn_envs import exact
from gfn_envs.arrays import FloatArray, IntArray, distinct


@dataclass(frozen=True)
class PriorSettings(Config):
    """Prior policy."""

    prior: str = "uniform"
    """Prior P_0 over trajectories: uniform over legal actions, or the module:name of a class or function that makes a
    policy (agents.policies.given), such as that of a trained agent. It stays as it is."""


@dataclass(frozen=True)
class RTBConfig(PriorSettings, LogZSettings, GFlowNetConfig):
    """Settings of relative trajectory balance."""


@dataclass(frozen=True)
class TrustPCLConfig(PriorSettings, PathSettings, GFlowNetConfig):
    """Settings of Trust-PCL."""


class RTB(BalanceGFlowNet):
    """Relative trajectory balance: objects in proportion to p_0(x) R(x), with p_0 the distribution of a prior policy.

    log Z + log P_F(tau) - log P_0(tau) - log R(x) (Venkatraman et al. 2024, equation 8, for R = r^beta and Z the sum of
    p_0(x) R(x)). There is no P_B: trajectories replayed to an object are sampled backward uniformly. Exact distances
    are those to p_0 R / Z; ELBO and EUBO bound the log of the sum of R, as for all agents. Departure: the penalty is a
    setting; the paper has half of the square.
    """

    name = "rtb"
    paper = "Venkatraman et al. 2024"
    config_class: ClassVar[type[Any]] = RTBConfig
    config: Any

    @property
    def objective(self) -> Balance:
        """The objective, with log P_0 in place of log P_B. Engines other than torch do not know it."""
        return Balance(COMPLETE, flow="log_z")

    def make_modules(self) -> dict[str, nn.Module]:
        if self.config.prior == "uniform":
            return {}
        return {"prior": frozen_copy(given_policy(self.config.prior, self.dag, False, False), self.dag)}

    def log_prior(self, states: IntArray) -> Tensor:
        """log P_0 of the actions of states that are not terminal, (n, num_actions)."""
        mask = self.dag.forward_mask(states)
        with torch.no_grad():
            given = "prior" in self.modules
            logits = self.modules["prior"](states).forward_logits if given else torch.zeros(mask.shape)
            return masked_log_softmax(logits.to(self.device), mask)

    def relative(self, trajectories: Trajectories) -> LogProbs:
        """log P_F, and log P_0 in place of log P_B."""
        found = self.log_probs(trajectories)
        states, row = distinct(trajectories.states[trajectories.sources])
        index = torch.from_numpy(row).to(self.device), torch.from_numpy(trajectories.actions).to(self.device)
        return found._replace(log_pb=self.log_prior(states)[index].to(found.log_pf))

    def loss(self, trajectories: Trajectories) -> Tensor:
        return self.balance_loss(self.objective, self.relative(trajectories), trajectories)

    def log_ratio(self, batch: Trajectories) -> FloatArray:
        """log P_F - log P_0 of each trajectory, float64 (n,)."""
        with torch.inference_mode():
            found = self.relative(batch)
            ratio = (found.log_pf - found.log_pb).double().cpu().numpy()
        return np.add.reduceat(ratio, batch.edge_offsets[:-1])

    def target_log_weights(self) -> FloatArray:
        """log p_0 of every object, float64 (num_terminal_states,)."""
        return self._log_p0

    @functools.cached_property
    def _log_p0(self) -> FloatArray:
        def prior(states: IntArray) -> FloatArray:
            return np.asarray(self.log_prior(states).double().exp().cpu().numpy())

        return exact.log_terminal_distribution(self.dag, prior)


class TrustPCL(RTB):
    """Trust-PCL: relative trajectory balance on paths of d steps or to the end, with a soft value V = log F.

    V(s_i) - V(s_j) + sum_{i<=t<j} (log pi(a_t|s_t) - log P_0(a_t|s_t)), with log R(x) for V at terminal states: minus
    the residual of Nachum et al. 2018 (Trust-PCL, equation 11) with discount 1, no entropy term and relative entropy
    coefficient 1, P_0 instead of a moving average of pi. On whole trajectories it is rtb with log F(s0) for log Z
    (Deleu et al. 2025, proposition 3.1). Another coefficient a is the exponent 1 / a of R.
    """

    name = "trust-pcl"
    paper = "Nachum et al. 2018; Deleu et al. 2025"
    learns_flow = True
    config_class: ClassVar[type[Any]] = TrustPCLConfig

    @property
    def objective(self) -> Balance:
        return Balance(paths(self.config.steps), flow="network")
