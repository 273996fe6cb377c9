"""The contract of every environment: a batched, pure directed acyclic graph (DAG) of states.

A batch of states is an integer matrix of shape ``(n, state_width)``. Each row is a state, and equal states are equal
rows. An environment implements the transitions, the masks, the reward and two encodings. Everything else in this file
(parents, children, enumeration, indexing) follows from them. capabilities.py has the optional methods.
"""

from __future__ import annotations

import abc
import copy
import functools
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import gymnasium
import numpy as np
import numpy.typing as npt

from gfn_envs import enumeration, rendering
from gfn_envs.arrays import BoolArray, FloatArray, IntArray
from gfn_envs.capabilities import Capabilities
from gfn_envs.closed_levels import ClosedEnumeration
from gfn_envs.enumeration import EnumerationError
from gfn_envs.validation import positive_int

#: Optional capabilities whose presence is decided by a call on s0: an override may still raise NotImplementedError.
CALLED_ON_SOURCE = ("partial_log_reward", "contains", "tokens", "labelled_graphs")
#: Optional capabilities that an environment has if it overrides the method of this name.
OVERRIDDEN = (
    *("log_num_paths", "grid_cells", "molecules", "distance", "mol_blocks", "reward_components"),
    *("exact_log_z", "sample_target", "marginals", "clades"),
)
#: Those that hold for one reward only.
OF_THE_REWARD = ("exact_log_z", "sample_target")


