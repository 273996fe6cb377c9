"""The ranking: its cells, that it goes on where it stopped, and what its page says."""

import json

import numpy as np
import pytest

import agents
from benchmarks import ranking, ranking_figures, ranking_methods, ranking_page
from benchmarks.ranking_methods import METHODS, TASKS, Method, Task


def test_every_agent_is_ranked_or_left_out_by_name_with_settings_that_it_has():
    assert ranking_methods.missing_methods() == set()
    for method in METHODS.values():
        for settings in method.candidates():
            agents.AGENTS[method.agent].config_class(**settings)
    cells, hours = ranking.hours([])
    assert cells > 2000
    assert hours < 13
    assert {len(task.seeds) for task in TASKS.values()} == {5}


@pytest.fixture
def small(monkeypatch):
    """Two methods on two grids, runs of three iterations."""
    grids = {f"grid {n}": Task("GFN/HyperGrid-v0", {"ndim": 2, "side": n}, 1e-9, 150) for n in (3, 4)}
    tiny = {"hidden": (4,), "batch_size": 8, "engine": "torch"}
    methods = {"tb": Method("tb", tiny, ({"lr": 1e-3}, {"lr": 1e-2})), "random": Method("random")}
    for module in (ranking, ranking_figures, ranking_methods, ranking_page):
        monkeypatch.setattr(module, "TASKS", grids)
        monkeypatch.setattr(module, "METHODS", methods, raising=False)
    monkeypatch.setattr(ranking, "LONGEST", 1e12)
    ranking.environment.cache_clear()
    yield
    ranking.environment.cache_clear()


@pytest.mark.usefixtures("small")
def test_cells_run_once_and_the_page_has_them(tmp_path):
    path = tmp_path / "rows.jsonl"
    assert ranking.hours([])[0] == 2 * (2 + 5 + 5)
    assert ranking.work(path, lambda cell: cell.method == "tb", False, 3) == 3
    with path.open("a") as file:
        file.write('{"task": "grid 3", "met')  # Interrupted while it wrote.
    path.write_text(path.read_text().rpartition("\n")[0] + "\n")
    ranking.work(path, lambda cell: True, False, None)
    done = ranking.rows(path)
    assert len(done) == len({ranking.cell_of(row) for row in done}) == 2 * (2 + 5 + 5)
    assert ranking.hours(done)[0] == 0
    tuned = [row for row in done if row["seed"] == ranking.TUNING_SEED and row["task"] == "grid 3"]
    best = min((row for row in tuned if "behind" not in row), key=lambda row: row["points"][-1]["tv"])["candidate"]
    counted = [r for r in done if r["seed"] < 5 and (r["task"], r["method"]) == ("grid 3", "tb")]
    assert {row["candidate"] for row in counted} == {best}
    for row in counted:
        points = {(point["of"], point["share"]): point for point in row["points"]}
        assert set(points) == {(budget, share) for budget, of in ranking.SHARES.items() for share in of}
        assert points["transitions", 1.0]["transitions"] >= 150

    scores = ranking_page.normalized(done, "seconds")
    assert {name: array.shape for name, array in scores.items()} == {"tb": (5, 2), "random": (5, 2)}
    expected = sorted(1 + ranking_page.score(row, "seconds") for row in counted)
    np.testing.assert_allclose(sorted(scores["tb"][:, 0]), expected)
    page = ranking_page.page(done)
    assert "| rank | method | interquartile mean |" in page
    assert "There: grid 3 (5 of 5 seeds), grid 4 (5 of 5 seeds)." in page
    assert "- grid 3: `" in page
    assert "| grid 3 | 0.125 of 1e-09 s |" in page
    ranking_figures.draw_ranks(done, tmp_path / "ranks.png")
    ranking_figures.draw_curves(done, tmp_path / "curves.png")
    assert all((tmp_path / f"{name}.png").stat().st_size > 10_000 for name in ("ranks", "curves"))


@pytest.mark.usefixtures("small")
def test_candidates_that_are_behind_halfway_end_there():
    def tuned(candidate, tv):
        point = {"of": "seconds", "share": ranking.HALFWAY, "tv": tv}
        return {
            "task": "grid 3",
            "method": "tb",
            "candidate": candidate,
            "seed": ranking.TUNING_SEED,
            "points": [point],
        }

    assert ranking.is_behind(tuned(1, 0.5), [tuned(0, 0.4)])
    assert not ranking.is_behind(tuned(1, 0.4), [tuned(0, 0.5)])
    cell = ranking.Cell("grid 3", "tb", 1, ranking.TUNING_SEED)
    row = ranking.run(cell, rivals=[tuned(0, -1.0)])
    assert row["behind"]
    assert len(row["points"]) == 1
    last = tuned(0, 0.9)
    last["points"].append({"of": "seconds", "share": ranking.TUNING, "tv": 0.8})
    assert ranking.best_candidate([last, row], "grid 3", "tb") == 0


