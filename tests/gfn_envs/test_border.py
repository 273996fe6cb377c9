"""The border: rewards that fail are named, floored or skipped, and wrong shapes raise once for all users of a Dag."""

from __future__ import annotations

import logging
import pickle
from typing import Any

import gymnasium
import numpy as np
import pytest

from gfn_envs import Bag, FragmentMolecule, HyperGrid, Sequence, exact, make_dag
from gfn_envs.border import check_once, known_log_rewards, log_rewards, reward_record
from gfn_envs.gym import GFNEnv
from gfn_envs.registration import ENVIRONMENTS
from gfn_envs.reward_errors import RewardError
from tests.helpers import BAYES_NET, FRAGMENTS, GRID, PHYLO_TREE, SEQUENCE, SMALL, all_states, small_dag

CELLS = np.array([[1, 1, 1], [3, 2, 1], [0, 2, 1]], dtype=np.int16)


def raises_at_three(cells: np.ndarray) -> np.ndarray:
    if (cells[:, 0] == 3).any():
        raise RuntimeError("no licence")
    return 1.0 + cells[:, 1]


def value_at_three(value: Any) -> Any:
    return lambda cells: np.array([value if cell[0] == 3 else 1.0 + cell[1] for cell in cells], dtype=object)


FAILING = [raises_at_three, *map(value_at_three, [np.nan, np.inf, -np.inf, -1.0, 0.0, None, "a", np.ones(1)])]
failing = pytest.mark.parametrize("reward", FAILING)


@failing
def test_an_error_names_the_object_and_the_call(reward: Any) -> None:
    dag = make_dag(GRID, ndim=2, side=5, reward=reward)
    np.testing.assert_allclose(log_rewards(dag, CELLS[[0, 2]]), np.log([2, 3]))
    with pytest.raises(RewardError, match=r"^HyperGrid: .*\(3, 2\).* \(call 2 of the reward\)$") as caught:
        log_rewards(dag, CELLS)
    assert caught.value.object == "(3, 2)"
    assert isinstance(caught.value.__cause__, RuntimeError) == (reward is raises_at_three)
    again = pickle.loads(pickle.dumps(caught.value))
    assert (str(again), again.object) == (str(caught.value), "(3, 2)")


@pytest.mark.parametrize("on_error", [0.25, "skip", "raise"])
@pytest.mark.parametrize("expensive", [False, True])
def test_expensive_functions_of_one_object_are_called_once(on_error: Any, expensive: bool) -> None:
    """Also if an object of the batch fails; cheap ones are called for the batch first."""
    calls: list[str] = []

    def reward(string: str) -> float:
        calls.append(string)
        if string == "AC":
            raise RuntimeError("no licence")
        return 1.0

    shared = {"reward_of": "string", "on_error": on_error, "expensive_reward": expensive}
    dag = make_dag("GFN/Sequence-v0", alphabet="AC", length=2, reward=reward, **shared)
    objects = dag.terminal_states()
    if on_error == "raise":
        with pytest.raises(RewardError, match=r"object AC: the reward raised RuntimeError: no licence; .* \(call 1 "):
            log_rewards(dag, objects)
        expected = ["AA", "AC"]
    else:
        failed = np.nan if on_error == "skip" else np.log(0.25)
        np.testing.assert_allclose(log_rewards(dag, objects), [0, failed, 0, 0])
        expected = ["AA", "AC", "CA", "CC"]
    assert calls == (expected if expensive else ["AA", "AC", *expected])


@failing
def test_objects_get_the_floor_or_are_marked(reward: Any, caplog: pytest.LogCaptureFixture) -> None:
    for on_error, expected in [(0.25, np.log(0.25)), ("skip", np.nan)]:
        dag = make_dag(GRID, ndim=2, side=5, reward=reward, on_error=on_error)
        caplog.clear()
        with caplog.at_level(logging.WARNING):
            for calls in (1, 2):
                np.testing.assert_allclose(log_rewards(dag, CELLS), [np.log(2), expected, np.log(3)])
                assert (reward_record(dag).calls, reward_record(dag).failed) == (calls, calls)
        assert len(caplog.records) == 1  # later ones are logged at level INFO
        assert "the reward failed for (3, 2) (call 1)" in caplog.text


