"""GFNEnv: one environment over a Dag."""

from __future__ import annotations

import operator
from typing import Any

import gymnasium
import numpy as np

from gfn_envs.arrays import BoolArray, IntArray, observation_at
from gfn_envs.dag import Dag
from gfn_envs.gym.build import build, checked_render_mode
from gfn_envs.gym.stepper import METADATA


class GFNEnv(gymnasium.Env[Any, Any]):
    """One environment over a Dag.

    ``info["action_mask"]`` is int8 (num_actions,), or bool with ``mask_dtype=bool``, and all 0 after the end.
    ``info["illegal_action"]``, a bool array of shape (), is True if the last action was illegal. The DAG is
    ``.dag``, its :class:`Stepper` is ``.stepper``, the current state row is ``.state``. Illegal or out-of-range actions
    do not raise: they end the episode with reward ``illegal_reward``. Non-integer actions, such as 1.7 or True,
    raise TypeError. ``reset(options={"state": row})`` starts from any non-terminal state.

    With ``conditions`` (:mod:`gfn_envs.conditions`), each episode has a condition, which decides its reward.
    Observations are ``{"condition": numbers, "state": ...}``. ``reset`` draws the condition, or takes
    ``options["condition"]``.

    Args:
        dag: a Dag, or the ``"module:Class"`` of one, which is built from ``kwargs``.
        render_mode: ``"ansi"``, ``"rgb_array"`` or None.
        **kwargs: arguments of :class:`Stepper` (reward_mode, observation, dict_observation, illegal_reward,
            mask_key, observation_key, mask_dtype) and of the Dag class.
    """

    metadata: dict[str, Any] = METADATA

    def __init__(self, dag: str | Dag, render_mode: str | None = None, **kwargs: Any):
        self.render_mode = checked_render_mode(render_mode)
        self.stepper = build(dag, kwargs)
        self.dag = self.stepper.dag
        self.action_space, self.observation_space = self.stepper.action_space, self.stepper.observation_space
        if self.stepper.reward_space is not None:
            self.reward_space, self.reward_dim = self.stepper.reward_space, self.stepper.reward_shape[0]
        self._begin(self.dag.source(1))

    def _begin(self, states: IntArray) -> None:
        self._states, self._mask = states, self.dag.forward_mask(states)
        self._path = [states]

    @property
    def state(self) -> IntArray:
        """A copy of the current state row (state_width,)."""
        return self._states[0].copy()

    def action_masks(self) -> BoolArray:
        """Legal actions, bool (num_actions,)."""
        return self._mask[0].copy()

    def backward_action_masks(self) -> BoolArray:
        """Legal backward actions, bool (num_backward_actions,)."""
        return self.dag.backward_mask(self._states)[0]

    def parents(self) -> list[tuple[Any, int]]:
        """(parent's observation, action from the parent to this state), one pair per legal backward action."""
        return self.stepper.parents(self._states[0])

    def _observe(self, states: IntArray, mask: BoolArray) -> Any:
        return observation_at(self.stepper.observe(states, mask), 0)

    def _info(self, illegal: bool) -> dict[str, Any]:
        return {"action_mask": self.stepper.shown(self._mask[0]), "illegal_action": np.array(illegal)}

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        super().reset(seed=seed)
        # The generator is made at its first use, which costs more than a reset.
        streams = () if self.dag.conditions is None else (self.np_random,)
        self._begin(self.stepper.start(1, options, streams))
        return self._observe(self._states, self._mask), self._info(False)

    def step(self, action: Any) -> tuple[Any, Any, bool, bool, dict[str, Any]]:
        states = self._states
        try:
            if isinstance(action, bool):
                raise TypeError
            action = operator.index(action)  # Unlike int(), it does not truncate floats.
        except TypeError:
            raise TypeError(f"an action must be an integer, got {action!r} of type {type(action).__name__}") from None
        illegal = not (0 <= action < self.dag.num_actions and self._mask[0, action])
        if illegal:
            reward, terminated = self._shown(self.stepper.no_reward(1)[0] + self.stepper.illegal_reward), True
            self._mask = np.zeros_like(self._mask)
        else:
            self._states, self._mask, rewards, ended = self.stepper.apply(states, np.array([action]))
            reward, terminated = self._shown(rewards[0]), bool(ended[0])
        if self.render_mode is not None:
            self._path.append(self._states)
        return self._observe(self._states, self._mask), reward, terminated, False, self._info(illegal)

    def _shown(self, reward: Any) -> Any:
        """A reward as a float, or as float32 (m,)."""
        return reward.astype(np.float32) if self.stepper.reward_shape else float(reward)

    def render(self) -> Any:
        if self.render_mode == "ansi":
            return self.dag.render_text(self._states[0])
        if self.render_mode == "rgb_array":
            return self.dag.render_image(self._states[0], np.concatenate(self._path))
        return None
