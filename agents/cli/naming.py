"""The default run directory of a training."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from agents.agent import Agent
from agents.cli.errors import UsageError
from agents.runs import directory as runs
from agents.runs.directory import settings_of
from agents.runs.sources import agent_sources, source_name
from gfn_envs.registration import environment_parameters


def default_directory(agent: Agent, id: str, environment: Mapping[str, Any]) -> Path:
    """runs/AGENT-ENV-sSEED, or runs/AGENT-ENV-HASH-sSEED if a setting differs from its default.

    The hash is of those settings of the agent and arguments of the environment. The number of iterations is not part
    of the name, so that a run can be resumed for more.

    Args:
        agent: the agent.
        id: id of the environment.
        environment: values of all its arguments.
    """
    defaults = settings_of(type(agent.config)())
    if "replay" in defaults:
        defaults["replay"] = agent.automatic_replay()
    settings = {name: value for name, value in settings_of(agent.config).items() if value != defaults[name]}
    parameters = environment_parameters(id)
    arguments = {name: value for name, value in environment.items() if value != parameters[name].default}
    if agent.policy_factory is not None:
        settings["policy"] = source_name(agent_sources(agent)["policy"])
    name = f"{agent.name}-{id.split('/')[-1].replace(':', '-')}"
    if settings or arguments:
        text = json.dumps([settings, arguments], sort_keys=True, default=repr)
        name += f"-{hashlib.sha256(text.encode()).hexdigest()[:6]}"
    return Path("runs") / f"{name}-s{agent.seed}"


def check_no_older_run(agent: Agent, id: str, directory: Path) -> None:
    """Check that the run to resume is not in the default directory of version 0.1 instead of ``directory``.

    Raises:
        UsageError: it is.
    """
    older = Path("runs") / f"{agent.name}-{id.split('/')[-1]}-{agent.seed}"
    if (older / runs.CONFIG).exists() and not (directory / runs.CONFIG).exists():
        raise UsageError(
            f"--resume: {directory} holds no run, but {older}, the default directory of an earlier version, does: "
            f"add --out {older} to continue it, or leave out --resume to begin a new run"
        )
