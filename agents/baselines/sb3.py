"""Agents of Stable-Baselines3 with our command line, metrics and checkpoints. The library is imported at first use.

In an iteration, the library steps ``batch_size`` environments ``num_steps`` times through
:class:`agents.interop.sb3.SB3VecEnv` and learns from the result. Checkpoints hold tensors, not the library's archive,
which contains a pickle. The library uses global random streams. Each iteration seeds them from the agent's generator
and restores them afterwards, so that a resumed run equals an uninterrupted one.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from agents.agent import Agent
from agents.config import Config, checked_widths, require, require_at_least
from agents.policies.policy import Head, Heads, Policy
from agents.schedules import Schedule
from gfn_envs.arrays import IntArray
from gfn_envs.dag import Dag
from gfn_envs.gym import GFNVectorEnv

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
        """Seed the global random streams from the agent's generator, and restore them at the end."""
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
        """
        illegal, steps = self.env.num_illegal_actions, self.config.num_steps * self.config.batch_size
        lr = self.config.lr(self.iteration)
        self.model.lr_schedule = lambda _: lr
        self.prepare()
        with self.seeded():
            self.model.learn(steps, reset_num_timesteps=False, log_interval=10**9)
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

    def state_dict(self) -> dict[str, Any]:
        return super().state_dict() | {
            "model_optimizer": self.model.policy.optimizer.state_dict(),
            "states": torch.from_numpy(self.env.envs.states.copy()),
            "episode_starts": torch.from_numpy(np.array(self.model._last_episode_starts)),
            "counters": {name: int(getattr(self.model, name)) for name in self.counters},
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        super().load_state_dict(state)
        self.model.policy.optimizer.load_state_dict(state["model_optimizer"])
        envs = self.env.envs
        envs.states = state["states"].cpu().numpy().copy()
        envs._mask = self.dag.forward_mask(envs.states)
        self.model._last_obs = self.dag.encode(envs.states)
        self.model._last_episode_starts = state["episode_starts"].cpu().numpy().copy()
        for name, value in state["counters"].items():
            setattr(self.model, name, value)


@dataclass(frozen=True)
class SB3PPOConfig(SB3Config):
    """Settings of sb3-ppo."""

    minibatch_size: int = 256
    """Steps per minibatch."""
    epochs: int = 4
    """Passes over the steps of an iteration."""
    entropy_bonus: float = 0.01
    """Weight of the entropy of the policy."""


class SB3PPO(SB3Agent):
    """MaskablePPO of sb3-contrib on the native vector environment."""

    name = "sb3-ppo"
    paper = "Schulman et al. 2017; Huang and Ontañón 2022"
    config_class = SB3PPOConfig

    def make_model(self) -> Any:
        from sb3_contrib import MaskablePPO

        return MaskablePPO(
            **self.arguments(),
            n_steps=self.config.num_steps,
            batch_size=min(self.config.minibatch_size, self.config.num_steps * self.config.batch_size),
            n_epochs=self.config.epochs,
            ent_coef=self.config.entropy_bonus,
        )


@dataclass(frozen=True)
class SB3A2CConfig(SB3Config):
    """Settings of sb3-a2c."""

    num_steps: int = 8
    """Steps per environment and iteration."""
    entropy_bonus: float = 0.01
    """Weight of the entropy of the policy."""
    illegal_reward: float = -10.0
    """Reward of an illegal action, which ends the episode: this agent is trained without masks."""


class SB3A2C(SB3Agent):
    """A2C of Stable-Baselines3, trained without masks: illegal actions are penalized."""

    name = "sb3-a2c"
    paper = "Mnih et al. 2016"
    config_class = SB3A2CConfig

    def make_model(self) -> Any:
        from stable_baselines3 import A2C

        return A2C(**self.arguments(), n_steps=self.config.num_steps, ent_coef=self.config.entropy_bonus)


@dataclass(frozen=True)
class SB3DQNConfig(SB3Config):
    """Settings of sb3-dqn."""

    num_steps: int = 4
    """Steps per environment and iteration."""
    epsilon: Schedule = Schedule(1.0, 0.05, 1000)
    """Probability, at each step, of a uniformly random action: a number or start,end,steps."""
    illegal_reward: float = -10.0
    """Reward of an illegal action, which ends the episode: this agent is trained without masks."""
    gradient_steps: int = 4
    """Gradient steps per iteration."""
    minibatch_size: int = 128
    """Transitions per gradient step."""
    buffer_size: int = 50_000
    """Capacity of the replay buffer, in transitions."""
    target_update_interval: int = 1000
    """Transitions between updates of the target network."""

    def __post_init__(self) -> None:
        super().__post_init__()
        require_at_least(self, 1, "gradient_steps", "minibatch_size", "buffer_size", "target_update_interval")
        low, high = sorted((self.epsilon.start, self.epsilon.end))
        require(0 <= low <= high <= 1, "epsilon must lie in [0, 1]", self.epsilon)


class SB3DQN(SB3Agent):
    """DQN of Stable-Baselines3, trained without masks; its policy is the best legal action."""

    name = "sb3-dqn"
    paper = "Mnih et al. 2015"
    config_class = SB3DQNConfig
    counters = (*SB3Agent.counters, "_n_calls")
    greedy = True

    def make_model(self) -> Any:
        from stable_baselines3 import DQN

        return DQN(
            **self.arguments(),
            buffer_size=self.config.buffer_size,
            learning_starts=0,
            batch_size=self.config.minibatch_size,
            train_freq=self.config.num_steps,
            gradient_steps=self.config.gradient_steps,
            target_update_interval=self.config.target_update_interval,
        )

    def prepare(self) -> None:
        epsilon = self.config.epsilon(self.iteration)
        self.model.exploration_schedule = lambda _: epsilon
        self.model.exploration_rate = epsilon

    def state_dict(self) -> dict[str, Any]:
        buffer = self.model.replay_buffer
        size = buffer.buffer_size if buffer.full else buffer.pos
        arrays = {name: torch.from_numpy(getattr(buffer, name)[:size].copy()) for name in BUFFER}
        return super().state_dict() | {"buffer": arrays, "buffer_pos": buffer.pos, "buffer_full": buffer.full}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        super().load_state_dict(state)
        buffer = self.model.replay_buffer
        for name, array in state["buffer"].items():
            getattr(buffer, name)[: len(array)] = array.cpu().numpy()
        buffer.pos, buffer.full = state["buffer_pos"], state["buffer_full"]


#: Arrays of the replay buffer of the library.
BUFFER = ("observations", "next_observations", "actions", "rewards", "dones", "timeouts")
