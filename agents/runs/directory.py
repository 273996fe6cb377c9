"""Run directories: configuration, metrics, checkpoints and figures of one training run.

    config.json      agent, environment with arguments, settings, seed; provenance and log rewards of a few objects
    metrics.jsonl    one line per log step
    metrics.json     the final metrics
    checkpoint.pt    the state from which training continues bit for bit
    inputs/          copies of small files and arrays that the environment was made with
    figures/         figures

Files are replaced atomically. Each has a checksum. Nothing read from them is executed.
"""

from __future__ import annotations

import dataclasses
import functools
import json
import os
from pathlib import Path
from typing import Any

from agents.agent import Agent
from agents.config import Config
from agents.policies.backward import BackwardPolicy
from agents.policies.given import PolicyFactory
from agents.policies.policy import Policy
from agents.registry import AGENTS, make_agent
from agents.replay.schemes import Scheme
from agents.runs.checkpoint import load_checkpoint as load_checkpoint
from agents.runs.checkpoint import save_checkpoint as save_checkpoint
from agents.runs.differences import argument_differences, given_again, held_differences
from agents.runs.errors import RunError as RunError
from agents.runs.files import CHECKPOINT as CHECKPOINT
from agents.runs.files import CONFIG as CONFIG
from agents.runs.files import HISTORY as HISTORY
from agents.runs.files import METRICS as METRICS
from agents.runs.files import finite as finite
from agents.runs.files import read_json as read_json
from agents.runs.files import write_atomically as write_atomically
from agents.runs.files import write_json as write_json
from agents.runs.files import write_sealed as write_sealed
from agents.runs.history import read_history as read_history
from agents.runs.history import write_history as write_history
from agents.runs.inputs import Copies, decode_arguments, encode_arguments
from agents.runs.legacy import present_arguments, present_settings
from agents.runs.oracles import describe_oracle, restore_oracle
from agents.runs.probe import check_config_probe
from agents.runs.sources import (
    IMPORTABLE,
    Trust,
    agent_sources,
    check_trusted,
    describe_source,
    import_source,
    imports_of,
    names_within,
    same_source,
    source_name,
)
from agents.schedules import Schedule
from gfn_envs.dag import Dag
from gfn_envs.gym.build import make as make_from_class
from gfn_envs.registration import found, id_of, make_dag, registered_ids


def read_config(out: Path) -> dict[str, Any]:
    """config.json of a run, with current settings. Raises RunError if it is missing, damaged or not of a run."""
    config = read_json(out / CONFIG)
    kinds = {"agent": str, "env": str, "settings": dict, "env_arguments": dict, "seed": int}
    for name, kind in kinds.items():
        if not isinstance(config.get(name), kind):
            raise RunError(f"{out / CONFIG} is not the config of a run: it has no {name} ({kind.__name__})")
    config["settings"] = present_settings(config["agent"], config["settings"])
    config["env_arguments"] = present_arguments(config["env"], config["env_arguments"])
    return config


def read_metrics(out: Path) -> dict[str, Any]:
    """metrics.json of a run. Raises RunError if it is missing or damaged."""
    return read_json(out / METRICS, sealed="provenance" in read_json(out / CONFIG))


def settings_of(config: Config) -> dict[str, Any]:
    """Every setting by name, as JSON. Schedules are text."""
    settings = {field.name: getattr(config, field.name) for field in dataclasses.fields(config)}
    plain = {name: str(value) if isinstance(value, Schedule) else value for name, value in settings.items()}
    return json.loads(json.dumps(plain, default=repr))


