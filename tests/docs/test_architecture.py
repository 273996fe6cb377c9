"""The import contracts of pyproject.toml hold, and the report of scripts/architecture.py is correct."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from textwrap import dedent

import pytest

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
