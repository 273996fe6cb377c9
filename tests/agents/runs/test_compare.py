"""gfn compare, on synthetic run directories: every aggregated number is known."""

import json

import matplotlib.image
import numpy as np
import pytest

import agents
from agents.cli import main as cli
from agents.plots import figures as plots
from agents.runs import compare
from agents.runs import directory as runs
from tests.helpers import small_dag

ROWS = (10, 20)


def make_run(path, seed=0, tv=(0.5, 0.3), iterations=20, finished=True, agent="tb", side=8, lr="0.001", **final):
    """A run with rows at iterations 10 and 20, or the first alone where unfinished."""
    path.mkdir(parents=True)
    config = {"agent": agent, "settings": {"lr": lr, "batch_size": 16}, "env": "GFN/HyperGrid-v0"}
    config |= {"env_arguments": {"ndim": 2, "side": side, "R0": None}, "seed": seed, "iterations": iterations}
    (path / runs.CONFIG).write_text(json.dumps(config))
    rows = [
        {
            "iteration": i,
            "transitions": 100 * i + seed,
            "seconds": i / 10,
            "loss": 1.0,
            "tv": value,
            "elbo": -(value or 0),
        }
        for i, value in zip(ROWS, tv, strict=True)
    ]
    rows = rows if finished else rows[:1]
    (path / runs.HISTORY).write_text("".join(json.dumps(row) + "\n" for row in rows))
    if finished:
        (path / runs.METRICS).write_text(json.dumps({**rows[-1], "seed": seed, "agent": agent, **final}))
    return path


@pytest.fixture
def three(tmp_path):
    """Three seeds whose last tv is 0.1, 0.2 and 0.6: mean 0.3, standard error sqrt(0.07 / 3)."""
    return [make_run(tmp_path / f"s{seed}", seed, (0.9, tv)) for seed, tv in enumerate((0.1, 0.2, 0.6))]


def grouped(paths):
    return compare.group_runs(map(compare.read_run, paths))


def gfn(capsys, *arguments):
    with pytest.raises(SystemExit) as stop:
        cli.main(["compare", *map(str, arguments)])
    return stop.value.code, capsys.readouterr()


def test_seeds_are_aggregated(three):
    (group,) = grouped(three)
    assert group.label == "tb"
    summary = compare.final_metrics(group)["tv"]
    assert summary.n == 3
    assert summary.mean == pytest.approx(0.3)
    assert summary.se == pytest.approx(np.sqrt(0.07 / 3))
    assert "seed" not in compare.final_metrics(group)


def test_curves_by_hand(three):
    (group,) = grouped(three)
    curve = compare.learning_curve(group, "tv", "transitions")
    np.testing.assert_allclose(curve.x, [1001, 2001])
    np.testing.assert_allclose(curve.mean, [0.9, 0.3])
    np.testing.assert_allclose(curve.se, [0, np.sqrt(0.07 / 3)], atol=1e-15)
    assert curve.count.tolist() == [3, 3]
    assert compare.learning_curve(group, "tv").x.tolist() == [10, 20]
    assert compare.learning_curve(group, "tv", "seconds").x.tolist() == [1, 2]
    assert compare.learning_curve(group, "nothing") is None
    with pytest.raises(ValueError, match=r"hours.*iterations"):
        compare.learning_curve(group, "tv", "hours")


def test_bootstrap_intervals_of_the_mean():
    """Against all 4^4 resamples of four values, enumerated."""
    values = [0.1, 0.2, 0.6, 1.0]
    means = np.sort([np.mean(np.take(values, pick)) for pick in np.ndindex(4, 4, 4, 4)])
    summary = compare.summarize(values, bootstrap=True)
    assert summary.low == pytest.approx(np.quantile(means, 0.025), abs=0.03)
    assert summary.high == pytest.approx(np.quantile(means, 0.975), abs=0.03)
    assert compare.summarize(values, bootstrap=True) == summary
    equal = compare.summarize([2.0, 2.0], bootstrap=True)
    assert (equal.low, equal.high, equal.se) == (2.0, 2.0, 0.0)
    assert compare.summarize([2.0], bootstrap=True) == compare.Summary(1, 2.0, None)