def describe(agent: Agent, copies: Copies | None = None) -> dict[str, Any]:
    """The configuration of an agent and its environment, as JSON.

    Args:
        agent: the agent.
        copies: receives the contents of the files that the run keeps, by their names within the run directory.
    """
    dag: Any = agent.dag
    kind = type(dag if dag.conditions is None else dag.base)
    config = {
        "agent": agent.name,
        "settings": settings_of(agent.config),
        "env": id_of(kind) or f"{kind.__module__}:{kind.__qualname__}",
        "env_arguments": encode_arguments(agent.dag, {} if copies is None else copies),
        "seed": agent.seed,
        # The choice of engine="auto" here. It decides the samples of a seed.
        "engine": agent.engine.name,
    }
    if kind.__module__.split(".")[0] != "gfn_envs":
        config["env_source"] = describe_source(kind)
    config |= describe_oracle(agent.dag)
    if agent.policy_given:
        config["policy"] = f"{type(agent.policy).__module__}:{type(agent.policy).__qualname__}"
    if sources := agent_sources(agent):
        config["sources"] = sources
    if held := {part: digits for part, digits in agent.held.items() if digits is not None}:
        config["held"] = held
    return config


def needs_environment(config: dict[str, Any]) -> list[str]:
    """The arguments of a run's environment that cannot be imported again, as "argument = name"."""
    arguments = config["env_arguments"].items()
    return [f"{argument} = {name}" for argument, value in arguments for name in given_again(value)]


def load_agent(
    out: str | os.PathLike[str],
    dag: Dag | None = None,
    policy: Policy | PolicyFactory | str | None = None,
    device: str | None = None,
    trust: Trust = False,
    *,
    backward: BackwardPolicy | None = None,
    replay: Scheme | None = None,
) -> Agent:
    """The agent of a run directory, at its last checkpoint.

    Args:
        out: the directory.
        dag: the environment. Needed if one of its arguments cannot be saved, such as a lambda. Its sizes and the log
            rewards of the objects saved with the run must be those of the run.
        policy: a network of the same architecture as the run's, or a class or function that makes it. Needed if the run
            had a custom network. It receives the run's weights.
        device: device of the networks. Default: the device of training.
        trust: import modules that the run names, such as that of a reward function or of an objective, which runs their
            code; or the names of the modules that may be imported.
        backward, replay: the object with which the run was made, if this setting was an object. It must hold the same
            values.

    Raises:
        RunError: the directory is not a run or is damaged; the environment, a file, a function or an object has changed
            since; ``policy`` is missing; or a module would have to be imported without ``trust``.
    """
    out = Path(out)
    config = read_config(out)
    check_trusted(str(out / CONFIG), _imports(config, dag, policy), trust)
    sources = config.get("sources", {})
    policy_source = sources.get("policy", {})
    if policy is None and IMPORTABLE in policy_source:
        import_source(policy_source, f"{out / CONFIG}: the policy", trust)
        policy = policy_source[IMPORTABLE]
    if "policy" in config and policy is None:
        raise RunError(f"{out} has a network of the user's own, {config['policy']}: pass one like it as policy=...")
    for name in config["settings"].keys() & sources.keys():
        import_source(sources[name], f"{out / CONFIG}: {name}", trust)
    given = {"device": device, "backward": backward, "replay": replay}
    settings = {**config["settings"], **{name: value for name, value in given.items() if value is not None}}
    try:
        if dag is None:
            dag = _make_environment(out, config, trust)
            restore_oracle(dag, config, out)
        check_config_probe(out / CONFIG, config, dag)
        make = functools.partial(make_agent, _agent_class(out, config, trust), dag, config["seed"], policy)
        try:
            agent = make(**settings)
        except ValueError:
            if settings.get("engine") != "numba":
                raise
            # The parameters do not depend on the engine. The agent can be evaluated without Numba.
            agent = make(**{**settings, "engine": "torch"})
    except RunError:
        raise
    except (KeyError, TypeError, ValueError) as error:
        missing = [part for part in config.get("held", {}) if given.get(part) is None]
        hint = f"pass the run's {missing[0]} as {missing[0]}=..." if missing else "pass your environment as dag=..."
        raise RunError(f"{out / CONFIG}: {error} ({hint})") from error
    if differences := held_differences(config, agent.held):
        raise RunError(f"{out / CONFIG}: {'; '.join(differences)}")
    load_checkpoint(out, agent, same_environment="probe" in config)
    return agent


