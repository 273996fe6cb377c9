"""Agents of Stable-Baselines3 with our command line, metrics and checkpoints. The library is imported at first use.

In an iteration, the library steps ``batch_size`` environments ``num_steps`` times through
:class:`agents.interop.sb3.SB3VecEnv` and learns from the result. Checkpoints hold tensors, not the library's archive,
which contains a pickle. The library uses global random streams. Each iteration seeds them from the agent's generator
and restores them afterwards, so that a resumed run equals an uninterrupted one.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from agents.agent import Agent
from agents.config import Config
from agents.config_checks import checked_widths, require_at_least
from agents.policies.policy import Head, Heads, Policy
from agents.rollout import rewound_on_error
from agents.schedules import Schedule
from gfn_envs.arrays import IntArray
from gfn_envs.dag import Dag
from gfn_envs.gym import GFNVectorEnv

#: Held by the agent that uses the global random streams.
GLOBAL_STREAMS = threading.RLock()

RewardMode = Literal["reward", "log_reward", "soft"]


@dataclass(frozen=True)
class SB3Config(Config):
    """Settings of agents of Stable-Baselines3. Others have the library's defaults, except the discount, which is 1."""

    batch_size: int = 16
    """Number of environments stepped in parallel."""
    hidden: tuple[int, ...] = (64, 64)
    """Widths of the hidden layers."""
    lr: Schedule = Schedule(1e-3, 1e-3, 1)
    """Learning rate (Adam): a number, or start,end,steps for a linear change."""
    num_steps: int = 64
    """Steps per environment and iteration."""
    reward_mode: RewardMode = "reward"
    """Return to maximize: R(x), log R(x), or log R(x) + log P_B(tau|x) with uniform P_B."""

    def __post_init__(self) -> None:
        super().__post_init__()
        object.__setattr__(self, "hidden", checked_widths("hidden", self.hidden))
        require_at_least(self, 1, "num_steps")
        require_at_least(self, 0, "lr")


class SB3Policy(Policy):
    """The masked policy of a model of Stable-Baselines3: its softmax, or for DQN the best legal action."""

    learns_backward = learns_flow = False

    def __init__(self, dag: Dag, model: Any, greedy: bool) -> None:
        super().__init__()
        self.dag, self.model, self.greedy, self.inputs = dag, model, greedy, dag.encode
        self.network = model.policy

    def forward(self, states: IntArray) -> Heads:
        from agents.interop.sb3_policy import action_scores

        found = action_scores(self.model, self.read(states))
        if self.greedy:
            legal = torch.from_numpy(self.dag.forward_mask(states)).to(found.device)
            best = found.masked_fill(~legal, -torch.inf).argmax(1, keepdim=True)
            found = torch.full_like(found, -torch.inf).scatter(1, best, 0.0)
        return Heads(found, None, None)

    def head(self, head: Head) -> Callable[[IntArray], Tensor]:
        return lambda states: self(states).forward_logits


