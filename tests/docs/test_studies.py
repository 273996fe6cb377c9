"""All experiments of a paper by one command: missing or stale rows, tables, verdicts and figures."""

from __future__ import annotations

import dataclasses
import importlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import agents

PAPERS = Path(__file__).resolve().parents[2] / "examples" / "papers"
NAMES = ["shen2023", "madan2023", "niu2024"]


@pytest.fixture
def load(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(str(PAPERS))
    return importlib.import_module


def small(load: Any, rounds: int = 20, **settings: Any) -> Any:
    """A study of two rows on a tiny grid."""
    study, grid = load("study"), load("madan2023_hypergrid").EXPERIMENT
    part = study.Part(
        key="tiny",
        title="A tiny grid",
        experiment=study.on(grid, side=4),
        rows=("subtb", "tb"),
        rounds=rounds,
        settings={"hidden": (8,), **settings},
        claims=(study.Claim("SubTB is ahead of TB", "l1", "subtb", "tb"),),
    )
    return study.Study("small", "A small study", (part,))


def command(load: Any, study: Any, directory: Path, *arguments: str) -> None:
    places = [f"--{name}={directory / name}" for name in ("runs", "results", "docs")]
    load("study_command").main(study, "", [*arguments, "--seeds", "0,1", *places])


@pytest.mark.parametrize("name", NAMES)
def test_declarations(name: str, load: Any) -> None:
    study = load(name).STUDY
    keys = [part.key for part in study.parts]
    assert len(set(keys)) == len(keys)
    for part in study.parts:
        assert set(part.names) <= set(part.experiment.rows)
        assert {row for claim in part.claims for row in (claim.better, claim.worse)} <= set(part.names)
        for row in (part.experiment.rows[name] for name in part.names):
            agents.AGENTS[row.agent].config_class(**{**row.settings, **part.settings})


def test_run_list_and_page(load: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    study = small(load)
    command(load, study, tmp_path, "--list")
    assert capsys.readouterr().out.splitlines() == [
        f"tiny: {row}, seed {seed}: missing" for row in ("subtb", "tb") for seed in (0, 1)
    ]
    command(load, study, tmp_path, "--figures")
    page = (tmp_path / "docs" / "small.md").read_text()
    assert "No run yet: all 4 rows and seeds are missing." in page
    assert "SubTB is ahead of TB" not in page
    command(load, study, tmp_path, "--rows", "subtb")
    command(load, study, tmp_path, "--figures")
    page = (tmp_path / "docs" / "small.md").read_text()
    kept = json.loads((tmp_path / "results" / "small.json").read_text())["tiny"]
    assert set(kept) == {"subtb, seed 0", "subtb, seed 1"}
    l1 = [kept[name]["metrics"]["l1"] for name in sorted(kept)]
    assert l1 == [2 * kept[name]["metrics"]["tv"] for name in sorted(kept)]
    line = next(line for line in page.splitlines() if line.startswith("| subtb | 2 |"))
    assert f"| {np.mean(l1):.3g} ± {np.std(l1, ddof=1) / np.sqrt(2):.3g} |" in line
    assert "SubTB is ahead of TB: not measured yet." in page
    assert "Not shown: tb, seed 0: missing; tb, seed 1: missing." in page
    assert (tmp_path / "docs" / "figures" / "small_tiny.png").exists()
    command(load, study, tmp_path)  # Only missing rows.
    assert capsys.readouterr().out.count("already there") == 2
    command(load, study, tmp_path, "--list", "--figures")
    page = (tmp_path / "docs" / "small.md").read_text()
    assert "(2 and 2 seeds)." in page
    assert "Not shown" not in page
    # The page follows from what the repository keeps, without the runs.
    (tmp_path / "runs" / "small" / "tiny" / "results.json").unlink()
    command(load, study, tmp_path, "--figures")
    assert (tmp_path / "docs" / "small.md").read_text() == page


def test_a_part_may_be_scaled_down_and_ask_for_one_seed_of_a_row(
    load: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    study = small(load)
    study = dataclasses.replace(study, parts=(dataclasses.replace(study.parts[0], single=("tb",)),))
    command(load, study, tmp_path, "--list")
    assert capsys.readouterr().out.splitlines() == [
        *(f"tiny: subtb, seed {seed}: missing" for seed in (0, 1)),
        "tiny: tb, seed 0: missing",
    ]
    command(load, study, tmp_path)
    command(load, study, tmp_path, "--figures")
    page = (tmp_path / "docs" / "small.md").read_text()
    assert "20 rounds, scaled down from 62,500. At least one seed of tb: more than 20 CPU minutes each." in page
    assert "| subtb | 2 |" in page
    assert "| tb | 1 |" in page
    assert "Not shown" not in page
    command(load, small(load), tmp_path)  # All seeds: more than were asked for are shown too.
    command(load, study, tmp_path, "--figures")
    assert "| tb | 2 |" in (tmp_path / "docs" / "small.md").read_text()


def test_rounds_to_97_percent_of_the_target(load: Any) -> None:
    looks = [{"round": 10 * i, "mean_reward": min(1.0, i / 100)} for i in range(1, 301)]
    entry = {"evaluation": {}, "config": {}, "rounds": 3000, "target_mean": 1.0, "looks": looks}
    rewards = np.array([look["mean_reward"] for look in looks])
    found = load("study").compact(entry)["metrics"]["rounds_to_97"]
    assert rewards[found // 10 - 50 : found // 10].mean() >= 0.97 > rewards[found // 10 - 51 : found // 10 - 1].mean()
    assert "rounds_to_97" not in load("study").compact({**entry, "target_mean": None})["metrics"]


def test_rows_in_the_repository_are_not_trained_again(
    load: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    study = small(load)
    command(load, study, tmp_path, "--rows", "tb")
    command(load, study, tmp_path, "--figures")
    (tmp_path / "runs").rename(tmp_path / "elsewhere")
    capsys.readouterr()
    command(load, study, tmp_path, "--rows", "tb")
    assert capsys.readouterr().out.splitlines() == [f"tiny: tb, seed {seed}: already there" for seed in (0, 1)]
    assert not (tmp_path / "runs").exists()


def test_rows_that_are_short_or_stale_are_not_shown(
    load: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command(load, small(load), tmp_path, "--rows", "tb")
    for study, reason in (
        (small(load, rounds=40), "20 of 40 rounds"),
        (small(load, lr=0.5), "stale: other lr"),
        (dataclasses.replace(small(load), parts=(dataclasses.replace(
            small(load).parts[0], experiment=load("study").on(load("madan2023_hypergrid").EXPERIMENT, side=5)),)),
         "stale: other env_arguments"),
    ):  # fmt: skip
        command(load, study, tmp_path, "--figures", "--list")
        page = (tmp_path / "docs" / "small.md").read_text()
        assert "| tb |" not in page
        assert f"tb, seed 0: {reason}" in page
        assert f"tiny: tb, seed 1: {reason}" in capsys.readouterr().out


def test_verdicts(load: Any) -> None:
    claim = load("study").Claim("A beats B", "l1", "a", "b")

    def results(a: list[float], b: list[float]) -> dict[str, Any]:
        rows = {"a": a, "b": b}
        return {f"{r}, seed {i}": {"metrics": {"l1": v}} for r, vs in rows.items() for i, v in enumerate(vs)}

    assert claim.verdict(results([0.1, 0.12], [1.0, 1.02]), (0, 1)).startswith("reproduced: l1 0.11 ± 0.01 of a, 1.01")
    assert claim.verdict(results([1.0, 1.02], [0.1, 0.12]), (0, 1)).startswith("reversed")
    assert claim.verdict(results([0.1, 0.9], [0.2, 1.0]), (0, 1)).startswith("not decided")
    one = claim.verdict(results([0.1], [1.0, 1.02]), (0, 1))
    assert one.startswith("not decided by one seed, which is for the claim: l1 0.1 of a, 1.01")
    assert "which is against the claim" in claim.verdict(results([1.0, 1.02], [0.1]), (0, 1))
    assert claim.verdict(results([0.1], []), (0, 1)) == "not measured yet"
    some = claim.verdict(results([0.1, 0.3], [0.2, None]), (0, 1))
    assert some == "not decided, l1 exists for 2 of 2 seeds of a (0.2 ± 0.1) and 1 of 2 seeds of b (0.2)"
    assert "0 of 1 seeds of b" in claim.verdict(results([0.1], [None]), (0, 1))


def test_published_values_are_shown_only_if_they_measure_the_same(load: Any, tmp_path: Path) -> None:
    page, study = load("study_page"), load("madan2023").STUDY
    amp = next(part for part in study.parts if part.key == "amp")
    assert not amp.comparable
    entry = {"config": {}, "rounds": amp.length, "curve": [], "metrics": {"seconds": 1.0, "top_100_value": 0.5}}
    results = {f"subtb, seed {seed}": entry for seed in (0, 1)}
    for comparable in (False, True):
        part = dataclasses.replace(amp, comparable=comparable)
        told = {("subtb", seed): "done" for seed in (0, 1)}
        text = "\n".join(page.section(study, part, results, told, (0, 1), tmp_path, ""))
        assert ("0.96 ± 0.02, 42.23 ± 3.4" in text) == comparable


def test_unknown_parts_are_refused(load: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        command(load, small(load), tmp_path, "--only", "huge")
    assert "--only: no part huge; allowed: tiny" in capsys.readouterr().err


def test_time_of_a_study(load: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(load("study_command"), "SMOKE_SECONDS", 0.0)
    command(load, small(load), tmp_path, "--time")
    hours = json.loads((tmp_path / "results" / "small_hours.json").read_text())
    assert 0 < hours["tiny"] < 0.1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--rows", "nosuch"], "--rows: no row nosuch; allowed: subtb, tb"),
        (["--minutes", "-1"], "expected a finite number > 0, got '-1'"),
        (["--minutes", "nan"], "expected a finite number > 0, got 'nan'"),
        (["--only", "tiny,more"], "--only: no part more; allowed: tiny"),
    ],
)
def test_wrong_options_train_nothing(
    load: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], message: str
) -> None:
    with pytest.raises(SystemExit) as stopped:
        command(load, small(load), tmp_path, *arguments)
    assert stopped.value.code == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "runs").exists()


def test_seeds_that_are_no_numbers_and_damaged_files(
    load: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        load("study_command").main(small(load), "", ["--seeds", "x"])
    assert "--seeds: expected integers such as 0,1,2, got 'x'" in capsys.readouterr().err
    (tmp_path / "results").mkdir()
    (tmp_path / "results" / "small.json").write_text("{")
    with pytest.raises(SystemExit):
        command(load, small(load), tmp_path, "--list")
    assert "small.json" in capsys.readouterr().err


def test_hours_are_those_of_the_rows_shown(load: Any, tmp_path: Path) -> None:
    study = small(load)
    command(load, study, tmp_path, "--rows", " tb , subtb")
    file = tmp_path / "runs" / "small" / "tiny" / "results.json"
    found = json.loads(file.read_text())
    assert set(found) == {f"{row}, seed {seed}" for row in ("subtb", "tb") for seed in (0, 1)}
    for name, entry in found.items():
        entry["seconds"] = 3600.0
        if name == "tb, seed 1":
            entry["rounds"] = 3
    file.write_text(json.dumps(found))
    command(load, study, tmp_path, "--figures")
    written = (tmp_path / "docs" / "small.md").read_text()
    assert "Training of the rows shown took 3.0 hours" in written
    assert "complete parts take 4.0 CPU hours. Evaluations" in written  # The missing seed counts like the other one.
    assert "All rows and seeds took 4 CPU hours." in written
    (tmp_path / "results" / "small_hours.json").write_text('{"tiny": 7.0}')
    file.write_text(json.dumps({name: entry for name, entry in found.items() if "subtb" in name}))
    (tmp_path / "results" / "small.json").unlink()
    command(load, study, tmp_path, "--figures")
    written = (tmp_path / "docs" / "small.md").read_text()
    assert "complete parts take 0.0 CPU hours, and the other parts at least 7.0," in written
    assert "All rows and seeds take at least 7 CPU hours." in written