class Dag(Capabilities, abc.ABC):
    """A batched DAG with one source state ``s0`` and a reward on its terminal states.

    Every method is pure and deterministic: it draws no random numbers, never mutates its arguments, returns fresh
    arrays, and treats each row independently of the others. An edge is a pair (state, action), so two actions that lead
    to the same child are two edges. :meth:`backward_action` and :meth:`forward_action` are inverse bijections between
    the forward actions at a state and the backward actions at its children.

    Attributes:
        num_actions: number of forward actions ``A``. The stop action, if there is one, is the last.
        num_backward_actions: number of backward actions ``B``.
        max_length: number of forward actions in the longest trajectory, stop included.
        max_length_is_bound: True if ``max_length`` is only an upper bound of that number.
        state_width: number of integers in a state row.
        state_dtype: integer dtype of the state rows.
        num_features: width of :meth:`encode`.
        observation_space: Gymnasium space of one observation, see :meth:`observe`. The default is that of the features.
        num_modes: number of modes of the reward; None if the environment defines none or cannot count them.
        declared_num_states: number of states, if a formula gives it without enumeration; else None.
        declared_num_terminal_states: the same for terminal states.
        expensive_reward: True if only training may evaluate rewards of new objects. Agents are then evaluated without
            rewards unless their user asks for them.
        reward_of_one: True if the reward is a function that is called with one object at a time.
        oracle: the :class:`gfn_envs.Oracle` that calls the reward; None without an oracle.
        on_error: treatment of objects whose reward raises, or is not finite and > 0. "raise": RewardError. "floor":
            the reward is ``reward_floor``. A number > 0: the reward is that number. "skip": their trajectories are left
            out of training. See :mod:`gfn_envs.border`.
        conditions: the :class:`gfn_envs.conditions.Conditions` that decide the reward; None without conditions.
        arguments: the constructor's arguments. They appear in messages and identify the environment.
    """

    num_actions: int
    num_backward_actions: int
    max_length: int
    state_width: int
    state_dtype: np.dtype[Any]
    num_features: int
    max_length_is_bound: bool = False
    num_modes: int | None = None
    declared_num_states: int | None = None
    declared_num_terminal_states: int | None = None
    on_error: str | float = "raise"
    #: Input of a callable reward in words, for its error messages, if there is a choice.
    reward_input: str | None = None
    expensive_reward: bool = False
    reward_of_one: bool = False
    oracle: Any = None
    conditions: Any = None
    arguments: Mapping[str, Any] = {}

    # ------------------------------------------------------------------ the contract

    @abc.abstractmethod
    def source(self, n: int) -> IntArray:
        """``n`` copies of the source state, shape (n, state_width)."""

    def start(self, n: int, rng: np.random.Generator) -> IntArray:
        """First states of ``n`` trajectories (n, state_width): s0; with conditions, s0 with drawn ones."""
        return self.source(n)

    def source_of(self, states: IntArray) -> IntArray:
        """s0 in as many rows as ``states`` (n, state_width); with conditions, with theirs."""
        return self.source(len(states))

    @abc.abstractmethod
    def is_terminal(self, states: IntArray) -> BoolArray:
        """True for terminal states, shape (n,)."""

    @abc.abstractmethod
    def forward_mask(self, states: IntArray) -> BoolArray:
        """Legal forward actions, shape (n, num_actions). A row is all False if and only if the state is terminal."""

    @abc.abstractmethod
    def backward_mask(self, states: IntArray) -> BoolArray:
        """Legal backward actions, shape (n, num_backward_actions). A row is all False if and only if it is s0."""

    @abc.abstractmethod
    def step(self, states: IntArray, actions: IntArray) -> IntArray:
        """Children reached by legal forward ``actions`` (n,). The caller checks legality."""

    @abc.abstractmethod
    def undo(self, states: IntArray, backward_actions: IntArray) -> IntArray:
        """Parents reached by legal ``backward_actions`` (n,). The caller checks legality."""

    @abc.abstractmethod
    def backward_action(self, states: IntArray, actions: IntArray) -> IntArray:
        """The backward action (n,) that undoes ``actions`` taken at ``states``."""

    @abc.abstractmethod
    def forward_action(self, states: IntArray, backward_actions: IntArray) -> IntArray:
        """The forward action (n,) that redoes ``backward_actions`` taken at ``states``."""

    @abc.abstractmethod
    def log_reward(self, states: IntArray) -> FloatArray:
        """log R(x) of terminal states, float64 (n,), finite.

        The rows and the result are not checked: rows that are not terminal states may get any number.
        :func:`gfn_envs.border.log_rewards` checks the result, and treats failed rewards as ``on_error`` says.
        """

    def wrap_reward(self, wrap: Callable[..., Any]) -> None:
        """Replace the function that gives the rewards by ``wrap(function, batched, names)``, for an oracle.

        Environments that are made with a function replace that function. The default replaces :meth:`log_reward`.
        ``batched``: the function takes a batch. ``names``: gives the names of what it takes.
        """
        own = copy.copy(self)
        self.__dict__["log_reward"] = wrap(own.log_reward, True, own.object_names)

    @abc.abstractmethod
    def encode(self, states: IntArray) -> FloatArray:
        """Default network input, float32 (n, num_features)."""

    def active_features(self, states: IntArray) -> IntArray | None:
        """Columns of :meth:`encode` that are 1, if all others are 0; int64 (n, k), -1 where a state has fewer than k.

        First layers of networks add these rows of their weights instead of multiplying zeros. None: features have other
        values, or most of them are 1.
        """
        return None

    @functools.cached_property
    def observation_space(self) -> gymnasium.Space[Any]:
        """Gymnasium space of one observation. The default fits the default of :meth:`observe`."""
        low, high = self.feature_bounds
        return gymnasium.spaces.Box(np.float32(low), np.float32(high), (self.num_features,), np.float32)

    def observe(self, states: IntArray) -> Any:
        """Observations of Gymnasium, a batch of ``observation_space``. The default is :meth:`encode`."""
        return self.encode(states)

    def render_text(self, state: IntArray) -> str:
        """One state, shape (state_width,), as text."""
        return " ".join(map(str, state.tolist()))

    def object_names(self, states: IntArray) -> list[str]:
        """Names of n states as users write them: SMILES, strings, trees in Newick notation, cells.

        Errors, tables and exports use them. Terminal states have different names unless they are the same object to the
        user. The default is :meth:`render_text`.
        """
        return [self.render_text(state) for state in states]

    def render_image(self, state: IntArray, path: IntArray | None = None) -> npt.NDArray[np.uint8]:
        """One state, shape (state_width,), as an RGB image, uint8 (H, W, 3), of constant size.

        ``path`` (t, state_width) holds the states visited before, for environments that draw them. The default draws
        the features as tiles from dark (low) to bright.
        """
        return rendering.feature_tiles(self.encode(state[None])[0], *self.feature_bounds)

    # ------------------------------------------------------------------ optional

    def has(self, name: str) -> bool:
        """True if the environment defines the optional capability ``name``.

        Args:
            name: ``"partial_log_reward"``, ``"contains"``, ``"tokens"``, ``"labelled_graphs"``, ``"log_num_paths"`` (a
                formula; the default enumerates all states), ``"grid_cells"``, ``"molecules"``, ``"distance"``,
                ``"mol_blocks"``, ``"reward_components"``, ``"exact_log_z"``, ``"sample_target"``, ``"clades"`` or
                ``"marginals"``. A subclass or an object with a reward of its own does not have the
                ``"exact_log_z"`` and ``"sample_target"`` of its class.

        Raises:
            ValueError: no capability has this name.
        """
        if name not in CALLED_ON_SOURCE + OVERRIDDEN:
            raise ValueError(f"unknown capability {name!r}; known: {', '.join(CALLED_ON_SOURCE + OVERRIDDEN)}")
        method = getattr(self, name)
        if getattr(method, "__func__", method) is getattr(Dag, name):
            return False
        if name in OF_THE_REWARD and not self.is_of_this_reward(name):
            return False
        if name in CALLED_ON_SOURCE:
            try:
                method(self.source(1), *([self.source(0)] if name == "contains" else []))
            except NotImplementedError:
                return False
        return True

    def is_of_this_reward(self, name: str) -> bool:
        """False if a subclass, or this object, has another reward than the one that its method ``name`` is about."""
        return min(map(self._definer, ("log_reward", "partial_log_reward"))) >= self._definer(name)

    def _definer(self, name: str) -> int:
        """How far from the object its method ``name`` is defined: 0 on the object itself, 1 in its class, and so on."""
        return next(i for i, owner in enumerate([self, *type(self).__mro__]) if name in vars(owner))

    def log_num_paths(self, states: IntArray) -> FloatArray:
        """log of the number of trajectories from s0 to each state, as sequences of edges, float64 (n,).

        N(s0) = 1, N(s') = sum over edges s -> s' of N(s). With P_B(s|s') = N(s) / N(s') the trajectories of a GFlowNet
        have maximum entropy (Mohammadpour et al. 2024). Unless the environment has a formula, the numbers of all states
        are computed once.

        Raises:
            EnumerationError: there is no formula, and too many states to enumerate.
            KeyError: there is no formula, and a row is not a reachable state.
        """
        counts = self.__dict__.get("_log_path_counts")
        if counts is None:
            counts = self.__dict__["_log_path_counts"] = enumeration.log_path_counts(self)
        return counts[self.state_index(states)]

    @property
    def defines_modes(self) -> bool:
        """True if the reward has modes; False if :meth:`mode_index` is -1 for every object."""
        return type(self).mode_index is not Dag.mode_index

    def mode_index(self, states: IntArray) -> IntArray:
        """Index of the mode of the reward that each terminal state belongs to, int64 (n,); -1 if none."""
        return np.full(len(states), -1, dtype=np.int64)

    def action_label(self, action: int) -> str:
        """A short name of a forward action, for figures and messages."""
        return str(action)

    # ------------------------------------------------------------------ derived

    def parents(self, states: IntArray) -> tuple[IntArray, IntArray, IntArray]:
        """Every edge into ``states``.

        Returns:
            ``(row, parent_states, actions)``: ``actions[k]`` taken at ``parent_states[k]`` gives ``states[row[k]]``.
            Shapes (e,), (e, state_width), (e,).
        """
        row, backward_actions = np.nonzero(self.backward_mask(states))
        children = states[row]
        return row, self.undo(children, backward_actions), self.forward_action(children, backward_actions)

    def children(self, states: IntArray) -> tuple[IntArray, IntArray, IntArray]:
        """Every edge out of ``states``.

        Returns:
            ``(row, child_states, actions)``: ``actions[k]`` taken at ``states[row[k]]`` gives ``child_states[k]``.
            Shapes (e,), (e, state_width), (e,).
        """
        row, actions = np.nonzero(self.forward_mask(states))
        return row, self.step(states[row], actions), actions

    def uniform_log_pb(self, states: IntArray) -> FloatArray:
        """log P_B of each backward action under the uniform backward policy, float64 (n,); 0 at the source."""
        return -np.log(np.maximum(self.backward_mask(states).sum(1), 1))

    # ------------------------------------------------------------------ enumeration

    @property
    def num_states(self) -> int:
        """Number of states, terminal ones included.

        Raises:
            EnumerationError: no formula gives the number, and there are too many states to enumerate.
        """
        return self.declared_num_states or int(self._enumerated().offsets[-1])

    @property
    def num_terminal_states(self) -> int:
        """Number of terminal states (objects). Raises as :attr:`num_states` does."""
        return self.declared_num_terminal_states or len(self._enumerated().terminal)

    def has_at_most(self, num_states: int) -> bool:
        """True if there are at most ``num_states`` states and they fit in memory; enumerates no more than needed."""
        if self.declared_num_states:
            return self.declared_num_states <= num_states and enumeration.is_listable(self, self.declared_num_states)
        if "_enumeration" not in self.__dict__ and self.__dict__.get("_more_states_than", -1) >= num_states:
            return False
        try:
            return bool(self._enumerated(num_states).offsets[-1] <= num_states)
        except EnumerationError:
            self.__dict__["_more_states_than"] = num_states
            return False

    def enumerate(self, limit: int | None = None) -> None:
        """Enumerate all states now, instead of at the first use of the methods below.

        ``gfn_envs.enumeration`` logs the start and end at level INFO, and long waits as warnings.

        Args:
            limit: the maximum number of states, in place of as many as fit in ``ENUMERATION_BYTES`` (see
                enumeration.py).

        Raises:
            EnumerationError: there are more states. The message gives the number found so far.
            ValueError: ``limit`` is not an integer >= 1.
        """
        if limit is not None:
            self.__dict__["_state_limit"] = positive_int("limit", limit, type(self).__name__)
            self.__dict__.pop("_more_states_than", None)
        self._enumerated()

    def levels(self) -> Iterator[IntArray]:
        """All states in topological order: level ``t`` holds the states whose longest path from s0 has length ``t``.

        Raises:
            EnumerationError: there are too many states (see :meth:`enumerate`).
        """
        listed = self._enumerated()
        yield from map(listed.level, range(len(listed.offsets) - 1))

    def terminal_states(self) -> IntArray:
        """All terminal states, shape (num_terminal_states, state_width), in topological order."""
        return self._enumerated().terminal_states()

    def terminal_positions(self) -> IntArray:
        """Position of each of :meth:`terminal_states` in the concatenation of :meth:`levels`, int64, read-only."""
        return self._enumerated().terminal

    def state_index(self, states: IntArray) -> IntArray:
        """Position of each state in the concatenation of :meth:`levels`, int64 (n,).

        Raises:
            KeyError: a row is not a reachable state.
            ValueError: the rows have another width.
        """
        position, found = self._enumerated().position(states)
        if not found.all():
            raise KeyError(f"{type(self).__name__}: {states[np.argmin(found)].tolist()} is not a reachable state")
        return position

    def terminal_index(self, states: IntArray) -> IntArray:
        """Position of each terminal state in :meth:`terminal_states`, int64 (n,).

        Raises:
            KeyError: a row is not a terminal state.
            ValueError: the rows have another width.
        """
        terminal = self._enumerated().terminal
        rank = np.searchsorted(terminal, index := self.state_index(states))
        known = terminal[np.minimum(rank, len(terminal) - 1)] == index
        if not known.all():
            raise KeyError(f"{type(self).__name__}: {states[np.argmin(known)].tolist()} is not a terminal state")
        return rank

    def _enumerated(self, max_states: int | None = None) -> enumeration.Enumeration | ClosedEnumeration:
        """Every state, enumerated at first use; raises EnumerationError if there are more than ``max_states``."""
        cached: enumeration.Enumeration | ClosedEnumeration | None = self.__dict__.get("_enumeration")
        if cached is None:
            if self.declared_num_states:
                enumeration.check_enumerable(self, self.declared_num_states, max_states)
            if (levels := enumeration.closed_form(self)) is not None:
                cached = ClosedEnumeration(self, levels)
            else:
                cached = enumeration.enumerate_states(self, self._breadth_first(max_states))
            self.__dict__["_enumeration"] = cached
        return cached

    def _breadth_first(self, max_states: int | None) -> list[IntArray]:
        """The states of each level. A DAG whose levels are known in advance can override it."""
        return enumeration.breadth_first(self, max_states)

    def __repr__(self) -> str:
        arguments = ", ".join(f"{k}={v!r}" for k, v in self.arguments.items())
        return f"{type(self).__name__}({arguments})"
