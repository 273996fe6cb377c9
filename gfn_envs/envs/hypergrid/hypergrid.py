"""HyperGrid: the benchmark grid of the GFlowNet literature."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from gymnasium import spaces

from gfn_envs import rendering
from gfn_envs.arrays import BoolArray, FloatArray, IntArray, all_columns, log_factorials, one_hot_table
from gfn_envs.border import known_log_rewards
from gfn_envs.closed_levels import ProductLevels, product_levels
from gfn_envs.dag import Dag
from gfn_envs.envs.hypergrid.picture import heat_map
from gfn_envs.envs.hypergrid.rewards import cell_reward, without_modes
from gfn_envs.envs.hypergrid.surfaces import heights, surface_names
from gfn_envs.oracle import Oracle
from gfn_envs.validation import check_size, checked_log_reward, parameters, positive_int, shown

#: Named rewards are tabulated at first use (milliseconds, 2 MB) if the grid has at most this many cells.
TABULATED_CELLS = 2**18


class HyperGrid(Dag):
    r"""Walk from the origin of a grid and stop at a cell; the reward is high near the corners.

    ## Description
    The cells are {0..side-1}^ndim. The walk starts at the origin. Each step increases one coordinate or stops, and the
    object is the cell in which the walk stops. With the standard reward, high rewards lie near the corners and low
    rewards in between, so exploration is hard if R0 is small.

    ## Action Space
    ``Discrete(ndim + 1)``: action i < ndim adds 1 to coordinate i (illegal at side - 1); action ndim stops (legal in
    every cell).

    ## Backward actions
    ``ndim + 1``: backward action i < ndim subtracts 1 from coordinate i (illegal at 0). After the stop, the only legal
    backward action is ndim, which undoes the stop.

    ## Observation Space
    ``MultiDiscrete([side] * ndim)``: the cell. The state row holds the cell and a flag that is 1 after the stop. The
    network features are the ndim * side one-hot coordinates.

    ## Starting State
    The origin.

    ## Rewards
    With a_i = abs(x_i / (side - 1) - 0.5):

    | reward | R(x) | parameters |
    |---|---|---|
    | standard | R0 + R1 prod[a_i > 0.25] + R2 prod[0.3 < a_i < 0.4] | (0.1, 0.5, 2) |
    | easy, hard, niu | the same | (1e-3, 0.5, 2), (1e-4, 1, 3), (1e-2, 0.5, 2) |
    | cosine | R0 + R1 prod[(cos(50 a_i) + 1) phi(5 a_i)] | (0.1, 0.5) |
    | sparse | 1 where all x_i are in {1, side - 2}, plus ``floor`` | 1e-12 |
    | deceptive | R0 + R1 - R1 prod[a_i > 0.1] + R2 prod[0.3 < a_i < 0.4] | (1e-5, 0.1, 2) |
    | bitwise_xor, multiplicative_coprime, | R0 + sum_t w_t [tiers 0..t hold] | R0 1e-3, w (1, 10, 100), |
    | conditional_multiscale | | rules, ``corruption`` (tiers.py) |
    | uniform_random | R0 + R_mode with probability p, by a hash of the cell | (0.1, 2, 0.01) |
    | branin, currin, shubert, beale, or a list of these | their mean, each in [0, 1], in two dimensions | |

    Each of the last four is a component of the reward (``reward_components``), for conditions such as
    ``"preferences:branin,currin"`` (Jain et al. 2023, Multi-Objective GFlowNets).

    Every cell on the way is also an object. The intermediate log reward of a state is therefore log R of its cell, and
    0 at s0 (Pan et al. 2023, Better Training of GFlowNets with Local Credit and Incomplete Trajectories).

    A mode is a cell in which the R2 term is present (sparse: a cell with the term 1; tiered rewards: a cell in which
    every tier holds; uniform_random: R_mode; cosine: none). deceptive is that of Kim et al. 2025 (Adaptive Teachers);
    the tiered rewards, their K rules and corruption are those of torchgfn.

    ## Episode End
    When the stop action is taken, after at most ndim (side - 1) + 1 actions. With ``ends_at_border`` also when a
    coordinate reaches side - 1, so that no cell has two such coordinates (the grids of Kim et al. 2025).

    ## Number of states
    2 side^ndim: each cell before and after the stop. side^ndim objects. With ``ends_at_border``: (side - 1)^ndim +
    ndim (side - 1)^(ndim - 1) objects, and (side - 1)^ndim more states.

    ## Arguments
    * ``ndim``: number of dimensions D, at least 1.
    * ``side``: number of cells along each dimension H, at least 2.
    * ``reward``: a name from the table above, a list of names of objectives, or a callable that maps cells, int64
      (n, ndim), to rewards, float (n,), finite and > 0.
    * ``reward_kwargs``: parameters of a named reward, such as ``{"R0": 1e-4}``.
    * ``ends_at_border``: whether an episode ends when a coordinate reaches side - 1.

    ## References
    Bengio et al. 2021, Flow Network based Generative Models (section 4.1); Malkin et al. 2022; Madan et al. 2023; Niu
    et al. 2024.

    ## Version History
    * v0: initial version.
    """

    feature_bounds = (0.0, 1.0)

    def __init__(
        self,
        ndim: int = 2,
        side: int = 8,
        reward: str | Sequence[str] | Callable[[IntArray], FloatArray] = "standard",
        reward_kwargs: Mapping[str, Any] | None = None,
        ends_at_border: bool = False,
    ):
        self.ndim = positive_int("ndim", ndim, "HyperGrid")
        self.side = positive_int("side", side, "HyperGrid", at_least=2)
        if self.ndim >= 63 or self.side**self.ndim >= 2**63:
            given = f"{shown(self.side)} ** {shown(self.ndim)}"
            raise ValueError(f"HyperGrid: side ** ndim must be below 2**63, got {given}")
        check_size("side", self.ndim * self.side, "HyperGrid")
        if not isinstance(ends_at_border, bool | np.bool_):
            raise ValueError(f"HyperGrid: ends_at_border must be True or False, got {shown(ends_at_border)}")
        self.ends_at_border, self.can_stop_anywhere = bool(ends_at_border), not ends_at_border
        self.arguments = {"ndim": self.ndim, "side": self.side, "reward": reward, "reward_kwargs": reward_kwargs}
        self.arguments |= {"ends_at_border": True} if ends_at_border else {}
        self._objectives = () if callable(reward) else surface_names(reward)
        if isinstance(reward, Oracle):
            reward.serve(self, cell_names)
        kwargs = parameters("reward_kwargs", reward_kwargs, "HyperGrid")
        self._reward, self.reward_floor = cell_reward(reward, kwargs, self.ndim, self.side)
        self.num_actions = self.num_backward_actions = self.state_width = self.ndim + 1
        self.max_length = self.ndim * (self.side - 1 - self.ends_at_border) + 1
        self.state_dtype = np.dtype(np.int16 if self.side < 2**15 else np.int64)
        self.num_features = self.ndim * self.side
        self.num_tokens, self.num_positions = self.side, self.ndim
        self.observation_space = spaces.MultiDiscrete([self.side] * self.ndim)
        self.grid_shape = (self.side,) * self.ndim
        inside = (self.side - self.ends_at_border) ** self.ndim
        border = self.ndim * (self.side - 1) ** (self.ndim - 1) if ends_at_border else 0
        self.declared_num_terminal_states, self.declared_num_states = inside + border, 2 * inside + border
        # The stop action adds 1 to the flag as the others do to a coordinate, so a step adds a unit vector.
        self._unit = np.eye(self.ndim + 1, dtype=self.state_dtype)
        # An action is legal if its entry is below the ceiling, a backward action if it is above the floor. The flag of
        # a row selects the ceiling and the floor.
        stopped = [0] * self.state_width
        self._ceiling = np.array([[self.side - 1] * self.ndim + [1], stopped], dtype=self.state_dtype)
        self._floor = np.array([stopped, [self.side] * self.ndim + [0]], dtype=self.state_dtype)
        # A row times these strides is the position of its cell in _cells(), before or after the stop.
        self._strides = np.append(self.side ** np.arange(self.ndim)[::-1], 0)
        self._log_factorials = log_factorials(self.max_length)

    def wrap_reward(self, wrap: Callable[..., Any]) -> None:
        if callable(reward := self.arguments["reward"]):
            self._reward = without_modes(wrap(reward, True, cell_names))
        else:
            super().wrap_reward(wrap)

    @functools.cached_property
    def num_modes(self) -> int | None:  # type: ignore[override]
        """Number of modes; None if there are none or if the grid has more than 10^6 cells, too many to count."""
        if callable(self.arguments["reward"]) or self.side**self.ndim > 10**6:
            return None
        cells = self._cells()
        return int(self._reward(cells[self._on_border(cells).sum(1) < 2])[1].sum()) or None

    def _cells(self) -> IntArray:
        """Every cell in lexicographic order, int64 (side^ndim, ndim)."""
        return np.indices((self.side,) * self.ndim).reshape(self.ndim, -1).T

    def _on_border(self, cells: IntArray) -> BoolArray:
        """Coordinates that end an episode, bool of the shape of ``cells``."""
        return (cells == self.side - 1) & self.ends_at_border

    # ------------------------------------------------------------------ the contract

    def source(self, n: int) -> IntArray:
        return np.zeros((n, self.state_width), dtype=self.state_dtype)

    def is_terminal(self, states: IntArray) -> BoolArray:
        if self.ends_at_border:
            return states[:, -1].astype(bool) | self._on_border(states[:, :-1]).any(1)
        return states[:, -1].astype(bool)

    def forward_mask(self, states: IntArray) -> BoolArray:
        mask = states < self._ceiling.take(states[:, -1], axis=0)
        return mask & ~self.is_terminal(states)[:, None] if self.ends_at_border else mask

    def backward_mask(self, states: IntArray) -> BoolArray:
        mask = states > self._floor.take(states[:, -1], axis=0)
        if self.ends_at_border:  # The coordinate on the border was the last to change.
            border = self._on_border(states[:, :-1])
            mask[:, :-1] &= border | ~border.any(1, keepdims=True)
        return mask

    def step(self, states: IntArray, actions: IntArray) -> IntArray:
        return states + self._unit.take(actions, axis=0)

    def undo(self, states: IntArray, backward_actions: IntArray) -> IntArray:
        return states - self._unit.take(backward_actions, axis=0)

    def backward_action(self, states: IntArray, actions: IntArray) -> IntArray:
        return np.array(actions, dtype=np.int64)

    def forward_action(self, states: IntArray, backward_actions: IntArray) -> IntArray:
        return np.array(backward_actions, dtype=np.int64)

    def reward(self, cells: IntArray) -> FloatArray:
        """R(x) of cells, int (n, ndim), as float64 (n,)."""
        return np.asarray(self._reward(cells)[0], dtype=np.float64)

    def log_reward(self, states: IntArray) -> FloatArray:
        if self._log_reward_table is not None:
            return self._log_reward_table.take(states @ self._strides)
        return self._log_reward_of(states[:, :-1].astype(np.int64))

    def _log_reward_of(self, cells: IntArray) -> FloatArray:
        return checked_log_reward(self._reward(cells)[0], cells, "HyperGrid", cell_names)

    @functools.cached_property
    def _log_reward_table(self) -> FloatArray | None:
        """log R of every cell; None if the grid is too large or the reward is a callable, which may be slow."""
        if callable(self.arguments["reward"]) or self.side**self.ndim > TABULATED_CELLS:
            return None
        return self._log_reward_of(self._cells())

    @property
    def defines_modes(self) -> bool:
        reward = self.arguments["reward"]
        return reward != "cosine" and not callable(reward) and not self._objectives

    def mode_index(self, states: IntArray) -> IntArray:
        if callable(self.arguments["reward"]):
            return super().mode_index(states)
        cells = states[:, :-1].astype(np.int64)
        return np.where(self._reward(cells)[1], cells @ (self.side ** np.arange(self.ndim)), -1)

    @functools.cached_property
    def _one_hot(self) -> FloatArray:  # The cells of a wide grid may never be encoded.
        check_size(f"the one-hot encoding of side = {self.side:,}", self.side**2, "HyperGrid")
        return one_hot_table(self.side)

    def encode(self, states: IntArray) -> FloatArray:
        return self._one_hot.take(states[:, :-1], axis=0).reshape(len(states), self.num_features)

    def active_features(self, states: IntArray) -> IntArray:
        return states[:, :-1] + self._first_features

    @functools.cached_property
    def _first_features(self) -> IntArray:
        """The feature of cell 0 in each dimension (ndim,)."""
        return np.arange(0, self.num_features, self.side)

    def observe(self, states: IntArray) -> IntArray:
        return states[:, :-1].astype(np.int64)

    # ------------------------------------------------------------------ optional capabilities

    @functools.cached_property
    def closed_levels(self) -> ProductLevels | None:  # type: ignore[override]
        """The level of a state is the sum of its row: one step adds 1 to a coordinate, or to the flag."""
        if self.ends_at_border:
            return None
        return product_levels([*[range(self.side)] * self.ndim, range(2)], self.state_dtype)

    def reward_components(self, states: IntArray) -> dict[str, FloatArray]:
        """The objectives branin, currin, shubert, beale that the reward is the mean of; {} for other rewards."""
        return heights(self._objectives, states[:, :-1], self.side)

    def partial_log_reward(self, states: IntArray) -> FloatArray:
        return np.where(states.any(1), self.log_reward(states), 0.0)

    def contains(self, states: IntArray, objects: IntArray) -> BoolArray:
        contained = all_columns(np.less_equal, states, objects)
        stopped = self.is_terminal(states)
        contained[stopped] = all_columns(np.equal, states[stopped], objects)
        return contained

    #: The coordinates, int64 (n, ndim).
    grid_cells = tokens = observe

    def log_num_paths(self, states: IntArray) -> FloatArray:
        """log of the multinomial coefficient (x_1 + ... + x_D)! / (x_1! ... x_D!), float64 (n,).

        The stop, or the step to the border, is the only edge into its terminal state, and does not change the number.
        """
        cells = states[:, :-1] - self._on_border(states[:, :-1]).astype(np.int64)  # before the last step
        return self._log_factorials[cells.sum(1)] - self._log_factorials[cells].sum(1)

    # ------------------------------------------------------------------ labels and rendering

    def action_label(self, action: int) -> str:
        return "stop" if action == self.ndim else f"+x{action}"

    def object_names(self, states: IntArray) -> list[str]:
        return cell_names(states[:, :-1])

    def render_text(self, state: IntArray) -> str:
        return f"({', '.join(map(str, state[:-1]))}){' stopped' if state[-1] else ''}"

    def render_image(self, state: IntArray, path: IntArray | None = None) -> rendering.Image:
        """A heat map of log R with the path and the cell; one bar per coordinate in more than two dimensions or if only
        training may evaluate rewards."""
        if self.ndim > 2 or self._heat is None:
            return rendering.bars(state[:-1], self.side - 1, rendering.RED if state[-1] else rendering.BLUE)
        visited = np.zeros((0, self.ndim), dtype=np.int64) if path is None else path[:, :-1]
        return heat_map(self._heat, self.side, visited, state[:-1], bool(state[-1]))

    @functools.cached_property
    def _heat(self) -> FloatArray | None:
        """log R of every cell, where it is known, and the least of these elsewhere; None if rewards are expensive."""
        if self.expensive_reward or self.oracle is not None:
            return None
        cells = self._cells()
        states = np.concatenate([cells, np.ones_like(cells[:, :1])], axis=1).astype(self.state_dtype)
        found = known_log_rewards(self, states)
        known = np.isfinite(found)
        return np.where(known, found, found[known].min() if known.any() else 0.0)


def cell_names(cells: IntArray) -> list[str]:
    """Cells (n, ndim) as text, such as ``(3, 0)``."""
    return [f"({', '.join(map(str, cell))})" for cell in cells.tolist()]
