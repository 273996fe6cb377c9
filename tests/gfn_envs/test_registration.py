"""Registration, specs and arguments of gymnasium.make; environments that users register."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from functools import partial
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.envs.registration import EnvSpec
from gymnasium.utils.env_checker import check_env
from gymnasium.vector import AutoresetMode, VectorEnv

import gfn_envs
from gfn_envs import GFNEnv, GFNVectorEnv, HyperGrid, make_dag
from tests.gfn_envs.gym.worlds import assert_identical, both_vectors, no_warnings, tiny
from tests.helpers import BAG, BITS, GRID, TINY_ARGUMENTS, UNEVEN_EDGES, TableDag, run_python

OPTIONS = {"reward_mode": "soft", "observation": "features", "dict_observation": True, "illegal_reward": -1.5}


@tiny
def test_specs_survive_json(env_id: str, kwargs: dict[str, Any]) -> None:
    env = gym.make(env_id, render_mode="ansi", **kwargs, **OPTIONS)
    again = gym.make(EnvSpec.from_json(env.spec.to_json()))
    assert again.spec.kwargs == env.spec.kwargs
    assert repr(again.unwrapped.dag) == repr(env.unwrapped.dag)
    assert again.observation_space == env.observation_space
    assert_identical(again.reset(), env.reset())
    for action in (0, 0, -1):
        assert_identical(again.step(action), env.step(action))
    assert again.render() == env.render()


@tiny
def test_vector_specs_survive_json(env_id: str, kwargs: dict[str, Any]) -> None:
    env = gym.make_vec(env_id, num_envs=3, autoreset_mode="NextStep", **kwargs, **OPTIONS)
    again = gym.make_vec(EnvSpec.from_json(env.spec.to_json()))
    assert (again.num_envs, again.autoreset_mode) == (3, AutoresetMode.NEXT_STEP)
    assert_identical(again.reset(), env.reset())
    assert_identical(again.step(np.array([0, -1, 0])), env.step(np.array([0, -1, 0])))


def test_the_package_registers_itself_when_named() -> None:
    code = (
        "import gymnasium as gym; env = gym.make('gfn_envs:GFN/HyperGrid-v0', ndim=3); "
        "print(env.reset()[0].tolist(), gym.make_vec('gfn_envs:GFN/Bag-v0', num_envs=2).num_envs)"
    )
    done = run_python("-W", "error", "-c", code)
    assert (done.returncode, done.stdout, done.stderr) == (0, "[0, 0, 0] 2\n", "")


def test_the_table_is_registered() -> None:
    assert set(gfn_envs.ENVIRONMENTS) <= set(gfn_envs.registered_ids())
    for env_id, (path, kwargs) in gfn_envs.ENVIRONMENTS.items():
        assert gym.spec(env_id).kwargs == {"dag": path, **kwargs}
        assert gym.spec(env_id).max_episode_steps is None
        assert type(make_dag(env_id, **TINY_ARGUMENTS[env_id][0])).__name__ == path.partition(":")[2]


class Uneven(TableDag):
    """The user's DAG."""

    def __init__(self, shift: int = 0) -> None:
        super().__init__(UNEVEN_EDGES)
        self.arguments = {"shift": shift}
        self.log_rewards = self.log_rewards + shift


@pytest.fixture
def own_id() -> Iterator[str]:
    gfn_envs.register("Test/Uneven-v0", Uneven, shift=1)
    yield "Test/Uneven-v0"
    del gym.registry["Test/Uneven-v0"]


@no_warnings
def test_users_register_their_own(own_id: str) -> None:
    assert own_id in gfn_envs.registered_ids()
    assert repr(make_dag(own_id)) == "Uneven(shift=1)"
    assert repr(make_dag(own_id, shift=2)) == "Uneven(shift=2)"
    check_env(gym.make(own_id).unwrapped)
    env = gym.make(own_id, reward_mode="log_reward", shift=3)
    env.reset()
    env.step(0)
    assert env.step(1)[1] == 0.6 + 3  # state 4
    native, sync = both_vectors(own_id, {}, 3, "SameStep")
    assert_identical(native.reset(), sync.reset())
    assert_identical(native.step(np.array([0, 1, 2])), sync.step(np.array([0, 1, 2])))
    assert_identical(native.step(np.array([1, 0, 2])), sync.step(np.array([1, 0, 2])))


