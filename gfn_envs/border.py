"""The border between an environment and its users: shapes, dtypes and values of what a Dag returns.

The methods of a Dag are not checked when it calls itself. Samplers, Gymnasium environments and exact evaluation call
:func:`log_rewards` instead of ``dag.log_reward``, and :func:`check_once` before they use a Dag.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from gfn_envs.arrays import FloatArray, IntArray
from gfn_envs.dag import Dag
from gfn_envs.reward_errors import NOT_OF_THE_REWARD, RewardError, RewardRecord, RewardShapeError

#: Errors that do not concern an object, or the rewards of a batch have a wrong shape.
NOT_OF_AN_OBJECT = (*NOT_OF_THE_REWARD, RewardShapeError)

#: Log rewards or partial log rewards of states (n, state_width).
Reward = Callable[[IntArray], FloatArray]


def reward_record(dag: Dag) -> RewardRecord:
    """Numbers of calls and failures of :func:`log_rewards` for this Dag."""
    record: RewardRecord | None = dag.__dict__.get("_reward_record")
    if record is None:
        record = dag.__dict__["_reward_record"] = RewardRecord()
    return record


def log_rewards(dag: Dag, objects: IntArray) -> FloatArray:
    """log R of terminal states (n, state_width), checked, float64 (n,).

    If the reward of an object raises or is not finite, ``dag.on_error`` decides. "raise": RewardError. "floor": the
    object gets ``log(dag.reward_floor)``; a number: its log. "skip": the object gets NaN, and is to be left out. The
    objects of a batch that raises are evaluated one by one. So are all batches if rewards are expensive and a function
    gets one object at a time, and no object is evaluated twice.

    Raises:
        RewardError: a reward failed and ``dag.on_error`` is "raise". The message names the object and the call.
        ValueError: ``dag.log_reward`` did not return float64 (n,).
    """
    return _filled(dag, _checked(dag, dag.log_reward, objects))


def known_log_rewards(dag: Dag, objects: IntArray) -> FloatArray:
    """:func:`log_rewards`, but NaN for every object whose reward fails, unless ``dag.on_error`` is "raise"."""
    return _checked(dag, dag.log_reward, objects)


def partial_log_rewards(dag: Dag, states: IntArray) -> FloatArray:
    """Partial log rewards of any states (n, state_width), checked as in :func:`log_rewards`, float64 (n,).

    If one fails and ``dag.on_error`` is "skip", it is 0: a state that is not terminal may have any partial reward.
    """
    return np.nan_to_num(_filled(dag, _checked(dag, dag.partial_log_reward, states)))


def _filled(dag: Dag, values: FloatArray) -> FloatArray:
    """``values`` with the log of the reward that ``dag.on_error`` gives in place of NaN, if it gives one."""
    floor = reward_on_error(dag)
    return values if floor is None else np.where(np.isnan(values), math.log(floor), values)


def _checked(dag: Dag, reward: Reward, objects: IntArray) -> FloatArray:
    """Values of ``reward``, NaN where it fails unless ``dag.on_error`` is "raise"."""
    record = reward_record(dag)
    record.calls += 1
    if dag.expensive_reward and dag.reward_of_one and dag.oracle is None:
        return _one_by_one(dag, reward, objects, record)
    try:
        found = reward(objects)
    except NOT_OF_AN_OBJECT:
        raise
    except Exception as error:
        return _one_by_one(dag, reward, objects, record, error)
    values = _shaped(dag, found, len(objects))
    # One pass: a sum of finite log rewards is finite.
    if math.isfinite(values.sum()) or np.isfinite(values).all():
        return values
    bad = np.flatnonzero(~np.isfinite(values))
    return _replaced(dag, objects, values, bad, record, _not_finite(dag, objects[bad[0]], values[bad[0]]))


def _not_finite(dag: Dag, state: IntArray, value: float) -> RewardError:
    return RewardError(f"log_reward is {value}; allowed: finite", _name(dag, state), float(value))


def _shaped(dag: Dag, values: Any, n: int) -> FloatArray:
    if not isinstance(values, np.ndarray) or values.shape != (n,) or values.dtype != np.float64:
        raise ValueError(f"{dag!r}: log_reward must return {expected_text(values, np.float64, (n,))}")
    return values


def expected_text(found: Any, dtype: Any, shape: tuple[int, ...]) -> str:
    """Expected and given array as text: ``float64 of shape (4,), got a list``."""
    return f"{np.dtype(dtype).name} of shape {shape}, got {kind_text(found)}"


def kind_text(found: Any) -> str:
    """Type, dtype and shape of a value in words: ``int64 of shape (3, 1)``, or ``a list``."""
    if isinstance(found, np.ndarray):
        return f"{found.dtype.name} of shape {found.shape}"
    module = type(found).__module__.split(".")[0]
    return "None" if found is None else f"a {'' if module == 'builtins' else module + '.'}{type(found).__name__}"


def _one_by_one(
    dag: Dag, reward: Reward, objects: IntArray, record: RewardRecord, error: Exception | None = None
) -> FloatArray:
    """The log rewards of a batch, which raised ``error`` if it was evaluated at once."""
    if dag.on_error == "raise" and isinstance(error, RewardError):
        raise _named(dag, record, error) from error.__cause__
    values = np.full(len(objects), np.nan)
    failed: list[int] = []
    first: Exception | None = None
    for i in range(len(objects)):
        try:
            alone = reward(objects[i : i + 1])
        except NOT_OF_THE_REWARD:
            raise
        except Exception as raised:
            failure = raised
        else:
            values[i] = _shaped(dag, alone, 1)[0]
            if np.isfinite(values[i]):
                continue
            failure = _not_finite(dag, objects[i], values[i])
        if dag.on_error == "raise":
            cause = failure.__cause__ if isinstance(failure, RewardError) else failure
            raise _named(dag, record, failure, _name(dag, objects[i])) from cause
        failed.append(i)
        first = first or failure
    reason = first or error
    if reason is None:
        return values
    if not failed and dag.on_error == "raise":
        message = f"{dag!r}: {_cause(reason)} for a batch of {len(objects)} objects, and for none of them alone"
        raise RewardError(f"{message} (call {record.calls} of the reward)") from reason
    return _replaced(dag, objects, values, np.array(failed, dtype=int), record, reason)


def _replaced(
    dag: Dag, objects: IntArray, values: FloatArray, failed: IntArray, record: RewardRecord, error: Exception
) -> FloatArray:
    """``values`` with NaN at positions ``failed``, which are recorded, unless ``dag.on_error`` is "raise"."""
    if dag.on_error == "raise":
        raise _named(dag, record, error) from error.__cause__
    if len(failed):
        floor = reward_on_error(dag)
        done = "left out" if floor is None else f"R = {floor:g} instead"
        record.add([_name(dag, objects[i]) for i in failed[:3]], len(failed), _cause(error), done)
        values = values.copy()
        values[failed] = np.nan
    return values


def reward_on_error(dag: Dag) -> float | None:
    """The reward of objects whose own reward fails; None if they are left out or the failure raises."""
    if dag.on_error == "floor":
        return dag.reward_floor
    return None if isinstance(dag.on_error, str) else dag.on_error


def _name(dag: Dag, state: IntArray) -> str:
    """The object as its user writes it. An environment that cannot even name it gets its row."""
    try:
        return dag.object_names(state[None])[0]
    except Exception:
        return str(state.tolist())


def _cause(error: Exception) -> str:
    """The reason why a reward failed, on one line even if the exception has several."""
    if isinstance(error, RewardError):
        return str(error)
    text = " ".join(str(error).split())
    return f"the reward raised {type(error).__name__}{text and f': {text}'}"


def _named(dag: Dag, record: RewardRecord, error: Exception, name: str | None = None) -> RewardError:
    """A RewardError for ``error`` with the environment, the object and the number of the call."""
    known = error.object if isinstance(error, RewardError) else None
    name, text = known or name, _cause(error)
    if name is not None and name not in text:
        text = f"object {name}: {text}"
    if type(dag).__name__ not in text:
        text = f"{type(dag).__name__}: {text}"
    if dag.reward_input is not None and not isinstance(error, RewardError):
        text = f"{text}; the reward is called with {dag.reward_input}"
    return RewardError(f"{text} (call {record.calls} of the reward)", name, getattr(error, "value", None))


# ---------------------------------------------------------------------- the other methods, once


def check_once(dag: Dag) -> None:
    """Check type, shape and dtype of what every required method returns on the first states, once per Dag.

    The reward is not called: it may be expensive, and :func:`log_rewards` checks every call. ``gfn_envs.check_dag``
    checks far more.

    Raises:
        TypeError: a method returns something that is not an array.
        ValueError: an array has another shape or dtype.
    """
    if "_border_checked" in dag.__dict__:
        return
    states = dag.source(2)
    _expect(dag, "source", states, dag.state_dtype, (2, dag.state_width))
    for _ in range(2):
        n = len(states)
        _expect(dag, "is_terminal", terminal := dag.is_terminal(states), np.bool_, (n,))
        _expect(dag, "forward_mask", mask := dag.forward_mask(states), np.bool_, (n, dag.num_actions))
        _expect(dag, "backward_mask", dag.backward_mask(states), np.bool_, (n, dag.num_backward_actions))
        _expect(dag, "encode", dag.encode(states), np.float32, (n, dag.num_features))
        row, actions = np.nonzero(mask)
        if terminal.any() or not len(row):
            break
        parents, actions = states[row[:2]], actions[:2]
        shape = (len(actions), dag.state_width)
        _expect(dag, "step", children := dag.step(parents, actions), dag.state_dtype, shape)
        _expect(dag, "backward_action", back := dag.backward_action(parents, actions), np.integer, shape[:1])
        _expect(dag, "undo", dag.undo(children, back), dag.state_dtype, shape)
        _expect(dag, "forward_action", dag.forward_action(children, back), np.integer, shape[:1])
        states = children
    dag.__dict__["_border_checked"] = True


def _expect(dag: Dag, method: str, found: Any, dtype: Any, shape: tuple[int, ...]) -> None:
    expected = f"{'integers' if dtype is np.integer else np.dtype(dtype).name} of shape {shape}"
    message = f"{dag!r}: {method} must return {expected}, got {kind_text(found)} (gfn_envs.check_dag says more)"
    if not isinstance(found, np.ndarray):
        raise TypeError(message)
    if found.shape != shape or not (np.issubdtype(found.dtype, dtype) if dtype is np.integer else found.dtype == dtype):
        raise ValueError(message)