class SB3Agent(Agent):
    """Base of the agents of Stable-Baselines3. Metrics are those of the policy masked to legal actions."""

    config_class = SB3Config
    config: Any
    #: Counters of the model that later iterations depend on.
    counters: tuple[str, ...] = ("num_timesteps", "_n_updates", "_episode_num")
    greedy = takes_policy = False

    def make_policy(self) -> Policy:
        try:
            import sb3_contrib  # noqa: F401
            from stable_baselines3.common.logger import Logger

            from agents.interop.sb3 import SB3VecEnv
        except ImportError as error:
            raise ImportError(
                f"agent {self.name!r} needs Stable-Baselines3 and sb3-contrib: pip install 'gfn-envs[sb3]'"
            ) from error
        env_arguments = {"reward_mode": self.config.reward_mode, "observation": "features"}
        if hasattr(self.config, "illegal_reward"):
            env_arguments["illegal_reward"] = self.config.illegal_reward
        self.env = SB3VecEnv(GFNVectorEnv(self.dag, num_envs=self.config.batch_size, **env_arguments))
        self.model = self.make_model()
        self.model.set_logger(Logger(None, []))
        with self.seeded():
            self.model._last_obs = self.env.reset()
        self.model._last_episode_starts = np.ones(self.config.batch_size, dtype=bool)
        self.model.ep_info_buffer, self.model.ep_success_buffer = [], []
        return SB3Policy(self.dag, self.model, self.greedy)

    def make_model(self) -> Any:
        """The model on ``self.env``."""
        raise NotImplementedError

    def arguments(self) -> dict[str, Any]:
        """Arguments of all models."""
        return {
            "policy": "MlpPolicy",
            "env": self.env,
            "learning_rate": self.config.lr.start,
            "gamma": 1.0,
            "policy_kwargs": {"net_arch": list(self.config.hidden)},
            "device": self.config.device,
        }

    @contextlib.contextmanager
    def seeded(self) -> Iterator[None]:
        """Seed the global random streams from the agent's generator, and restore them at the end.

        Agents in other threads wait, because the streams are those of the process.
        """
        with GLOBAL_STREAMS, self._seeded():
            yield

    @contextlib.contextmanager
    def _seeded(self) -> Iterator[None]:
        numpy_state = np.random.get_state()  # noqa: NPY002
        seed = int(self.rng.integers(2**31))
        try:
            with torch.random.fork_rng(devices=[]):
                torch.manual_seed(seed)
                np.random.seed(seed)  # noqa: NPY002
                self.env.action_space.seed(seed)
                if hasattr(self, "model"):
                    self.model.action_space.seed(seed)
                yield
        finally:
            np.random.set_state(numpy_state)  # noqa: NPY002

    def update(self) -> dict[str, Any]:
        """One iteration of the library.

        Returns:
            ``loss`` as the library logs it, ``transitions``, and ``illegal_actions`` in this iteration.

        Raises:
            FloatingPointError: the loss became NaN or infinite.
            RewardError: a reward failed. The agent is as it was before the iteration.
        """
        illegal, steps = self.env.num_illegal_actions, self.config.num_steps * self.config.batch_size
        lr = self.config.lr(self.iteration)
        self.model.lr_schedule = lambda _: lr
        self.prepare()
        before = self.collected()
        try:
            with rewound_on_error(self.rng), self.seeded():
                self.model.learn(steps, reset_num_timesteps=False, log_interval=10**9)
        except BaseException:
            self.restore_collected(before)  # Rewards fail while steps are collected, before the library learns.
            raise
        logged = self.model.logger.name_to_value
        names = ["train/loss"] if "train/loss" in logged else ["train/policy_loss", "train/value_loss"]
        loss = float(sum(logged[name] for name in names))
        if not np.isfinite(loss):
            raise FloatingPointError(f"iteration {self.iteration}: the loss is {loss}; try a lower learning rate")
        self.iteration += 1
        return {
            "loss": loss,
            "log_z": None,
            "transitions": steps,
            "illegal_actions": self.env.num_illegal_actions - illegal,
        }

    def prepare(self) -> None:
        """Update settings that change over iterations, other than the learning rate."""

    # ------------------------------------------------------------------ checkpoints

    def __reduce__(self) -> tuple[Any, ...]:
        """Copy by making a new agent and loading the state: the library's models hold tensors with gradients."""
        return type(self), (self.dag, self.config, self.seed), self.state_dict()

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.load_state_dict(state)

    def state_dict(self) -> dict[str, Any]:
        return super().state_dict() | {
            "model_optimizer": self.model.policy.optimizer.state_dict(),
            **self.collected(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        super().load_state_dict(state)
        self.model.policy.optimizer.load_state_dict(state["model_optimizer"])
        self.restore_collected(state)

    def collected(self) -> dict[str, Any]:
        """Snapshot of the environments and of the library's counters."""
        return {
            "states": torch.from_numpy(self.env.envs.states.copy()),
            "episode_starts": torch.from_numpy(np.array(self.model._last_episode_starts)),
            "counters": {name: int(getattr(self.model, name)) for name in self.counters},
        }

    def restore_collected(self, state: dict[str, Any]) -> None:
        """Restore a snapshot of :meth:`collected`."""
        envs = self.env.envs
        envs.states = state["states"].cpu().numpy().copy()
        envs._mask = self.dag.forward_mask(envs.states)
        self.model._last_obs = self.dag.encode(envs.states)
        self.model._last_episode_starts = state["episode_starts"].cpu().numpy().copy()
        for name, value in state["counters"].items():
            setattr(self.model, name, value)
