"""Flags of commands on runs with conditions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.table import Table

from agents.agent import Agent
from agents.cli.errors import UsageError
from gfn_envs.conditions.text import read_condition


def at_condition(agent: Any, text: str | None) -> Agent:
    """The agent at the condition that --condition gives; the agent itself without the flag.

    Raises:
        UsageError: the run has no conditions, or the condition is out of range.
    """
    if text is None:
        return agent
    if agent.dag.conditions is None:
        raise UsageError("--condition: the run was trained without conditions (gfn train --conditions ...)")
    try:
        return agent.at(read_condition(text))
    except ValueError as error:
        raise UsageError(f"--condition: {error}") from None


def asked_conditions(text: str) -> str | int:
    """The value of --conditions: "grid", or a number of drawn conditions.

    Raises:
        UsageError: it is neither.
    """
    if text == "grid":
        return text
    if not text.isdecimal() or int(text) < 1:
        raise UsageError(f"--conditions must be grid or a number of conditions, got {text!r}")
    return int(text)


def print_table(rows: Sequence[Mapping[str, Any]], title: str) -> None:
    """Print rows of numbers with the same names as a table."""
    print(title)
    table = Table()
    for name in rows[0]:
        table.add_column(name, justify="right")
    for row in rows:
        table.add_row(*("-" if value is None else f"{value:.4g}" for value in row.values()))
    Console(width=100).print(table)
