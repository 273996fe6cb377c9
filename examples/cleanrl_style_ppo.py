"""Masked PPO in one file, in the style of CleanRL, on ``gymnasium.make_vec``.

python examples/cleanrl_style_ppo.py --env-id GFN/HyperGrid-v0 --total-timesteps 60000
"""

from __future__ import annotations

from dataclasses import dataclass

import gymnasium as gym
import numpy as np
import torch
import tyro
from torch import nn
from torch.distributions import Categorical
from tqdm import tqdm

import gfn_envs
from gfn_envs import exact


@dataclass
class Args:
    env_id: str = "GFN/HyperGrid-v0"
    """id of the environment"""
    total_timesteps: int = 60_000
    """total transitions of all environments"""
    num_envs: int = 64
    """environments that step in parallel"""
    num_steps: int = 32
    """steps per environment and update"""
    learning_rate: float = 1e-3
    gamma: float = 1.0
    """discount; a value below 1 would favor short episodes"""
    gae_lambda: float = 0.95
    num_minibatches: int = 4
    update_epochs: int = 4
    clip_coef: float = 0.2
    ent_coef: float = 0.01
    vf_coef: float = 0.5
    max_grad_norm: float = 0.5
    seed: int = 0


class Agent(nn.Module):
    """Actor and critic. Illegal actions have the minimum logit of the dtype."""

    def __init__(self, num_features: int, num_actions: int):
        super().__init__()
        self.critic = nn.Sequential(
            nn.Linear(num_features, 64), nn.Tanh(), nn.Linear(64, 64), nn.Tanh(), nn.Linear(64, 1)
        )
        self.actor = nn.Sequential(
            nn.Linear(num_features, 64), nn.Tanh(), nn.Linear(64, 64), nn.Tanh(), nn.Linear(64, num_actions)
        )

    def value(self, obs):
        return self.critic(obs).squeeze(-1)

    def policy(self, obs, mask):
        logits = self.actor(obs)
        return Categorical(logits=logits.masked_fill(~mask, torch.finfo(logits.dtype).min), validate_args=False)


def main(args: Args) -> None:
    torch.manual_seed(args.seed)
    envs = gym.make_vec(args.env_id, num_envs=args.num_envs, observation="features")
    dag = envs.unwrapped.dag
    agent = Agent(dag.num_features, dag.num_actions)
    optimizer = torch.optim.Adam(agent.parameters(), lr=args.learning_rate, eps=1e-5)

    shape = (args.num_steps, args.num_envs)
    obs, masks = torch.zeros(*shape, dag.num_features), torch.zeros(*shape, dag.num_actions, dtype=torch.bool)
    actions, logprobs = torch.zeros(shape, dtype=torch.long), torch.zeros(shape)
    rewards, dones, values = torch.zeros(shape), torch.zeros(shape), torch.zeros(shape)

    observation, info = envs.reset(seed=args.seed)
    next_obs, next_mask = torch.from_numpy(observation), torch.from_numpy(info["action_mask"]).bool()
    mean_reward = float("nan")
    progress = tqdm(range(max(1, args.total_timesteps // (args.num_steps * args.num_envs))), unit="update")
    for _ in progress:
        for step in range(args.num_steps):
            obs[step], masks[step] = next_obs, next_mask
            with torch.no_grad():
                policy = agent.policy(next_obs, next_mask)
                actions[step] = policy.sample()
                logprobs[step] = policy.log_prob(actions[step])
                values[step] = agent.value(next_obs)
            # If an episode ends, the observation and the mask are those of the next episode.
            observation, reward, terminated, _, info = envs.step(actions[step].numpy())
            rewards[step], dones[step] = torch.from_numpy(reward), torch.from_numpy(terminated)
            next_obs, next_mask = torch.from_numpy(observation), torch.from_numpy(info["action_mask"]).bool()
        if dones.any():
            mean_reward = float(rewards[dones.bool()].mean())
            progress.set_postfix(mean_reward=f"{mean_reward:.3f}")

        # Generalized advantage estimation. Advantages do not cross the end of an episode.
        with torch.no_grad():
            advantages, last, next_value = torch.zeros(shape), torch.zeros(args.num_envs), agent.value(next_obs)
            for t in reversed(range(args.num_steps)):
                continues = 1.0 - dones[t]
                delta = rewards[t] + args.gamma * next_value * continues - values[t]
                advantages[t] = last = delta + args.gamma * args.gae_lambda * continues * last
                next_value = values[t]
            returns = advantages + values

        flat = {
            "obs": obs.flatten(0, 1),
            "mask": masks.flatten(0, 1),
            "action": actions.flatten(),
            "logprob": logprobs.flatten(),
            "advantage": advantages.flatten(),
            "return": returns.flatten(),
        }
        for _ in range(args.update_epochs):
            for rows in torch.randperm(obs.shape[0] * obs.shape[1]).chunk(args.num_minibatches):
                b = {name: tensor[rows] for name, tensor in flat.items()}
                policy = agent.policy(b["obs"], b["mask"])
                ratio = (policy.log_prob(b["action"]) - b["logprob"]).exp()
                advantage = (b["advantage"] - b["advantage"].mean()) / (b["advantage"].std() + 1e-8)
                clipped = ratio.clamp(1 - args.clip_coef, 1 + args.clip_coef)
                pg_loss = -torch.min(advantage * ratio, advantage * clipped).mean()
                v_loss = 0.5 * (agent.value(b["obs"]) - b["return"]).square().mean()
                # Over legal actions only: 0 times the minimum logit is not exactly 0.
                entropy = -(policy.probs * policy.logits.masked_fill(~b["mask"], 0.0)).sum(1).mean()
                loss = pg_loss + args.vf_coef * v_loss - args.ent_coef * entropy
                optimizer.zero_grad()
                loss.backward()
                nn.utils.clip_grad_norm_(agent.parameters(), args.max_grad_norm)
                optimizer.step()

    print(f"mean reward of the last episodes: {mean_reward:.4f}")
    report(agent, dag)


def report(agent: Agent, dag: gfn_envs.Dag) -> None:
    """Print exact figures if the environment can be enumerated."""

    def probabilities(states):
        with torch.no_grad():
            mask = torch.from_numpy(dag.forward_mask(states))
            return agent.policy(torch.from_numpy(dag.encode(states)), mask).probs.double().numpy()

    try:
        learned, target = exact.terminal_distribution(dag, probabilities), exact.target_distribution(dag)
    except gfn_envs.EnumerationError as error:
        print(f"no exact figures: {error}")
        return
    reward = np.exp(exact.log_rewards(dag))
    print(
        f"exact mean reward {learned @ reward:.4f}, maximum {reward.max():.4f} (under R(x) / Z: {target @ reward:.4f})"
    )
    print(f"exact total variation from R(x) / Z: {exact.total_variation(learned, target):.4f}")


if __name__ == "__main__":
    main(tyro.cli(Args))
