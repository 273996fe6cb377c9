"""Agents whose reward is tempered, and whose log Z follows the sampled batches."""

from __future__ import annotations

import dataclasses

import numpy as np
import torch

from agents.agent import Agent
from agents.config import TemperingSettings
from agents.tempering import first_beta, next_beta
from agents.trajectories import Trajectories
from gfn_envs.arrays import FloatArray

#: log Z is set to a batch's estimate if the two differ by more than this many nats and standard errors.
LOG_Z_NATS, LOG_Z_ERRORS = 1.0, 3.0
#: Smallest batch that gives a standard error.
LOG_Z_BATCH = 4


class TemperedAgent(Agent):
    """An agent that learns from batches of :meth:`tempered` rewards."""

    def tempered(self, batch: Trajectories) -> Trajectories:
        """A batch with log R^beta for log R, at the beta of this iteration. log Z follows the batch."""
        if not isinstance(self.config, TemperingSettings):
            return batch
        log_ratio = None
        if self.config.beta is not None:
            self.beta = self.config.beta(self.iteration)
        elif self.iteration == 0:
            self.beta = first_beta(batch.log_reward, self.dag.expensive_reward)
        elif self.beta < 1:
            log_ratio = self.log_ratio(batch)
            self.beta = next_beta(self.beta, batch.log_reward, log_ratio)
        batch = self.at_beta(batch)
        self.track_log_z(batch, log_ratio)
        return batch

    def log_ratio(self, batch: Trajectories) -> FloatArray:
        """log P_F - log P_B of each trajectory, as the objective balances them with log R - log Z, float64 (n,)."""
        return self.engine.log_ratio(batch) + self.log_odds * batch.lengths

    def beta_info(self) -> dict[str, float]:
        """``beta``, for the results of an update, while it is below 1."""
        return {} if self.beta == 1 else {"beta": self.beta}

    def at_beta(self, batch: Trajectories) -> Trajectories:
        """A batch with log R^beta for log R."""
        return batch if self.beta == 1 else dataclasses.replace(batch, log_reward=self.beta * batch.log_reward)

    def flow_gaps(self, batch: Trajectories) -> FloatArray:
        """log R(x) + log P_B - log P_F - log F(s) at the last transition s -> x of each trajectory, as the objective
        balances them, float64 (n,).

        They are 0 if the flows balance. log R(x) - log F(s) alone is not: it would shift flows that are right, again
        and again.
        """
        ends = Trajectories(
            states=batch.states[np.stack([batch.last - 1, batch.last], axis=1).ravel()],
            actions=batch.actions[batch.edge_offsets[1:] - 1],
            backward_actions=batch.backward_actions[batch.edge_offsets[1:] - 1],
            offsets=2 * np.arange(len(batch) + 1),
            log_reward=batch.log_reward,
        )
        found = self.log_probs(ends)
        assert found.log_flow is not None
        gaps: FloatArray = (found.log_pb - found.log_pf - found.log_flow[::2]).detach().cpu().double().numpy()
        return batch.log_reward + gaps - self.log_odds

    def fit_far_flows(self, batch: Trajectories) -> bool:
        """Fit log flows that are far off to a first batch, if this agent can. Returns whether they were fitted."""
        return False

    def track_log_z(self, batch: Trajectories, log_ratio: FloatArray | None = None) -> None:
        """Set log Z to the estimate of a batch of P_F if it is far off, or shift all log flows so that those before the
        terminal states match log R on average (``track_log_z``).

        ``log_ratio`` is :meth:`log_ratio` of the batch, if it is already known: it costs a third of an iteration.
        """
        parameter = self.policy.flow_bias() if self.learns_flow else self.log_z_parameter
        if parameter is None or not getattr(self.config, "track_log_z", False) or len(batch) < LOG_Z_BATCH:
            return
        # Less and less often once beta is 1: at least 8 times while the number of iterations doubles.
        due = self.beta != 1 or self.iteration % (1 << max(0, self.iteration.bit_length() - 4)) == 0
        if not due or (self.learns_flow and self.beta == 1 and self.iteration > 0):
            return
        with torch.no_grad():
            if self.learns_flow and self.iteration == 0 and self.fit_far_flows(batch):
                return
            if self.balance is not None and self.balance.partial_reward:
                return  # Flows are corrections to rewards, and those near the end are small.
            if self.learns_flow:
                gaps = self.flow_gaps(batch)
            else:
                log_ratio = self.log_ratio(batch) if log_ratio is None else log_ratio
                gaps = batch.log_reward - log_ratio - self.log_z
            shift, error = float(gaps.mean()), gaps.std() / np.sqrt(len(batch))
            if abs(shift) > max(LOG_Z_NATS, LOG_Z_ERRORS * error):
                parameter += shift
                if self.learns_flow and self.log_z_parameter is not None:
                    self.log_z_parameter += shift
