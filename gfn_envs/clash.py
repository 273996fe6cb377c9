"""A warning if ``import agents`` finds the package of another project, such as openai-agents."""

from __future__ import annotations

from collections.abc import Mapping
from types import ModuleType

#: Beginning of the docstring of this project's package.
FIRST_WORDS = "GFlowNet agents"


def foreign_agents(modules: Mapping[str, ModuleType]) -> str | None:
    """A warning if the package ``agents`` among the imported ``modules`` is another project's, else None."""
    found = modules.get("agents")
    if found is None or (found.__doc__ or "").startswith(FIRST_WORDS):
        return None
    place = getattr(found, "__file__", None) or "an unknown place"
    return (
        f"the package agents in {place} is not that of gfn-envs, so agents.make_agent and gfn do not work: "
        "install gfn-envs in a virtual environment without it"
    )
