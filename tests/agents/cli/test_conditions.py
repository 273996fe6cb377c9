"""Runs with conditions from a shell: train, resume, evaluate and sample at a condition, mistakes in one line."""

import csv
import json

import pytest

import agents
from agents.cli import main as cli
from tests.helpers import GRID, small_dag


def gfn(capsys, *arguments):
    with pytest.raises(SystemExit) as stop:
        cli.main([*map(str, arguments)])
    return stop.value.code, capsys.readouterr()


FLAGS = ["--env.side", 4, "--conditions", "temperature:0.5,8", "--agent.hidden", 8, "--no-progress", "--no-figures"]


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    path = tmp_path_factory.mktemp("runs") / "hot"
    with pytest.raises(SystemExit) as stop:
        cli.main(["train", "tb", GRID, *map(str, FLAGS), "--iterations", "4", "--out", str(path)])
    assert stop.value.code == 0
    return path


def test_metrics_of_conditions(run, capsys):
    config = json.loads((run / "config.json").read_text())
    assert config["env"] == GRID
    assert config["env_arguments"]["conditions"] == "temperature:0.5,8"
    assert {"mean_tv", "worst_tv", "elbo"} <= json.loads((run / "metrics.json").read_text()).keys()
    code, printed = gfn(capsys, "evaluate", run, "--conditions", 3, "--json")
    found = json.loads(printed.out)
    assert code == 0
    assert len(found["tv"]) == len(found["conditions"]) == 3
    assert max(found["tv"]) == found["worst_tv"]
    code, printed = gfn(capsys, "evaluate", run)
    assert "20 conditions" in printed.out
    assert "mean total variation over conditions" in printed.out


def test_one_condition(run, tmp_path, capsys):
    agent = agents.load_agent(run)
    code, printed = gfn(capsys, "evaluate", run, "--condition", "beta=8", "--json", "--num-samples", 50)
    assert code == 0
    assert json.loads(printed.out)["log_z"] == pytest.approx(float(agent.log_z_at([8])[0]))
    code, printed = gfn(capsys, "sample", run, "--condition", "8", "--num", 20, "--out", tmp_path / "a.csv")
    assert code == 0
    assert "condition" not in (tmp_path / "a.csv").read_text().splitlines()[0]
    code, _ = gfn(capsys, "sample", run, "--num", 20, "--out", tmp_path / "b.csv")
    assert code == 0
    assert "condition.beta" in (tmp_path / "b.csv").read_text().splitlines()[0]


def test_the_state_graph_is_that_of_one_condition(run, capsys):
    code, printed = gfn(capsys, "plot", run, "--state-graph")
    assert code == 0
    assert "one condition: {'beta': 4.25}" in printed.out
    assert (run / "figures" / "state_graph.png").exists()


def test_the_front_of_several_objectives(tmp_path, capsys):
    flags = ["--env.side", 4, "--env.reward", "['branin','currin']", "--conditions", "preferences:branin,currin"]
    more = ["--agent.hidden", 8, "--no-progress", "--iterations", 3, "--out", tmp_path / "run"]
    code, _ = gfn(capsys, "train", "tb", GRID, *flags, *more)
    assert code == 0
    assert (tmp_path / "run" / "figures" / "pareto_front.png").exists()
    code, _ = gfn(capsys, "sample", tmp_path / "run", "--num", 50, "--front", "--out", tmp_path / "front.csv")
    assert code == 0
    with (tmp_path / "front.csv").open() as file:
        rows = [(float(row["branin"]), float(row["currin"])) for row in csv.DictReader(file)]
    assert rows
    assert not any(a >= c and b >= d and (a, b) != (c, d) for a, b in rows for c, d in rows)


def test_mistakes(run, tmp_path, capsys):
    plain = tmp_path / "plain"
    agents.train(agents.make_agent("tb", small_dag(GRID, {"side": 4}), hidden=(8,)), 1, plain, progress=False)
    for arguments, message in [
        (["evaluate", run, "--condition", "beta=9"], "the condition 9 is out of range: beta in [0.5, 8]"),
        (["plot", run, "--condition", "beta=9"], "the condition 9 is out of range: beta in [0.5, 8]"),
        (["sample", run, "--condition", "hot"], "a condition is name=number,... or numbers"),
        (["sample", run, "--condition", "heat=1"], "a condition gives beta, got heat"),
        (["evaluate", run, "--conditions", "all"], "--conditions must be grid or a number"),
        (["sample", plain, "--condition", "beta=1"], "trained without conditions"),
        (["sample", run, "--front", "--num", 5], "--front needs two components of the reward or more, got 0"),
        (["train", "tb", GRID, "--conditions", "temperature:9,1"], "ranges must be finite with low <= high"),
        (["train", "tb", GRID, "--conditions", "temperature:1,2", "--agent.engine", "numba"], "does not learn with"),
        (["train", "mcmc", GRID, "--conditions", "temperature:1,2"], "learns no policy"),
        (["train", "tb", GRID, "--agent.condition-by", "film"], "unknown argument --agent.condition-by"),
    ]:
        code, printed = gfn(capsys, *arguments)
        assert code == 2, arguments
        assert message in printed.err
        assert printed.err.count("\n") == 1, printed.err


def test_a_resumed_run_equals_an_uninterrupted_one(run, tmp_path, capsys):
    for folder, steps in ((tmp_path / "once", [8]), (tmp_path / "twice", [3, 8])):
        for iterations in steps:
            flags = [*FLAGS, "--agent.replay", "fifo", "--agent.condition-range", "0.2,1,8", "--resume"]
            code, _ = gfn(capsys, "train", "subtb", GRID, *flags, "--iterations", iterations, "--out", folder)
            assert code == 0
    once, twice = (agents.load_agent(tmp_path / name).state_dict() for name in ("once", "twice"))
    assert str(once) == str(twice)
