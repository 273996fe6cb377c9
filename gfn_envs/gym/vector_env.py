"""GFNVectorEnv: many environments over one Dag, stepped as one matrix of states."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from gymnasium.utils.seeding import np_random
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space

from gfn_envs.arrays import BoolArray, FloatArray, IntArray, observation_at
from gfn_envs.dag import Dag
from gfn_envs.gym.build import build, checked_autoreset_mode, checked_render_mode
from gfn_envs.gym.stepper import METADATA
from gfn_envs.validation import positive_int


class GFNVectorEnv(VectorEnv[Any, Any, Any]):
    """``num_envs`` environments over one Dag, stepped as one matrix of states.

    The infos are those of :class:`GFNEnv`, batched as in Gymnasium's vector environments. In autoreset mode "SameStep",
    the last observation and info of an episode are in ``final_obs`` and ``final_info``; illegal actions are in
    ``info["final_info"]["illegal_action"]``, in the other modes in ``info["illegal_action"]``. Actions are integers
    (num_envs,); other dtypes raise TypeError. ``.states`` is the matrix of current state rows, ``.stepper`` the
    :class:`Stepper`.

    Args:
        dag, render_mode, **kwargs: as for :class:`GFNEnv`.
        num_envs: number of environments, at least 1.
        autoreset_mode: a member of ``gymnasium.vector.AutoresetMode``, or its value: "SameStep" (default), "NextStep"
            or "Disabled". With "Disabled", ``reset(options={"reset_mask": bool (num_envs,)})`` resets the selected
            environments.
        max_episode_steps: an episode that has not ended after this many steps is truncated; None: never. Episodes end
            by themselves after at most ``dag.max_length`` steps.
    """

    metadata: dict[str, Any] = METADATA

    def __init__(
        self,
        dag: str | Dag,
        num_envs: int = 1,
        autoreset_mode: str | AutoresetMode = AutoresetMode.SAME_STEP,
        render_mode: str | None = None,
        max_episode_steps: int | None = None,
        **kwargs: Any,
    ):
        positive_int("num_envs", num_envs, "GFNVectorEnv")
        if max_episode_steps is not None:
            positive_int("max_episode_steps", max_episode_steps, "GFNVectorEnv")
        self.max_episode_steps = max_episode_steps
        self.num_envs, self.render_mode = int(num_envs), checked_render_mode(render_mode)
        self.autoreset_mode = checked_autoreset_mode(autoreset_mode)
        self.metadata = {**METADATA, "autoreset_mode": self.autoreset_mode}
        self.stepper = build(dag, kwargs)
        self.dag = self.stepper.dag
        self.single_action_space = self.stepper.action_space
        self.single_observation_space = self.stepper.observation_space
        self.action_space = batch_space(self.single_action_space, self.num_envs)
        self.observation_space = batch_space(self.single_observation_space, self.num_envs)
        self._done = np.zeros(self.num_envs, dtype=bool)
        #: Steps taken in the current episode of each environment.
        self._elapsed = np.zeros(self.num_envs, dtype=np.int64)
        self.states = self.dag.source(self.num_envs)
        self._mask = self.dag.forward_mask(self.states)
        self._first = self.dag.source(1), self._mask[:1].copy()
        #: Random streams of conditions, one per environment; none without conditions.
        self._streams: list[Any] = []
        # States visited in the current episode of each environment, kept only for rendering.
        self._paths: list[list[IntArray]] = [[] for _ in range(self.num_envs if render_mode else 0)]
        if self.render_mode is not None:
            everywhere = np.ones(self.num_envs, dtype=bool)
            self._remember(everywhere, everywhere)

    def action_masks(self) -> BoolArray:
        """Legal actions, bool (num_envs, num_actions)."""
        return self._mask.copy()

    def backward_action_masks(self) -> BoolArray:
        """Legal backward actions, bool (num_envs, num_backward_actions)."""
        return self.dag.backward_mask(self.states)

    def _info(self, mask: BoolArray, illegal: BoolArray, present: BoolArray) -> dict[str, Any]:
        return {
            "action_mask": self.stepper.shown(mask),
            "_action_mask": present.copy(),
            "illegal_action": illegal.copy(),
            "_illegal_action": present.copy(),
        }

    def _restart(self, rows: IntArray, options: dict[str, Any] | None = None) -> None:
        """Begin new episodes at positions ``rows``, all in the same state."""
        state, mask = self._first
        if options is not None or self.dag.conditions is not None:
            state = self._start(rows, options)
            mask = self.dag.forward_mask(state)
        self.states[rows], self._mask[rows] = state, mask

    def _start(self, rows: IntArray, options: dict[str, Any] | None = None) -> IntArray:
        """First states of episodes at positions ``rows``: one for all, or one each with conditions."""
        if self.dag.conditions is None:
            return self.stepper.start(1, options)
        self._seed_streams(None, np.ones(self.num_envs, dtype=bool))  # Nobody may have reset yet.
        return self.stepper.start(len(rows), options, [self._streams[i] for i in rows])

    def reset(
        self, *, seed: int | list[int | None] | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Any, dict[str, Any]]:
        # Without conditions, resets are deterministic; a list of seeds is accepted because SyncVectorEnv accepts one.
        if isinstance(seed, list) and len(seed) != self.num_envs:
            raise ValueError(f"a list of seeds must have one seed per environment ({self.num_envs}), got {seed}")
        super().reset(seed=None if isinstance(seed, list) else seed)
        rows = np.ones(self.num_envs, dtype=bool)
        if options is not None and options.get("reset_mask") is not None:
            rows = self._checked_reset_mask(options["reset_mask"])
        self._seed_streams(seed, rows)
        # New arrays, because callers may hold the old ones.
        self.states, self._mask = self.states.copy(), self._mask.copy()
        self._restart(rows.nonzero()[0], options)
        self._done[rows] = False
        self._elapsed[rows] = 0
        if self.render_mode is not None:
            self._remember(rows, rows)
        observation = self.stepper.observe(self.states, self._mask)
        none_illegal = np.zeros(self.num_envs, dtype=bool)
        return observation, self._info(self._mask & rows[:, None], none_illegal, rows)

    def _seed_streams(self, seed: int | list[int | None] | None, rows: BoolArray) -> None:
        """Seed the generators of conditions, one per environment, as SyncVectorEnv seeds its environments: those where
        ``rows`` is True."""
        if self.dag.conditions is None or (seed is None and self._streams):
            return
        seeds = seed if isinstance(seed, list) else [None if seed is None else seed + i for i in range(self.num_envs)]
        seeds = [new if chosen else None for new, chosen in zip(seeds, rows, strict=True)]
        old = self._streams or [None] * self.num_envs
        pairs = zip(seeds, old, strict=True)
        self._streams = [np_random(new)[0] if new is not None or kept is None else kept for new, kept in pairs]

    def _checked_reset_mask(self, reset_mask: Any) -> BoolArray:
        if not isinstance(reset_mask, np.ndarray) or reset_mask.dtype != np.bool_:
            raise TypeError(f'options["reset_mask"] must be a bool array, got {reset_mask!r}')
        if reset_mask.shape != (self.num_envs,) or not reset_mask.any():
            raise ValueError(
                f'options["reset_mask"] must have shape ({self.num_envs},) and a True value, got {reset_mask}'
            )
        return reset_mask

    def step(
        self, actions: Any
    ) -> tuple[Any, npt.NDArray[np.float64], npt.NDArray[np.bool_], npt.NDArray[np.bool_], dict[str, Any]]:
        actions = np.asarray(actions)
        if actions.dtype != np.int64:
            if actions.dtype.kind not in "iu":
                raise TypeError(f"actions must be integers, got an array of {actions.dtype}")
            actions = actions.astype(np.int64)
        if actions.shape != (self.num_envs,):
            raise ValueError(f"actions must have shape ({self.num_envs},), got {actions.shape}")
        if self.autoreset_mode is AutoresetMode.DISABLED and self._done.any():
            raise ValueError(
                f"environments {np.flatnonzero(self._done).tolist()} have ended: reset them with "
                'options={"reset_mask": ...} before the next step (autoreset is disabled)'
            )
        restart = self._done if self.autoreset_mode is AutoresetMode.NEXT_STEP else np.zeros_like(self._done)
        self.states, self._mask, reward, terminated, illegal = self._step_rows(actions, restart)
        truncated = self._count(restart)
        over = terminated | truncated
        everywhere = np.ones(self.num_envs, dtype=bool)
        info: dict[str, Any] = {}
        began = restart
        if self.autoreset_mode is AutoresetMode.SAME_STEP and over.any():
            began = over
            ended = over.nonzero()[0]
            info = self._final(ended, over, illegal)
            self._restart(ended)
            self._elapsed[ended] = 0
            illegal = np.where(over, False, illegal)
            self._done = np.zeros_like(over)
        else:
            self._done = over
        info.update(self._info(self._mask, illegal, everywhere))
        if self.render_mode is not None:
            self._remember(everywhere, began)
        observation = self.stepper.observe(self.states, self._mask)
        return observation, reward, terminated, truncated, info

    def _count(self, restart: BoolArray) -> BoolArray:
        """Count a step of every environment that did not ``restart``; which are truncated, bool (num_envs,)."""
        if self.max_episode_steps is None:
            return np.zeros(self.num_envs, dtype=bool)
        self._elapsed = np.where(restart, 0, self._elapsed + 1)
        return self._elapsed >= self.max_episode_steps

    def step_lean(
        self, actions: IntArray
    ) -> tuple[Any, npt.NDArray[np.float64], npt.NDArray[np.bool_], npt.NDArray[np.bool_], IntArray, list[Any]]:
        """:meth:`step` without its info, whose arrays cost more than the step itself. For adapters.

        Args:
            actions: int64 (num_envs,).

        Returns:
            ``(observation, reward, terminated, illegal, ended, last)``: the first three as from :meth:`step`,
            ``illegal`` bool (num_envs,), ``ended`` the positions of the episodes that ended, and ``last`` their final
            observations, a list.

        Raises:
            ValueError: the autoreset mode is not SameStep, ``max_episode_steps`` is given, or the actions have another
                shape.
            TypeError: the actions are not an int64 array.
        """
        if self.max_episode_steps is not None:
            raise ValueError(f"step_lean needs max_episode_steps=None, got {self.max_episode_steps}")
        if not isinstance(actions, np.ndarray) or actions.dtype != np.int64:
            raise TypeError(f"actions must be an int64 array, got {getattr(actions, 'dtype', type(actions).__name__)}")
        if self.autoreset_mode is not AutoresetMode.SAME_STEP:
            raise ValueError(f"step_lean needs autoreset_mode='SameStep', got {self.autoreset_mode.value!r}")
        if actions.shape != (self.num_envs,):
            raise ValueError(f"actions must have shape ({self.num_envs},), got {actions.shape}")
        self.states, self._mask, reward, terminated, illegal = self.stepper.advance(self.states, self._mask, actions)
        ended, last = terminated.nonzero()[0], []
        if len(ended):
            last = self._observations_at(ended)
            self._restart(ended)
        if self.render_mode is not None:
            self._remember(np.ones(self.num_envs, dtype=bool), terminated)
        return self.stepper.observe(self.states, self._mask), reward, terminated, illegal, ended, last

    def _step_rows(
        self, actions: IntArray, restart: BoolArray
    ) -> tuple[IntArray, BoolArray, FloatArray, BoolArray, BoolArray]:
        """Begin a new episode in the rows where ``restart`` is True, step all other rows."""
        if not restart.any():
            return self.stepper.advance(self.states, self._mask, actions)
        states, mask = self.states.copy(), self._mask.copy()
        reward, terminated, illegal = (
            self.stepper.no_reward(self.num_envs),
            np.zeros_like(restart),
            np.zeros_like(restart),
        )
        states[restart] = self._start(restart.nonzero()[0])
        mask[restart] = self.dag.forward_mask(states[restart])
        if not restart.all():
            go = ~restart
            states[go], mask[go], reward[go], terminated[go], illegal[go] = self.stepper.advance(
                states[go], mask[go], actions[go]
            )
        return states, mask, reward, terminated, illegal

    def _observations_at(self, rows: IntArray) -> list[Any]:
        """The observations at positions ``rows``, as a list."""
        seen = self.stepper.observe(self.states.take(rows, axis=0), self._mask.take(rows, axis=0))
        return list(seen) if isinstance(seen, np.ndarray) else [observation_at(seen, i) for i in range(len(rows))]

    def _final(self, rows: IntArray, ended: BoolArray, illegal: BoolArray) -> dict[str, Any]:
        """final_obs and final_info of the episodes at positions ``rows``, which ended in this step."""
        final_obs = np.empty(self.num_envs, dtype=object)  # None everywhere
        final_obs[rows] = np.fromiter(self._observations_at(rows), dtype=object, count=len(rows))
        # Masks are reported of ended rows only. They are all zeros unless the episode was truncated.
        mask = self._mask & ended[:, None]
        return {
            "final_obs": final_obs,
            "_final_obs": ended.copy(),
            "final_info": self._info(mask, illegal & ended, ended),
            "_final_info": ended.copy(),
        }

    def render(self) -> tuple[Any, ...] | None:
        if self.render_mode is None:
            return None
        if self.render_mode == "ansi":
            return tuple(self.dag.render_text(state) for state in self.states)
        return tuple(self.dag.render_image(path[-1], np.stack(path)) for path in self._paths)

    def _remember(self, rows: BoolArray, began: BoolArray) -> None:
        """Append the states of ``rows`` to their paths; paths of episodes that ``began`` are cleared first."""
        for i in rows.nonzero()[0]:
            if began[i]:
                self._paths[i] = []
            self._paths[i].append(self.states[i].copy())

    def call(self, name: str, *args: Any, **kwargs: Any) -> tuple[Any, ...]:
        """An attribute or method result of every environment, as ``SyncVectorEnv.call`` returns it."""
        if name == "state":
            return tuple(self.states.copy())
        if name == "parents":
            return tuple(self.stepper.parents(state) for state in self.states)
        if name in ("action_masks", "backward_action_masks", "render"):
            rows = getattr(self, name)(*args, **kwargs)
            return (None,) * self.num_envs if rows is None else tuple(rows)
        value = getattr(self, f"single_{name}" if name in ("action_space", "observation_space") else name)
        return tuple(value(*args, **kwargs) if callable(value) else value for _ in range(self.num_envs))

    def get_attr(self, name: str) -> tuple[Any, ...]:
        return self.call(name)
