"""A Dag whose rows hold a state and a condition."""

from __future__ import annotations

import copy
import types
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
from gymnasium import spaces

from gfn_envs.arrays import BoolArray, FloatArray, IntArray
from gfn_envs.conditions.conditions import ConditionArray, Conditions
from gfn_envs.conditions.text import read_conditions
from gfn_envs.dag import Dag
from gfn_envs.enumeration import EnumerationError

#: Sizes and settings that are taken from the environment.
SAME = (
    *("num_actions", "num_backward_actions", "max_length", "max_length_is_bound", "state_dtype", "on_error"),
    *("expensive_reward", "reward_of_one", "reward_input", "reward_floor", "can_stop_anywhere"),
    *("num_tokens", "num_positions", "token_order", "graph_layout", "grid_shape", "distance_name", "object_formats"),
)
#: Optional capabilities that rows with conditions have if the environment has them.
CAPABILITIES = (*("tokens", "labelled_graphs", "log_num_paths", "grid_cells", "molecules", "distance", "mol_blocks"),)
#: Cached attributes that a copy of an environment must drop because its reward differs.
OF_THE_REWARD = ("_evaluation_target", "_known_log_z", "_heat")


def _of_states(name: str) -> Callable[..., Any]:
    """The method ``name`` of the environment, called with the states of rows."""

    def method(self: Conditioned, rows: IntArray, *args: Any, **kwargs: Any) -> Any:
        return getattr(self.base, name)(self.states_of(rows), *args, **kwargs)

    method.__doc__ = f"``{name}`` of the environment."
    return method


class _RewardAt:
    """A function of states (n, w) and conditions (n, k), under one condition (1, k). A closure could not be pickled."""

    def __init__(self, function: Callable[..., FloatArray], condition: ConditionArray):
        self.function, self.condition = function, condition

    def __call__(self, states: IntArray) -> FloatArray:
        return self.function(states, np.broadcast_to(self.condition, (len(states), self.condition.shape[1])))


