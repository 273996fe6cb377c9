"""The training iteration of GFlowNets: sample, search, replay, learn."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from agents import rollout
from agents.config import BackwardSettings, EngineSettings, FlowSettings, GFlowNetConfig, LogZSettings, MixingSettings
from agents.held import held_digits
from agents.local_search import local_search
from agents.log_probs import LogProbs
from agents.losses.balance import Balance, balance_loss, select
from agents.losses.penalty import penalty
from agents.policies.policy import Policy
from agents.replay.objects import ReplayBuffer
from agents.replay.trajectories import follow, paths_of
from agents.tempered_agent import TemperedAgent
from agents.threads import on_working_threads
from agents.trajectories import Trajectories, concatenate
from gfn_envs.arrays import FloatArray, IntArray
from gfn_envs.border import partial_log_rewards
from gfn_envs.dag import Dag


class GFlowNet(TemperedAgent):
    """An agent that minimizes a loss on trajectories: sampled ones, and those to objects of replay and local search.

    Subclasses define :meth:`loss`.
    """

    config_class = GFlowNetConfig
    config: GFlowNetConfig

    def __init__(self, dag: Dag, config: Any = None, seed: int = 0, policy: Policy | None = None):
        super().__init__(dag, config, seed, policy)
        scheme, capacity = self.config.replay, self.config.replay_capacity
        keep = self.config.replay_of == "trajectories"
        self.replay = None if scheme == "none" else ReplayBuffer(dag, capacity, scheme, keep)
        if self.replay is not None:
            self.held["replay"] = held_digits(self.replay.scheme)

    def penalty(self, residual: Tensor) -> Tensor:
        """The configured penalty of residuals."""
        return penalty(residual, self.config.loss, self.config.clamp_loss)

    @on_working_threads
    def update(self) -> dict[str, Any]:
        """One iteration: gradient steps on a sampled batch, and on replayed and searched objects.

        Returns:
            ``loss``, ``log_z``, ``mean_log_reward`` of the sampled batch, and ``transitions``, all steps taken or
            undone.

        Raises:
            FloatingPointError: the loss or the policy's logits are NaN or infinite. The parameters keep their last
                finite values.
            RewardError: a reward failed. The agent is as it was before the iteration.
        """
        beta = self.beta
        try:
            with rollout.rewound_on_error(self.rng):
                return self._update()
        except BaseException:
            self.beta = beta
            raise

    def _update(self) -> dict[str, Any]:
        """:meth:`update`, which may raise in between."""
        batch = self.sample_batch()
        others, searched = self.replayed(batch)
        learned = self.retraced(self.tempered(batch), sampled=True)
        others = [self.retraced(self.at_beta(other), sampled=False) for other in others]
        joint = self.config.replay_mix == "joint"
        first = concatenate(learned, *others) if joint and others else learned
        steps = range(self.config.steps_per_batch)
        value, *_ = [self.engine.step(first, sampled=learned) for _ in steps]
        for other in () if joint else others:
            for _ in steps:
                self.engine.step(other)
        self.iteration += 1
        return {
            "loss": value,
            "log_z": self.log_z,
            "transitions": batch.num_edges + searched + sum(other.num_edges for other in others),
            "mean_log_reward": float(batch.log_reward.sum()) / len(batch),
        } | self.beta_info()

    def retraced(self, batch: Trajectories, sampled: bool) -> Trajectories:
        """The trajectories to learn from, to the objects of a batch that is ``sampled`` by P_F, or replayed."""
        return batch

    def replayed(self, batch: Trajectories) -> tuple[list[Trajectories], int]:
        """Trajectories sampled by P_B to objects from local search around ``batch`` and from the replay buffer, to
        which ``batch`` is added first; and the number of steps of the search."""
        others: list[Trajectories] = []
        searched = 0
        if not self.config.local_search and self.replay is None:
            return others, searched
        objects, log_reward, seen = batch.terminal_states, batch.log_reward, batch
        if self.config.local_search:
            with torch.inference_mode():
                found = local_search(
                    self.dag,
                    objects,
                    log_reward,
                    self.forward_logits(),
                    self.backward_logits(),
                    self.rng,
                    steps=self.config.search_fraction,
                    min_steps=1,
                    rounds=self.config.local_search,
                    accept=self.config.search_accept,
                )
            searched = found.transitions
            others.append(self.sample_backward(found.objects, found.log_reward))
            objects = np.concatenate([objects, found.proposals])
            log_reward = np.concatenate([log_reward, found.proposals_log_reward])
            if self.replay is not None and self.replay.keep_paths and len(found.proposals):
                seen = concatenate(seen, self.sample_backward(found.proposals, found.proposals_log_reward))
        if self.replay is not None:
            self.replay.add(objects, log_reward, paths_of(seen) if self.replay.keep_paths else None)
            others.append(self.replayed_batch(self.replay))
        return others, searched

    def replayed_batch(self, replay: ReplayBuffer) -> Trajectories:
        """Trajectories to objects of the buffer: as they were sampled, or sampled backward by P_B."""
        objects, log_reward = replay.sample(self.config.replay_batch_size, self.rng)
        if replay.keep_paths:
            batch = follow(self.dag, replay.paths(objects), log_reward, objects)
        else:
            batch = self.sample_backward(objects, log_reward)
        if replay.scheme.needs_losses:
            with torch.inference_mode():
                replay.set_losses(self.trajectory_losses(self.at_beta(batch)))
        return batch

    def trajectory_losses(self, trajectories: Trajectories) -> FloatArray:
        """The loss of each trajectory alone, float64 (n,)."""
        parts = [trajectories.part(i, i + 1) for i in range(len(trajectories))]
        return np.array([float(self.loss(part)) for part in parts])

    # ------------------------------------------------------------------ checkpoints

    def state_dict(self) -> dict[str, Any]:
        return super().state_dict() | {"replay": None if self.replay is None else self.replay.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        if (self.replay is None) != (state["replay"] is None):
            given = "no" if state["replay"] is None else "a"
            raise ValueError(
                f"the saved agent has {given} replay buffer, but this one has replay={self.config.replay!r}"
            )
        if self.replay is not None:
            self.replay.load_state_dict(state["replay"])  # First, because it may raise.
        super().load_state_dict(state)


#: Log flows are fitted to the first batch if the standard deviation of their errors is above this, in nats.
FAR = 10.0


@dataclass(frozen=True)
class BalanceConfig(EngineSettings, MixingSettings, BackwardSettings, GFlowNetConfig):
    """Settings of balance objectives."""


@dataclass(frozen=True)
class FlowConfig(FlowSettings, BalanceConfig):
    """Settings of balance objectives with learned state flows."""


@dataclass(frozen=True)
class LogZConfig(LogZSettings, BalanceConfig):
    """Settings of balance objectives with a learned log Z."""


class BalanceGFlowNet(GFlowNet):
    """A GFlowNet whose loss is a balance objective. Subclasses declare ``balance``."""

    config_class: ClassVar[type[Any]] = BalanceConfig

    @property
    def log_odds(self) -> float:
        if not isinstance(self.config, MixingSettings):
            return 0.0
        alpha = self.config.mixing(self.iteration)
        return 0.0 if alpha == 0.5 else math.log(alpha / (1 - alpha))

    @property
    def log_z(self) -> float | None:
        """log Z: the parameter, or log F(s0) if state flows are learned."""
        if not self.learns_flow or self.log_z_parameter is not None:
            return super().log_z
        with torch.inference_mode():
            return self.policy(self.dag.source(1)).log_flow.item()

    def log_z_of(self, trajectories: Trajectories) -> Tensor | None:
        """The learned log Z, a scalar; of each trajectory (n,) if it depends on conditions; None without one."""
        parameter: Tensor | None = self.log_z_parameter
        return parameter

    def groups(self, trajectories: Trajectories) -> IntArray | None:
        """The group of each trajectory (n,), whose mean residual a centered objective subtracts; None: all are one."""
        return None

    def loss(self, trajectories: Trajectories) -> Tensor:
        """Weighted penalties of the residuals; see :mod:`agents.losses.balance`."""
        assert self.balance is not None
        return self.balance_loss(self.balance, self.log_probs(trajectories), trajectories)

    def trajectory_losses(self, trajectories: Trajectories) -> FloatArray:
        """The share of each trajectory in the loss of the batch, times n, float64 (n,)."""
        if type(self).loss is not BalanceGFlowNet.loss:
            return super().trajectory_losses(trajectories)
        assert self.balance is not None
        penalties: list[Tensor] = []

        def remembered(residual: Tensor) -> Tensor:
            penalties.append(self.penalty(residual))
            return penalties[-1]

        self.balance_loss(self.balance, self.log_probs(trajectories), trajectories, remembered)
        _, _, weight, owner = select(self.balance.pairs, trajectories.offsets)
        parts = weight * penalties[0].double().cpu().numpy()
        return np.bincount(owner, parts, len(trajectories)) * len(trajectories)

    def balance_loss(
        self,
        balance: Balance,
        found: LogProbs,
        trajectories: Trajectories,
        penalty: Callable[[Tensor], Tensor] | None = None,
    ) -> Tensor:
        """Balance loss from log-probabilities and flows that are already computed; default: the configured penalty."""
        log_flow, end_flow = self.log_flow(balance, found, trajectories)
        log_z = self.log_z_of(trajectories) if balance.flow == "log_z" else None
        log_pf = found.log_pf + self.log_odds if self.log_odds else found.log_pf  # Adding 0 would take time.
        loss, mean = balance_loss(
            *(log_pf, found.log_pb, log_flow, trajectories.offsets, balance),
            *(penalty or self.penalty, end_flow, log_z, self.groups(trajectories) if balance.centered else None),
        )
        if mean is not None and (learned := self.log_z_of(trajectories)) is not None:
            # log Z is not part of the residual. It is fitted to the batch for reporting only.
            loss = loss + (learned + mean.detach()).square().mean()
        return loss

    def log_flow(self, balance: Balance, found: LogProbs, trajectories: Trajectories) -> tuple[Tensor, Tensor | None]:
        """log F of the states (s,), without log Z; and as the second state of a pair if that differs, else None."""
        if balance.flow == "network":
            assert found.log_flow is not None
            log_flow = found.log_flow
            if (own := self.log_z_of(trajectories)) is not None:  # log F(s0) is a separate parameter.
                first = torch.from_numpy(trajectories.offsets[:-1]).to(self.device)
                log_z = own.to(log_flow.dtype).expand(len(first))
                log_flow = log_flow.index_copy(0, first, log_z)
        else:
            known = np.zeros(len(trajectories.states))
            known[trajectories.last] = trajectories.log_reward
            log_flow = torch.from_numpy(known).to(found.log_pf)
        if balance.partial_reward:
            partial = self.beta * partial_log_rewards(self.dag, trajectories.states)
            partial[trajectories.last] = 0.0  # log F is log R there already.
            log_flow = log_flow + torch.from_numpy(partial).to(log_flow)
        return log_flow, None

    @torch.no_grad()
    def fit_far_flows(self, batch: Trajectories) -> bool:
        """Fit log flows that are far off to log R + log P_B - log P_F of the rest of each trajectory of a first batch.

        The flows of a long construction differ by tens of nats between its start and its end. Gradient steps take
        thousands of iterations for such a trend. Only trajectories of one length are fitted: among others, a flow is
        mostly that of the longest ones below, which the average of a batch does not show.
        """
        if self.balance is None or self.balance.flow != "network" or np.ptp(batch.lengths):
            return False
        found = self.log_probs(batch)
        flows, _ = self.log_flow(self.balance, found, batch)
        step = (found.log_pb - found.log_pf - self.log_odds).cpu().double().numpy()
        until = np.concatenate([[0.0], np.cumsum(step)])
        rest = np.repeat(until[batch.edge_offsets[1:]] + batch.log_reward, batch.lengths) - until[:-1]
        gaps = rest - flows.cpu().double().numpy()[batch.sources]
        inner = np.ones(len(gaps), dtype=bool)
        if self.log_z_parameter is not None:  # log F(s0) is a separate parameter.
            inner[batch.edge_offsets[:-1]] = False
        if gaps.std() <= FAR or not self.policy.change_flow(batch.states[batch.sources[inner]], gaps[inner]):
            return False
        if self.log_z_parameter is not None:
            self.log_z_parameter += float(gaps[~inner].mean())
        return True