def test_the_declared_floor_is_used() -> None:
    class Fails(HyperGrid):
        def log_reward(self, states: np.ndarray) -> np.ndarray:
            return np.where(states[:, 0] == 3, np.inf, super().log_reward(states))

    dag = Fails(ndim=2, side=5)
    dag.on_error = "floor"
    assert log_rewards(dag, CELLS)[1] == np.log(dag.reward_floor)
    dag.on_error = "raise"
    with pytest.raises(RewardError, match=r"Fails: object \(3, 2\): log_reward is inf; allowed: finite \(call 2"):
        log_rewards(dag, CELLS)


@pytest.mark.parametrize("on_error", [0, -1.0, True, np.inf, np.nan, "drop", None])
def test_other_policies_raise(on_error: Any) -> None:
    with pytest.raises(ValueError, match="HyperGrid: on_error must be 'raise', 'floor', 'skip' or a finite number > 0"):
        make_dag(GRID, on_error=on_error)


def test_a_floor_must_be_declared() -> None:
    assert make_dag(GRID, on_error="floor").on_error == "floor"
    with pytest.raises(ValueError, match=r"needs a reward_floor, and this environment declares none.*on_error=1e-6"):
        make_dag(GRID, reward=raises_at_three, on_error="floor")


def test_the_policy_is_an_argument_of_every_environment() -> None:
    dag = make_dag(GRID, on_error=0.5)
    assert dag.arguments["on_error"] == 0.5
    assert "on_error" not in make_dag(GRID, on_error="raise").arguments
    env: Any = gymnasium.make(GRID, on_error=0.5).unwrapped
    assert env.dag.on_error == 0.5
    assert gymnasium.make_vec(GRID, num_envs=2, on_error=0.5).unwrapped.dag.on_error == 0.5  # type: ignore[attr-defined]
    with pytest.raises(ValueError, match="on_error='skip' leaves trajectories out of an agent's batch"):
        gymnasium.make(GRID, on_error="skip")


@pytest.mark.parametrize("env_id", sorted(set(ENVIRONMENTS) - {"GFN/PHO4-v0"}))
def test_every_environment_can_be_told_that_its_reward_is_expensive(env_id: str) -> None:
    dag = make_dag(env_id, expensive_reward=True)
    assert dag.expensive_reward
    assert dag.arguments["expensive_reward"] is True
    assert "expensive_reward" not in make_dag(env_id, expensive_reward=False).arguments


def test_gymnasium_takes_expensive_rewards() -> None:
    env: Any = gymnasium.make(GRID, expensive_reward=True).unwrapped
    assert env.dag.expensive_reward
    with pytest.raises(TypeError, match="HyperGrid: expensive_reward must be True or False, got 'yes'"):
        make_dag(GRID, expensive_reward="yes")


def test_gymnasium_names_the_object() -> None:
    env = GFNEnv(HyperGrid(ndim=2, side=5, reward=raises_at_three))
    env.reset(options={"state": [3, 2, 0]})
    with pytest.raises(RewardError, match=r"object \(3, 2\): the reward raised RuntimeError: no licence \(call 1"):
        env.step(2)


def test_errors_of_the_batch_and_of_the_installation() -> None:
    def many(cells: np.ndarray) -> np.ndarray:
        if len(cells) > 1:
            raise ZeroDivisionError("too many")
        return np.ones(len(cells))

    dag = HyperGrid(ndim=2, side=5, reward=many)
    with pytest.raises(RewardError, match="ZeroDivisionError: too many for a batch of 3 objects, and for none of them"):
        log_rewards(dag, CELLS)
    dag.on_error = "skip"
    assert log_rewards(dag, CELLS).tolist() == [0, 0, 0]

    def absent(cells: np.ndarray) -> np.ndarray:
        raise ImportError("no docking program")

    with pytest.raises(ImportError, match=r"^no docking program$"):
        log_rewards(HyperGrid(ndim=2, side=5, reward=absent), CELLS)


@pytest.mark.parametrize(
    ("change", "got"),
    [
        (lambda r: r[:, None], r"float64 of shape \(3, 1\)"),
        (lambda r: r.astype(np.float32), r"float32 of shape \(3,\)"),
        (lambda r: r.tolist(), "a list"),
        (lambda r: None, "None"),
        (lambda r: r[:1], r"float64 of shape \(1,\)"),
    ],
)
@pytest.mark.parametrize("on_error", ["raise", "skip", 1.0])
def test_wrong_shapes_always_raise(change: Any, got: str, on_error: Any) -> None:
    class Wrong(Bag):
        def log_reward(self, states: np.ndarray) -> Any:
            return change(super().log_reward(states))

    dag = Wrong(num_letters=3, capacity=1, repeats=1)
    dag.on_error = on_error
    with pytest.raises(ValueError, match=rf"Wrong\(.*log_reward must return float64 of shape \(3,\), got {got}"):
        log_rewards(dag, dag.terminal_states())