class Conditioned(Dag):
    """A Dag with conditions: each row is a state, followed by the bits of its k condition numbers.

    States, actions and masks are those of the environment. The condition of a row never changes along a trajectory, and
    sets its reward. Samplers, replay buffers, local search and networks work on these rows as on rows of states. The
    features of a row are those of the state and of the condition.

    :meth:`start` draws conditions; :meth:`source` gives ``conditions.default``. Rows cannot be enumerated: conditions
    are continuous. :meth:`at` fixes a condition, and is a Dag on the states of the environment.

    Args:
        dag: the environment.
        conditions: see :class:`Conditions`.

    Raises:
        ValueError: the environment has conditions already, or the conditions do not apply to it.
    """

    def __init__(self, dag: Dag, conditions: Conditions):
        if dag.conditions is not None:
            raise ValueError(f"{dag!r} has conditions already")
        self.base, self.conditions = dag, conditions.bind(dag)
        for name in SAME:
            setattr(self, name, getattr(dag, name))
        self._bits = np.dtype(np.float64 if dag.state_dtype.itemsize == 8 else np.float32)
        self._per_number = self._bits.itemsize // dag.state_dtype.itemsize
        self.state_width = dag.state_width + len(conditions.names) * self._per_number
        self.num_features = dag.num_features + self.conditions.features.num_features
        low, high = dag.feature_bounds
        self.feature_bounds = (min(low, -1.0), max(high, 1.0))
        #: Part of the ranges that :meth:`start` draws from; see :meth:`Conditions.sample`.
        self.share = 1.0
        #: Trajectories that :meth:`start` gives the same condition.
        self.per_condition = 1

    @property
    def arguments(self) -> Mapping[str, Any]:  # type: ignore[override]
        """The arguments of the environment, and ``conditions``."""
        return {**self.base.arguments, "conditions": self.conditions.text or self.conditions}

    @property
    def oracle(self) -> Any:
        """The oracle of the environment."""
        return self.base.oracle

    @oracle.setter
    def oracle(self, oracle: Any) -> None:
        self.base.oracle = oracle

    def wrap_reward(self, wrap: Callable[..., Any]) -> None:
        self.base.wrap_reward(wrap)

    # ------------------------------------------------------------------ rows

    def join(self, states: IntArray, conditions: ConditionArray) -> IntArray:
        """Rows (n, state_width) of states (n, w) of the environment with conditions (n, k) or (1, k)."""
        # -0.0 and 0.0 are the same condition: equal rows are equal states.
        bits = np.ascontiguousarray(conditions.astype(self._bits) + 0.0).view(self.state_dtype)
        return np.concatenate([states, np.broadcast_to(bits, (len(states), bits.shape[1]))], axis=1)

    def states_of(self, rows: IntArray) -> IntArray:
        """The states of rows, (n, w)."""
        return np.ascontiguousarray(rows[:, : self.base.state_width])

    def conditions_of(self, rows: IntArray) -> ConditionArray:
        """The conditions of rows, float32 (n, k)."""
        bits = np.ascontiguousarray(rows[:, self.base.state_width :])
        return bits.view(self._bits).astype(np.float32)

    def start(self, n: int, rng: np.random.Generator) -> IntArray:
        """s0 in ``n`` rows, with drawn conditions, each in ``per_condition`` consecutive rows."""
        drawn = self.conditions.sample(-(-n // self.per_condition), rng, self.share)
        return self.join(self.base.source(n), np.repeat(drawn, self.per_condition, axis=0)[:n])

    def at(self, condition: npt.ArrayLike | Mapping[str, float]) -> Dag:
        """The environment with the reward R(x|c) of one condition: numbers (k,), or numbers by name.

        It shares everything but the reward with the environment, such as its enumerated states.

        Raises:
            ValueError: the condition is out of range. The message gives the ranges.
        """
        numbers = self.conditions.checked(condition)
        if len(numbers) != 1:
            raise ValueError(f"{self!r}: one condition is needed, got {len(numbers)}")
        fixed = copy.copy(self.base)
        for name in OF_THE_REWARD:
            fixed.__dict__.pop(name, None)
        for name in ("log_reward", "partial_log_reward"):
            fixed.__dict__[name] = _RewardAt(getattr(self.conditions, name), numbers)
        for name in ("exact_log_z", "sample_target"):  # The environment caches them for another reward.
            fixed.__dict__[name] = types.MethodType(getattr(Dag, name), fixed)
        fixed.arguments = {**self.base.arguments, "condition": self.conditions.describe(numbers[0])}
        return fixed

    # ------------------------------------------------------------------ the contract

    def source(self, n: int) -> IntArray:
        return self.join(self.base.source(n), self.conditions.default[None])

    def source_of(self, states: IntArray) -> IntArray:
        return self.join(self.base.source(len(states)), self.conditions_of(states))

    def step(self, states: IntArray, actions: IntArray) -> IntArray:
        return self._moved(states, self.base.step(self.states_of(states), actions))

    def undo(self, states: IntArray, backward_actions: IntArray) -> IntArray:
        return self._moved(states, self.base.undo(self.states_of(states), backward_actions))

    def _moved(self, rows: IntArray, states: IntArray) -> IntArray:
        return np.concatenate([states, rows[:, self.base.state_width :]], axis=1)

    is_terminal = _of_states("is_terminal")
    forward_mask = _of_states("forward_mask")
    backward_mask = _of_states("backward_mask")
    backward_action = _of_states("backward_action")
    forward_action = _of_states("forward_action")
    uniform_log_pb = _of_states("uniform_log_pb")

    def log_reward(self, states: IntArray) -> FloatArray:
        return self.conditions.log_reward(self.states_of(states), self.conditions_of(states))

    def encode(self, states: IntArray) -> FloatArray:
        """Features of the environment, then those of the condition."""
        features = self.conditions.features(self.conditions_of(states))
        return np.concatenate([self.base.encode(self.states_of(states)), features], axis=1)

    @property
    def observation_space(self) -> spaces.Dict:
        """``{"state": space of the environment, "condition": Box of the k numbers}``."""
        low, high = (side.astype(np.float32) for side in (self.conditions.low, self.conditions.high))
        return spaces.Dict({"condition": spaces.Box(low, high, dtype=np.float32), "state": self.base.observation_space})

    def observe(self, states: IntArray) -> dict[str, Any]:
        return {"condition": self.conditions_of(states), "state": self.base.observe(self.states_of(states))}

    # ------------------------------------------------------------------ optional

    def has(self, name: str) -> bool:
        if name == "partial_log_reward":
            return self.base.has(name) and (
                type(self.conditions).partial_log_reward is not Conditions.partial_log_reward
            )
        return name == "reward_components" or (self.base.has(name) and name in CAPABILITIES)

    def partial_log_reward(self, states: IntArray) -> FloatArray:
        return self.conditions.partial_log_reward(self.states_of(states), self.conditions_of(states))

    tokens = _of_states("tokens")
    labelled_graphs = _of_states("labelled_graphs")
    log_num_paths = _of_states("log_num_paths")
    grid_cells = _of_states("grid_cells")
    molecules = _of_states("molecules")
    to_smiles = _of_states("to_smiles")
    draw_molecules = _of_states("draw_molecules")
    mol_blocks = _of_states("mol_blocks")
    mode_index = _of_states("mode_index")

    def reward_components(self, states: IntArray) -> Mapping[str, FloatArray]:
        """The components of the environment's reward, then the condition as ``condition.NAME``."""
        found = self.base.reward_components(self.states_of(states)) if self.base.has("reward_components") else {}
        numbers = self.conditions_of(states).T.astype(np.float64)
        return {**found, **{f"condition.{name}": x for name, x in zip(self.conditions.names, numbers, strict=True)}}

    def distance(self, states: IntArray, others: IntArray) -> FloatArray:
        return self.base.distance(self.states_of(states), self.states_of(others))

    @property
    def defines_modes(self) -> bool:
        return self.base.defines_modes

    @property
    def num_modes(self) -> int | None:  # type: ignore[override]
        """The number of modes of the environment."""
        return self.base.num_modes

    def action_label(self, action: int) -> str:
        return self.base.action_label(action)

    def object_names(self, states: IntArray) -> list[str]:
        """Names of the objects, without their conditions."""
        return self.base.object_names(self.states_of(states))

    def render_text(self, state: IntArray) -> str:
        condition = self.conditions.describe(self.conditions_of(state[None])[0])
        text = ", ".join(f"{name}={value:g}" for name, value in condition.items())
        return f"{self.base.render_text(self.states_of(state[None])[0])} ({text})"

    def render_image(self, state: IntArray, path: IntArray | None = None) -> npt.NDArray[np.uint8]:
        return self.base.render_image(self.states_of(state[None])[0], None if path is None else self.states_of(path))

    # ------------------------------------------------------------------ enumeration

    def has_at_most(self, num_states: int) -> bool:
        """False: conditions are continuous."""
        return False

    def _enumerated(self, max_states: int | None = None) -> Any:
        raise EnumerationError(
            f"states with conditions ({self.conditions.range_text}) cannot be listed; fix a condition with .at(...)"
        )

    def levels(self) -> Iterator[BoolArray]:
        return self._enumerated()

    def __repr__(self) -> str:
        return f"{self.base!r} given {self.conditions!r}"


def conditioned(dag: Dag, conditions: str | Conditions) -> Conditioned:
    """``dag`` with conditions.

    Args:
        dag: the environment.
        conditions: an object, or text (:func:`gfn_envs.conditions.read_conditions`).
    """
    return Conditioned(dag, read_conditions(conditions))
