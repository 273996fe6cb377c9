"""Benchmarks of speed: their cases can be made, and their pages have the measured values."""

from __future__ import annotations

import shlex

import pytest

from benchmarks import cost_curves, gpu, regression, report, threads, time_to_quality
from benchmarks.peers import race


def test_times_to_a_distance():
    """The first checkpoint after which TV stays low; the best of a seed's runs; no time if one seed misses it."""
    fast, slow, late = (
        [[1, s, 0.5], [2, 2 * s, 0.04], [3, 3 * s, tv]] for s, tv in ((1.0, 0.03), (2.0, 0.02), (5, 0.06))
    )
    assert [race.first_time(rows, 0.05) for rows in (fast, slow, late)] == [2.0, 4.0, None]
    curves = {f"ours, {n} iterations, seed 0": rows for n, rows in ((3, fast), (6, slow))}
    curves["ours, 3 iterations, seed 1"] = late
    assert race.best_times(curves, "ours", 0.05) == [2.0, None]
    assert race.best_times(curves, "ours", 0.02) == [6.0, None]
    peers = {"gfnx, our settings, 5000 iterations, seed 0": slow}
    alone = {key: rows for key, rows in curves.items() if key.endswith("seed 0")}
    text = race.section({**alone, **peers})
    assert "| gfnx, our settings | 1 | 4.0 | 2.0x | 6.0 | 1.0x | 0.020 after 6 s |" in text
    assert "more than 7.5x" in race.section({**alone, "gfnx, its defaults, 20000 iterations, seed 0": late})


def test_settings_of_the_race_are_those_of_our_agent():
    rates = race.with_our_settings()(100, 3)["lr"]
    assert race.ours_by_tb(100, seed=3)["agent"]["lr"] == rates == [6e-3, 1e-5, 100]
    with_muon = race.with_our_settings("mdb", muon=race.MUON_LR)(100, 3)
    assert race.ours(100, seed=3)["agent"]["lr"] == with_muon["lr"] == [race.MUON_LR, 1e-5, 100]
    assert with_muon["muon"]
    assert with_muon["objective"] == race.ours(100, seed=3)["objective"] == "mdb"
    assert race.ours(100, seed=3)["agent"]["delay_stop"] == [0.8, 0.0, 25]
    assert len(list(race.runs(3, "ours, "))) == 6


def test_a_run_counts_for_the_setting_of_its_name_only():
    assert race.name_of("gfnx, our settings, muon, 1500 iterations, seed 0") == "gfnx, our settings, muon"
    rows = [[1, 1.0, 0.01]]
    assert race.best_times({"gfnx, our settings, muon, 1 iterations, seed 0": rows}, "gfnx, our settings", 0.05) == []


def test_regression_is_measured_by_the_reference():
    """A machine that is half as fast changes nothing; twice the work is twice as slow."""
    before = {"ms": 2.0, "reference_ms": 1.0}
    assert regression.ratio({"ms": 4.0, "reference_ms": 2.0}, before) == 1
    slower = {"ms": 4.0, "reference_ms": 1.0}
    assert regression.ratio(slower, before) == 2
    assert "2.00x  slower" in regression.line("work", slower, before)
    assert regression.line("work", slower, None).endswith("new")
    assert regression.reference(0.001) > 0


@pytest.mark.parametrize(("curve", "value", "actions"), [("dimensions", 2, 3), ("side", 8, 5), ("length", 32, 256)])
def test_points_of_cost_curves(curve, value, actions):
    dag, settings = cost_curves.case(curve, value)
    assert dag.num_actions == actions
    assert settings["lr"] == 1e-6


def test_page_of_cost_curves():
    found = {name: {"16": {"ms": 2.5, "length": 38.0, "engine": "torch"}} for name in cost_curves.CURVES}
    shared = {"16": dict.fromkeys(cost_curves.SHARED, 3.0)}
    text = cost_curves.section({**found, "processes": shared, "machine": "m"})
    assert "16: 2.5 (torch) at 38" in text
    assert "| batch, 2 processes, beside a busy one | 16: 3 |" in text


def test_page_of_threads_marks_missed_targets():
    times = {"default+0": 2, "one+0": 2, "default+1": 2, "one+1": 1, "default+2": 3, "one+2": 3, "pair": 2, "side": 2}
    record = {"ms": {name: [float(ms)] for name, ms in times.items()}, "machine": "m"}
    text = threads.section({"numba, 16": record, "numba, 128": record})
    assert "| numba | 16 | 2.00 | 2.00 (missed) | 1.00 | 1.00 | 1.50 | 1.00 | 1.00 |" in text
    assert "| numba | 128 | 2.00 | 2.00 (missed) | 1.00 | 1.00 | 1.50 | 1.00 | 1.00 (missed) |" in text


def test_gpu_cases_are_those_of_the_trained_policy():
    assert {case.batch for case in gpu.CASES} == set(gpu.BATCHES)
    assert all(case.trained for case in gpu.CASES)


def test_make_demo_has_the_settings_that_were_measured():
    text = (report.ROOT / "Makefile").read_text("utf-8").split("DEMO := ")[1].split("\n\n")[0].replace("\\\n", " ")
    settings, iterations = time_to_quality.variants()["demo"]
    words = shlex.split(text)
    assert int(words[words.index("--iterations") + 1]) == iterations
    settings = time_to_quality.filled(settings, iterations)
    assert words[0] == settings.pop("objective")
    for name, value in settings.items():
        if value is not None:
            given = words[words.index(f"--agent.{name.replace('_', '-')}") + 1 :]
            expected = list(map(str, value)) if isinstance(value, tuple) else [str(value)]
            assert given[: len(expected)] == expected, name
