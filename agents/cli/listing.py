"""gfn agents: the table of agents."""

from __future__ import annotations

import dataclasses
import inspect

from rich.console import Console
from rich.table import Table

from agents.cli.parsing import parse
from agents.registry import agent_class, known_agents


@dataclasses.dataclass
class AgentsOptions:
    """The agents and their papers. `gfn train AGENT --help` lists the settings of one. Example: gfn agents"""


def list_agents(arguments: list[str]) -> int:
    """gfn agents"""
    parse(AgentsOptions, arguments, "gfn agents")
    table = Table("agent", "description", "paper")
    for name in known_agents():
        try:
            agent = agent_class(name)
        except (ImportError, ValueError, TypeError) as error:  # an installed package that cannot be imported
            table.add_row(name, str(error), "")
            continue
        table.add_row(name, (inspect.getdoc(agent) or "").split("\n")[0], agent.paper)
    Console().print(table)
    return 0
