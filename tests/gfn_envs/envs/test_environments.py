"""Every registered environment: its modes are found, and its copies equal it."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import numpy as np
import pytest

from tests.helpers import SMALL, small_dag

small = pytest.mark.parametrize(("env_id", "kwargs"), SMALL)


@small
def test_every_mode_is_found_and_no_other(env_id: str, kwargs: dict[str, Any]) -> None:
    dag = small_dag(env_id, kwargs)
    found = dag.mode_index(dag.terminal_states())
    assert len(set(found[found >= 0].tolist())) == (dag.num_modes or 0)


@small
def test_a_copy_is_the_same_environment(env_id: str, kwargs: dict[str, Any]) -> None:
    dag = small_dag(env_id, kwargs)
    objects = dag.terminal_states()
    for other in (
        pickle.loads(pickle.dumps(dag)),
        copy.deepcopy(dag),
        eval(repr(dag), {type(dag).__name__: type(dag)}),
    ):
        assert other is not dag
        assert (repr(other), other.num_modes) == (repr(dag), dag.num_modes)
        np.testing.assert_array_equal(other.terminal_states(), objects)
        np.testing.assert_array_equal(other.log_reward(objects), dag.log_reward(objects))