def test_environments_over_a_dag_instance() -> None:
    dag = HyperGrid(ndim=3, side=3, reward=lambda cells: 1.0 + cells.sum(1))
    assert GFNEnv(dag).dag is dag
    vector = GFNVectorEnv(dag, num_envs=2, reward_mode="reward")
    vector.reset()
    assert vector.dag is dag
    vector.step(np.array([0, 0]))
    np.testing.assert_allclose(vector.step(np.array([3, 1]))[1], [2.0, 0.0], rtol=1e-14)
    for env_class in (GFNEnv, GFNVectorEnv):
        with pytest.raises(TypeError, match=re.escape("unknown arguments ['side'] with a Dag instance")):
            env_class(dag, side=4)


@pytest.mark.parametrize("make", [make_dag, gym.make, partial(gym.make_vec, num_envs=2)], ids=["dag", "one", "many"])
def test_unknown_arguments_name_those_allowed(make: Any) -> None:
    with pytest.raises(
        TypeError,
        match=r"argument sied, nidm; did you mean 'side'\? \(allowed: ndim, side, reward",
    ):
        make(GRID, sied=8, nidm=2)


@pytest.mark.parametrize("make", [gym.make, partial(gym.make_vec, num_envs=2)], ids=["one", "many"])
def test_misspelt_options_name_those_allowed(make: Any) -> None:
    with pytest.raises(TypeError, match=r"argument rewardmode; did you mean 'reward_mode'\? \(allowed: .*reward_mode"):
        make(GRID, rewardmode="soft")


@pytest.mark.parametrize(
    ("env_id", "message"),
    [
        ("GFN/HyperGird-v0", "unknown environment 'GFN/HyperGird-v0'; did you mean 'GFN/HyperGrid-v0'?"),
        ("GFP", "unknown environment 'GFP'; did you mean 'GFN/GFP-v0'?"),
        ("tsp", "unknown environment 'tsp'; did you mean 'GFN/TSP-v0'?"),
        ("GFN/Bag", "unknown environment 'GFN/Bag'; did you mean 'GFN/Bag-v0'?"),
        ("CartPole-v1", "unknown environment 'CartPole-v1'"),
        ("", "unknown environment ''"),
    ],
)
def test_unknown_environments_name_those_there_are(env_id: str, message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)) as caught:
        make_dag(env_id)
    assert all(known in str(caught.value) for known in (GRID, BITS, BAG))


@pytest.mark.parametrize("make", [gym.make, partial(gym.make_vec, num_envs=2)], ids=["one", "many"])
@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"reward_mode": "logreward"},
            "reward_mode must be one of ('reward', 'log_reward', 'soft', 'vector'), got 'logreward'",
        ),
        ({"observation": "onehot"}, "observation must be one of ('state', 'features'), got 'onehot'"),
        ({"illegal_reward": math.nan}, "illegal_reward must be finite, got nan"),
        ({"illegal_reward": -math.inf}, "illegal_reward must be finite, got -inf"),
        ({"side": 1}, "HyperGrid: side must be an integer >= 2, got 1"),
    ],
)
def test_bad_options_are_named(make: Any, options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        make(GRID, **options)


@pytest.mark.parametrize(
    ("dag", "kwargs", "error", "message"),
    [
        (
            HyperGrid,
            {"sied": 3},
            TypeError,
            "Test/Bad-v0: unknown argument sied; did you mean 'side'? (allowed: ndim, side, reward",
        ),
        ("gfn_envs.envs.hypergrid.hypergrid:HyperGird", {}, ValueError, "did you mean 'HyperGrid'?"),
        ("gfn_envs.hypergird:HyperGrid", {}, ModuleNotFoundError, "gfn_envs.hypergird"),
        (
            "gfn_envs.envs.hypergrid.rewards:REWARDS",
            {},
            TypeError,
            "gfn_envs.envs.hypergrid.rewards:REWARDS is not a subclass of gfn_envs.Dag",
        ),
        (VectorEnv, {}, TypeError, "VectorEnv is not a subclass of gfn_envs.Dag"),
        (HyperGrid(), {}, TypeError, "HyperGrid(ndim=2"),
        (5, {}, TypeError, "5"),
    ],
    ids=["argument", "name", "module", "table", "other class", "instance", "number"],
)
def test_bad_registrations_raise(dag: Any, kwargs: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=re.escape(message)):
        gfn_envs.register("Test/Bad-v0", dag, **kwargs)
    assert "Test/Bad-v0" not in gym.registry


def test_a_class_inside_a_function_cannot_be_registered() -> None:
    class Local(HyperGrid):
        pass

    with pytest.raises(TypeError, match=r"<locals>\.Local.*importable by name"):
        gfn_envs.register("Test/Local-v0", Local)
