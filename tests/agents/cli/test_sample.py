"""gfn sample: files, filters, and mistakes in one line."""

import csv
import dataclasses
import sys

import numpy as np
import pytest

import agents
from agents.cli import main as cli
from agents.cli.errors import UsageError
from agents.cli.sample import components, on_front
from agents.export import draw_samples
from gfn_envs.oracle import Oracle
from tests.helpers import GRID, small_dag


def gfn(capsys, *arguments):
    with pytest.raises(SystemExit) as stop:
        cli.main(["sample", *map(str, arguments)])
    return stop.value.code, capsys.readouterr()


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    path = tmp_path_factory.mktemp("runs") / "grid"
    agents.train(agents.make_agent("tb", small_dag(GRID, {"ndim": 2, "side": 4}), hidden=(8,)), 3, path, progress=False)
    return path


def rows_of(path):
    return list(csv.DictReader(path.open(encoding="utf-8")))


def test_the_best_objects_in_two_files(run, tmp_path, capsys):
    flags = ["--num", 300, "--unique", "--sort", "reward", "--top", 5, "--log-pf"]
    code, printed = gfn(capsys, run, *flags, "--out", tmp_path / "a.csv", tmp_path / "a.npy")
    assert code == 0
    assert "300 samples of tb" in printed.out
    rows = rows_of(tmp_path / "a.csv")
    rewards = [float(row["reward"]) for row in rows]
    assert len(rows) == 5
    assert rewards == sorted(rewards, reverse=True)
    assert len({row["object"] for row in rows}) == 5
    assert all(float(row["log_pf"]) < 0 for row in rows)
    dag = small_dag(GRID, {"ndim": 2, "side": 4})
    states = np.load(tmp_path / "a.npy")
    assert dag.object_names(states) == [row["object"] for row in rows]
    np.testing.assert_allclose(np.exp(dag.log_reward(states)), rewards)
    code, _ = gfn(capsys, run, *flags, "--out", tmp_path / "b.csv", "--no-progress")
    assert (tmp_path / "b.csv").read_bytes() == (tmp_path / "a.csv").read_bytes()


