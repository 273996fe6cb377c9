"""Exact metrics of a policy trained by Stable-Baselines3."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from sb3_contrib.common.maskable.policies import MaskableActorCriticPolicy
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.policies import ActorCriticPolicy
from stable_baselines3.common.vec_env import VecEnv, unwrap_vec_normalize
from stable_baselines3.dqn.policies import DQNPolicy
from torch import Tensor

from agents.errors import NoLegalActionError
from agents.evaluation.evaluate import exact_metrics
from gfn_envs import exact
from gfn_envs.arrays import FloatArray, IntArray
from gfn_envs.exact import ForwardPolicy
from gfn_envs.gym import Stepper


def sb3_probabilities(model: BaseAlgorithm, env: VecEnv | None = None, masked: bool = True) -> ForwardPolicy:
    """The policy of ``model`` as a function from states (n, state_width) to P_F, float64 (n, num_actions).

    ``gfn_envs.exact.terminal_distribution`` takes such a function. The network reads the same observations as in
    training, normalized by the ``VecNormalize`` of ``env`` if there is one.

    Args:
        model: PPO, A2C, MaskablePPO or another model with an actor-critic policy, or DQN. The policy of DQN is greedy:
            probability 1 on the first of the best legal actions.
        env: the training environment, a VecEnv over environments of gfn_envs. Default: ``model.get_env()``.
        masked: restrict the distribution to legal actions. If False, it is the policy's own distribution. The exact
            terminal distribution then sums to less than 1. The missing mass is the probability that an illegal action
            ends the episode. MaskablePPO is always masked.

    Raises:
        TypeError: the model's policy is of another kind.
        ValueError: there is no environment, or its observations differ from the model's.
    """
    env = _environment(model, env)
    stepper, normalizer = _stepper(env), unwrap_vec_normalize(env)
    if stepper.observation_space != model.observation_space:
        raise ValueError(f"the model observes {model.observation_space}, the environment {stepper.observation_space}")
    masked = masked or isinstance(model.policy, MaskableActorCriticPolicy)

    def probabilities(states: IntArray) -> FloatArray:
        mask = stepper.dag.forward_mask(states)
        if not mask.any(1).all():
            raise NoLegalActionError(f"state {states[int(np.argmin(mask.any(1)))].tolist()} has no legal action")
        observation = stepper.observe(states, mask)
        if normalizer is not None:
            observation = normalizer.normalize_obs(observation)
        model.policy.set_training_mode(False)
        with torch.no_grad():
            scores = action_scores(model, model.policy.obs_to_tensor(observation)[0]).double().cpu().numpy()
        if masked:
            scores = np.where(mask, scores, -np.inf)
        if isinstance(model.policy, DQNPolicy):
            return np.eye(stepper.dag.num_actions)[scores.argmax(1)]
        weights = np.exp(scores - scores.max(1, keepdims=True))
        normalized: FloatArray = weights / weights.sum(1, keepdims=True)
        return normalized

    return probabilities


def sb3_exact_metrics(model: BaseAlgorithm, env: VecEnv | None = None) -> dict[str, float]:
    """Exact metrics of a model's masked policy.

    They are those of :func:`agents.evaluation.evaluate.exact_metrics` without ``log_z_error``.

    Raises:
        EnumerationError: the DAG is too large to enumerate.
    """
    env = _environment(model, env)
    dag = _stepper(env).dag
    metrics = exact_metrics(dag, exact.terminal_distribution(dag, sb3_probabilities(model, env)))
    return {name: value for name, value in metrics.items() if name != "log_z_error"}


def _environment(model: BaseAlgorithm, env: VecEnv | None) -> VecEnv:
    env = model.get_env() if env is None else env
    if env is None:
        raise ValueError("the model has no environment, as after loading: pass env=")
    return env


def _stepper(env: VecEnv) -> Stepper:
    """The stepper that environments of gfn_envs share, in any VecEnv."""
    try:
        stepper = env.get_attr("stepper", 0)[0]
    except AttributeError:
        stepper = None
    if not isinstance(stepper, Stepper):
        raise ValueError(f"expected a VecEnv over environments of gfn_envs, got {env!r}")
    return stepper


def action_scores(model: BaseAlgorithm, observation: Any) -> Tensor:
    """Unmasked logits, or values Q(s, a), (n, num_actions)."""
    policy = model.policy
    if isinstance(policy, DQNPolicy):
        return policy.q_net(observation)
    if isinstance(policy, (ActorCriticPolicy, MaskableActorCriticPolicy)):
        distribution: Any = policy.get_distribution(observation).distribution  # one Categorical: actions are Discrete
        return distribution.logits
    raise TypeError(f"expected an actor-critic or DQN policy, got {type(policy).__name__}")
