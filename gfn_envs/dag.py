"""The contract every environment fulfils: a batched, pure directed acyclic graph (DAG) of states.

A batch of states is one integer matrix of shape ``(n, state_width)``; a row is a state and equal states are
equal rows. A concrete environment writes the transitions, the masks, the reward and two encodings; everything
else in this file (parents, children, enumeration, indexing) follows for all of them.
"""

from __future__ import annotations

import abc
import itertools
from collections.abc import Iterator, Mapping
from typing import Any

import gymnasium
import numpy as np
import numpy.typing as npt

from gfn_envs import enumeration
from gfn_envs import networkx_export as graphs
from gfn_envs.arrays import BoolArray, FloatArray, IntArray
from gfn_envs.enumeration import EnumerationError
from gfn_envs.graph_layout import GraphLayout


class Dag(abc.ABC):
    """A batched DAG with one source state ``s0`` and a reward on its terminal states.

    Every method is pure and deterministic: no random numbers, arguments never mutated, fresh arrays returned, and
    each row treated independently of the others. An edge is a pair (state, action): two actions that lead to the
    same child are two edges, and :meth:`backward_action` / :meth:`forward_action` are inverse bijections between
    the forward actions at a state and the backward actions at its children.

    Attributes:
        num_actions: number of forward actions ``A``; where there is a stop action it is the last.
        num_backward_actions: number of backward actions ``B``.
        max_length: the most forward actions in any trajectory, stop included.
        state_width: number of integers in a state row.
        state_dtype: integer dtype of the state rows.
        num_features: width of :meth:`encode`.
        observation_space: the Gymnasium space that one row of :meth:`observe` belongs to.
        num_modes: number of modes of the reward, None where the environment defines none or cannot count them.
        declared_num_states: number of states where a formula gives it, so that it is known without enumeration.
        declared_num_terminal_states: the same for terminal states.
        arguments: the constructor's arguments, for messages and for telling two environments apart.
        can_stop_anywhere: True where the last action is a stop: legal in every state that is not terminal, and the only
            edge into the terminal state it leads to. Modified detailed balance (Deleu et al. 2022) asks for it. False
            claims nothing.
        num_tokens, num_positions: see :meth:`tokens`; None where it is not defined.
        graph_layout: see :meth:`labelled_graphs`; None where it is not defined.
    """

    num_actions: int
    num_backward_actions: int
    max_length: int
    state_width: int
    state_dtype: np.dtype[Any]
    num_features: int
    observation_space: gymnasium.Space[Any]
    num_modes: int | None = None
    declared_num_states: int | None = None
    declared_num_terminal_states: int | None = None
    arguments: Mapping[str, Any] = {}
    can_stop_anywhere: bool = False
    num_tokens: int | None = None
    num_positions: int | None = None
    graph_layout: GraphLayout | None = None

    # ------------------------------------------------------------------ the contract

    @abc.abstractmethod
    def source(self, n: int) -> IntArray:
        """``n`` copies of the source state, shape (n, state_width)."""

    @abc.abstractmethod
    def is_terminal(self, states: IntArray) -> BoolArray:
        """True where a state is a finished object, shape (n,)."""

    @abc.abstractmethod
    def forward_mask(self, states: IntArray) -> BoolArray:
        """Legal forward actions, shape (n, num_actions); all False exactly on terminal states."""

    @abc.abstractmethod
    def backward_mask(self, states: IntArray) -> BoolArray:
        """Legal backward actions, shape (n, num_backward_actions); all False exactly on the source."""

    @abc.abstractmethod
    def step(self, states: IntArray, actions: IntArray) -> IntArray:
        """Children reached by legal forward ``actions`` (n,). Legality is the caller's to check."""

    @abc.abstractmethod
    def undo(self, states: IntArray, backward_actions: IntArray) -> IntArray:
        """Parents reached by legal ``backward_actions`` (n,). Legality is the caller's to check."""

    @abc.abstractmethod
    def backward_action(self, states: IntArray, actions: IntArray) -> IntArray:
        """The backward action (n,) that undoes ``actions`` taken at ``states``."""

    @abc.abstractmethod
    def forward_action(self, states: IntArray, backward_actions: IntArray) -> IntArray:
        """The forward action (n,) that redoes ``backward_actions`` taken at ``states``."""

    @abc.abstractmethod
    def log_reward(self, states: IntArray) -> FloatArray:
        """log R(x) of terminal states, float64 (n,), finite."""

    @abc.abstractmethod
    def encode(self, states: IntArray) -> FloatArray:
        """Default network input, float32 (n, num_features)."""

    @abc.abstractmethod
    def observe(self, states: IntArray) -> Any:
        """What Gymnasium users see, a batch of ``observation_space``."""

    def render_text(self, state: IntArray) -> str:
        """One state, shape (state_width,), as text."""
        return " ".join(map(str, state.tolist()))

    @abc.abstractmethod
    def render_image(self, state: IntArray, path: IntArray | None = None) -> npt.NDArray[np.uint8]:
        """One state, shape (state_width,), as an RGB image of shape (H, W, 3), uint8, of constant size.

        ``path`` (t, state_width) holds the states visited before, for environments that draw them.
        """

    # ------------------------------------------------------------------ optional capabilities

    def partial_log_reward(self, states: IntArray) -> FloatArray:
        """Intermediate log reward of any state (n,): 0 at s0, :meth:`log_reward` on terminal states.

        Raises:
            NotImplementedError: where partial objects have no meaningful value.
        """
        raise NotImplementedError(f"{type(self).__name__} defines no intermediate reward (partial_log_reward)")

    def contains(self, states: IntArray, objects: IntArray) -> BoolArray:
        """True at [i, j] where object j can still be built from state i: a path leads there. Bool (n, m).

        The containment that substructure guides ask for (Shen et al. 2023, section 5).

        Args:
            states: any states (n, state_width).
            objects: terminal states (m, state_width).

        Raises:
            NotImplementedError: where the environment does not define it.
        """
        raise NotImplementedError(f"{type(self).__name__} does not define which objects a state contains (contains)")

    def tokens(self, states: IntArray) -> IntArray:
        """States as sequences for transformers, int64 (n, num_positions), tokens 0..num_tokens - 1.

        Two states that are not terminal have different tokens.

        Raises:
            NotImplementedError: where the environment does not define it.
        """
        raise NotImplementedError(f"{type(self).__name__} does not define states as sequences (tokens)")

    def labelled_graphs(self, states: IntArray) -> IntArray:
        """States as graphs for graph networks, int64 (n, num_nodes, num_nodes), of the sizes in ``graph_layout``.

        Entry [i, i] is the label of node i, 0 where it is absent; [i, j] the relation of node i to node j, 0 where
        there is none. Two states that are not terminal have different graphs.

        Raises:
            NotImplementedError: where the environment does not define it.
        """
        raise NotImplementedError(f"{type(self).__name__} does not define states as graphs (labelled_graphs)")

    def log_num_paths(self, states: IntArray) -> FloatArray:
        """log of the number of trajectories from s0 to each state, as sequences of edges, float64 (n,).

        N(s0) = 1, N(s') = sum over edges s -> s' of N(s). With P_B(s|s') = N(s) / N(s') a GFlowNet has the most entropy
        (Mohammadpour et al. 2024). Computed over all states, once, where the environment gives no formula.

        Raises:
            EnumerationError: no formula, and too many states to enumerate.
            KeyError: no formula, and a row that is not a reachable state.
        """
        counts = self.__dict__.get("_log_path_counts")
        if counts is None:
            counts = self.__dict__["_log_path_counts"] = enumeration.log_path_counts(self)
        return counts[self.state_index(states)]

    def mode_index(self, states: IntArray) -> IntArray:
        """Which mode of the reward each terminal state has found, int64 (n,); -1 where none."""
        return np.full(len(states), -1, dtype=np.int64)

    def action_label(self, action: int) -> str:
        """A short name of a forward action, for people."""
        return str(action)

    # ------------------------------------------------------------------ what follows from it

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
            EnumerationError: when no formula gives the number and the DAG is too large to enumerate.
        """
        return self.declared_num_states or len(self._enumerated().states)

    @property
    def num_terminal_states(self) -> int:
        """Number of terminal states (objects). Raises as :attr:`num_states` does."""
        return self.declared_num_terminal_states or len(self._enumerated().terminal)

    def has_at_most(self, num_states: int) -> bool:
        """Whether there are at most so many states, and they can be listed; no more than that are listed to know."""
        if self.declared_num_states:
            return self.declared_num_states <= num_states and enumeration.is_listable(self, self.declared_num_states)
        if "_enumeration" not in self.__dict__ and self.__dict__.get("_more_states_than", -1) >= num_states:
            return False
        try:
            return len(self._enumerated(num_states).states) <= num_states
        except EnumerationError:
            self.__dict__["_more_states_than"] = num_states
            return False

    def levels(self) -> Iterator[IntArray]:
        """All states in topological order: level ``t`` holds the states whose longest path from s0 has length ``t``.

        Raises:
            EnumerationError: when the states would not fit in ``ENUMERATION_BYTES``.
        """
        states, offsets, *_ = self._enumerated()
        for start, stop in itertools.pairwise(offsets):
            yield states[start:stop]

    def terminal_states(self) -> IntArray:
        """All terminal states, shape (num_terminal_states, state_width), in topological order."""
        listed = self._enumerated()
        return listed.states[listed.terminal]

    def state_index(self, states: IntArray) -> IntArray:
        """Position of each state in the concatenation of :meth:`levels`, int64 (n,).

        Raises:
            KeyError: for a row that is not a reachable state.
        """
        position, found = self._enumerated().position(states)
        if not found.all():
            raise KeyError(f"{type(self).__name__}: {states[np.argmin(found)].tolist()} is not a reachable state")
        return position

    def terminal_index(self, states: IntArray) -> IntArray:
        """Position of each terminal state in :meth:`terminal_states`, int64 (n,). Raises KeyError as state_index."""
        terminal = self._enumerated().terminal
        rank = np.searchsorted(terminal, index := self.state_index(states))
        known = terminal[np.minimum(rank, len(terminal) - 1)] == index
        if not known.all():
            raise KeyError(f"{type(self).__name__}: {states[np.argmin(known)].tolist()} is not a terminal state")
        return rank

    def to_networkx(self, max_states: int = 10_000) -> Any:
        """The state graph as a ``networkx.MultiDiGraph``, with masks, rewards and flows: see networkx_export.py.

        Raises:
            EnumerationError: more than ``max_states`` states.
        """
        return graphs.to_networkx(self, max_states)

    def _enumerated(self, max_states: int | None = None) -> enumeration.Enumeration:
        """Every state, listed at first use; given up where there are more than ``max_states``."""
        cached: enumeration.Enumeration | None = self.__dict__.get("_enumeration")
        if cached is None:
            if self.declared_num_states:
                enumeration.check_enumerable(self, self.declared_num_states)
            levels = self._breadth_first(max_states)
            cached = self.__dict__["_enumeration"] = enumeration.enumerate_states(self, levels)
        return cached

    def _breadth_first(self, max_states: int | None) -> list[IntArray]:
        """The levels, computed; a DAG whose levels are known may override it."""
        return enumeration.breadth_first(self, max_states)

    def __repr__(self) -> str:
        arguments = ", ".join(f"{k}={v!r}" for k, v in self.arguments.items())
        return f"{type(self).__name__}({arguments})"


# ---------------------------------------------------------------------- helpers for environments
