"""Environments and agents of installed packages, found by entry points and imported when they are requested by name.

In the pyproject.toml of such a package:

    [project.entry-points."gfn_envs.environments"]
    "Mine/MIS-v0" = "mine.environment:MIS"     # id = a subclass of gfn_envs.Dag

    [project.entry-points."gfn_envs.agents"]
    ranked = "mine.objective:Ranked"           # name = a subclass of agents.Agent
"""

from __future__ import annotations

import functools
import importlib.metadata
from typing import Any

from gfn_envs import named

ENVIRONMENTS, AGENTS = "gfn_envs.environments", "gfn_envs.agents"


@functools.cache
def entry_points(group: str) -> dict[str, importlib.metadata.EntryPoint]:
    """The entry points of a group by name. The first of several with one name counts."""
    found: dict[str, importlib.metadata.EntryPoint] = {}
    for point in importlib.metadata.entry_points(group=group):
        found.setdefault(point.name, point)
    return found


def load(group: str, name: str) -> Any:
    """The object of an entry point.

    Raises:
        ImportError, ValueError: it cannot be imported. The message names the package.
    """
    point = entry_points(group)[name]
    package = point.dist.name if point.dist else "unknown"
    return named.load(point.value, f"{name} of the installed package {package}")
