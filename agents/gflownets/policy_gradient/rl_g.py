"""Policy gradients with a backward policy that is learned towards a guided reference."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from agents.config_checks import require_at_least
from agents.errors import UnsupportedError
from agents.gflownets.guided.guide import log_agreement
from agents.gflownets.policy_gradient.rl_b import RLB, RLBConfig
from agents.losses import policy_gradient as pg
from agents.policies.policy import Policy
from agents.replay.objects import ReplayBuffer
from agents.trajectories import Trajectories
from gfn_envs.arrays import distinct
from gfn_envs.border import log_rewards
from gfn_envs.dag import Dag

#: (agent, trajectories, log P_F of their edges (e,)) -> log P_G of the edges (e,), without a gradient.
Guide = Callable[["RLG", Trajectories, Tensor], Tensor]

#: Upper bound of the stop probability if the reward is low.
STOP_CAP = 1e-5


@dataclass(frozen=True)
class RLGConfig(RLBConfig):
    """Settings of RL-G."""

    replay_capacity: int = 100_000
    """Maximum number of objects stored for the agreement guide."""
    guide_objects: int = 1000
    """Objects drawn per iteration from all objects seen, for the agreement guide."""

    def __post_init__(self) -> None:
        super().__post_init__()
        require_at_least(self, 1, "guide_objects", "replay_capacity")


class RLG(RLB):
    """Policy gradients (RL-G): P_B is learned towards a guided reference that avoids low rewards.

    Raises:
        UnsupportedError: :func:`find_guide` has no guide for the environment.
    """

    name = "rl-g"
    config_class = RLGConfig
    config: RLGConfig

    def __init__(self, dag: Dag, config: Any = None, seed: int = 0, policy: Policy | None = None):
        self.guide = find_guide(dag)
        super().__init__(dag, config, seed, policy)
        self.seen = ReplayBuffer(dag, self.config.replay_capacity, "uniform")

    def step_backward(self, batch: Trajectories) -> dict[str, float]:
        self.seen.add(batch.terminal_states, batch.log_reward / self.beta)
        return super().step_backward(batch)

    def log_reference(self, trajectories: Trajectories, log_pf: Tensor) -> Tensor:
        """log P_G of the edges, (e,), detached."""
        with torch.no_grad():
            return self.guide(self, trajectories, log_pf)

    def state_dict(self) -> dict[str, Any]:
        return super().state_dict() | {"seen": self.seen.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.seen.load_state_dict(state["seen"])  # First, because it may raise.
        super().load_state_dict(state)


def agreement_guide(agent: RLG, trajectories: Trajectories, log_pf: Tensor) -> Tensor:
    """P_G is proportional to the mean reward of the objects seen that can be built from the child (Niu et al. 2024,
    sequences)."""
    states, row = distinct(trajectories.states[trajectories.sources])
    objects, log_reward = agent.seen.sample(agent.config.guide_objects, agent.rng)
    table = log_agreement(agent.dag, states, objects, log_reward)
    return torch.from_numpy(table[row, trajectories.actions]).to(log_pf)


def stop_guide(dag: Dag) -> Guide:
    """P_F with the stop probability capped at 1e-5 if R(x) <= R0, then renormalized (Niu et al. 2024).

    Their code caps the logit itself, so the result depends on a constant added to all logits.
    """
    assert dag.reward_floor is not None
    return functools.partial(_stop_guide, math.log(dag.reward_floor))


def _stop_guide(log_floor: float, agent: RLG, trajectories: Trajectories, log_pf: Tensor) -> Tensor:
    dag = agent.dag
    states, row = distinct(trajectories.states[trajectories.sources])
    stopped = dag.step(states, np.full(len(states), dag.num_actions - 1))
    low = torch.from_numpy(log_rewards(dag, stopped) <= log_floor).to(agent.device)
    table = pg.capped_stop(agent.log_pf_table(states), low, math.log(STOP_CAP))
    edges = (torch.from_numpy(row), torch.from_numpy(trajectories.actions))
    return table[edges[0].to(agent.device), edges[1].to(agent.device)]


def find_guide(dag: Dag) -> Guide:
    """The guide of an environment, by its capabilities.

    :func:`stop_guide` if every state can stop and the reward has a lowest level; :func:`agreement_guide` for other
    environments that define ``contains``.

    Raises:
        UnsupportedError: the environment supports neither.
    """
    if dag.can_stop_anywhere and dag.reward_floor is not None:
        return stop_guide(dag)
    if dag.grid_shape is None and dag.has("contains"):
        return agreement_guide
    raise UnsupportedError(
        f"agent 'rl-g' needs a guided reference P_G, but {dag!r} has none. It needs an environment where every state "
        "can stop and the reward has a lowest level R0 (reward_floor; most rewards of HyperGrid), or with contains"
    )
