"""Run directories: configuration, metrics, checkpoints and figures of one training run.

    config.json      agent, environment, settings and seed
    metrics.jsonl    one line per log step
    metrics.json     the final metrics
    checkpoint.pt    the state from which training continues bit for bit
    figures/         figures

Files are replaced atomically. Nothing read from them is executed.
"""

from __future__ import annotations

import dataclasses
import functools
import json
import math
import os
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, BinaryIO

import gymnasium
import torch

from agents.agent import Agent
from agents.config import Config
from agents.policies.policy import Policy
from agents.registry import AGENTS, make_agent
from agents.runs.errors import RunError as RunError
from agents.runs.legacy import present_settings, present_state
from agents.schedules import Schedule
from gfn_envs.dag import Dag
from gfn_envs.registration import make_dag, registered_ids

CONFIG, HISTORY, METRICS, CHECKPOINT = "config.json", "metrics.jsonl", "metrics.json", "checkpoint.pt"


def write_atomically(path: Path, write: Callable[[BinaryIO], Any]) -> None:
    """Replace ``path`` by a file that ``write`` fills. At any time, ``path`` is the complete old or new file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with temporary.open("wb") as file:
            write(file)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def write_json(path: Path, value: Any) -> None:
    """Write ``value`` as indented JSON, atomically. NaN and infinity become null."""
    write_atomically(path, lambda file: file.write((json.dumps(finite(value), indent=2) + "\n").encode()))


def finite(value: Any) -> Any:
    """``value`` with None for every NaN and infinity in it, because JSON has neither."""
    if isinstance(value, dict):
        return {key: finite(element) for key, element in value.items()}
    if isinstance(value, list):
        return [finite(element) for element in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def read_json(path: Path) -> dict[str, Any]:
    """The object in a JSON file of a run. Raises RunError if the file is missing, damaged or not an object."""
    try:
        value = json.loads(_text(path))
    except (FileNotFoundError, NotADirectoryError):
        raise RunError(f"{path.parent} is not a run: it has no {path.name}") from None
    except (json.JSONDecodeError, RecursionError) as error:
        raise RunError(f"{path} is damaged: {error}") from error
    if not isinstance(value, dict):
        raise RunError(f"{path} is damaged: it holds a {type(value).__name__}, not an object")
    return value


def _text(path: Path) -> str:
    """Text of a file. Raises RunError if it exists and cannot be read."""
    try:
        return path.read_text("utf-8")
    except (FileNotFoundError, NotADirectoryError):
        raise
    except OSError as error:
        raise RunError(f"{path} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise RunError(f"{path} is damaged: it is not UTF-8 ({error.reason} at byte {error.start})") from error


def read_config(out: Path) -> dict[str, Any]:
    """config.json of a run, with the settings of today. Raises RunError if it is missing, damaged or not of a run."""
    config = read_json(out / CONFIG)
    kinds = {"agent": str, "env": str, "settings": dict, "env_arguments": dict, "seed": int}
    for name, kind in kinds.items():
        if not isinstance(config.get(name), kind):
            raise RunError(f"{out / CONFIG} is not the config of a run: it has no {name} ({kind.__name__})")
    config["settings"] = present_settings(config["agent"], config["settings"])
    return config


def settings_of(config: Config) -> dict[str, Any]:
    """Every setting by name, as JSON. Schedules are text."""
    settings = {field.name: getattr(config, field.name) for field in dataclasses.fields(config)}
    plain = {name: str(value) if isinstance(value, Schedule) else value for name, value in settings.items()}
    return json.loads(json.dumps(plain, default=repr))


def describe(agent: Agent) -> dict[str, Any]:
    """The configuration of an agent and its environment, as JSON."""
    path = f"{type(agent.dag).__module__}:{type(agent.dag).__qualname__}"
    ids = [id for id in registered_ids() if gymnasium.registry[id].kwargs["dag"] == path]
    arguments = dict(agent.dag.arguments)
    config = {
        "agent": agent.name,
        "settings": settings_of(agent.config),
        "env": ids[0] if ids else path,
        "env_arguments": arguments,
        "seed": agent.seed,
        # The choice of engine="auto" here. It decides the samples of a seed.
        "engine": agent.engine.name,
    }
    if agent.policy_given:
        config["policy"] = f"{type(agent.policy).__module__}:{type(agent.policy).__qualname__}"
    # A callable reward, for example, is recorded by name only. Such a run is loaded with `dag=`.
    return json.loads(json.dumps(config, default=repr))


def save_checkpoint(out: Path, agent: Agent, progress: dict[str, Any]) -> None:
    """Write agent and progress, atomically.

    Raises:
        FloatingPointError: a weight of the agent is NaN or infinite. The previous checkpoint stays.
    """
    if not all(torch.isfinite(weights).all() for weights in _parameters(agent)):
        raise FloatingPointError(
            f"iteration {agent.iteration}: weights are NaN or infinite and were not saved; try a lower learning rate"
        )
    state = {"agent": agent.state_dict(), "progress": progress}
    write_atomically(out / CHECKPOINT, lambda file: torch.save(state, file))


def _parameters(agent: Agent) -> Iterator[torch.Tensor]:
    """Parameters of all the agent's networks."""
    for value in vars(agent).values():
        if isinstance(value, torch.nn.Module):
            yield from value.parameters()
        elif isinstance(value, torch.nn.Parameter):
            yield value