def test_filters_and_no_reward(run, tmp_path, capsys):
    gfn(capsys, run, "--num", 100, "--unique", "--out", tmp_path / "all.csv")
    rows = rows_of(tmp_path / "all.csv")
    assert sum(int(row["samples"]) for row in rows) == 100
    middle = sorted(float(row["reward"]) for row in rows)[len(rows) // 2]
    flags = ["--num", 100, "--unique", "--min-reward", middle, "--out", tmp_path / "good.csv"]
    gfn(capsys, run, *flags)
    assert [row for row in rows if float(row["reward"]) >= middle] == rows_of(tmp_path / "good.csv")
    code, printed = gfn(
        capsys, run, "--num", 100, "--unique", "--exclude", tmp_path / "good.csv", "--out", tmp_path / "rest.csv"
    )
    good = {row["object"] for row in rows_of(tmp_path / "good.csv")}
    assert {row["object"] for row in rows} - good == {row["object"] for row in rows_of(tmp_path / "rest.csv")}
    assert f"{len(good)} of the {len(good)} excluded objects were sampled" in printed.out
    code, printed = gfn(capsys, run, "--num", 100, "--no-reward", "--out", tmp_path / "none.csv")
    assert code == 0
    assert {row["reward"] for row in rows_of(tmp_path / "none.csv")} == {""}
    assert "0 rows with a known reward" in printed.out


def test_without_a_file_rows_are_printed(run, capsys):
    code, printed = gfn(capsys, run, "--num", 50, "--no-progress")
    assert code == 0
    assert "first 10 of 50 rows" in printed.out
    code, printed = gfn(capsys, run, "--num", 50, "--no-progress", "--no-reward")
    assert (code, "(" in printed.out) == (0, True)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--out", "a.sdf"], ["a.sdf", "needs objects that are molecules", "HyperGrid", ".csv, .parquet, .npy"]),
        (["--out", "a.csv", "b.xlsx"], ["b.xlsx", ".xlsx is not a format of samples", ".csv"]),
        (["--out", "a"], ["a name without a suffix", ".csv"]),
        (["--num", "0"], ["--num", "at least 1"]),
        (["--top", "0"], ["--top", "at least 1"]),
        (["--sort", "rewards"], ["--sort", "reward"]),
        (["--sort", "reward", "--no-reward"], ["--sort reward", "--no-reward"]),
        (["--min-reward", "1", "--rewards", "none"], ["--min-reward", "--no-reward"]),
        (["--exclude", "nowhere.txt"], ["nowhere.txt"]),
        (["--uniqe"], ["--uniqe", "--unique"]),
    ],
)
def test_mistakes_are_one_line_and_nothing_is_written(run, arguments, words, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    code, printed = gfn(capsys, run, *arguments, "--no-progress")
    assert code == 2
    (line,) = printed.err.strip().splitlines()
    assert all(word in line for word in words), line
    assert not list(tmp_path.iterdir())


def test_a_file_that_cannot_be_written_does_not_cost_the_others(run, tmp_path, capsys):
    (tmp_path / "taken.csv").mkdir()
    code, printed = gfn(
        capsys, run, "--num", 20, "--no-progress", "--out", tmp_path / "taken.csv", tmp_path / "good.csv"
    )
    assert code == 2
    assert printed.err.splitlines() == [f"error: {tmp_path / 'taken.csv'} is not a regular file and was not written"]
    assert len(rows_of(tmp_path / "good.csv")) == 20


def test_a_missing_package_is_one_line_before_sampling(run, tmp_path, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "pyarrow.parquet", None)
    monkeypatch.setattr(agents.Agent, "sample", lambda *arguments, **kwargs: pytest.fail("it sampled"))
    code, printed = gfn(capsys, run, "--out", tmp_path / "a.parquet")
    assert code == 2
    assert printed.err == 'error: .parquet files need pyarrow: pip install "gfn-envs[parquet]"\n'


def test_an_agent_without_a_policy(tmp_path, capsys):
    agent = agents.make_agent("mcmc", small_dag(GRID, {"ndim": 2, "side": 4}))
    agents.train(agent, 3, tmp_path / "run", progress=False)
    code, printed = gfn(capsys, tmp_path / "run", "--num", 20, "--no-progress", "--out", tmp_path / "a.csv")
    assert (code, len(rows_of(tmp_path / "a.csv"))) == (0, 20)
    code, printed = gfn(capsys, tmp_path / "run", "--log-pf", "--no-progress")
    assert (code, "no log P_F" in printed.err) == (2, True)


def test_the_front_of_the_components_of_an_oracle():
    calls = {"a": lambda x: float(x[0]), "b": lambda x: 3.0 - x[1]}
    oracle = Oracle(lambda cell: {"value": 1.0, **{name: part(cell) for name, part in calls.items()}})
    dag = small_dag(GRID, {"ndim": 2, "side": 4, "reward": oracle})
    drawn = draw_samples(agents.make_agent("tb", dag, hidden=(8,)), 60, rewards="all")
    assert components(dag) == []
    best = on_front(drawn, [])
    values = {name: (a, b) for name, a, b in zip(drawn.names, drawn.columns["a"], drawn.columns["b"], strict=True)}
    dominated = {n for n, v in values.items() if any(w != v and w[0] >= v[0] and w[1] >= v[1] for w in values.values())}
    assert set(best.names) == set(values) - dominated
    known = dataclasses.replace(drawn, columns={**drawn.columns, "a": np.where(np.arange(60) < 50, np.nan, 1.0)})
    assert not np.isnan(on_front(known, []).columns["a"]).any()
    with pytest.raises(UsageError, match="add --rewards all"):
        on_front(dataclasses.replace(drawn, columns={}), [])


def test_the_front_needs_components(run, capsys):
    code, printed = gfn(capsys, run, "--front")
    assert code == 2
    assert "--front needs two components" in printed.err
