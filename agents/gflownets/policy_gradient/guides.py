"""Guided references P_G of RL-G, one per kind of environment (Niu et al. 2024)."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from agents.errors import UnsupportedError
from agents.gflownets.guided.guide import log_agreement, log_guide_of_scores, log_mean_reward
from agents.gflownets.guided.substructures import Substructures, TooManyPartsError
from agents.losses import policy_gradient as pg
from agents.trajectories import Trajectories
from gfn_envs.arrays import FloatArray, IntArray, distinct
from gfn_envs.border import log_rewards
from gfn_envs.dag import Dag

#: (agent, trajectories, log P_F of their edges (e,)) -> log P_G of the edges (e,), without a gradient.
Guide = Callable[[Any, Trajectories, Tensor], Tensor]

#: Upper bound of the stop probability if the reward is low: on grids, and elsewhere.
STOP_CAP, LOW_REWARD_CAP = 1e-5, 1e-10


class Parts:
    """Mean rewards of the objects seen: by sums over their parts or, if they have too many, from a list of objects."""

    def __init__(self, dag: Dag):
        self.dag = dag
        self.sums: Substructures | None = Substructures(dag)

    def add(self, objects: IntArray, log_reward: FloatArray) -> None:
        if self.sums is None:
            return
        try:
            self.sums.add(objects, log_reward)
        except TooManyPartsError:
            self.sums = None

    def log_mean_reward(self, states: IntArray, objects: IntArray, log_reward: FloatArray) -> FloatArray:
        """log of the mean reward of the objects that can be built from each state, (n,); -inf without any."""
        if self.sums is None:
            return log_mean_reward(self.dag, states, objects, np.asarray(log_reward, np.float64))
        return self.sums.log_mean_reward(states)


def conditional_guide(agent: Any, trajectories: Trajectories, log_pf: Tensor) -> Tensor:
    """P_G(s'|s, x): the children from which the trajectory's own x can still be built, in proportion to the mean reward
    of the objects seen, including x, that can be built from them (Niu et al. 2024, sequences).

    Their code counts an object as often as it was sampled; here every object counts once.
    """
    objects, log_reward = agent.listed() if agent.parts.sums is None else (None, None)

    def log_phi(states: IntArray, ends: IntArray, end: IntArray) -> FloatArray:
        return agent.parts.log_mean_reward(states, objects, log_reward)

    return torch.from_numpy(log_guide_of_scores(agent.dag, trajectories, log_phi)).to(log_pf)


def agreement_guide(agent: Any, trajectories: Trajectories, log_pf: Tensor) -> Tensor:
    """P_G(s'|s) over all children, in proportion to the mean reward of the objects seen that can be built from them.

    Unlike :func:`conditional_guide`, it is Markov, so P_B can match it.
    """
    states, row = distinct(trajectories.states[trajectories.sources])
    table = log_agreement(agent.dag, states, *agent.listed())
    return torch.from_numpy(table[row, trajectories.actions]).to(log_pf)


def stop_guide(dag: Dag) -> Guide:
    """P_F with the stop probability capped at 1e-5 if R(x) <= R0, then renormalized (Niu et al. 2024, grids).

    Their code caps the logit itself, so the result depends on a constant added to all logits.
    """
    assert dag.reward_floor is not None
    log_floor = math.log(dag.reward_floor)
    return functools.partial(_capped, log_floor, False, STOP_CAP)


def low_reward_guide(dag: Dag) -> Guide:
    """P_F with the stop probability capped at 1e-10 if log R(x) is at most ``guide_threshold`` above that of stopping
    in s0, then renormalized (Niu et al. 2024, Bayesian networks, with threshold 75)."""
    log_empty = float(log_rewards(dag, _stopped(dag, dag.source(1)))[0])
    return functools.partial(_capped, log_empty, True, LOW_REWARD_CAP)


def _stopped(dag: Dag, states: IntArray) -> IntArray:
    return dag.step(states, np.full(len(states), dag.num_actions - 1))


def _capped(
    log_level: float, with_threshold: bool, cap: float, agent: Any, trajectories: Trajectories, log_pf: Tensor
) -> Tensor:
    """P_F with the stop probability capped where log R is at most ``log_level``, plus ``guide_threshold`` if asked."""
    dag = agent.dag
    highest = log_level + (agent.config.guide_threshold if with_threshold else 0.0)
    states, row = distinct(trajectories.states[trajectories.sources])
    where = torch.from_numpy(log_rewards(dag, _stopped(dag, states)) <= highest).to(agent.device)
    table = pg.capped_stop(agent.log_pf_table(states), where, math.log(cap))
    edges = (torch.from_numpy(row), torch.from_numpy(trajectories.actions))
    return table[edges[0].to(agent.device), edges[1].to(agent.device)]


def find_guide(dag: Dag, name: str = "paper") -> Guide:
    """The guide of that name, or for "paper" the one of Niu et al. 2024 for this kind of environment.

    "stop" where every state can stop and the reward has a lowest level, as on grids; "low-reward" where every state can
    stop, as in Bayesian networks; "conditional" where objects contain states, as strings do.

    Raises:
        UnsupportedError: the environment does not support it.
    """
    contains = dag.grid_shape is None and dag.has("contains")
    floor = dag.can_stop_anywhere and dag.reward_floor is not None
    if name == "paper":
        may_stop = dag.can_stop_anywhere and dag.grid_shape is None
        name = "stop" if floor else "low-reward" if may_stop else "conditional" if contains else "none"
    if name == "stop" and floor:
        return stop_guide(dag)
    if name == "low-reward" and dag.can_stop_anywhere:
        return low_reward_guide(dag)
    if name in ("conditional", "agreement") and contains:
        return conditional_guide if name == "conditional" else agreement_guide
    raise UnsupportedError(
        f"agent 'rl-g' needs a guided reference P_G, but {dag!r} has none{f' named {name!r}' * (name != 'none')}. It "
        "needs an environment where every state can stop and the reward has a lowest level R0 (reward_floor; most "
        "rewards of HyperGrid), or that is no grid and lets every state stop, or with contains"
    )
