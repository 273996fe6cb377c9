"""Oracles around the rewards of environments: inputs of the function, the log, and saved calls."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import gfn_envs
from gfn_envs import Oracle, make_dag
from gfn_envs.border import log_rewards, reward_record
from gfn_envs.reward_errors import BudgetSpent, RewardError

CELLS = np.array([[0, 0, 1], [2, 3, 1], [2, 3, 1], [1, 1, 1]], dtype=np.int16)


def sum_of_cells(cells: np.ndarray) -> np.ndarray:
    if not len(cells) or cells.ndim != 2:
        raise TypeError("not cells")
    return 1.0 + cells.sum(1)


def share_of_a(string: str) -> float:
    return 1.0 + string.count("A")


def test_a_function_of_cells() -> None:
    plain, dag = (make_dag("GFN/HyperGrid-v0", ndim=2, side=4, reward=sum_of_cells) for _ in range(2))
    oracle = Oracle.of(dag)
    assert dag.oracle is oracle
    assert dag.expensive_reward
    np.testing.assert_array_equal(log_rewards(dag, CELLS), log_rewards(plain, CELLS))
    assert [(call.object, call.name, call.value) for call in oracle.log] == [
        ("[0,0]", "(0, 0)", 1.0),
        ("[2,3]", "(2, 3)", 6.0),
        ("[1,1]", "(1, 1)", 3.0),
    ]
    np.testing.assert_array_equal(dag.partial_log_reward(CELLS[1:2]), [np.log(6)])
    assert (oracle.used, oracle.saved) == (3, 2)


def test_an_oracle_as_the_reward() -> None:
    dag = make_dag("GFN/HyperGrid-v0", ndim=2, side=4, reward=Oracle(lambda cell: 1.0 + cell.sum()))
    assert dag.expensive_reward
    np.testing.assert_array_equal(log_rewards(dag, CELLS), np.log([1, 6, 6, 3]))
    assert [call.name for call in dag.oracle.log] == ["(0, 0)", "(2, 3)", "(1, 1)"]


@pytest.mark.parametrize("reward_of", ["tokens", "string"])
def test_strings(reward_of: str) -> None:
    reward = share_of_a if reward_of == "string" else lambda tokens: 1.0 + (tokens == 0).sum(1)
    arguments: dict[str, Any] = {"alphabet": "ACGT", "length": 3, "min_length": 1, "reward_of": reward_of}
    dag = make_dag("GFN/Sequence-v0", reward=reward, exponent=2.0, **arguments)
    states = dag.terminal_states()
    expected = 2 * np.log([1 + name.count("A") for name in dag.object_names(states)])
    np.testing.assert_allclose(log_rewards(dag, states), expected, rtol=1e-12)
    oracle = Oracle.of(dag)
    np.testing.assert_allclose(log_rewards(dag, states), expected, rtol=1e-12)
    calls = list(oracle.log)
    assert [call.name for call in calls] == dag.object_names(states)
    # The values are those of the function, so that another exponent can use them.
    assert [call.value for call in calls] == [1.0 + call.name.count("A") for call in calls]
    assert calls[0].object == ("A" if reward_of == "string" else "[0,4,4]")
    made = make_dag("GFN/Sequence-v0", reward=Oracle(share_of_a), **arguments | {"reward_of": "string"})
    np.testing.assert_allclose(log_rewards(made, states), expected / 2, rtol=1e-12)


def test_a_function_of_strings_must_return_numbers() -> None:
    dag = make_dag("GFN/Sequence-v0", length=2, reward=lambda string: string, reward_of="string")
    with pytest.raises(RewardError, match=r"the reward of object .. is text, not a number"):
        log_rewards(dag, dag.terminal_states()[:3])


@pytest.mark.parametrize("reward_of", ["mol", "smiles"])
def test_molecules(reward_of: str, tmp_path: Path) -> None:
    pytest.importorskip("rdkit")
    reward = (lambda mol: mol.GetNumAtoms()) if reward_of == "mol" else len
    arguments: dict[str, Any] = {"max_blocks": 3, "reward_of": reward_of, "exponent": 2.0}
    plain, dag = (make_dag("GFN/FragmentMolecule-v0", reward=reward, **arguments) for _ in range(2))
    rng = np.random.default_rng(0)
    states = np.concatenate([walk(dag, rng) for _ in range(6)])
    oracle = Oracle.of(dag, log=tmp_path / "calls.sqlite", name="size")
    np.testing.assert_array_equal(log_rewards(dag, states), log_rewards(plain, states))
    assert {call.name for call in oracle.log} == set(dag.to_smiles(states))
    # Another exponent takes the values from the log.
    other = make_dag("GFN/FragmentMolecule-v0", reward=reward, **arguments | {"exponent": 1.0})
    again = Oracle.of(other, log=tmp_path / "calls.sqlite", name="size", budget=oracle.used)
    np.testing.assert_allclose(log_rewards(other, states), log_rewards(plain, states) / 2, rtol=1e-12)
    assert again.saved > 0
    made = make_dag("GFN/FragmentMolecule-v0", reward=Oracle(reward), **arguments)
    np.testing.assert_array_equal(log_rewards(made, states), log_rewards(plain, states))
    assert made.oracle.used == oracle.used


def walk(dag: gfn_envs.Dag, rng: np.random.Generator) -> np.ndarray:
    states = dag.source(1)
    while not dag.is_terminal(states)[0]:
        states = dag.step(states, rng.choice(np.flatnonzero(dag.forward_mask(states)[0]), 1))
    return states


@pytest.mark.parametrize(
    ("id", "arguments"),
    [
        ("GFN/Bag-v0", {}),
        ("GFN/HyperGrid-v0", {"ndim": 2, "side": 4, "reward": "cosine"}),
        ("GFN/TFBind8-v0", {}),
        ("GFN/FragmentMolecule-v0", {"max_blocks": 2}),
    ],
)
def test_an_environment_with_a_reward_of_its_own(id: str, arguments: dict[str, Any]) -> None:
    """The oracle calls log_reward."""
    if "Molecule" in id:
        pytest.importorskip("rdkit")
    plain, dag = make_dag(id, **arguments), make_dag(id, **arguments)
    states = np.unique(np.concatenate([walk(dag, np.random.default_rng(i)) for i in range(3)]), axis=0)
    oracle = Oracle.of(dag, batch_size=2)
    np.testing.assert_array_equal(log_rewards(dag, states), log_rewards(plain, states))
    assert [call.name for call in oracle.log] == dag.object_names(states)
    np.testing.assert_array_equal([call.value for call in oracle.log], log_rewards(plain, states))


def test_an_environment_of_ones_own_that_takes_a_reward() -> None:
    class Own(gfn_envs.HyperGrid):
        def __init__(self, score: Any):
            super().__init__(2, 4)
            self.score = score

        def log_reward(self, states: np.ndarray) -> np.ndarray:
            return np.log(self.score(states[:, :2]))

    dag = Own(Oracle(lambda cell: 1.0 + cell.sum(), budget=3))
    np.testing.assert_array_equal(log_rewards(dag, CELLS), np.log([1, 6, 6, 3]))
    with pytest.raises(BudgetSpent):
        log_rewards(dag, dag.terminal_states())


@pytest.mark.parametrize("on_error", ["skip", 0.5])
def test_failures_follow_the_policy_of_the_environment(on_error: Any) -> None:
    def reward(cells: np.ndarray) -> np.ndarray:
        if (cells == 3).any():
            raise RuntimeError("no licence")
        return 1.0 + cells.sum(1)

    dag = make_dag("GFN/HyperGrid-v0", ndim=2, side=4, reward=reward, on_error=on_error)
    oracle = Oracle.of(dag, batch_size=4)
    found = log_rewards(dag, CELLS)
    np.testing.assert_array_equal(
        found, np.log([1, 0.5, 0.5, 3]) if on_error == 0.5 else [0, np.nan, np.nan, np.log(3)]
    )
    # The batch of three was called at once, then one by one: six calls, and no more for the policy.
    assert oracle.used == 6
    assert reward_record(dag).failed == 2
    assert oracle.saved == 1


def test_failures_that_concern_no_object_are_not_hidden() -> None:
    dag = make_dag("GFN/HyperGrid-v0", ndim=2, side=4, reward=sum_of_cells, on_error="skip")
    Oracle.of(dag, budget=1)
    with pytest.raises(BudgetSpent):
        log_rewards(dag, CELLS)


@pytest.mark.parametrize(
    ("id", "arguments", "takes"),
    [
        ("GFN/HyperGrid-v0", {}, r"cells \(n, 2\)"),
        ("GFN/Sequence-v0", {}, r"tokens \(n, length\)"),
        ("GFN/Sequence-v0", {"reward_of": "string"}, "one string"),
        ("GFN/FragmentMolecule-v0", {}, "an RDKit Mol"),
        ("GFN/FragmentMolecule-v0", {"reward_of": "smiles"}, "a SMILES"),
    ],
)
def test_a_wrong_signature_raises_when_the_environment_is_made(id: str, arguments: dict[str, Any], takes: str) -> None:
    def score(receptor: Any, ligand: Any) -> float:
        return 1.0

    message = (
        rf"the reward must take one argument, {takes}, but score\(receptor: .*missing a required argument: 'ligand'"
    )
    with pytest.raises(TypeError, match=message):
        make_dag(id, reward=score, **arguments)


def test_a_function_of_one_object_takes_no_batches() -> None:
    pytest.importorskip("rdkit")
    dag = make_dag("GFN/FragmentMolecule-v0", reward=len, reward_of="smiles")
    with pytest.raises(ValueError, match="its reward takes one object, so batch_size must be None"):
        Oracle.of(dag, batch_size=8)
