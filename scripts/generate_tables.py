"""Write the tables of environments and agents in README.md from the registries.

``python scripts/generate_tables.py`` updates README.md. tests/docs/test_readme.py fails if README.md is out of date.
"""

from __future__ import annotations

import inspect
import re
from pathlib import Path
from typing import Any

import numpy as np

import agents
import gfn_envs
from gfn_envs.envs.proteins.inverse_folding import AVGFP_RESIDUES

#: Arguments in place of data sets that may be missing. The sizes of the environments do not depend on the values.
STAND_INS: dict[str, dict[str, Any]] = {
    "GFN/PHO4-v0": {"table": [0.0] * 4**10},
    "GFN/InverseFolding-v0": {"distances": np.full((len(AVGFP_RESIDUES),) * 2, 20.0)},
}

README = Path(__file__).resolve().parent.parent / "README.md"


def first_line(cls: type) -> str:
    """First line of a class's docstring, without the period."""
    return inspect.getdoc(cls).split("\n")[0].removesuffix(".")


def references(cls: type) -> str:
    """References section of a class's docstring, on one line."""
    match = re.search(r"## References\n(.*?)(?=\n\n## |\Z)", inspect.getdoc(cls), re.S)
    return " ".join(match[1].split()).removesuffix(".") if match else ""


def count(number: int | None) -> str:
    """A number as text: all digits below a billion, else a power of ten."""
    if number is None:
        return "not counted"
    return f"{number:,}" if number < 10**9 else f"about 10^{len(str(number)) - 1}"


def table(header: list[str], rows: list[list[str]]) -> str:
    """A Markdown table."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in line)} |" for line in lines)


def environments_table() -> str:
    """One row per environment of the package."""
    rows = []
    for id in gfn_envs.ENVIRONMENTS:
        dag = gfn_envs.make_dag(id, **STAND_INS.get(id, {}))
        objects = count(dag.declared_num_terminal_states)
        rows.append([f"`{id}`", first_line(type(dag)), str(dag.num_actions), objects, references(type(dag))])
    return table(["id", "what", "actions", "objects", "reference"], rows)


def agents_table() -> str:
    """One row per agent."""
    rows = [[f"`{name}`", first_line(agent), agent.paper] for name, agent in agents.AGENTS.items()]
    return table(["name", "what", "reference"], rows)


def with_tables(text: str) -> str:
    """``text`` with a new table between each pair of markers.

    Raises:
        ValueError: a pair of markers does not occur exactly once.
    """
    for name, content in [("environments", environments_table()), ("agents", agents_table())]:
        begin, end = f"<!-- {name}:begin -->", f"<!-- {name}:end -->"
        if text.count(begin) != 1 or text.count(end) != 1 or text.index(begin) > text.index(end):
            raise ValueError(f"README.md must hold {begin} and, after it, {end}, once each")
        head, rest = text.split(begin)
        text = f"{head}{begin}\n{content}\n{end}{rest.split(end)[1]}"
    return text


if __name__ == "__main__":
    README.write_text(with_tables(README.read_text("utf-8")), "utf-8")