def test_any_other_difference_makes_a_group(tmp_path):
    paths = [
        make_run(tmp_path / "a", 0),
        make_run(tmp_path / "b", 0, lr="0.01"),
        make_run(tmp_path / "c", 1),
        make_run(tmp_path / "d", 0, agent="db"),
        make_run(tmp_path / "e", 0, side=16, lr="0.5"),
        make_run(tmp_path / "f", 0, iterations=15),
    ]
    groups = grouped(paths)
    assert [len(group.runs) for group in groups] == [2, 1, 1, 1, 1]
    assert [group.label for group in groups] == [
        *("tb (lr=0.001, iterations=20)", "tb (lr=0.01, iterations=20)", "db", "tb"),
        "tb (lr=0.001, iterations=15)",
    ]
    panels = compare.learning_curves(groups, "tv")
    assert {environment: len(curves) for environment, curves in panels.items()} == {
        "GFN/HyperGrid-v0(ndim=2, side=8)": 4,
        "GFN/HyperGrid-v0(ndim=2, side=16)": 1,
    }
    figure = plots.comparison(panels, "tv", "iterations")
    assert [axes.get_title() for axes in figure.axes] == list(panels)
    assert [len(axes.get_lines()) for axes in figure.axes] == [4, 1]
    np.testing.assert_allclose(figure.axes[1].get_lines()[0].get_ydata(), [0.5, 0.3])


