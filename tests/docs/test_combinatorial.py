"""The example on graphs writes what it says, and finds the optimum."""

from __future__ import annotations

import csv
from pathlib import Path

import networkx as nx
import pytest

from tests.helpers import run_fork

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "max_cut.py"


@pytest.mark.slow
def test_from_a_graph_to_its_best_cuts(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    graph = nx.cycle_graph(["a", "b", "c", "d", "e"])
    graph["a"]["b"]["weight"] = 3.0
    nx.write_graphml(graph, tmp_path / "ring.graphml")
    options = ["--iterations", "300", "--samples", "500", "--out", str(tmp_path / "out"), "--temperature", "0.5"]
    ran = run_fork(str(EXAMPLE), str(tmp_path / "ring.graphml"), *options)
    assert ran.returncode == 0, ran.stderr
    assert "optimum: 6, with 4 solutions; sampled of these: 4" in ran.stdout  # all edges but one of weight 1
    best = nx.read_graphml(tmp_path / "out" / "best.graphml")
    side = [node for node, selected in best.nodes(data="selected") if selected]
    assert nx.cut_size(best, side, weight="weight") == 6
    with open(tmp_path / "out" / "solutions.csv", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [row["value"] for row in rows[:5]] == ["6"] * 4 + ["4"]
    assert sum(int(row["times_sampled"]) for row in rows) == 500
    assert sum(float(row["exact_probability"]) for row in rows) == pytest.approx(1, abs=0.05)
    assert (tmp_path / "out" / "solutions.png").stat().st_size > 1000
