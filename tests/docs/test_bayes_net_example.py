"""examples/bayes_net_edges.py and its data: a table, a picture, and the graph that simulated them."""

from __future__ import annotations

import csv
import runpy
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from agents.evaluation.graph_posterior import expected_shd, read_graph
from gfn_envs import BayesNet
from gfn_envs.envs.bayes_net import exact_posterior

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"


def test_the_example_writes_a_table_and_a_picture(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    lines = (EXAMPLES / "data" / "signaling.csv").read_text().splitlines()
    (tmp_path / "four.csv").write_text("\n".join(",".join(line.split(",")[:4]) for line in lines))
    arguments = ["--data", tmp_path / "four.csv", "--truth", "none", "--out", tmp_path / "out", "--iterations", 30]
    monkeypatch.setattr(sys, "argv", ["bayes_net_edges.py", *map(str, arguments)])
    runpy.run_path(str(EXAMPLES / "bayes_net_edges.py"), run_name="__main__")
    assert "edge: largest difference from the exact probability 0." in capsys.readouterr().out
    rows = list(csv.DictReader((tmp_path / "out" / "edges.csv").open()))
    assert len(rows) == 12
    assert (tmp_path / "out" / "edges.png").stat().st_size > 10_000


def test_the_data_point_to_the_graph_that_simulated_them() -> None:
    dag = BayesNet(data=EXAMPLES / "data" / "signaling.csv", missing="drop")
    assert dag.data.shape == (117, 6)
    truth = read_graph(EXAMPLES / "data" / "signaling_graph.csv", dag.names)
    edge = exact_posterior.summed_edges(dag._family_scores())
    assert expected_shd(edge, truth) < 2
    assert np.triu(edge + edge.T)[np.triu(truth | truth.T)].min() > 0.5
