"""Stable-Baselines3: GFNVectorEnv as a VecEnv."""

from __future__ import annotations

from functools import partial
from typing import Any

import gymnasium
import numpy as np
from gymnasium.vector import AutoresetMode
from stable_baselines3.common.vec_env import VecEnv
from stable_baselines3.common.vec_env.base_vec_env import VecEnvIndices, VecEnvStepReturn

from gfn_envs.gym import GFNVectorEnv

#: Methods of a vector environment that return one row per environment.
ROW_METHODS = ("action_masks", "backward_action_masks", "render")


class SB3VecEnv(VecEnv):
    """A :class:`gfn_envs.gym.GFNVectorEnv` as a Stable-Baselines3 VecEnv, stepped as one matrix.

    Observations, rewards and episode ends equal those of ``DummyVecEnv`` over single environments. An environment whose
    episode ends restarts in the same step. The info of that step holds ``terminal_observation``,
    ``TimeLimit.truncated`` (always False) and ``illegal_action``: True if an illegal action ended the episode with
    reward ``illegal_reward``. All other infos are empty. MaskablePPO reads the masks from
    ``env_method("action_masks")``. ``num_illegal_actions`` counts illegal actions since construction.

    Wrap it in ``VecMonitor`` (not ``Monitor``) and ``VecNormalize`` as any VecEnv.
    ``VecMonitor(envs, info_keywords=("illegal_action",))`` logs illegal actions with each episode's return.

    Args:
        envs: a registered id, built with ``num_envs`` and ``kwargs``, or a GFNVectorEnv in autoreset mode SameStep.
        num_envs: number of environments, default 1. Must be None if ``envs`` is a GFNVectorEnv.
        **kwargs: arguments of the environment, such as ``side=8, reward_mode="soft"``.

    Raises:
        TypeError: ``envs`` is neither an id nor a GFNVectorEnv, or a GFNVectorEnv comes with further arguments.
        ValueError: the autoreset mode is not SameStep.
    """

    def __init__(self, envs: str | GFNVectorEnv, num_envs: int | None = None, **kwargs: Any):
        if isinstance(envs, str):
            made: Any = gymnasium.make_vec(envs, num_envs=1 if num_envs is None else num_envs, **kwargs).unwrapped
        elif num_envs is not None or kwargs:
            raise TypeError(f"SB3VecEnv: arguments {num_envs=}, {kwargs} do not apply to ready-made environments")
        else:
            made = envs.unwrapped
        if not isinstance(made, GFNVectorEnv):
            raise TypeError(f"SB3VecEnv needs the id of an environment of gfn_envs or a GFNVectorEnv, got {envs!r}")
        if made.autoreset_mode is not AutoresetMode.SAME_STEP:
            raise ValueError(f"SB3VecEnv needs autoreset_mode='SameStep', got {made.autoreset_mode.value!r}")
        self.envs, self.dag = made, made.dag
        self.num_illegal_actions = 0
        self._actions = np.zeros(made.num_envs, dtype=np.int64)
        super().__init__(made.num_envs, made.single_observation_space, made.single_action_space)

    def reset(self) -> Any:
        observation, _ = self.envs.reset(seed=list(self._seeds))
        for i, options in enumerate(self._options):
            if options:  # environments may start in different states
                only = np.arange(self.num_envs) == i
                observation, _ = self.envs.reset(options={**options, "reset_mask": only})
        self._reset_seeds()
        self._reset_options()
        return observation

    def step_async(self, actions: np.ndarray) -> None:
        actions = np.asarray(actions)
        if actions.dtype.kind not in "iu":
            raise TypeError(f"actions must be integers, got an array of {actions.dtype}")
        self._actions = actions.astype(np.int64)

    def step_wait(self) -> VecEnvStepReturn:
        observation, reward, done, illegal, ended, last = self.envs.step_lean(self._actions)
        # Fresh dictionaries: wrappers and callbacks write into them.
        infos: list[dict[str, Any]] = [{} for _ in range(self.num_envs)]
        for i, last_seen, wrong in zip(ended.tolist(), last, illegal[ended].tolist(), strict=True):
            infos[i] = {"terminal_observation": last_seen, "TimeLimit.truncated": False, "illegal_action": wrong}
        self.num_illegal_actions += int(np.count_nonzero(illegal))
        return observation, reward.astype(np.float32), done, infos

    def close(self) -> None:
        self.envs.close()

    def get_images(self) -> list[Any]:
        if self.render_mode != "rgb_array":
            raise ValueError(f"images need render_mode='rgb_array', got {self.render_mode!r}")
        return list(self.envs.render() or ())

    def get_attr(self, attr_name: str, indices: VecEnvIndices = None) -> list[Any]:
        chosen = list(self._get_indices(indices))
        if attr_name in ROW_METHODS:
            return [partial(self._row, attr_name, i) for i in chosen]
        if attr_name == "state":
            return [self.envs.states[i].copy() for i in chosen]
        single = attr_name in ("action_space", "observation_space")
        return [getattr(self.envs, f"single_{attr_name}" if single else attr_name)] * len(chosen)

    def _row(self, method: str, i: int) -> Any:
        return self.envs.call(method)[i]

    def set_attr(self, attr_name: str, value: Any, indices: VecEnvIndices = None) -> None:
        """Set an attribute of all environments. They are one object, so ``indices`` must cover all, else ValueError."""
        if set(self._get_indices(indices)) != set(range(self.num_envs)):
            raise ValueError(f"set_attr({attr_name!r}): the environments share it; indices must be None, got {indices}")
        setattr(self.envs, attr_name, value)

    def env_method(
        self, method_name: str, *method_args: Any, indices: VecEnvIndices = None, **method_kwargs: Any
    ) -> list[Any]:
        if method_name not in ROW_METHODS:
            raise AttributeError(f"SB3VecEnv.env_method: {method_name!r} is not one of {ROW_METHODS}")
        rows = self.envs.call(method_name, *method_args, **method_kwargs)
        return list(rows) if indices is None else [rows[i] for i in self._get_indices(indices)]

    def env_is_wrapped(self, wrapper_class: Any, indices: VecEnvIndices = None) -> list[bool]:
        return [False for _ in self._get_indices(indices)]