def load_checkpoint(out: Path, agent: Agent) -> dict[str, Any]:
    """Restore ``agent`` from a run. Returns the progress saved with it.

    Only tensors, numbers, strings and plain containers are accepted. Nothing in the file is executed.

    Raises:
        RunError: the checkpoint is missing, damaged or of another agent.
    """
    path = out / CHECKPOINT
    try:
        state = torch.load(path, map_location=agent.device, weights_only=True)
        agent.load_state_dict(present_state(state["agent"], agent.dag))
        return state["progress"]
    except FileNotFoundError:
        raise RunError(f"{out} has no {CHECKPOINT}") from None
    except Exception as error:
        first_line = str(error).strip().split("\n")[0]
        raise RunError(f"{path} cannot be loaded: {type(error).__name__}: {first_line}") from error


def load_agent(
    out: str | os.PathLike[str], dag: Dag | None = None, policy: Policy | None = None, device: str | None = None
) -> Agent:
    """The agent of a run directory, at its last checkpoint.

    Args:
        out: the directory.
        dag: the environment. Needed if it was not made from a registered id with plain arguments.
        policy: a network of the same architecture as the run's. Needed if the run had a network of the user's own. It
            receives the run's weights.
        device: device of the networks. Default: the device of training.

    Raises:
        RunError: the directory is not a run or is damaged, or ``policy`` is missing.
    """
    out = Path(out)
    config = read_config(out)
    if "policy" in config and policy is None:
        raise RunError(f"{out} has a network of the user's own, {config['policy']}: pass one like it as policy=...")
    settings = config["settings"] if device is None else {**config["settings"], "device": device}
    try:
        if dag is None:
            dag = make_dag(config["env"], **config["env_arguments"])
        make = functools.partial(make_agent, config["agent"], dag, config["seed"], policy)
        try:
            agent = make(**settings)
        except ValueError:
            if settings.get("engine") != "numba":
                raise
            # The parameters do not depend on the engine. The agent can be evaluated without Numba.
            agent = make(**{**settings, "engine": "torch"})
    except (KeyError, TypeError, ValueError) as error:
        raise RunError(f"{out / CONFIG}: {error} (pass an environment of your own as dag=...)") from error
    load_checkpoint(out, agent)
    return agent


def read_history(out: Path) -> list[dict[str, Any]]:
    """Rows of metrics.jsonl, each with its ``iteration``; [] if there is no such file.

    A last line that a crash cut short is dropped.

    Raises:
        RunError: the file is damaged.
    """
    path = out / HISTORY
    try:
        lines = _text(path).splitlines()
    except (FileNotFoundError, NotADirectoryError):
        return []
    rows = []
    for number, line in enumerate(lines, 1):
        try:
            rows.append(json.loads(line))
        except (json.JSONDecodeError, RecursionError) as error:
            if number < len(lines):
                raise RunError(f"{path}, line {number} is damaged: {error}") from error
    if not all(isinstance(row, dict) and isinstance(row.get("iteration"), int) for row in rows):
        raise RunError(f"{path} is damaged: it has a row without an iteration")
    return rows


def write_history(out: Path, rows: Iterable[dict[str, Any]]) -> None:
    """Write metrics.jsonl, atomically."""
    text = "".join(map(history_line, rows))
    write_atomically(out / HISTORY, lambda file: file.write(text.encode()))


def history_line(row: dict[str, Any]) -> str:
    """A line of metrics.jsonl. NaN and infinity become null."""
    return json.dumps(finite(row)) + "\n"


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
    for group in ("settings", "env_arguments"):
        old, new = saved[group], config[group]
        for name in sorted(set(old) | set(new)):
            if old.get(name) != new.get(name):
                differences.append(f"{name} {old.get(name)!r} != {new.get(name)!r}")
    if differences:
        raise RunError(f"{out} holds another run (saved != given): {'; '.join(differences)}")
