"""The table of agents."""

from __future__ import annotations

import dataclasses
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
from gfn_envs.validation import checked_seed, did_you_mean

_GFLOWNETS: list[type[Agent]] = [FM, DB, TB, VarGrad, SubTB, FLDB, FLSubTB, MDB, GTB, RLU, RLB, RLG, RLT]
_BASELINES: list[type[Agent]] = [SoftDQN, MunchausenDQN, SAC, PCL, PPO, A2CER, Reinforce, MCMC, Random]
_BASELINES += [SB3PPO, SB3DQN, SB3A2C]

#: Name -> agent class: the GFlowNets, then the baselines.
GFLOWNETS: dict[str, type[Agent]] = {agent.name: agent for agent in _GFLOWNETS}
BASELINES: dict[str, type[Agent]] = {agent.name: agent for agent in _BASELINES}
AGENTS: dict[str, type[Agent]] = GFLOWNETS | BASELINES


def agent_class(name: str) -> type[Agent]:
    """The class of a named agent.

    Raises:
        ValueError: the name is unknown. The message suggests the nearest one.
    """
    if name not in AGENTS:
        raise ValueError(f"unknown agent {name!r}{did_you_mean(name, AGENTS)} (available: {', '.join(AGENTS)})")
    return AGENTS[name]


def make_agent(name: str, dag: Dag, seed: int = 0, policy: Policy | None = None, **settings: Any) -> Agent:
    """An agent on ``dag``.

    Args:
        name: name of the agent, such as "tb"; see :data:`AGENTS`.
        dag: the environment's core.
        seed: seed of the initial weights and of all sampling.
        policy: your own network, instead of the one that the settings describe.
        **settings: fields of the agent's config, such as ``batch_size``, ``hidden``, ``lr``, ``epsilon``.

    Raises:
        ValueError: the agent is unknown or a setting has an invalid value.
        TypeError: ``dag`` is not a Dag, or the agent does not have a setting. The message lists its settings.
        UnsupportedError: the method does not apply to this environment.
    """
    chosen = agent_class(name)
    if not isinstance(dag, Dag):
        raise TypeError(f"dag must be a Dag, such as gfn_envs.make_dag(id) or env.unwrapped.dag, got {dag!r}")
    if "compiled" in settings:
        engine = "numba" if settings.pop("compiled") else "torch"
        warnings.warn(f"compiled is deprecated; use engine={engine!r}", DeprecationWarning, stacklevel=2)
        settings.setdefault("engine", engine)
    allowed = [field.name for field in dataclasses.fields(chosen.config_class)]
    if unknown := [setting for setting in settings if setting not in allowed]:
        hint = did_you_mean(unknown[0], allowed)
        raise TypeError(f"agent {name!r} has no setting {', '.join(unknown)}{hint} (allowed: {', '.join(allowed)})")
    seed = checked_seed(seed, f"agent {name!r}")
    return chosen(dag, chosen.config_class(**settings), seed, policy)