def test_unfinished_runs_are_used_and_named(tmp_path, three, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")
    half = make_run(tmp_path / "half", 3, (0.5, 0.0), finished=False)
    none = make_run(tmp_path / "none", 4, finished=False)
    (none / runs.HISTORY).write_text("")
    (group,) = grouped([*three, half, none])
    assert [run.config["seed"] for run in group.unfinished] == [3, 4]
    assert compare.final_metrics(group)["tv"].n == 4
    assert compare.final_metrics(group)["tv"].mean == pytest.approx((0.1 + 0.2 + 0.6 + 0.5) / 4)
    assert compare.learning_curve(group, "tv").count.tolist() == [4, 3]
    code, printed = gfn(capsys, *three, half, none)
    assert code == 0
    assert "5 (2 unfinished)" in printed.out
    assert f"{half}, at iteration 10 of 20; metrics of iteration 10" in printed.out
    assert f"{none}, at iteration 0 of 20; no metrics yet" in printed.out


def test_metrics_from_before_a_run_was_extended_do_not_count(tmp_path):
    path = make_run(tmp_path / "a", 0, (0.5, 0.3))
    config = json.loads((path / runs.CONFIG).read_text())
    (path / runs.CONFIG).write_text(json.dumps({**config, "iterations": 100}))
    with (path / runs.HISTORY).open("a") as file:
        file.write(json.dumps({"iteration": 30, "tv": 0.2, "elbo": 0.0}) + "\n" + json.dumps({"iteration": 31}) + "\n")
    run = compare.read_run(path)
    assert (run.finished, run.final["tv"], run.iteration) == (False, 0.2, 31)


def test_table_figure_and_json(tmp_path, three, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")
    other = make_run(tmp_path / "other", 0, (0.8, 0.4), agent="db", log_z_error=float("inf"))
    code, printed = gfn(capsys, *three, other)
    assert code == 0
    assert "0.3 ± 0.15" in printed.out
    assert "saved comparison.png" in printed.out
    assert matplotlib.image.imread(tmp_path / "comparison.png").std() > 0
    code, printed = gfn(capsys, *three, other, "--json", "--bootstrap", "--x", "seconds", "--out", "figures/a.pdf")
    assert code == 0
    assert (tmp_path / "figures" / "a.pdf").stat().st_size > 1000
    described = json.loads(printed.out, parse_constant=lambda name: pytest.fail(f"{name} is not JSON"))
    tb, db = described["groups"]
    assert tb["seeds"] == [0, 1, 2]
    assert tb["metrics"]["tv"]["mean"] == pytest.approx(0.3)
    assert 0.1 <= tb["metrics"]["tv"]["low"] < 0.3 < tb["metrics"]["tv"]["high"] <= 0.6
    assert db["metrics"]["tv"] == {"n": 1, "mean": 0.4, "se": None, "low": None, "high": None}
    assert db["metrics"]["log_z_error"]["mean"] is None
    code, printed = gfn(capsys, *three, "--bootstrap")
    assert "0.3 [0.1" in printed.out


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], ["run directories"]),
        (["nowhere"], ["nowhere", "not a run"]),
        (["s0", "s0"], ["s0", "same run", "seed 0"]),
        (["s0", "--metric", "tvv"], ["tvv", "elbo", "tv"]),
        (["s0", "--x", "hours"], ["hours", "transitions"]),
        (["s0", "--out", "figure.xyz"], ["figure.xyz", "png"]),
        (["s0", "--mertic", "tv"], ["--mertic", "--metric"]),
        (["list"], ["list", "config.json", "object"]),
        (["broken"], ["config.json is damaged"]),
        (["rows"], ["metrics.jsonl", "iteration"]),
    ],
)
def test_mistakes_are_one_line_and_exit_code_2(arguments, words, three, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name, text in (("list", "[]"), ("broken", "{")):
        (tmp_path / name).mkdir()
        (tmp_path / name / runs.CONFIG).write_text(text)
    (make_run(tmp_path / "rows") / runs.HISTORY).write_text("[1]\n")
    code, printed = gfn(capsys, *arguments)
    assert code == 2
    assert len(printed.err.strip().splitlines()) == 1, printed.err
    assert all(word in printed.err for word in words), printed.err
    assert not list(tmp_path.glob("*.p*"))


def damaged_runs(path):
    """Paths that are not runs, with words of the message that says why they are left out."""
    (path / "comparison.png").write_bytes(b"\x89PNG")
    (path / "empty").mkdir()
    (make_run(path / "directory") / runs.CONFIG).unlink()
    (path / "directory" / runs.CONFIG).mkdir()
    (make_run(path / "settings") / runs.CONFIG).write_text('{"agent": "tb", "env": "GFN/Bag-v0", "settings": []}')
    (make_run(path / "list") / runs.METRICS).write_text("[]")
    (make_run(path / "word") / runs.METRICS).write_text('{"iteration": "last"}')
    (make_run(path / "deep") / runs.METRICS).write_text("[" * 100_000)
    for name, file in (("config", runs.CONFIG), ("metrics", runs.METRICS), ("history", runs.HISTORY)):
        (make_run(path / name) / file).write_bytes(b'{"agent": "\xff"}\n')
    (make_run(path / "rows") / runs.HISTORY).write_text("[1]\n")
    return {
        "comparison.png": "is not a run: it has no config.json",
        "empty": "is not a run: it has no config.json",
        "directory": "config.json cannot be read: Is a directory",
        "settings": "config.json is not the config of a run: it has no settings (dict)",
        "list": "metrics.json is damaged: it holds a list, not an object",
        "word": "metrics.json is damaged: its iteration is 'last'",
        "deep": "metrics.json is damaged",
        "config": "config.json is damaged: it is not UTF-8",
        "metrics": "metrics.json is damaged: it is not UTF-8",
        "history": "metrics.jsonl is damaged: it is not UTF-8",
        "rows": "metrics.jsonl, line 1 is damaged: it is a row without an iteration",
    }


def test_what_is_not_a_run_is_left_out_and_named(tmp_path, three, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    damaged = damaged_runs(tmp_path)
    code, printed = gfn(capsys, *damaged, *three, "--json")
    assert code == 0
    lines = printed.err.splitlines()
    assert len(lines) == len(damaged)
    for line, (name, why) in zip(lines, damaged.items(), strict=True):
        assert line.startswith(f"left out: {name}")
        assert why in line
    (group,) = json.loads(printed.out)["groups"]
    assert group["seeds"] == [0, 1, 2]


def test_without_any_run_all_reasons_are_one_line(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    damaged = damaged_runs(tmp_path)
    code, printed = gfn(capsys, *damaged)
    assert code == 2
    assert len(printed.err.splitlines()) == 1
    assert all(why in printed.err for why in damaged.values())
    assert printed.out == ""


def test_means_over_fewer_seeds_than_the_row_say_so(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")
    paths = [make_run(tmp_path / f"s{seed}", seed, (0.9, tv), log_z_error=0.5) for seed, tv in enumerate((0.1, 0.3))]
    paths.append(make_run(tmp_path / "s2", 2, (0.9, None), log_z_error=0.5))
    code, printed = gfn(capsys, *paths)
    assert code == 0
    assert "0.2 ± 0.1 (n=2)" in printed.out
    assert printed.out.count("n=2") == 1
    code, printed = gfn(capsys, *paths, "--bootstrap")
    assert "0.2 [0.1, 0.3] (n=2)" in printed.out


def test_real_runs(tmp_path, capsys):
    paths = [tmp_path / str(seed) for seed in (0, 1)]
    for seed, path in enumerate(paths):
        agent = agents.make_agent("tb", small_dag("GFN/HyperGrid-v0", {"ndim": 2, "side": 8}), seed=seed, hidden=(8,))
        agents.train(agent, 10, path, progress=False)
    code, printed = gfn(capsys, *paths, "--json", "--out", tmp_path / "figure.png", "--metric", "loss")
    assert code == 0
    (group,) = json.loads(printed.out)["groups"]
    tv = [runs.read_json(path / runs.METRICS)["tv"] for path in paths]
    assert group["seeds"] == [0, 1]
    assert group["metrics"]["tv"]["mean"] == pytest.approx(np.mean(tv))
    assert group["metrics"]["tv"]["se"] == pytest.approx(abs(tv[0] - tv[1]) / 2)