def _imports(config: dict[str, Any], dag: Dag | None, policy: Any) -> list[tuple[str, dict[str, Any]]]:
    """The modules that reopening a run would import, and why, except for code that is registered or given."""
    given = {"policy"} if policy is not None else set()
    if config["agent"] in AGENTS:
        given.add("agent")
    wanted = {part: each for part, each in config.get("sources", {}).items() if part not in given}
    described = {source_name(each) for each in imports_of(list(wanted.values()))}
    for part, setting in config["settings"].items():
        # A file need not describe what its settings name.
        named_by = [{IMPORTABLE: name} for name in names_within(part, setting) if name not in described]
        wanted |= {part: [wanted.get(part), *named_by]} if named_by else {}
    if dag is None:
        if config["env"] not in registered_ids() and "env_source" in config:
            wanted["the environment"] = config["env_source"]
        wanted |= config["env_arguments"]
    return [(part, each) for part, value in wanted.items() for each in imports_of(value)]


def _agent_class(out: Path, config: dict[str, Any], trust: Trust) -> str | type[Agent]:
    """The class of a run's agent, or its name."""
    described = config.get("sources", {}).get("agent")
    if described is None:
        return config["agent"]
    if config["agent"] in AGENTS:
        if not same_source(described, describe_source(AGENTS[config["agent"]])):
            raise RunError(f"{out / CONFIG}: the source of agent {source_name(described)} is not that of the run")
        return config["agent"]
    if IMPORTABLE not in described:
        name = source_name(described)
        raise RunError(f"{out / CONFIG}: the agent is {name}, which cannot be imported: agents.register it first")
    return import_source(described, f"{out / CONFIG}: the agent", trust)


def _make_environment(out: Path, config: dict[str, Any], trust: Trust) -> Dag:
    arguments, source = decode_arguments(out, config["env_arguments"], trust), config.get("env_source")
    if config["env"] in registered_ids() or source is None:
        if source is not None and not same_source(source, describe_source(found(config["env"])[0])):
            raise RunError(f"{out / CONFIG}: the source of the environment {config['env']} is not that of the run")
        return make_dag(config["env"], **arguments)
    if IMPORTABLE not in source:
        name = source_name(source)
        raise RunError(f"{out / CONFIG}: the environment is {name}, which cannot be imported: pass it as dag=...")
    return make_from_class(import_source(source, f"{out / CONFIG}: the environment", trust), arguments)


def check_same(out: Path, config: dict[str, Any]) -> None:
    """Raise RunError if a run's configuration differs from ``config``, naming the differences.

    Settings introduced after the run was saved count with their defaults.
    """
    saved = read_config(out)
    if config["agent"] in AGENTS:
        saved["settings"] = {**settings_of(AGENTS[config["agent"]].config_class()), **saved["settings"]}
    differences = []
    saved.setdefault("engine", config["engine"])  # Version 0.1 recorded none.
    for key in ("agent", "env", "seed", "engine"):
        if saved[key] != config[key]:
            differences.append(f"{key} {saved[key]!r} != {config[key]!r}")
    old, new = saved["settings"], config["settings"]
    for name in sorted(set(old) | set(new)):
        if old.get(name) != new.get(name):
            differences.append(f"{name} {old.get(name)!r} != {new.get(name)!r}")
    differences += argument_differences(saved["env_arguments"], config["env_arguments"])
    old, new = saved.get("env_source"), config.get("env_source")
    if old and new and not same_source(old, new):
        differences.append(f"the source of the environment {source_name(new)} has changed since the run was made")
    old, new = saved.get("sources", {}), config.get("sources", {})
    for part in sorted(old.keys() & new.keys()):
        if not same_source(old[part], new[part]):
            differences.append(f"{part} {source_name(new[part])}: its source has changed since the run was made")
    differences += held_differences(saved, config.get("held", {}))
    for part in sorted((old.keys() ^ new.keys()) & {"policy"}):
        names = [source_name(each[part]) if part in each else None for each in (old, new)]
        differences.append(f"{part} {names[0]} != {names[1]}")
    if differences:
        raise RunError(f"{out} holds another run (saved != given): {'; '.join(differences)}")
