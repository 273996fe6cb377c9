"""Arguments of any type: an environment, or one line that names the environment."""

from __future__ import annotations

import math
import time
from typing import Any

import numpy as np
import pytest

import gfn_envs
from gfn_envs.registration import environment_parameters
from gfn_envs.validation import one_of, parameters, shown
from tests.helpers import TINY_ARGUMENTS

ARGUMENTS = [(env_id, name) for env_id in gfn_envs.ENVIRONMENTS for name in environment_parameters(env_id)]
VALUES: list[Any] = [
    *(None, True, math.nan, -1, 10**400, 1j, "", "x", "two\nlines", b"x", object(), int, ...),
    *([], [[]], [None], {}, {"a": 1}, {1: 2}, set(), (), iter([1.0]), slice(3), lambda: 1, lambda rows: None),
    *(np.array(3), np.zeros((3, 3)), np.zeros((0, 3)), np.array(["A", "C"]), np.ma.masked, np.datetime64(3, "D")),
]


def refusal(env_id: str, arguments: dict[str, Any]) -> str | None:
    """The error of an environment with these arguments, None if it can be made. OSErrors name a file themselves."""
    try:
        gfn_envs.make_dag(env_id, **arguments)
    except OSError:
        return None
    except (ValueError, TypeError) as error:
        return str(error)
    return None


@pytest.mark.parametrize(("env_id", "name"), ARGUMENTS)
def test_any_value_is_used_or_refused_by_name(env_id: str, name: str) -> None:
    messages = [refusal(env_id, {**TINY_ARGUMENTS[env_id][0], name: value}) for value in VALUES]
    assert not [message for message in messages if message and (env_id[4:-3] not in message or "\n" in message)]


def test_values_are_shown_on_one_short_line() -> None:
    assert shown(np.eye(2)) == "array([[1., 0.], [0., 1.]])"
    assert shown("two\nlines") == r"'two\nlines'"
    assert len(shown(list(range(1000)))) == 100


def test_one_of_and_parameters() -> None:
    assert one_of("way", np.str_("a"), ["a", "b"], "E") == "a"
    for value in ("c", [], np.array("a"), None):
        with pytest.raises(ValueError, match=r"^E: way must be one of \('a', 'b'\), got"):
            one_of("way", value, ["a", "b"], "E")
    assert parameters("kwargs", None, "E") == {}
    for given in (3, "ab", [("a", 1)], {1: 2}):
        with pytest.raises(TypeError, match=r"^E: kwargs must be a mapping of parameters by name, or None, got"):
            parameters("kwargs", given, "E")


def test_numbers_of_paths_do_not_depend_on_the_batch() -> None:
    dag = gfn_envs.make_dag("GFN/PhyloTree-v0", num_taxa=64)
    gfn_envs.check_dag(dag, max_states=10, num_walks=1)


def test_a_grid_too_wide_to_encode_says_so() -> None:
    dag = gfn_envs.make_dag("GFN/HyperGrid-v0", ndim=2, side=10**6)
    with pytest.raises(ValueError, match="HyperGrid: the one-hot encoding of side = 1,000,000 is too large"):
        dag.encode(dag.source(1))


@pytest.mark.parametrize("matrix", [np.ones((3, 3)) * 1j, np.full((3, 3), "4.0"), np.full((3, 3), 10**400)])
def test_distances_are_real_numbers(matrix: Any) -> None:
    with pytest.raises(ValueError, match="InverseFolding: distances must be a square matrix of numbers: "):
        gfn_envs.make_dag("GFN/InverseFolding-v0", distances=matrix)


def test_large_instances_are_made_or_refused_in_seconds() -> None:
    start = time.process_time()
    assert gfn_envs.make_dag("GFN/PhyloTree-v0", num_taxa=1000).max_length == 999
    with pytest.raises(ValueError, match="fillers are too many to generate modes from"):
        gfn_envs.make_dag("GFN/Bag-v0", num_letters=26, capacity=12)
    assert time.process_time() - start < 10
