"""Rounds of a surrogate, a GFlowNet on its acquisition function, and real calls."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from agents import acquire
from agents.acquire.acquisition import log_expected_improvement, with_log_reward
from gfn_envs import Oracle, make_dag

pytest.importorskip("sklearn")
pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


def binding(seed: int = 0) -> Any:
    """Strings of 6 letters with independent contributions of the letters at each position."""
    weights = np.random.default_rng(seed).normal(size=(6, 4))
    return make_dag("GFN/Sequence-v0", length=6, reward=lambda t: np.exp(weights[np.arange(6), t].sum(1)))


SHORT: dict[str, Any] = {"rounds": 4, "batch": 40, "iterations": 60, "hidden": (32,), "batch_size": 32, "lr": 5e-3}


@pytest.mark.parametrize(("surrogate", "acquisition"), [("forest", "ucb"), ("gp", "ei"), ("botorch", "ucb")])
def test_rounds_find_better_objects_than_random_search(surrogate: str, acquisition: str) -> None:
    pytest.importorskip("botorch" if surrogate == "botorch" else "sklearn")
    dag = binding()
    found = acquire.acquire(dag, surrogate=surrogate, acquisition=acquisition, **SHORT)
    assert np.bincount(found.round).tolist() == [40, 40, 40, 40]
    assert len(np.unique(found.objects, axis=0)) == 160
    np.testing.assert_array_equal(found.log_reward, dag.log_reward(found.objects))
    random = acquire.random_search(dag, 160, 40)
    assert found.top(20)["top_20_reward"] > 1.5 * random.top(20)["top_20_reward"]


def test_one_seed_one_result() -> None:
    first, second, other = (acquire.acquire(binding(), seed=seed, **SHORT | {"rounds": 2}) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first.objects, second.objects)
    assert not np.array_equal(first.objects, other.objects)


def test_a_budget_ends_the_rounds(capsys: pytest.CaptureFixture[str]) -> None:
    dag = binding()
    oracle = Oracle.of(dag, budget=70, batch_size=40)
    found = acquire.acquire(dag, **SHORT)
    assert oracle.used == len(found) == 70
    assert np.bincount(found.round).tolist() == [40, 30]
    assert "ended in round 2 of 4: the budget of 70 calls" in capsys.readouterr().err


def test_rewards_that_fail_are_left_out() -> None:
    def reward(tokens: np.ndarray) -> np.ndarray:
        return np.where(tokens[:, 0] == 0, np.nan, 1.0 + tokens.sum(1))

    dag = make_dag("GFN/Sequence-v0", length=6, reward=reward, on_error="skip")
    found = acquire.acquire(dag, **SHORT | {"rounds": 2})
    assert 40 < len(found) < 80
    assert np.isfinite(found.log_reward).all()


@pytest.mark.parametrize("search", ["random_search", "mcmc_search", "genetic_search"])
def test_searches_make_as_many_calls(search: str) -> None:
    called: list[np.ndarray] = []

    def reward(tokens: np.ndarray) -> np.ndarray:
        called.append(tokens.copy())
        return 1.0 + (tokens == 2).sum(1)

    dag = make_dag("GFN/Sequence-v0", length=5, reward=reward)
    found = getattr(acquire, search)(dag, 120, 50, seed=3)
    tokens = np.concatenate(called)
    assert len(tokens) == len(found) == 120
    np.testing.assert_array_equal(tokens, found.objects[:, :5])
    assert np.bincount(found.round).tolist() == [50, 50, 20]
    np.testing.assert_array_equal(found.log_reward, np.log(1.0 + (tokens == 2).sum(1)))
    assert found.up_to(50).round.max() == 0


def test_the_genetic_search_improves() -> None:
    dag = binding()
    better, random = acquire.genetic_search(dag, 300, 50, parents=20), acquire.random_search(dag, 300, 50)
    assert better.top(50)["top_50_reward"] > 1.2 * random.top(50)["top_50_reward"]


def test_expected_improvement_is_the_integral() -> None:
    rng = np.random.default_rng(0)
    values = rng.normal(0.3, 0.7, size=10**6)
    expected = np.maximum(values - 0.5, 0).mean()
    found = np.exp(log_expected_improvement(np.array([0.3]), np.array([0.7]), 0.5, 0.0))
    np.testing.assert_allclose(found, expected, rtol=0.01)


def test_another_reward_on_the_same_states() -> None:
    dag = make_dag("GFN/HyperGrid-v0", ndim=2, side=4, expensive_reward=True, on_error="skip")
    other = with_log_reward(dag, lambda states: states.sum(1).astype(float))
    states = dag.terminal_states()
    np.testing.assert_array_equal(other.log_reward(states), states.sum(1))
    assert not np.array_equal(dag.log_reward(states), other.log_reward(states))
    assert not other.has("partial_log_reward")
    assert dag.has("partial_log_reward")
    assert (other.expensive_reward, other.on_error, other.oracle) == (False, "raise", None)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"rounds": 0}, "rounds must be an integer >= 1"),
        ({"surrogate": "network"}, r"surrogate must be one of \('forest', 'gp', 'botorch'\)"),
        ({"acquisition": "pi"}, r"acquisition must be one of \('ucb', 'ei'\)"),
        ({"kappa": -1}, "kappa must be finite and >= 0"),
        ({"sharpness": 0}, "sharpness must be finite and > 0"),
    ],
)
def test_wrong_arguments(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        acquire.acquire(binding(), **arguments)
