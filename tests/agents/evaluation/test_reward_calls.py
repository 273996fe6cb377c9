"""Rewards that an evaluation evaluates, none if they are expensive; metrics that an environment does not define."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import agents
import gfn_envs
from agents.evaluation import evaluate as evaluation
from agents.evaluation.full import NAMES
from gfn_envs.envs.hypergrid.hypergrid import HyperGrid


class Counted:
    """A reward of cells that counts how many it was asked for."""

    def __init__(self) -> None:
        self.cells = 0

    def __call__(self, cells: np.ndarray) -> np.ndarray:
        self.cells += len(cells)
        return 1.0 + cells.sum(1)


def counted_agent(expensive: bool, name: str = "tb", **settings: Any) -> tuple[Any, Counted]:
    reward = Counted()
    dag = HyperGrid(2, 8, reward=reward)
    dag.expensive_reward = expensive
    return agents.make_agent(name, dag, hidden=(16,), batch_size=16, **settings), reward


@pytest.mark.parametrize("engine", ["torch", "numba"])
def test_training_with_evaluations_spends_expensive_rewards_on_training_alone(engine: str) -> None:
    if engine == "numba":
        pytest.importorskip("numba")
    agent, reward = counted_agent(True, engine=engine)
    history = agents.train(agent, 10, eval_every=1, progress=False)
    assert reward.cells == 160
    assert history[-1]["elbo"] is None
    assert history[-1]["tv"] is None
    assert history[-1]["log_z"] is not None
    found = agents.full_evaluation(agent, 500)
    assert reward.cells == 160
    assert set(found) == set(NAMES)
    assert {name for name, value in found.items() if value is not None} == {"log_z"}


def test_expensive_rewards_are_evaluated_for_who_asks() -> None:
    agent, reward = counted_agent(True)
    found = agents.evaluate(agent, 50, rewards="all")
    assert reward.cells == 64 + 50
    assert found["tv"] is not None
    cheap, calls = counted_agent(False)
    assert agents.evaluate(cheap, 50) == found
    assert agents.evaluate(cheap, 50, rewards="none") == {**dict.fromkeys(found), "log_z": cheap.log_z}
    assert calls.cells == 64 + 50
    with pytest.raises(ValueError, match="rewards must be one of 'auto', 'all', 'none', got 'some'"):
        agents.evaluate(agent, rewards="some")
    with pytest.raises(ValueError, match="rewards must be one of"):
        agents.full_evaluation(agent, rewards="some")


def test_the_target_of_an_environment_is_evaluated_once() -> None:
    agent, reward = counted_agent(False)
    for _ in range(3):
        agents.evaluate(agent, 50)
    assert reward.cells == 64 + 3 * 50
    before = reward.cells
    agents.full_evaluation(agent, 50)
    # Those of the samples alone: the test objects of the correlation and the ends of backward trajectories are known.
    assert reward.cells == before + 50
    # Another treatment of failing rewards is another target.
    agent.dag.on_error = 0.5
    evaluation.target_of(agent.dag)
    assert reward.cells == before + 50 + 64


def test_full_evaluation_has_the_names_it_declares() -> None:
    agent, _ = counted_agent(False)
    assert set(agents.full_evaluation(agent, 50)) == set(NAMES)


@pytest.mark.parametrize(
    ("env_id", "kwargs", "defined"),
    [
        ("GFN/HyperGrid-v0", {"ndim": 2, "side": 8}, True),
        ("GFN/HyperGrid-v0", {"ndim": 2, "side": 4, "reward": "cosine"}, False),
        ("GFN/HyperGrid-v0", {"ndim": 2, "side": 4, "reward": Counted()}, False),
        ("GFN/BitSequence-v0", {"n": 8, "word_size": 2, "num_modes": 2}, True),
        ("GFN/Bag-v0", {"num_letters": 3, "capacity": 4, "repeats": 3}, True),
        ("GFN/Ising-v0", {"side": 2}, False),
        ("GFN/FactorGraph-v0", {"num_variables": 3, "num_values": 2}, False),
        ("GFN/BayesNet-v0", {"num_nodes": 3}, False),
    ],
)
def test_modes_are_counted_only_where_they_are_defined(env_id: str, kwargs: dict[str, Any], defined: bool) -> None:
    agent = agents.make_agent("tb", gfn_envs.make_dag(env_id, **kwargs), hidden=(8,))
    found = agents.full_evaluation(agent, 50)
    assert agent.dag.defines_modes is defined
    assert (found["modes_found"] is not None) is defined
    assert (found["num_modes"] is not None) is defined


def test_the_number_of_backward_trajectories_is_checked() -> None:
    agent, _ = counted_agent(False)
    with pytest.raises(ValueError, match="num_backward must be at least 2, got 1"):
        agents.full_evaluation(agent, num_backward=1)
