"""The scripts of published experiments: their tables, results.json, and resuming."""

from __future__ import annotations

import dataclasses
import importlib
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from agents.runs.lock import RunLock
from tests.helpers import run_fork, scores

EXAMPLES = Path(__file__).resolve().parents[2] / "examples" / "papers"

SHORT_PROTEIN = {"wild_type": "MK", "table": scores(400)}
#: Distances between five residues. Residues three or more apart in the sequence are in contact.
BACKBONE = [[5.0 if abs(i - j) >= 3 else 4.0 * abs(i - j) for j in range(5)] for i in range(5)]
MOLECULES = {"blocks": ["*CC*", "*c1ccccc1", "*O"], "max_blocks": 3, "reward": "qed", "mode_threshold": 0.4}

#: Script -> rows to run (at most two, of different agents) and a small environment.
SCRIPTS: dict[str, tuple[str, dict[str, Any]]] = {
    "shen2023_bag": ("tb,sub+prt+ssr", {"num_letters": 3, "capacity": 4, "repeats": 2}),
    "shen2023_tfbind8": ("maxent,sub+prt+ssr", {"length": 3, "table": scores(64)}),
    "shen2023_pho4": ("maxent,tb", {"length": 3, "table": scores(64)}),
    "shen2023_qm9str": ("tb+prt,tb+prt+ssr", {"length": 2, "table": scores(121)}),
    "shen2023_sehstr": ("tb,tb+prt", {"length": 2, "table": scores(324)}),
    "madan2023_hypergrid": ("subtb 4 steps,tb epsilon 0.5", {"side": 4}),
    "madan2023_bitseq": ("subtb,fm", {"n": 8, "word_size": 4, "num_modes": 3}),
    "madan2023_amp": ("tb,sac", {"length": 3, "exponent": 1.0}),
    "madan2023_gfp": (
        "db,mcmc",
        {"construction": "mutate", "max_mutations": 2, "wild_type": "MK", "table": scores(400)},
    ),
    "madan2023_inverse_folding": (
        "db,tb",
        {"distances": BACKBONE, "native": "ACDEF", "alphabet": "ACDEF", "length": 3, "steps": 4},
    ),
    "niu2024_hypergrid": ("rl-g,tb-u", {"ndim": 2, "side": 6}),
    "niu2024_sequences": ("rl-t,db-b", {"length": 3, "table": scores(64)}),
    "bengio2021_seh_molecules": ("fm,mcmc", MOLECULES),
    "madan2023_molecules": ("subtb,db", MOLECULES),
    "qed_molecules": ("flsubtb,ppo", MOLECULES),
    "deleu2022_bayesnet": ("mdb,mcmc", {"num_nodes": 3}),
    "niu2024_bayesnet": ("rl-g,db-b + noise", {"num_nodes": 3, "data": None}),
    "phylogenetics": ("fldb,mcmc", {"alignment": None, "num_taxa": 4, "num_sites": 20}),
    "factor_graphs": ("flsubtb,mcmc", {"num_variables": 3, "num_values": 2}),
    "ising": ("fldb,mcmc-pt", {"side": 2}),
}
SMALLER = {"hidden": (8, 8), "batch_size": 4}


