"""A policy trained by Stable-Baselines3, under our exact metrics."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import torch
from sb3_contrib.common.maskable.policies import MaskableActorCriticPolicy
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.policies import ActorCriticPolicy
from stable_baselines3.common.vec_env import VecEnv, unwrap_vec_normalize
from stable_baselines3.dqn.policies import DQNPolicy
from torch import Tensor

from agents.agent import Agent
from agents.errors import NoLegalActionError
from agents.evaluation.evaluate import exact_metrics
from gfn_envs.arrays import FloatArray, IntArray
from gfn_envs.dag import Dag
from gfn_envs.exact import ForwardPolicy
from gfn_envs.gym import Transition


def sb3_probabilities(model: BaseAlgorithm, env: VecEnv | None = None, masked: bool = True) -> ForwardPolicy:
    """The policy of ``model`` as a function from states (n, state_width) to P_F, float64 (n, num_actions).

    What ``gfn_envs.exact.terminal_distribution`` takes. The network sees what it saw in training: the observation
    mode of ``env``, and its ``VecNormalize`` if there is one.

    Args:
        model: PPO, A2C, MaskablePPO or another model with an actor-critic policy, or DQN: then the policy is greedy,
            1 on the first of the best legal actions.
        env: where it was trained, a VecEnv over environments of gfn_envs; ``model.get_env()`` by default.
        masked: give the distribution over legal actions. With False it is the policy's own, and the mass that the
            exact terminal distribution then lacks is the probability that an illegal action ends the episode.
            MaskablePPO has only the masked one.

    Raises:
        TypeError: another kind of policy.
        ValueError: no environment, or one with other observations than the model's.
    """
    env = _environment(model, env)
    core, normalizer = _transition(env), unwrap_vec_normalize(env)
    if core.observation_space != model.observation_space:
        raise ValueError(f"the model observes {model.observation_space}, the environment {core.observation_space}")
    masked = masked or isinstance(model.policy, MaskableActorCriticPolicy)

    def probabilities(states: IntArray) -> FloatArray:
        mask = core.dag.forward_mask(states)
        if not mask.any(1).all():
            raise NoLegalActionError(f"state {states[int(np.argmin(mask.any(1)))].tolist()} has no action")
        observation = core.observe(states, mask)
        if normalizer is not None:
            observation = normalizer.normalize_obs(observation)
        model.policy.set_training_mode(False)
        with torch.no_grad():
            scores = action_scores(model, model.policy.obs_to_tensor(observation)[0]).double().cpu().numpy()
        if masked:
            scores = np.where(mask, scores, -np.inf)
        if isinstance(model.policy, DQNPolicy):
            return np.eye(core.dag.num_actions)[scores.argmax(1)]
        weights = np.exp(scores - scores.max(1, keepdims=True))
        return cast(FloatArray, weights / weights.sum(1, keepdims=True))

    return probabilities


def sb3_exact_metrics(model: BaseAlgorithm, env: VecEnv | None = None) -> dict[str, float]:
    """Exact metrics of a model's masked policy, less ``log_z_error``: it estimates no log Z.

    Raises:
        EnumerationError: when the DAG is too large.
    """
    env = _environment(model, env)
    fixed = FixedPolicy(_transition(env).dag, sb3_probabilities(model, env))
    metrics = exact_metrics(cast(Agent, fixed))
    return {name: value for name, value in metrics.items() if name != "log_z_error"}


@dataclass(frozen=True)
class FixedPolicy:
    """As much of an agent as exact metrics look at."""

    dag: Dag
    probabilities: ForwardPolicy
    log_z: float | None = None
    samples_by_policy: bool = True


def _environment(model: BaseAlgorithm, env: VecEnv | None) -> VecEnv:
    env = model.get_env() if env is None else env
    if env is None:
        raise ValueError("the model has no environment (a loaded one has none): give env=")
    return env


def _transition(env: VecEnv) -> Transition:
    """The shared core of environments of gfn_envs, whichever VecEnv they are in."""
    try:
        core = env.get_attr("_core", 0)[0]
    except AttributeError:
        core = None
    if not isinstance(core, Transition):
        raise ValueError(f"expected a VecEnv over environments of gfn_envs, got {env!r}")
    return core


def action_scores(model: BaseAlgorithm, observation: Any) -> Tensor:
    """Unmasked logits, or values Q(s, a), (n, num_actions)."""
    policy = model.policy
    if isinstance(policy, DQNPolicy):
        return policy.q_net(observation)
    if isinstance(policy, (ActorCriticPolicy, MaskableActorCriticPolicy)):
        distribution: Any = policy.get_distribution(observation).distribution  # one Categorical: actions are Discrete
        return distribution.logits
    raise TypeError(f"expected an actor-critic or DQN policy, got {type(policy).__name__}")
