"""The best setting, and a metric over two settings, on synthetic run directories."""

import json

import matplotlib.image
import numpy as np
import pytest

from agents.plots.heat_map import heat_map
from agents.runs import compare, ranking
from agents.runs.errors import RunError
from agents.runs.ranking import best_per_environment, direction, ranked, setting_grids
from tests.agents.runs.test_compare import gfn, grouped, make_run


@pytest.fixture
def sweep(tmp_path):
    """tv = 0.1, 0.2; 0.3, 0.4; ... of two seeds for each lr and side but one."""
    paths, tv = [], 0.0
    for lr in ("0.1", "0.01"):
        for side in (8, 16):
            for seed in (0, 1) if (lr, side) != ("0.1", 16) else ():
                tv += 0.1
                paths.append(make_run(tmp_path / f"{lr}-{side}-{seed}", seed, (0.9, tv), lr=lr, side=side))
    return paths


def test_better_is_known_for_metrics_that_compare():
    assert [direction(name) for name in ("tv", "elbo", "modes_found", "eubo_gap")] == ["min", "max", "max", "min"]
    assert [direction(name) for name in ("loss", "log_z", "mine")] == [None] * 3
    assert not ranking.LESS_IS_BETTER & ranking.MORE_IS_BETTER


def test_groups_are_ranked_within_their_environment(tmp_path):
    paths = [
        make_run(tmp_path / "a", side=8, agent="tb", tv=(0.9, 0.5)),
        make_run(tmp_path / "b", side=16, agent="tb", tv=(0.9, 0.1)),
        make_run(tmp_path / "c", side=8, agent="db", tv=(0.9, None)),
        make_run(tmp_path / "d", side=8, agent="fm", tv=(0.9, 0.2)),
    ]
    groups = grouped(paths)
    names = [(group.label, group.runs[0].config["env_arguments"]["side"]) for group in ranked(groups, "tv", "min")]
    assert names == [("fm", 8), ("tb", 8), ("db", 8), ("tb", 16)]
    worst = ranked(groups, "tv", "max")
    assert [group.label for group in worst] == ["tb", "fm", "db", "tb"]
    small, large = best_per_environment(groups, "tv", "min")
    assert (small.group.label, small.next.label, small.errors) == ("fm", "tb", None)
    assert (large.group.label, large.next) == ("tb", None)


def test_the_distance_to_the_next_is_in_standard_errors(tmp_path):
    paths = [
        make_run(tmp_path / f"{agent}{seed}", seed, (0.9, value), agent=agent)
        for agent, values in (("tb", (0.1, 0.3)), ("db", (0.5, 0.7)))
        for seed, value in enumerate(values)
    ]
    (best,) = best_per_environment(grouped(paths), "tv", "min")
    assert best.summary.mean == pytest.approx(0.2)
    assert best.errors == pytest.approx(0.4 / np.hypot(0.1, 0.1))
    (worst,) = best_per_environment(grouped(paths), "tv", "max")
    assert worst.group.label == "db"


def test_a_metric_over_two_settings(sweep):
    groups = grouped(sweep)
    (grid,) = setting_grids(groups, "lr", "env.side", "tv")
    assert (grid.x, grid.y) == (("0.01", "0.1"), ("8", "16"))
    np.testing.assert_allclose(grid.mean, [[0.35, 0.15], [0.55, np.nan]])
    np.testing.assert_allclose(grid.se, [[0.05, 0.05], [0.05, np.nan]])
    by_rate = setting_grids(groups, "agent.lr", "agent", "tv")
    assert [panel.title for panel in by_rate] == ["GFN/HyperGrid-v0, env.side=8", "GFN/HyperGrid-v0, env.side=16"]


@pytest.mark.parametrize(
    ("x", "y", "metric", "words"),
    [
        ("lr", "lr", "tv", "two settings, got agent.lr twice"),
        ("lrr", "env.side", "tv", "'lrr' is not a setting"),
        ("lr", "side", "nothing", "no run has a final 'nothing'"),
    ],
)
def test_wrong_settings_are_named(sweep, x, y, metric, words):
    with pytest.raises(RunError, match=words):
        setting_grids(grouped(sweep), x, y, metric)


def test_the_command_says_the_best_and_draws_the_heat_map(tmp_path, sweep, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")
    code, printed = gfn(capsys, *sweep, "--heat-map", "agent.lr", "env.side")
    assert code == 0
    rows = [line for line in printed.out.splitlines() if "lr=" in line and "│" in line]
    assert ["lr=0.1" in row for row in rows] == [True, False]
    assert "best tv on GFN/HyperGrid-v0(ndim=2, side=8): tb (lr=0.1), 0.15 ± 0.05 (2 seeds); next: " in printed.out
    assert "2.8 standard errors of the difference behind" in printed.out
    assert matplotlib.image.imread(tmp_path / "heat_map.png").std() > 0
    code, printed = gfn(capsys, *sweep[:2], "--metric", "loss")
    assert "no ranking: less or more of loss is not known to be better" in printed.out
    code, printed = gfn(capsys, *sweep[:2], "--metric", "loss", "--best", "min", "--json")
    found = json.loads(printed.out)["ranking"]
    assert (found["direction"], found["best"][0]["mean"], found["best"][0]["n"]) == ("min", 1.0, 2)
    code, printed = gfn(capsys, *sweep, "--heat-map", "agent.lr", "nope", "--out", "other.png")
    assert (code, len(printed.err.splitlines())) == (2, 1)
    assert not (tmp_path / "other.png").exists()


def test_cells_show_what_they_hold(sweep):
    (grid,) = setting_grids(grouped(sweep), "lr", "env.side", "tv")
    axes = heat_map([grid], "lr", "side", "tv").axes[0]
    assert [text.get_text() for text in axes.texts] == ["0.35\n± 0.05", "0.15\n± 0.05", "0.55\n± 0.05"]
    assert [text.get_position() for text in axes.texts] == [(0, 0), (1, 0), (0, 1)]
    assert [label.get_text() for label in axes.get_xticklabels()] == ["0.01", "0.1"]


def test_groups_of_one_environment_by_the_words_of_flags(sweep):
    settings = ranking.settings_of_group(compare.group_runs([compare.read_run(sweep[0])])[0])
    assert settings["agent.lr"] == "0.1"
    assert settings["env.side"] == 8
    assert settings["agent"] == "tb"
