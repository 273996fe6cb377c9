"""R^2 of metrics over training, the split into visited and unseen objects, and permuted rewards."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import agents
import gfn_envs
from gfn_envs import exact

PAPERS = Path(__file__).resolve().parents[2] / "examples" / "papers"


@pytest.fixture
def module(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(str(PAPERS))
    return importlib.import_module("shen2023_evaluation")


def grid() -> Any:
    return gfn_envs.make_dag("GFN/HyperGrid-v0", ndim=2, side=4)


def test_r_squared_of_lines_and_of_noise(module: Any) -> None:
    x = np.arange(5.0)
    assert module.r_squared(x, 3 - 2 * x) == pytest.approx(1)
    y = np.array([1.0, 3.0, 2.0, 5.0, 4.0])
    residual = y - np.polyval(np.polyfit(x, y, 1), x)
    assert module.r_squared(x, y) == pytest.approx(1 - residual.var() / y.var()) == pytest.approx(0.64)
    curve = np.stack([x, y, -x], axis=1)
    assert module.fits(curve) == pytest.approx([0.64, 1.0, 0.64])


def test_visited_objects_are_those_of_the_batches(module: Any) -> None:
    settings = {"seed": 1, "batch_size": 2, "engine": "torch"}
    found = module.train_and_record(agents.make_agent("tb", grid(), **settings), 3)
    again, objects = agents.make_agent("tb", grid(), **settings), []
    for _ in range(3):
        again.update()
        objects += again.last_batch.terminal_states.tolist()
    every = again.dag.terminal_states().tolist()
    assert found.visited.tolist() == [row in objects for row in every]
    assert 0 < found.visited.sum() < len(every)
    assert np.exp(found.log_p).sum() == pytest.approx(1)


def test_fit_among_chosen_objects(module: Any) -> None:
    reward, p = np.array([1.0, 2.0, 3.0, 4.0]), np.array([0.1, 0.3, 0.3, 0.3])
    trained = module.Trained(np.log(reward), np.log(p), np.array([False, True, False, True]))
    share, rewards, pearson, tv, uniform = module.among(trained, ~trained.visited)
    assert (share, rewards) == pytest.approx((0.5, 0.4))
    assert pearson == pytest.approx(1)
    assert (tv, uniform) == pytest.approx((0.0, 0.25))  # 1:3 in both; 1:1.
    pearson, tv, uniform = module.among(trained, trained.visited)[2:]
    assert np.isnan(pearson)  # p is constant.
    assert (tv, uniform) == pytest.approx((1 / 6, 1 / 6))
    assert np.isnan(module.among(trained, np.zeros(4, bool))[2:]).all()


def test_permuted_rewards_are_the_same_numbers(module: Any) -> None:
    before = exact.log_rewards(grid())
    dag = module.permuted(grid(), np.random.default_rng(0))
    after = exact.log_rewards(dag)
    assert (before != after).any()
    np.testing.assert_array_equal(np.sort(before), np.sort(after))
    batch = agents.make_agent("tb", dag, engine="torch").sample_trajectories(8)
    np.testing.assert_array_equal(batch.log_reward, after[dag.terminal_index(batch.terminal_states)])


def test_an_exact_sampler_has_small_metrics(module: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    dag = grid()
    agent = agents.make_agent("tb", dag, engine="torch")
    agent.iteration = 20  # Every point of training is now.
    untrained = module.metrics_over_training(agent, 20, 2000)
    assert untrained.shape == (module.POINTS, 3)
    assert (untrained > [0.1, 10, 0.1]).all()
    target = exact.target_distribution(dag)
    monkeypatch.setattr(agent, "sample", lambda n, rng: rng.choice(dag.terminal_states(), n, p=target))
    monkeypatch.setattr(agents, "exact_distribution", lambda _: target)
    error, statistic, tv = module.metrics_over_training(agent, 20, 2000).T
    assert error.max() < 0.1
    assert np.median(statistic) < 1  # The two samples do not differ at level 5%.
    assert tv.max() == 0


def test_quick_run(module: Any, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    module.main(["--quick", "--docs", str(tmp_path)])
    printed = capsys.readouterr().out
    assert printed.count("| never visited |") == printed.count("| visited |") == 4
    assert "median over tasks" in printed
    assert not list(tmp_path.iterdir())
