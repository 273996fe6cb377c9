"""Examples and benchmark of agents with conditions, with small settings."""

from __future__ import annotations

import re
import runpy
import sys
from pathlib import Path

import pytest

from benchmarks import conditional, report

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"


@pytest.mark.parametrize(
    ("name", "arguments", "expected"),
    [
        pytest.param(
            *("temperature_conditional.py", ["--iterations", "300"], r"50 drawn betas: mean total variation 0\.[012]"),
            marks=pytest.mark.slow,
        ),
        ("pareto_molecules.py", ["--iterations", "5", "--max-blocks", "2"], r"256 samples at 16 weights"),
        ("conditional_maxcut.py", ["--iterations", "60", "--vertices", "5"], r"of the largest cut; a random cut: 0\."),
    ],
)
def test_examples(name: str, arguments: list[str], expected: str, monkeypatch, capsys) -> None:
    monkeypatch.setattr(sys, "argv", [name, *arguments])
    runpy.run_path(str(EXAMPLES / name), run_name="__main__")
    assert re.search(expected, capsys.readouterr().out)


def test_the_benchmark_stores_and_resumes(tmp_path, monkeypatch, capsys) -> None:
    page = tmp_path / "page.md"
    page.write_text("<!-- conditional:begin -->\n<!-- conditional:end -->\n")
    monkeypatch.setattr(conditional, "RESULTS", tmp_path / "conditional.json")
    monkeypatch.setattr(conditional, "PAGE", page)
    monkeypatch.setattr(conditional, "CONDITIONS", 3)
    monkeypatch.setattr(conditional, "SETTINGS", {"batch_size": 4, "hidden": (8,)})
    case = conditional.preferences("branin", "currin")
    case.arguments["side"] = 4
    small = {"a": conditional.Case(case.env, case.arguments, case.conditions, 8, case.lr, case.settings)}
    monkeypatch.setattr(conditional, "CASES", small)
    conditional.main(["--only", "a", "--agents", "tb", "--seeds", "0"])
    conditional.main(["--only", "a", "--agents", "tb", "--seeds", "0"])
    assert capsys.readouterr().out.count("a / tb / 0 ") == 1
    conditional.main(["--only", "a", "--agents", "tb", "--seeds", "0", "--separate"])
    assert list(report.load(tmp_path / "conditional.json")) == ["a / tb / 0", "a / tb, one agent each / 0"]
    assert "| a / tb | 1 | 0." in page.read_text()
