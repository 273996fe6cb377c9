"""REINFORCE."""

from __future__ import annotations

from typing import Any

import torch

from agents.baselines.actor_critic import ReturnAgent, ReturnConfig, chosen
from agents.config_checks import require_two_trajectories
from agents.losses.segments import segment_ids, segment_sum
from agents.losses.soft_rl import entropy
from gfn_envs.arrays import distinct


class Reinforce(ReturnAgent):
    """REINFORCE: policy gradient of the expected return, with the batch mean as baseline."""

    name = "reinforce"
    paper = "Williams 1992"
    config_class = ReturnConfig

    def check(self) -> None:
        require_two_trajectories(self.config, "the batch mean")

    def update(self) -> dict[str, Any]:
        """One iteration: sample trajectories and take a gradient step.

        Raises:
            FloatingPointError: the loss or the logits are NaN or infinite. Parameters keep their last finite values.
        """
        batch = self.sample_batch()
        offsets = torch.from_numpy(batch.edge_offsets).to(self.device)
        returns = segment_sum(self.rewards(batch), offsets)
        states, rows = distinct(batch.states[batch.sources])
        log_p = self.log_policy(states)
        advantages = (returns - returns.mean())[segment_ids(offsets, batch.num_edges)]
        gain = (advantages * chosen(log_p, rows, batch.actions)).sum() / len(batch)
        bonus = entropy(log_p).index_select(0, torch.from_numpy(rows).to(self.device)).mean()
        loss = self.finite(-gain - self.config.entropy_bonus * bonus)
        self.step_optimizer(loss)
        self.iteration += 1
        return self.summary(batch, loss.item())
