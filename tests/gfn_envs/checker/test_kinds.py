"""check_dag never fails itself: what a method returns or raises, whatever it is, becomes a DagError that names it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from gfn_envs import Bag, DagError, check_dag, make_dag
from tests.gfn_envs.checker import broken_dags, broken_values
from tests.gfn_envs.checker.broken_dags import Grid, Table
from tests.helpers import FRAGMENTS, SEQUENCE

REQUIRED = [
    *("source", "is_terminal", "forward_mask", "backward_mask", "step", "undo", "backward_action", "forward_action"),
    *("log_reward", "encode", "observe", "mode_index", "uniform_log_pb", "children", "parents", "render_text"),
    *("action_label", "object_names", "render_image", "levels", "terminal_states", "state_index", "terminal_index"),
]
OPTIONAL = [
    *[(Grid, name) for name in ("partial_log_reward", "contains", "tokens", "log_num_paths", "grid_cells")],
    *[(Table, name) for name in ("labelled_graphs", "partial_log_reward")],
    *[(type(make_dag(SEQUENCE, length=2)), name) for name in ("distance", "tokens", "contains", "log_num_paths")],
    *[(type(make_dag(FRAGMENTS, max_blocks=2)), name) for name in ("molecules", "to_smiles", "distance")],
]
ARGUMENTS: dict[str, dict[str, Any]] = {
    "Bag": {"num_letters": 2, "capacity": 3, "repeats": 2},
    "Sequence": {"alphabet": "AC", "length": 2},
    "FragmentMolecule": {"blocks": ["*C", "*O*"], "max_blocks": 2},
}
CASES = [*((Bag, name) for name in REQUIRED), *OPTIONAL]


def fails(result: Any) -> Any:
    raise RuntimeError("broken on purpose")


def as_list(result: Any) -> Any:
    return [part.tolist() for part in result] if isinstance(result, tuple) else np.asarray(result).tolist()


def as_tensor(result: Any) -> Any:
    if isinstance(result, np.ndarray):
        return torch.tensor(result)
    return torch.zeros(2)


CHANGES = {
    "list": as_list,
    "None": lambda result: None,
    "tensor": as_tensor,
    "number": lambda result: 3,
    "scalar": lambda result: np.array(1),
    "empty": lambda result: np.zeros((0, 0)),
    "objects": lambda result: np.array([None, "a"], dtype=object),
    "raises": fails,
}
#: Methods that another one calls first.
USED_BY = {("Bag", "mode_index"): "log_reward", ("Sequence", "tokens"): "log_reward"}
#: Changes that leave a method as it is allowed to be.
ALLOWED = {("object_names", "list"), ("to_smiles", "list"), ("molecules", "list"), ("levels", "list")}


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize(("base", "method"), CASES, ids=lambda value: getattr(value, "__name__", value))
@pytest.mark.parametrize("max_states", [20_000, 1])
def test_every_kind_of_result_is_a_finding(base: Any, method: str, change: str, max_states: int) -> None:
    inner = getattr(base, method)
    if (method, change) in ALLOWED or (method in ("render_text", "action_label") and change == "list"):
        pytest.skip("allowed")
    enumeration = ("levels", "terminal_states", "state_index", "terminal_index")
    if max_states == 1 and method in enumeration:
        pytest.skip("of exhaustive checks")

    def changed(self: Any, *arguments: Any, **options: Any) -> Any:
        result = inner(self, *arguments, **options)
        return CHANGES[change](list(result) if method == "levels" else result)

    dag = type("Mine", (base,), {method: changed})(**ARGUMENTS.get(base.__name__, {}))
    with pytest.raises(DagError) as caught:
        check_dag(dag, max_states=max_states)
    if change in ("list", "None", "tensor", "raises") and method not in enumeration:
        assert caught.value.invariant in (method, USED_BY.get((base.__name__, method))), str(caught.value)
    if change == "raises" and method not in enumeration:
        assert "raises RuntimeError: broken on purpose" in str(caught.value)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *[(name, value) for name in ("num_actions", "max_length", "num_features") for value in (None, 2.0, 0, True)],
        *[("state_dtype", value) for value in ("int16", int, None)],
        ("observation_space", None),
        ("grid_shape", 3),
        ("num_tokens", "a"),
    ],
)
def test_declarations_of_another_kind_are_findings(name: str, value: Any) -> None:
    dag = Grid()
    setattr(dag, name, value)
    with pytest.raises(DagError) as caught:
        check_dag(dag)
    assert caught.value.invariant in (name, "tokens", "grid_cells"), str(caught.value)


@pytest.mark.parametrize("name", ["num_actions", "max_length", "state_width"])
def test_missing_declarations_are_findings(name: str) -> None:
    dag = Grid()
    delattr(dag, name)
    with pytest.raises(DagError, match=rf"\[{name}\] is not declared"):
        check_dag(dag)


@pytest.mark.parametrize("max_states", [20_000, 1])
def test_an_encoding_that_is_constant_is_a_finding(max_states: int) -> None:
    with pytest.raises(DagError, match="is the same for all") as caught:
        check_dag(broken_values.OneEncoding(), max_states=max_states)
    assert caught.value.invariant == "encode tells states apart"


@pytest.mark.parametrize("max_states", [20_000, 1])
def test_dead_ends_are_named(max_states: int) -> None:
    with pytest.raises(DagError) as caught:
        check_dag(broken_dags.DeadEndOnTheLongestPath(), max_states=max_states)
    assert (caught.value.invariant, caught.value.state) == ("walks end at terminal states", [2, 2, 1])


@pytest.mark.parametrize("max_states", [20_000, 1])
def test_a_dag_without_objects_is_named(max_states: int) -> None:
    with pytest.raises(DagError) as caught:
        check_dag(broken_dags.NothingIsTerminal(), max_states=max_states)
    assert caught.value.invariant == "walks end at terminal states"
