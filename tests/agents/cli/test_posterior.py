"""gfn posterior: tables, pictures, a known graph, and mistakes in one line."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import pytest

import agents
from agents.cli import main as cli
from gfn_envs import BayesNet
from tests.helpers import GRID, small_dag


def gfn(capsys: Any, *arguments: Any) -> tuple[Any, Any]:
    with pytest.raises(SystemExit) as stop:
        cli.main([*map(str, arguments)])
    return stop.value.code, capsys.readouterr()


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("runs") / "graphs"
    dag = BayesNet(data={"a": [0, 1.5, 2, -1], "b": [1, 1.2, 2, 0], "my c": [3, 2, 1, 1.5]})
    agents.train(agents.make_agent("tb", dag, hidden=(8,)), 3, path, progress=False)
    return path


def test_table_and_pictures(run: Path, tmp_path: Path, capsys: Any) -> None:
    (tmp_path / "arcs.csv").write_text("from,to\na,my c\n")
    paths = [tmp_path / name for name in ("edges.csv", "edges.png", "edges.svg")]
    code, printed = gfn(capsys, "posterior", run, "--out", *paths, "--truth", tmp_path / "arcs.csv", "--best", 2)
    assert code == 0, printed.err
    for text in ("exact in 0.0 s", "a -> my c", "largest difference from the exact probability: edge 0", "CPDAG"):
        assert text in printed.out
    assert "structural Hamming distance to the known graph: learned" in printed.out
    rows = list(csv.DictReader(paths[0].open(encoding="utf-8")))
    assert [(row["from"], row["to"]) for row in rows[:3]] == [("a", "b"), ("a", "my c"), ("b", "a")]
    relations = ["edge", "path", "markov_blanket"]
    assert list(rows[0]) == ["from", "to", *relations, *(f"exact_{name}" for name in relations)]
    exact = BayesNet(data={"a": [0, 1.5, 2, -1], "b": [1, 1.2, 2, 0], "my c": [3, 2, 1, 1.5]}).exact_marginals()
    assert float(rows[1]["exact_edge"]) == pytest.approx(exact["edge"][0, 2])
    assert paths[1].read_bytes().startswith(b"\x89PNG")
    assert "<svg" in paths[2].read_text()


def test_figures_of_a_run(run: Path, capsys: Any) -> None:
    code, printed = gfn(capsys, "plot", run)
    assert code == 0
    assert "posterior.png" in printed.out
    assert (run / "figures" / "posterior.png").exists()


def test_without_rewards(run: Path, tmp_path: Path, capsys: Any) -> None:
    code, printed = gfn(capsys, "posterior", run, "--rewards", "none", "--num", 50, "--out", tmp_path / "e.csv")
    assert code == 0
    assert "from 50 graphs" in printed.out
    assert "exact" not in printed.out
    assert "exact_edge" not in (tmp_path / "e.csv").read_text()


def test_mistakes(run: Path, tmp_path: Path, capsys: Any) -> None:
    grid = tmp_path / "grid"
    agents.train(agents.make_agent("random", small_dag(GRID, {"ndim": 2, "side": 4})), 1, grid, progress=False)
    (tmp_path / "arcs.csv").write_text("from,to\na,d\n")
    for arguments, message in [
        ([run, "--out", "edges.txt"], "--out edges.txt: allowed suffixes are .csv, .png, .pdf, .svg"),
        ([grid], "posteriors over graphs need objects that are directed graphs"),
        ([run, "--truth", tmp_path / "arcs.csv"], "line 2: no node 'd'"),
        ([run, "--truth", tmp_path / "none.csv"], "none.csv"),
        ([run, "--num", 0], "--num must be at least 1"),
    ]:
        code, printed = gfn(capsys, "posterior", *arguments)
        assert code == 2
        assert message in printed.err
        assert len(printed.err.splitlines()) == 1
