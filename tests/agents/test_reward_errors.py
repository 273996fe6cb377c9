"""Agents and rewards that fail: the error, the floor, trajectories that are left out, and the state that is left."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import agents
from agents import rollout
from agents.trajectories import Trajectories
from gfn_envs import Bag, make_dag
from gfn_envs.border import reward_record
from gfn_envs.reward_errors import RewardError
from tests.helpers import GRID

AGENTS = ["tb", "vargrad", "db", "subtb", "fm", "reinforce", "ppo", "sac", "soft-dqn", "mcmc", "random"]


def fails_at_three(cells: np.ndarray) -> np.ndarray:
    if (cells[:, 0] == 3).any():
        raise RuntimeError("no licence")
    return 1.0 + cells[:, 1]


def grid(on_error: Any = "raise") -> Any:
    return make_dag(GRID, ndim=2, side=5, reward=fails_at_three, on_error=on_error)


def hidden(name: str) -> dict[str, Any]:
    return {} if name in ("mcmc", "random") else {"hidden": (8,)}


@pytest.mark.parametrize("name", AGENTS)
def test_objects_that_fail_are_not_learned_from(name: str) -> None:
    agent = agents.make_agent(name, grid("skip"), seed=0, **hidden(name))
    for _ in range(6):
        info = agent.update()
    assert np.isfinite(info["loss"])
    assert reward_record(agent.dag).failed > 0
    found = agent.sample_trajectories(64)
    assert 0 < len(found) < 64 or name == "mcmc"  # Its objects are recorded states.
    assert (found.terminal_states[:, 0] != 3).all()
    assert np.isfinite(found.log_reward).all()


@pytest.mark.parametrize("name", AGENTS)
def test_objects_that_fail_get_the_floor(name: str) -> None:
    agent = agents.make_agent(name, grid(1e-3), seed=0, **hidden(name))
    agent.update()
    found = agent.sample_trajectories(64)
    assert len(found) == 64
    failed = found.terminal_states[:, 0] == 3
    assert failed.any()
    np.testing.assert_array_equal(found.log_reward[failed], np.log(1e-3))


@pytest.mark.parametrize("settings", [{}, {"replay": "uniform"}, {"local_search": 1}, {"engine": "torch"}])
def test_local_search_and_replay_leave_them_out(settings: dict[str, Any]) -> None:
    agent: Any = agents.make_agent("tb", grid("skip"), seed=0, hidden=(8,), **settings)
    for _ in range(6):
        assert np.isfinite(agent.update()["loss"])


def test_a_batch_of_failures_raises() -> None:
    dag = make_dag(GRID, ndim=2, side=5, reward=lambda cells: np.full(len(cells), np.nan), on_error="skip")
    agent = agents.make_agent("tb", dag, seed=0, hidden=(8,))
    with pytest.raises(RewardError, match="the rewards of all 16 objects of a batch failed"):
        agent.update()


def equal(a: Any, b: Any) -> bool:
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(equal(a[key], b[key]) for key in a)
    if isinstance(a, list | tuple):
        return len(a) == len(b) and all(map(equal, a, b))
    return bool(np.array_equal(np.asarray(a), np.asarray(b)))


@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("tb", {"local_search": 1}),
        ("tb", {"replay": "uniform"}),
        *((name, {}) for name in [*AGENTS, "sb3-ppo", "sb3-dqn", "sb3-a2c"]),
    ],
)
@pytest.mark.parametrize("failure", ["raises", "has a wrong shape"])
def test_an_error_leaves_the_agent_as_it_was(name: str, settings: dict[str, Any], failure: str) -> None:
    """The iteration can be tried again, and then gives what it would have given."""
    if name.startswith("sb3"):
        pytest.importorskip("sb3_contrib")
    works = [True]

    def reward(cells: np.ndarray) -> np.ndarray:
        if not works[0] and failure == "raises":
            raise TimeoutError("no answer")
        return 1.0 + (cells[:, 1] if works[0] else cells)

    first, second = (
        agents.make_agent(name, make_dag(GRID, ndim=2, side=5, reward=reward), seed=0, **hidden(name), **settings)
        for _ in range(2)
    )
    for agent in (first, second):
        agent.update()
    works[0] = False
    message = r"object \(\d, \d\): the reward raised TimeoutError: no answer \(call" if failure == "raises" else "shape"
    with pytest.raises(RewardError, match=message):
        first.update()
    works[0] = True
    assert equal(first.state_dict(), second.state_dict())
    assert first.update()["loss"] == second.update()["loss"]
    assert equal(first.state_dict(), second.state_dict())


@pytest.mark.parametrize("value", ["1.5", 1 + 2j, None, [1.0], np.datetime64(3, "s"), 10**400], ids=str)
@pytest.mark.parametrize("as_array", [False, True])
def test_values_that_are_no_numbers_raise(value: Any, as_array: bool) -> None:
    def bad(rows: np.ndarray) -> Any:
        values = [value, *(1.0 for _ in rows[1:])]
        return np.full(len(rows), value) if as_array and not isinstance(value, list) else values

    for dag in (
        make_dag(GRID, reward=bad),
        make_dag("GFN/Sequence-v0", alphabet="AC", length=2, reward=bad),
        make_dag("GFN/FragmentMolecule-v0", blocks=["*C", "*CO*"], max_blocks=3, reward=lambda mol: value),
    ):
        agent = agents.make_agent("random", dag, seed=0)
        with pytest.raises(RewardError) as caught:
            agent.update()
        assert type(dag).__name__ in str(caught.value)
        assert "(call 1 of the reward)" in str(caught.value)
        assert "\n" not in str(caught.value)

    with pytest.raises(ValueError, match=r"^BayesNet: the local score of node 0 .* must be finite, got .*$"):
        make_dag("GFN/BayesNet-v0", num_nodes=3, score=lambda nodes, parents: bad(nodes))


def test_messages_of_several_lines_become_one() -> None:
    def reward(cells: np.ndarray) -> np.ndarray:
        raise OSError("first line\nsecond line")

    with pytest.raises(RewardError, match=r"the reward raised OSError: first line second line \(call 1") as caught:
        agents.make_agent("random", make_dag(GRID, reward=reward)).update()
    assert "\n" not in str(caught.value)


def heavy(mol: Any) -> float:
    return float("nan") if mol.GetNumAtoms() % 3 == 0 else 1.0


@pytest.mark.parametrize("name", ["fldb", "flsubtb"])
def test_partial_rewards_that_fail(name: str) -> None:
    def make(on_error: Any) -> Any:
        blocks = ["*C", "*CO*"]
        dag = make_dag("GFN/FragmentMolecule-v0", blocks=blocks, max_blocks=4, reward=heavy, on_error=on_error)
        return agents.make_agent(name, dag, seed=0, hidden=(8,))

    for on_error in (0.5, "skip"):
        agent = make(on_error)
        for _ in range(5):
            assert np.isfinite(agent.update()["loss"])
        assert reward_record(agent.dag).failed
    with pytest.raises(RewardError, match="FragmentMolecule: the reward of object"):
        make("raise").update()


def test_mdb_needs_every_reward() -> None:
    with pytest.raises(agents.UnsupportedError, match="on_error='floor' or a number > 0"):
        agents.make_agent("mdb", grid("skip"))


def test_runs_report_the_failures(tmp_path: Path) -> None:
    dag = grid("skip")
    history = agents.train(agents.make_agent("tb", dag, seed=0, hidden=(8,)), 10, out=tmp_path, progress=False)
    assert 0 < history[-1]["failed_rewards"] < reward_record(dag).failed  # without those of evaluation
    assert np.isfinite(history[-1]["tv"])
    plain = agents.train(agents.make_agent("tb", make_dag(GRID), seed=0, hidden=(8,)), 2, progress=False)
    assert "failed_rewards" not in plain[-1]


class Column(Bag):
    def log_reward(self, states: np.ndarray) -> np.ndarray:
        return super().log_reward(states)[:, None]


@pytest.mark.parametrize("name", ["tb", "vargrad", "db", "subtb", "fm", "reinforce", "ppo", "sac", "random"])
@pytest.mark.parametrize("engine", ["torch", "auto"])
def test_a_column_of_log_rewards_raises(name: str, engine: str) -> None:
    settings = {"engine": engine} if name in ("tb", "vargrad", "db", "subtb") else {}
    dag = Column(num_letters=3, capacity=4, repeats=2)
    agent = agents.make_agent(name, dag, seed=0, **hidden(name), **settings, batch_size=16)
    with pytest.raises(ValueError, match=r"log_reward must return float64 of shape \(16,\), got float64 of shape"):
        agent.update()


def test_agents_check_what_methods_return() -> None:
    class Listed(Bag):
        def forward_mask(self, states: np.ndarray) -> Any:
            return super().forward_mask(states).tolist()

    with pytest.raises(TypeError, match=r"forward_mask must return bool of shape .*, got a list"):
        agents.make_agent("tb", Listed(num_letters=3, capacity=4, repeats=2))


def test_selected_trajectories() -> None:
    dag = make_dag(GRID, ndim=2, side=5)
    rng = np.random.default_rng(0)
    batch = rollout.sample_forward(dag, lambda s: np.zeros((len(s), dag.num_actions), np.float32), 6, rng)
    keep = np.array([True, False, True, True, False, False])
    found = batch.select(keep)
    assert isinstance(found, Trajectories)
    assert len(found) == 3
    for i, j in enumerate([0, 2, 3]):
        for name in ("states", "actions", "backward_actions", "log_reward"):
            expected = getattr(batch.part(j, j + 1), name)
            np.testing.assert_array_equal(getattr(found.part(i, i + 1), name), expected)


@pytest.mark.parametrize(
    ("env", "arguments", "other"),
    [
        ("GFN/FragmentMolecule-v0", {"reward": lambda smiles: len(smiles.upper())}, "reward_of='smiles'"),
        ("GFN/Sequence-v0", {"length": 3, "reward": lambda text: len(text.upper())}, "reward_of='string'"),
    ],
)
def test_a_reward_of_another_input_is_told_how_to_get_it(env, arguments, other):
    dag = make_dag(env, **arguments)
    with pytest.raises(RewardError, match="the reward is called with .*" + other):
        agents.make_agent("random", dag).sample_trajectories(4)
