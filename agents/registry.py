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
    RTB,
    SAC,
    SB3A2C,
    SB3DQN,
    SB3PPO,
    MunchausenDQN,
    Random,
    Reinforce,
    SoftDQN,
    TrustPCL,
)
from agents.conditional import conditional
from agents.gflownets import (
    CB,
    DB,
    FLDB,
    FM,
    GAFN,
    GTB,
    MDB,
    RLB,
    RLEB,
    RLG,
    RLPPO,
    RLT,
    RLU,
    TB,
    FLSubTB,
    SubTB,
    VarGrad,
)
from agents.policies.given import PolicyFactory
from agents.policies.policy import Policy
from gfn_envs import named, plugins
from gfn_envs.conditions import Conditions, conditioned
from gfn_envs.dag import Dag
from gfn_envs.validation import checked_seed, did_you_mean

_GFLOWNETS: list[type[Agent]] = [FM, DB, TB, VarGrad, CB, SubTB, FLDB, FLSubTB, MDB, GTB, RLU, RLB, RLG, RLT]
_GFLOWNETS += [RLEB, RLPPO, GAFN]
_BASELINES: list[type[Agent]] = [SoftDQN, MunchausenDQN, SAC, PCL, RTB, TrustPCL, PPO, A2CER, Reinforce, MCMC, Random]
_BASELINES += [SB3PPO, SB3DQN, SB3A2C]

#: Name -> agent class: the GFlowNets, then the baselines.
GFLOWNETS: dict[str, type[Agent]] = {agent.name: agent for agent in _GFLOWNETS}
BASELINES: dict[str, type[Agent]] = {agent.name: agent for agent in _BASELINES}
AGENTS: dict[str, type[Agent]] = GFLOWNETS | BASELINES


def register(agent: type[Agent]) -> type[Agent]:
    """Register your own agent under its ``name``, in this process; usable as a decorator.

    ``make_agent`` and saved runs then know it by that name. An agent given as ``module:name`` is registered
    automatically.

    Raises:
        TypeError: ``agent`` is not a subclass of Agent, or has no settings that are a dataclass.
        ValueError: another class has that name.
    """
    if not (isinstance(agent, type) and issubclass(agent, Agent)):
        raise TypeError(f"expected a subclass of agents.Agent, got {agent!r}")
    if not dataclasses.is_dataclass(agent.config_class):
        raise TypeError(f"agent {agent.name!r}: config_class must be a dataclass, got {agent.config_class!r}")
    known = AGENTS.get(agent.name, agent)
    if (known.__module__, known.__qualname__) != (agent.__module__, agent.__qualname__):
        raise ValueError(f"there is an agent named {agent.name!r} already, {known.__module__}:{known.__qualname__}")
    AGENTS[agent.name] = agent
    return agent


def known_agents() -> list[str]:
    """Names of all agents, and of those of installed packages that are imported at first use."""
    return list(dict.fromkeys([*AGENTS, *plugins.entry_points(plugins.AGENTS)]))


def agent_class(name: str) -> type[Agent]:
    """The class of an agent: by its name, or ``module:name`` for your own class.

    Raises:
        ValueError: the name is unknown. The message suggests the nearest one.
        TypeError: ``module:name`` is not an agent.
        ImportError: the module does not exist or cannot be imported.
    """
    if name not in AGENTS:
        if named.is_named(name):
            return register(named.load(name, "agent"))
        if name in plugins.entry_points(plugins.AGENTS):
            return register(plugins.load(plugins.AGENTS, name))
        known = known_agents()
        raise ValueError(f"unknown agent {name!r}{did_you_mean(name, known)} (available: {', '.join(known)})")
    return AGENTS[name]


def make_agent(
    name: str | type[Agent],
    dag: Dag,
    seed: int = 0,
    policy: Policy | PolicyFactory | str | None = None,
    conditions: str | Conditions | None = None,
    **settings: Any,
) -> Agent:
    """An agent on ``dag``.

    Args:
        name: name of the agent, such as "tb"; see :data:`AGENTS`. Or your own class, or its ``module:name``.
        dag: the environment's core.
        seed: seed of the initial weights and of all sampling.
        policy: your own network, instead of the one that the settings describe: a :class:`Policy`, or a class or
            function that makes one (:mod:`agents.policies.given`), or its ``module:name``.
        conditions: learn a family of targets, such as "temperature:1,32" (:mod:`gfn_envs.conditions`). An environment
            that was made with conditions needs none here.
        **settings: fields of the agent's config, such as ``batch_size``, ``hidden``, ``lr``, ``epsilon``.

    Raises:
        ValueError: the agent is unknown or a setting has an invalid value.
        TypeError: ``dag`` is not a Dag, or the agent does not have a setting. The message lists its settings.
        UnsupportedError: the method does not apply to this environment.
        ImportError: a named module does not exist or cannot be imported.
    """
    chosen = agent_class(name) if isinstance(name, str) else register(name)
    name = chosen.name
    if not isinstance(dag, Dag):
        raise TypeError(f"dag must be a Dag, such as gfn_envs.make_dag(id) or env.unwrapped.dag, got {dag!r}")
    if conditions is not None:
        dag = conditioned(dag, conditions)
    if dag.conditions is not None:
        chosen = conditional(chosen)
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
