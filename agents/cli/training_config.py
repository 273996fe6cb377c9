"""gfn train --config: agent, environment, settings and options from a JSON file, such as the config.json of a run."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from agents.cli.errors import UsageError, nearest
from agents.runs import files
from agents.runs.inputs import decode
from agents.runs.legacy import present_settings
from agents.runs.sources import IMPORTABLE, check_trusted, imports_of, names_within
from gfn_envs import named
from gfn_envs.registration import known_ids

#: Entries of a run's config.json that a new training ignores.
RECORDS = ("engine", "probe", "provenance", "env_source", "sources", "held", "policy", "sha256")
#: Settings of an oracle that belong to the log of one run.
OF_A_LOG = ("log", "name", "run")


@dataclasses.dataclass(frozen=True)
class TrainingConfig:
    """A training that a file describes."""

    agent: str
    env: str
    env_arguments: dict[str, Any]
    settings: dict[str, Any]
    """Settings of the agent, and ``policy`` if it was given by name."""
    options: dict[str, Any]
    """Options of the training loop."""
    oracle: dict[str, Any]
    """Settings of the oracle, without its log and its name there: a new run has its own."""


def split(arguments: Sequence[str]) -> tuple[Path | None, list[str]]:
    """The path given by ``--config PATH`` or ``--config=PATH``, and the other words.

    Raises:
        UsageError: it is given twice, or without a path.
    """
    words, found = list(arguments), []
    for k in reversed(range(len(words))):
        name, equals, value = words[k].partition("=")
        if name == "--config":
            if not equals and k + 1 == len(words):
                raise UsageError("--config needs a path, such as: gfn train --config runs/demo/config.json")
            found.append(value if equals else words[k + 1])
            del words[k : k + (1 if equals else 2)]
    if len(found) > 1:
        raise UsageError("--config is given twice")
    return (Path(found[0]) if found else None), words


def read(path: Path, trust: bool, options: Sequence[str]) -> TrainingConfig:
    """The training that a file, or the config.json in a directory, describes.

    Args:
        path: the file: an object with ``agent`` and ``env``, and if need be ``env_arguments``, ``settings``, options.
        trust: whether modules that it names may be imported.
        options: names of the options of the training loop.

    Raises:
        OSError: it cannot be read.
        UsageError: it is not JSON, has an unknown key or a value of the wrong type.
        RunError: it names a module and is not trusted, or a file that it names is missing.
    """
    path = path / files.CONFIG if path.is_dir() else path
    try:
        config = json.loads(path.read_text("utf-8"))
    except ValueError as error:
        raise UsageError(f"--config {path} cannot be read: {error}") from None
    kinds = {"agent": str, "env": str, "env_arguments": dict, "settings": dict, "oracle": dict}
    config = {"env_arguments": {}, "settings": {}, "oracle": {}} | config if isinstance(config, dict) else {}
    for name, kind in kinds.items():
        if not isinstance(config.get(name), kind):
            what = "an object" if kind is dict else "text"
            raise UsageError(f"--config {path}: {name} must be {what}, got {config.get(name)!r}")
    for name in config:
        if name not in kinds and name not in RECORDS and name not in options:
            raise UsageError(f"--config {path}: unknown key {name!r}{nearest(name, [*kinds, *options])}")
    sources = {part: each[IMPORTABLE] for part, each in config.get("sources", {}).items() if IMPORTABLE in each}
    agent, env = sources.get("agent", config["agent"]), config["env"]
    if env not in known_ids():
        env = config.get("env_source", {}).get(IMPORTABLE, env)
    settings = present_settings(config["agent"], config["settings"])
    settings |= {"policy": sources["policy"]} if "policy" in sources else {}
    _check_trusted(path, agent, env, settings, config, trust)
    arguments = {
        name: decode(value, path.parent, f"{path}: {name}", trust) for name, value in config["env_arguments"].items()
    }
    oracle = {name: value for name, value in config["oracle"].items() if name not in OF_A_LOG}
    given = {name: config[name] for name in options if name in config}
    return TrainingConfig(agent, env, arguments, settings, given, oracle)


def _check_trusted(
    path: Path, agent: str, env: str, settings: dict[str, Any], config: dict[str, Any], trust: bool
) -> None:
    """Raise RunError if the file names a module and is not trusted."""
    files_of = {each.get(IMPORTABLE): each.get("file") for each in imports_of([config.get("env_source"), config])}
    texts = {"agent": agent, "environment": env if ":" in env else None, **settings, **config["env_arguments"]}
    named_by = [
        (part, text) for part, text in texts.items() if named.is_named(text) or (part == "environment" and text)
    ]
    named_by += [(part, name) for part, text in settings.items() for name in names_within(part, text) if name != text]
    imports = [(part, {IMPORTABLE: text, "file": files_of.get(text)}) for part, text in named_by]
    imports += [(name, each) for name, value in config["env_arguments"].items() for each in imports_of(value)]
    check_trusted(f"--config {path}", imports, trust)