@pytest.mark.usefixtures("small")
def test_a_task_is_on_the_page_once_every_method_has_run(tmp_path):
    path = tmp_path / "rows.jsonl"
    ranking.work(path, lambda cell: cell.task == "grid 3" or cell.seed == ranking.TUNING_SEED, False, None)
    done = ranking.rows(path)
    assert ranking_page.shown(done) == ["grid 3"]
    assert ranking_page.normalized(done, "seconds")["tb"].shape == (5, 1)
    assert "There: grid 3 (5 of 5 seeds). Missing: grid 4." in ranking_page.page(done)
    less = [row for row in done if (row["method"], row["seed"]) != ("tb", 3)]
    assert "There: grid 3 (3 of 5 seeds)." in ranking_page.page(less)
    assert {len(runs) for runs in ranking_page.chosen(less).values()} == {3}
    assert ranking_page.shown([row for row in done if (row["method"], row["seed"]) != ("tb", 0)]) == []
    assert "No task yet." in ranking_page.page([])


@pytest.mark.usefixtures("small")
def test_a_cell_that_raises_is_on_the_page_and_does_not_end_the_others(tmp_path, monkeypatch, capsys):
    def broken(agent, *_, **__):
        if agent.name == "random":
            raise RuntimeError("no luck")
        return {"tv": 0.5}

    monkeypatch.setattr(ranking, "measured", broken)
    path = tmp_path / "rows.jsonl"
    ranking.work(path, lambda cell: cell.task == "grid 3", False, None)
    done = ranking.rows(path)
    assert len(done) == 2 + 5 + 5
    assert sum(row.get("failed") == "RuntimeError: no luck" for row in done) == 5
    assert "`random` on grid 3 failed: RuntimeError: no luck." in ranking_page.page(done)
    assert "no luck" in capsys.readouterr().err


def test_a_line_that_was_cut_off_is_left_out(tmp_path):
    path = tmp_path / "rows.jsonl"
    path.write_text(json.dumps({"task": "Bag"}) + '\n{"task": "B')
    assert ranking.rows(path) == [{"task": "Bag"}]


def test_interquartile_means_and_their_intervals():
    scores = {"a": np.array([[0.1, 0.2], [0.9, 0.3], [0.4, 0.5], [0.6, 0.7]]), "b": np.full((3, 2), 0.4)}
    found = ranking_page.interquartile_means(scores)
    mean, low, high = found["a"]
    assert mean == pytest.approx(np.mean(np.sort(scores["a"].ravel())[2:6]))
    assert low < mean < high
    assert found["b"] == pytest.approx((0.4, 0.4, 0.4))
    # Seeds are drawn within each task: with tasks that do not vary, neither does the mean.
    fixed = np.tile([0.0, 0.3, 0.5, 1.0], (3, 1))
    assert ranking_page.interquartile_means({"c": fixed})["c"] == pytest.approx((0.4, 0.4, 0.4))


def large_row(method, seed, elbo, **further):
    """A finished run of a task that cannot be listed."""
    point = {"of": "seconds", "share": 1.0, "elbo": elbo, **further}
    return {"task": "large", "method": method, "candidate": 0, "seed": seed, "points": [point]}


def test_large_tasks_are_scored_from_the_random_policy_to_the_best_run(monkeypatch):
    for module in (ranking_methods, ranking_page):
        monkeypatch.setattr(module, "TASKS", {"large": Task("GFN/Bag-v0", {}, 1, 10, exact=False)})
        monkeypatch.setattr(module, "METHODS", {name: Method(name) for name in ("tb", "db", "mcmc", "random")})
    elbos = {"tb": 10.0, "db": -50.0, "mcmc": None, "random": 2.0}
    rows = [large_row(m, seed, elbo, modes=seed, eubo=11.0) for m, elbo in elbos.items() for seed in range(5)]
    rows[0] = large_row("tb", 0, 12.0, modes=4, eubo=11.0)
    scores = ranking_page.normalized(rows, "seconds")
    assert {m: array.ravel().tolist() for m, array in scores.items()} == {
        "tb": [1.0, 0.8, 0.8, 0.8, 0.8],
        "db": [0.0] * 5,
        "random": [0.0] * 5,
    }
    page = ranking_page.page(rows)
    assert "| method | large: EUBO | large: modes |" in page
    assert "| `mcmc` | 11 ± 0 | 2 ± 0.707 |" in page  # Without an ELBO it has no rank, but modes.
    assert "- large: `tb`, `random`, `db` in equal seconds" in page


def test_a_task_on_which_random_is_best_is_not_in_the_ranks(monkeypatch):
    for module in (ranking_methods, ranking_page):
        monkeypatch.setattr(module, "TASKS", {n: Task("GFN/Bag-v0", {}, 1, 10, exact=False) for n in ("large", "hard")})
        monkeypatch.setattr(module, "METHODS", {name: Method(name) for name in ("tb", "random")})
    rows = [large_row(m, seed, elbo) for m, elbo in (("tb", 3.0), ("random", 2.0)) for seed in range(5)]
    rows += [row | {"task": "hard", "method": "tb" if row["method"] == "random" else "random"} for row in rows]
    assert ranking_page.uninformative(rows, "seconds") == ["hard"]
    assert ranking_page.normalized(rows, "seconds")["tb"].tolist() == [[1.0]] * 5
    page = ranking_page.page(rows)
    assert "No method is ahead of the random policy in the seconds of hard, which is not in the ranks." in page
    assert "| `tb` | **3.00 ± 0** | 2.00 ± 0 |" in page
