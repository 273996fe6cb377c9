"""The table of agents."""

from __future__ import annotations

import dataclasses
import difflib
import warnings
from typing import Any

from agents.agent import Agent
from agents.baselines import (
    A2CER,
    MCMC,
    PCL,
    PPO,
    SAC,
    SB3A2C,
    SB3DQN,
    SB3PPO,
    MunchausenDQN,
    Random,
    Reinforce,
    SoftDQN,
)
from agents.gflownets import DB, FLDB, FM, GTB, MDB, RLB, RLG, RLT, RLU, TB, FLSubTB, SubTB, VarGrad
from agents.policies.policy import Policy
from gfn_envs.dag import Dag

_ZOO: list[type[Agent]] = [FM, DB, TB, VarGrad, SubTB, FLDB, FLSubTB, MDB, GTB, RLU, RLB, RLG, RLT]
_BASELINES: list[type[Agent]] = [SoftDQN, MunchausenDQN, SAC, PCL, PPO, A2CER, Reinforce, MCMC, Random]
_BASELINES += [SB3PPO, SB3DQN, SB3A2C]

#: name -> agent class: the GFlowNets, then the baselines they are compared with
GFLOWNETS: dict[str, type[Agent]] = {agent.name: agent for agent in _ZOO}
BASELINES: dict[str, type[Agent]] = {agent.name: agent for agent in _BASELINES}
AGENTS: dict[str, type[Agent]] = GFLOWNETS | BASELINES


def agent_class(name: str) -> type[Agent]:
    """The class of a named agent.

    Raises:
        ValueError: no such agent, naming the nearest one.
    """
    if name not in AGENTS:
        near = difflib.get_close_matches(name, AGENTS, n=1, cutoff=0.3)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        raise ValueError(f"unknown agent {name!r}{hint} (available: {', '.join(AGENTS)})")
    return AGENTS[name]


def make_agent(name: str, dag: Dag, seed: int = 0, policy: Policy | None = None, **settings: Any) -> Agent:
    """An agent on ``dag``.

    Args:
        name: such as "tb"; see :data:`AGENTS`.
        dag: the environment's core.
        seed: one seed, one result.
        policy: a network of your own in place of the one that the settings describe.
        **settings: fields of the agent's config, such as ``batch_size``, ``hidden``, ``lr``, ``epsilon``.

    Raises:
        ValueError: an unknown agent or a bad value.
        TypeError: a setting the agent does not have, naming those it has.
    """
    chosen = agent_class(name)
    if not isinstance(dag, Dag):
        raise TypeError(f"dag must be a Dag, as gfn_envs.make_dag(id) or env.unwrapped.dag give it, got {dag!r}")
    if "compiled" in settings:
        engine = "numba" if settings.pop("compiled") else "torch"
        warnings.warn(f"compiled is deprecated; use engine={engine!r}", DeprecationWarning, stacklevel=2)
        settings.setdefault("engine", engine)
    allowed = [field.name for field in dataclasses.fields(chosen.config_class)]
    if unknown := [setting for setting in settings if setting not in allowed]:
        raise TypeError(f"agent {name!r} has no setting {', '.join(unknown)}; allowed: {', '.join(allowed)}")
    return chosen(dag, chosen.config_class(**settings), seed, policy)