@pytest.fixture
def load(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Import a script or a module that they share."""
    monkeypatch.syspath_prepend(str(EXAMPLES))
    return importlib.import_module


def small(module: Any, environment: dict[str, Any], **changes: Any) -> Any:
    """The script's experiment on a small environment, with its own rows, columns and published values."""
    experiment = module.EXPERIMENTS["tfbind8"] if hasattr(module, "EXPERIMENTS") else module.EXPERIMENT
    return dataclasses.replace(experiment, env_arguments={**experiment.env_arguments, **environment}, **changes)


def texts(settings: dict[str, Any]) -> list[str]:
    return [f"{name}={json.dumps(value)}" for name, value in settings.items()]


def test_every_script_is_listed() -> None:
    assert {path.stem for path in EXAMPLES.glob("*.py") if re.search("^EXPERIMENTS? =", path.read_text(), re.M)} == set(
        SCRIPTS
    )


@pytest.mark.parametrize("name", SCRIPTS)
def test_table_shows_published_and_measured_values(
    name: str, load: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows, environment = SCRIPTS[name]
    tables, module = load("tables"), load(name)
    experiment = small(module, environment)
    network = {"network": "mlp"} if name.startswith("madan2023") else {}
    arguments = ["--rows", rows, "--iterations", "12", "--out", str(tmp_path), "--set", *texts({**SMALLER, **network})]
    tables.main(experiment, module.__doc__, arguments)
    printed = capsys.readouterr().out
    results = json.loads((tmp_path / "results.json").read_text())
    assert set(results) == {f"{row}, seed 0" for row in rows.split(",")}
    for row in rows.split(","):
        entry = results[f"{row}, seed 0"]
        assert entry["rounds"] == 12
        assert [look["round"] for look in entry["looks"]] == [10, 12]
        assert entry["published"] == experiment.rows[row].published
        line = next(line for line in printed.splitlines() if line.startswith(f"│ {row} "))
        assert experiment.rows[row].published in line
        cells = [cell.strip() for cell in line.strip("│").split("│")][3:]
        measured = {**entry["evaluation"], **entry}
        for column, cell in zip(experiment.columns, cells, strict=True):
            value, error = measured.get(column.name), measured.get(f"{column.name}_se")
            shown = "-" if value is None else column.format.format(value)
            assert cell == (shown if error is None else f"{shown} ± {column.format.format(error)}")
    assert any((tmp_path / f"{metric}.png").exists() for metric in ("percent_of_target", "tv", "modes"))


def test_an_environment_too_large_to_enumerate(load: Any, tmp_path: Path) -> None:
    tables, module = load("tables"), load("madan2023_bitseq")
    experiment = small(module, {"n": 32, "word_size": 8, "num_modes": 3})
    network = texts({**SMALLER, "network": "mlp"})
    tables.main(experiment, "", ["--rows", "tb", "--iterations", "10", "--out", str(tmp_path), "--set", *network])
    entry = json.loads((tmp_path / "results.json").read_text())["tb, seed 0"]
    assert entry["evaluation"]["tv"] is None
    assert "tv" not in entry["looks"][0]
    assert -1 <= entry["evaluation"]["spearman"] <= 1
    assert entry["evaluation"]["num_test_objects"] == 3 * 32


def test_percent_of_target_mean(load: Any, tmp_path: Path) -> None:
    """Compared with the mean of all looks and with the definition of the target."""
    tables, module = load("tables"), load("shen2023_tfbind8")
    experiment = small(module, SCRIPTS["shen2023_tfbind8"][1])
    arguments = ["--rows", "tb", "--iterations", "40", "--out", str(tmp_path), "--set", *texts(SMALLER)]
    tables.main(experiment, "", arguments)
    entry = json.loads((tmp_path / "results.json").read_text())["tb, seed 0"]
    y = np.array(scores(64))
    y = (y - y.min()) / np.ptp(y)
    reward = np.maximum(10 * (y / y.max()) ** 3, 1e-3)
    target = (reward**2).sum() / reward.sum()
    assert entry["target_mean"] == pytest.approx(target, rel=1e-12)
    mean = np.mean([look["mean_reward"] for look in entry["looks"]])
    assert entry["percent_of_target"] == pytest.approx(100 * mean / target, rel=1e-12)
    spread = np.std([look["mean_reward"] for look in entry["looks"]], ddof=1) / np.sqrt(len(entry["looks"]))
    assert entry["percent_of_target_se"] == pytest.approx(100 * spread / target, rel=1e-12)
    assert entry["rounds_to_target"] is None


def test_rounds_to_the_target_do_not_count_what_does_not_stay(load: Any) -> None:
    first = load("runner").rounds_to_target
    rounds = list(range(10, 2010, 10))
    collapse = np.concatenate([np.full(50, 1.2), np.full(70, 0.9), np.linspace(0.9, 1.1, 80)])
    means = np.convolve(collapse, np.full(50, 1 / 50), "valid")
    last = int(np.flatnonzero(means < 0.98)[-1])
    reached = last + 1 + int(np.argmax(means[last + 1 :] >= 1.0))
    assert first(collapse, rounds, 1.0) == rounds[reached + 49] > 1200
    assert first(collapse[:150], rounds, 1.0) is None
    noise = np.concatenate([np.full(60, 0.5), np.full(60, 1.001), np.full(60, 0.985)])
    assert first(noise, rounds, 1.0) == 1100  # It never falls below 98%.
    assert first(np.concatenate([noise, np.full(60, 0.95)]), rounds, 1.0) is None


def test_the_published_target_of_the_bag(load: Any) -> None:
    """The authors' comment says 18.17 for 7 letters, 13 places; and the exact mean over multisets is 24.79."""
    import gfn_envs

    module, dag = load("shen2023_bag"), gfn_envs.make_dag("GFN/Bag-v0")
    assert module.published_target(dag) == pytest.approx(18.1717, abs=1e-4)
    reward = np.exp(dag.log_reward(dag.terminal_states()))
    assert (reward**2).sum() / reward.sum() == pytest.approx(24.786, abs=1e-3)
    good, mode = reward > 1, np.isclose(reward, 30)
    assert mode.sum() / good.sum() == pytest.approx(0.49, abs=0.005)
    # By brute force over all strings of a smaller bag, with every fourth good string a mode.
    small = gfn_envs.make_dag("GFN/Bag-v0", num_letters=3, capacity=5, repeats=3)
    strings = np.stack(np.meshgrid(*[np.arange(3)] * 5), -1).reshape(-1, 5)
    share = ((strings[:, :, None] == np.arange(3)).sum(1).max(1) >= 3).mean()
    weights, values = np.array([share / 4, 3 * share / 4, 1 - share]), np.array([30.0, 10.0, 0.01])
    assert module.published_target(small) == pytest.approx(weights @ values**2 / (weights @ values), rel=1e-12)


def test_the_first_round_that_reaches_the_target(load: Any) -> None:
    first = load("runner").rounds_to_target
    rewards = np.concatenate([np.zeros(30), np.ones(80)])
    rounds = list(range(10, 1110, 10))
    assert first(rewards, rounds, 0.5) == rounds[30 + 25 - 1]
    assert first(rewards, rounds, 1.0) == rounds[79]
    assert first(rewards, rounds, 1.01) is None
    assert first(rewards[:49], rounds[:49], 0.0) is None


def test_finished_rows_are_kept_and_interrupted_rows_resume(
    load: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tables, module = load("tables"), load("shen2023_bag")
    experiment = small(module, SCRIPTS["shen2023_bag"][1])

    def run(out: str, *arguments: str) -> dict[str, Any]:
        command = ["--rows", "tb+prt,sub+prt+ssr", "--seeds", "1,2", "--out", str(tmp_path / out)]
        tables.main(experiment, "", [*command, *arguments, "--set", *texts(SMALLER)])
        return json.loads((tmp_path / out / "results.json").read_text())

    def without_times(results: dict[str, Any]) -> dict[str, Any]:
        clean = json.loads(json.dumps(results))
        for entry in clean.values():
            del entry["seconds"]
            for look in entry["looks"]:
                del look["seconds"]
        return clean

    whole = run("whole", "--iterations", "30")
    assert run("whole", "--iterations", "30") == whole
    assert capsys.readouterr().out.count("already there, 30 rounds") == 4
    cut = run("parts", "--iterations", "30", "--minutes", "1e-9")
    assert {entry["rounds"] for entry in cut.values()} == {10}
    parts = run("parts", "--iterations", "30")
    assert without_times(parts) == without_times(whole)
    capsys.readouterr()
    with pytest.raises(SystemExit, match="2"):
        tables.main(
            experiment, "", ["--rows", "tb+prt", "--seeds", "1", "--out", str(tmp_path / "whole"), "--iterations", "30"]
        )
    assert "holds another run" in capsys.readouterr().err


def test_a_row_that_another_process_trains_is_left_to_it(
    load: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tables, module = load("tables"), load("shen2023_bag")
    experiment = small(module, SCRIPTS["shen2023_bag"][1])
    command = ["--rows", "tb,tb+prt", "--iterations", "10", "--out", str(tmp_path), "--set", *texts(SMALLER)]
    with RunLock(tmp_path / "tb-seed0"):
        tables.main(experiment, "", command)
        assert "tb, seed 0: left out, " in capsys.readouterr().out
        assert list(json.loads((tmp_path / "results.json").read_text())) == ["tb+prt, seed 0"]
    tables.main(experiment, "", command)
    assert sorted(json.loads((tmp_path / "results.json").read_text())) == ["tb+prt, seed 0", "tb, seed 0"]


def test_an_interrupted_command_says_how_to_continue(
    load: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    tables, module = load("tables"), load("shen2023_bag")
    command = ["--rows", "tb,tb+prt", "--iterations", "10", "--out", str(tmp_path), "--set", *texts(SMALLER)]
    run_row = tables.run_row

    def interrupted(*arguments: Any) -> dict[str, Any]:
        if arguments[-1] == "tb+prt, seed 0":
            raise KeyboardInterrupt
        return dict(run_row(*arguments))

    experiment = small(module, SCRIPTS["shen2023_bag"][1])
    monkeypatch.setattr(tables, "run_row", interrupted)
    with pytest.raises(SystemExit, match="130"):
        tables.main(experiment, "", command)
    assert capsys.readouterr().err.splitlines()[-1] == (
        "interrupted; the same command continues, and rows that are finished are kept"
    )
    assert list(json.loads((tmp_path / "results.json").read_text())) == ["tb, seed 0"]
    monkeypatch.setattr(tables, "run_row", run_row)
    tables.main(experiment, "", command)
    assert "tb, seed 0: already there" in capsys.readouterr().out


def test_mistakes_are_explained(load: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    tables, module = load("tables"), load("shen2023_bag")
    for arguments, message in [
        (["--rows", "tb,ttb"], "no row ttb; allowed: tb, maxent"),
        (["--seeds", "one"], "expected integers such as 0,1,2, got 'one'"),
        (["--env", "capacity"], "expected KEY=VALUE, got 'capacity'"),
        (["--iterations", "-5"], "argument --iterations: expected an integer >= 1, got '-5'"),
        (["--iterations", "0"], "argument --iterations: expected an integer >= 1, got '0'"),
        (["--iterations", "1.5"], "argument --iterations: expected an integer >= 1, got '1.5'"),
        (["--minutes", "-1"], "argument --minutes: expected a finite number > 0, got '-1'"),
        (["--minutes", "nan"], "argument --minutes: expected a finite number > 0, got 'nan'"),
        (["--minutes", "soon"], "argument --minutes: expected a finite number > 0, got 'soon'"),
    ]:
        with pytest.raises(SystemExit, match="2"):
            tables.main(module.EXPERIMENT, "", [*arguments, "--out", str(tmp_path)])
        assert message in capsys.readouterr().err
    (tmp_path / "file").write_text("")
    strings = load("shen2023_tfbind8")
    for experiment, arguments, message in [
        (module.EXPERIMENT, ["--env", "capcity=3"], "unknown argument capcity"),
        (
            module.EXPERIMENT,
            ["--out", str(tmp_path / "file")],
            f"--out: {tmp_path / 'file'} is a file, not a directory",
        ),
        (module.EXPERIMENT, ["--out", str(tmp_path / "file" / "in")], "Not a directory"),
        (module.EXPERIMENT, ["--env", "modes=/nope"], "Bag: modes='/nope': no such file"),
        (strings.EXPERIMENT, ["--env", "table=/nope"], "TFBind8: table='/nope': no such file"),
    ]:
        with pytest.raises(SystemExit, match="2"):
            tables.main(experiment, "", ["--iterations", "10", "--out", str(tmp_path), *arguments])
        (line,) = [line for line in capsys.readouterr().err.splitlines() if line and "round/s" not in line]
        assert line.startswith("error: ")
        assert message in line


def test_task_option(load: Any, capsys: pytest.CaptureFixture[str]) -> None:
    choose = load("niu2024_sequences").choose
    assert choose(["--quick", "--seeds", "1"]) == ("tfbind8", ["--quick", "--seeds", "1"])
    for arguments in (["--task", "pho4"], ["--task=pho4"]):
        assert choose(["--quick", *arguments, "--seeds", "1"]) == ("pho4", ["--quick", "--seeds", "1"])
    for arguments in (["--task", "tfbind9"], ["--task=tfbind9"], ["--task"]):
        with pytest.raises(SystemExit, match="2"):
            choose(arguments)
        assert "argument --task: " in capsys.readouterr().err


def test_the_best_objects_of_all_looks_are_kept(load: Any) -> None:
    runner = load("runner")
    rng, seen, best = np.random.default_rng(0), {}, []
    for _ in range(5):
        states = rng.integers(12, size=(60, 2))
        log_reward = np.sin(states @ [1.0, 2.0])  # Has ties.
        best = runner.best_of(best, states, log_reward)
        seen |= dict(zip(map(tuple, states.tolist()), log_reward.tolist(), strict=True))
    assert len(best) == runner.BEST < len(seen)
    assert [value for value, _ in best] == sorted(seen.values(), reverse=True)[: runner.BEST]
    assert len({tuple(state) for _, state in best}) == runner.BEST
    assert all(seen[tuple(state)] == value for value, state in best)


def test_sehstr_target_covers_all_strings(load: Any) -> None:
    """Sums over parts of all strings, on an environment small enough to enumerate."""
    import gfn_envs

    module = load("shen2023_sehstr")
    dag = gfn_envs.make_dag("GFN/SEHStr-v0", length=2, table=scores(324))
    predictions = np.array(scores(324))

    class Pieces:
        def score_all(self) -> Any:
            return iter(np.split(predictions, 4))

    dag.__dict__["trees"] = Pieces()
    best, total, squares = module.raised_sums(dag)
    assert dag.scale * squares / (best * total) == pytest.approx(module.target_mean(dag), rel=1e-12)


def test_help_describes_rows_and_options() -> None:
    done = run_fork(str(EXAMPLES / "shen2023_tfbind8.py"), "--help")
    assert done.returncode == 0, done.stderr
    for expected in (
        "percentage of the mean reward of an exact",
        "--quick",
        "--seeds",
        "sub+prt+ssr",
        "guide_temperature 3.0",
    ):
        assert re.sub(r"\s+", " ", expected) in re.sub(r"\s+", " ", done.stdout)
    done = run_fork(str(EXAMPLES / "niu2024_sequences.py"), "--task=pho4", "--help")
    assert done.returncode == 0, done.stderr
    assert "environment: GFN/PHO4-v0" in done.stdout
    assert re.search(r"^  --task {tfbind8,qm9str,sehstr,pho4}", done.stdout, re.M)
