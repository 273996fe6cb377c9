"""A Dag with checks around every call: exceptions and results of the wrong kind become a DagError."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np

from gfn_envs.border import kind_text
from gfn_envs.checker.calls import DagError
from gfn_envs.dag import Dag
from gfn_envs.enumeration import EnumerationError

#: Data, a library or memory are missing: the DAG may be well formed. Numbers of states are compared by check_counts.
PASSED_ON = (OSError, ImportError, MemoryError, EnumerationError)
ARRAYS = (
    *("source", "is_terminal", "forward_mask", "backward_mask", "step", "undo", "backward_action", "forward_action"),
    *("log_reward", "encode", "uniform_log_pb", "mode_index", "log_num_paths", "partial_log_reward", "contains"),
    *("tokens", "labelled_graphs", "grid_cells", "distance", "state_index", "terminal_index", "terminal_states"),
)
NUMBERS = ("num_actions", "num_backward_actions", "max_length", "state_width", "num_features")


class Watched:
    """``dag`` with checks around its methods. It has every attribute of ``dag``, but is not an instance of Dag."""

    def __init__(self, dag: Dag):
        self._dag = dag
        self.last_method = "source"

    def __repr__(self) -> str:
        return repr(self._dag)

    def __getattr__(self, name: str) -> Any:
        try:
            value = getattr(self._dag, name)
        except (DagError, *PASSED_ON):
            raise
        except AttributeError as error:
            raise DagError(name, f"is not declared ({error})") from error
        except Exception as error:
            raise DagError(name, f"raises {type(error).__name__}: {error}") from error
        if name in ("observation_space", "graph_layout") or not callable(value):
            return value
        return functools.partial(self._call, name, value)

    def _call(self, name: str, method: Callable[..., Any], *arguments: Any) -> Any:
        self.last_method = asked = arguments[0] if name == "has" else name
        first = next((a[0] for a in arguments if isinstance(a, np.ndarray) and a.ndim == 2 and len(a)), None)
        try:
            result = method(*arguments)
            if name == "levels":
                result = list(result)
        except (DagError, *PASSED_ON):
            raise
        except Exception as error:
            if name == "log_reward" and isinstance(error, ValueError):
                raise  # Objects that the environment rejects; see calls.log_reward_of.
            if name in ("exact_log_z", "sample_target") and isinstance(error, NotImplementedError):
                raise  # Not known with these arguments; see capabilities.check_target.
            raise DagError(asked, f"raises {type(error).__name__}: {error}", first) from error
        if problem := _problem(name, result):
            raise DagError(name, problem, first)
        return result


def _problem(name: str, result: Any) -> str | None:
    """The error in the kind of a result, or None."""
    if name in ARRAYS and not isinstance(result, np.ndarray):
        return f"must return a NumPy array, got {kind_text(result)}"
    if name in ("forward_action", "backward_action") and result.ndim != 1:
        return f"must return integers (n,), got {kind_text(result)}"
    if name == "levels" and not all(isinstance(level, np.ndarray) and level.ndim == 2 for level in result):
        return "must give NumPy arrays (n, state_width)"
    if name in ("children", "parents"):
        is_triple = isinstance(result, tuple) and len(result) == 3 and all(isinstance(p, np.ndarray) for p in result)
        lengths = {len(part) for part in result if part.ndim} if is_triple else set()
        dimensions = [part.ndim for part in result] if is_triple else []
        if dimensions != [1, 2, 1] or len(lengths) > 1:
            return f"must return three NumPy arrays (e,), (e, state_width), (e,), got {_parts_text(result)}"
    if name == "observe":
        for leaf in leaves(result):
            if not isinstance(leaf, np.ndarray) or not leaf.ndim:
                allowed = "NumPy arrays with one row per state, or dicts or tuples of them"
                return f"must return {allowed}, got {kind_text(leaf)}"
    if name in ("object_names", "to_smiles") and not (
        isinstance(result, list) and all(isinstance(text, str) for text in result)
    ):
        return f"must return a list of n texts, got {kind_text(result)}"
    if name == "molecules" and not isinstance(result, list):
        return f"must return a list, got {kind_text(result)}"
    if name in ("render_text", "action_label") and not isinstance(result, str):
        return f"must return a text, got {kind_text(result)}"
    return None


def _parts_text(result: Any) -> str:
    if not isinstance(result, tuple):
        return kind_text(result)
    return f"({', '.join(kind_text(part) for part in result)})"


def leaves(value: Any) -> list[Any]:
    """The arrays of a result: one, or those of a dict or tuple."""
    if isinstance(value, dict):
        return [leaf for v in value.values() for leaf in leaves(v)]
    if isinstance(value, tuple):
        return [leaf for v in value for leaf in leaves(v)]
    return [value]


def check_declarations(dag: Dag) -> None:
    """The sizes are integers >= 1, the dtype is a NumPy dtype, and there is an observation space."""
    for name in NUMBERS:
        value = getattr(dag, name)
        if not isinstance(value, int | np.integer) or isinstance(value, bool) or value < 1:
            raise DagError(name, f"must be declared as an integer >= 1, got {value!r}")
    if not isinstance(dag.state_dtype, np.dtype):
        raise DagError("state_dtype", f"must be a NumPy dtype such as np.dtype(np.int16), got {dag.state_dtype!r}")
    if not callable(getattr(dag.observation_space, "contains", None)):
        raise DagError("observation_space", f"must be a Gymnasium space, got {dag.observation_space!r}")
