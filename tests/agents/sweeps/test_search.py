"""The search: a real Optuna proposes, and a function takes the place of the runs."""

from __future__ import annotations

import math
import sys

import pytest

from agents.sweeps import search as module
from agents.sweeps.grid import parse_grid
from agents.sweeps.record import Record
from agents.sweeps.search import Search

GRID = {"tb": parse_grid(["agent.lr=1e-4:1e-1:log", "env.side=4:8", "agent.hidden=8,16"])}


def value_of(runs, name):
    """Best at a learning rate of 1e-2, and with 16 units."""
    values = dict(runs[name].values)
    return (math.log10(float(values["agent.lr"])) + 2) ** 2 + (values["agent.hidden"] == "8")


def searched(tmp_path, trials, axes=GRID, seeds=(0, 1), maximize=False, fail=lambda run: None, stop=None):
    """Names of the runs that a search asked for, and its record."""
    record, runs, names = Record(tmp_path), {}, []
    sign = -1 if maximize else 1
    search = Search(axes, seeds, trials, maximize, 2, lambda name: sign * value_of(runs, name), record)
    while batch := search.ready(0):
        for run in batch:
            runs[run.name] = run
            names.append(run.name)
        record.save()
        if stop is not None and len(names) >= stop:
            return names, Record(tmp_path)
        for run in batch:
            search.ended(run, fail(run))
    return names, Record(tmp_path)


@pytest.mark.parametrize("maximize", [False, True])
def test_it_finds_the_best_values(tmp_path, maximize):
    names, record = searched(tmp_path, 30, maximize=maximize)
    assert len(names) == len(set(names)) == 60
    best = min(record.trials, key=lambda trial: abs(trial["value"]))
    assert best["drawn"]["agent.hidden"] == "16"
    assert 3e-3 < best["drawn"]["agent.lr"] < 3e-2
    assert all(isinstance(trial["drawn"]["env.side"], int) for trial in record.trials)
    late = [abs(trial["value"]) for trial in record.trials]
    assert sum(late[20:]) < sum(late[:10]) / 2  # It learns.


def test_it_goes_on_where_it_was_interrupted(tmp_path):
    first, record = searched(tmp_path, 10, stop=9)
    open_trials = [trial for trial in record.trials if trial["value"] is None]
    assert open_trials
    second, record = searched(tmp_path, 10)
    assert second[: 2 * len(open_trials)] == first[-2 * len(open_trials) :]
    assert len(set(first) | set(second)) == 20
    assert len(record.trials) == 10
    assert None not in [trial["value"] for trial in record.trials]


def test_failed_trials_have_no_value_and_are_tried_again(tmp_path):
    names, record = searched(tmp_path, 6, fail=lambda run: "NaN" if "8-s1" in run.name else None)
    failed = [trial for trial in record.trials if trial["value"] is None]
    assert {trial["drawn"]["agent.hidden"] for trial in failed} == {"8"}
    again, record = searched(tmp_path, 6)
    assert len(again) == 2 * len(failed)
    assert set(again) <= set(names)


def test_a_small_space_ends_the_search(tmp_path):
    names, record = searched(tmp_path, 50, {"tb": parse_grid(["agent.lr=1e-3,1e-2", "agent.hidden=8,16"])}, (0,))
    assert sorted(names) == sorted(set(names))
    assert len(names) == len(record.trials) == 4


def test_trials_of_another_space_do_not_count(tmp_path):
    searched(tmp_path, 4)
    names, record = searched(tmp_path, 4, {"tb": parse_grid(["agent.lr=1e-3:1e-2", "agent.hidden=8,16"])})
    assert len(names) == 8
    assert len(record.trials) == 8


def test_agents_have_axes_of_their_own(tmp_path):
    axes = {"tb": (GRID["tb"][0], GRID["tb"][2]), "subtb": GRID["tb"]}
    names, record = searched(tmp_path, 12, axes, (0,))
    assert {trial["agent"] for trial in record.trials} == {"tb", "subtb"}
    assert all("side" not in name for name in names if name.startswith("tb"))


def test_without_optuna(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "optuna", None)
    with pytest.raises(ImportError, match="pip install 'gfn-envs\\[search\\]'"):
        searched(tmp_path, 3)
    assert module.INSTALL.startswith("--search")
