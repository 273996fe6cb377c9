"""The table "Where to find things" of docs/concepts.md names files that exist and what they define."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SECTION = (ROOT / "docs" / "concepts.md").read_text("utf-8").split("## Where to find things\n")[1].split("\n## ")[0]
ROWS = [line.strip("| ").split(" | ") for line in SECTION.splitlines() if "](" in line]


def defined(file: Path) -> set[str]:
    """Names of the functions, classes, methods and constants of a module."""
    nodes = list(ast.walk(ast.parse(file.read_text("utf-8"))))
    names = {node.name for node in nodes if isinstance(node, ast.FunctionDef | ast.ClassDef)}
    return names | {node.id for node in nodes if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)}


@pytest.mark.parametrize("row", ROWS, ids=[row[0] for row in ROWS])
def test_the_map_of_the_packages_is_correct(row: list[str]) -> None:
    _, files, names = row
    links = re.findall(r"\[(.*?)\]\((.*?)\)", files)
    assert links
    assert all(text.rstrip("/") == target.removeprefix("../") for text, target in links)
    paths = [ROOT / text for text, _ in links]
    assert all(path.exists() for path in paths), files
    known = {name for path in paths if path.is_file() for name in defined(path)}
    assert set(re.findall(r"`(\w+)`", names)) <= known


def test_the_map_has_what_newcomers_ask_for() -> None:
    questions = " ".join(row[0] for row in ROWS)
    assert all(word in questions for word in ("SubTB", "HyperGrid", "Adam", "trajectory ends"))
