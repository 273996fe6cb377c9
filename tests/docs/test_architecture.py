"""The import contracts of pyproject.toml hold, and the report of scripts/architecture.py is correct."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from textwrap import dedent
from types import FrameType

import pytest

import agents
import gfn_envs
from scripts import architecture

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def figures() -> dict:
    command = [sys.executable, str(ROOT / "scripts" / "architecture.py"), "--json"]
    ran = subprocess.run(command, capture_output=True, text=True, check=True)
    return json.loads(ran.stdout)


def test_imports_follow_the_layers_and_no_modules_import_each_other(figures: dict) -> None:
    assert figures["broken_contracts"] == []
    assert figures["cycles"] == []


def test_long_files_have_a_reason(figures: dict) -> None:
    assert [name for name, file in figures["long_files"].items() if not file["reason"]] == []


def test_named_files_exist(figures: dict) -> None:
    assert None not in figures["trajectory_balance"].values()
    assert None not in figures["extensions"].values()


def test_an_iteration_of_trajectory_balance_runs_the_files_of_its_two_lists_and_no_others() -> None:
    dag = gfn_envs.make_dag("GFN/HyperGrid-v0", ndim=2, side=4)
    agent = agents.make_agent("tb", dag, seed=0, engine="torch", hidden=(8,))
    agent.update()  # the first iteration also imports
    ran: set[str] = set()

    def note(frame: FrameType, event: str, _: object) -> None:
        path = Path(frame.f_code.co_filename)
        if event == "call" and path.is_relative_to(ROOT):
            ran.add(path.relative_to(ROOT).as_posix())

    sys.setprofile(note)
    try:
        agent.update()
    finally:
        sys.setprofile(None)
    ours = {name for name in ran if name.startswith(("agents/", "gfn_envs/")) and "/envs/" not in name}
    declared = {"agents/gflownets/tb.py"}  # a declaration, without code that runs
    assert ours == {*architecture.TRAJECTORY_BALANCE, *architecture.BLACK_BOXES} - declared


def test_every_module_and_line_is_counted(figures: dict) -> None:
    files = [path for package in architecture.PACKAGES for path in (ROOT / package).rglob("*.py")]
    assert sum(figures["modules"].values()) == len(files)
    assert sum(figures["lines"].values()) == sum(len(path.read_text("utf-8").splitlines()) for path in files)


def test_the_report_holds_every_figure(figures: dict) -> None:
    text = architecture.report(figures)
    assert "Import cycles: 0" in text
    assert all(name in text for name in [*figures["modules"], *figures["long_files"], *figures["trajectory_balance"]])


def test_lines_of_classes_are_lines_of_code() -> None:
    source = '''
        """A module."""
        import abc  # outside the class

        @decorator
        class Example(abc.ABC):
            """A docstring

            of three lines."""

            # A comment.
            text = """two
            lines"""

            def method(self):
                "Another docstring."
                return [
                    1,
                ]
    '''
    assert architecture.class_lines(dedent(source)) == 8