def test_skipped_objects_have_no_share_of_the_target() -> None:
    dag = make_dag(GRID, ndim=2, side=5, reward=raises_at_three, on_error="skip")
    target = exact.target_distribution(dag)
    np.testing.assert_allclose(target[dag.terminal_index(CELLS)], [2 / 60, 0.0, 3 / 60])


# ---------------------------------------------------------------------- names


def test_names_are_those_of_the_user() -> None:
    assert HyperGrid(ndim=2, side=5).object_names(CELLS[:2]) == ["(1, 1)", "(3, 2)"]
    dag = make_dag(SEQUENCE, alphabet="AC", length=2, reward=lambda tokens: np.where(tokens[:, 0] == 1, -1.0, 1.0))
    for ask in (dag.log_reward, lambda states: log_rewards(dag, states)):
        with pytest.raises(RewardError, match=r"Sequence: the reward of object CA is -1.0; allowed: finite and > 0"):
            ask(dag.from_text(["AA", "CA"]))
    mols: Any = make_dag(FRAGMENTS, blocks=["*C", "*O"], max_blocks=2, reward=lambda mol: float("nan"))
    with pytest.raises(RewardError, match=r"FragmentMolecule: the reward of object (CC|CO|OO) is nan"):
        mols.log_reward(mols.terminal_states())
    tree = make_dag(PHYLO_TREE, alignment={"A": "ACGT", "B": "ACGA", "C": "ACCC"})
    assert set(tree.object_names(tree.terminal_states())) == {"((A,B),C);", "((A,C),B);", "(A,(B,C));"}
    assert make_dag(BAYES_NET, data=np.eye(3)).object_names(make_dag(BAYES_NET, data=np.eye(3)).source(1)) == [
        "(no edges)"
    ]


@pytest.mark.parametrize(("env_id", "kwargs"), SMALL)
def test_every_object_has_a_name_of_one_line(env_id: str, kwargs: dict[str, Any]) -> None:
    dag = small_dag(env_id, kwargs)
    states = all_states(dag)
    names = dag.object_names(states)
    assert [type(name) for name in names] == [str] * len(states)
    assert not any("\n" in name or "stopped" in name for name in names)
    objects = dag.object_names(dag.terminal_states())
    assert len(set(objects)) == len(objects) or isinstance(dag, FragmentMolecule)


# ---------------------------------------------------------------------- the other methods

METHODS = ["source", "is_terminal", "forward_mask", "backward_mask", "step", "undo", "backward_action"]


@pytest.mark.parametrize("method", [*METHODS, "forward_action", "encode"])
@pytest.mark.parametrize(
    "change", [lambda r: r.tolist(), lambda r: None, lambda r: r[None], lambda r: r.astype(complex)]
)
def test_what_a_method_returns_is_checked_once(method: str, change: Any) -> None:
    inner = getattr(Bag, method)
    made: Any = type("Mine", (Bag,), {method: lambda self, *a: change(inner(self, *a))})
    with pytest.raises((TypeError, ValueError), match=rf"Mine\(.*: {method} must return .* of shape .*, got"):
        check_once(made(num_letters=2, capacity=3, repeats=2))


def test_well_formed_dags_pass_and_are_checked_once() -> None:
    dag = Sequence(alphabet="AC", length=3)
    check_once(dag)
    dag.forward_mask = None  # type: ignore[assignment, method-assign]
    check_once(dag)


@pytest.mark.parametrize(("on_error", "expected"), [("skip", np.nan), (0.5, np.log(0.5))])
def test_known_rewards_of_failing_objects_are_nan(on_error: str | float, expected: float) -> None:
    def reward(cells: np.ndarray) -> np.ndarray:
        return np.where(cells[:, 0] == 1, np.nan, 2.0)

    dag = HyperGrid(ndim=2, side=3, reward=reward)
    dag.on_error = on_error
    objects = dag.terminal_states()
    failing = objects[:, 0] == 1
    for _ in range(2):
        found, known = log_rewards(dag, objects), known_log_rewards(dag, objects)
        np.testing.assert_array_equal(np.isnan(known), failing)
        np.testing.assert_allclose(found[failing], expected)
        np.testing.assert_allclose(known[~failing], np.log(2.0))
        np.testing.assert_allclose(found[~failing], np.log(2.0))
