"""PPO of TorchRL on the vector environment, with its ActionMask transform and MaskedCategorical policy.

Needs the extra "interop": `make test-interop` installs it in a virtual environment, .venv-interop.

python examples/torchrl_ppo.py --env GFN/Bag-v0
"""

from __future__ import annotations

import argparse
import json

import gymnasium as gym
import numpy as np
import torch
from tensordict.nn import TensorDictModule
from torch import nn
from torchrl.envs import ActionMask, ExplorationType, GymWrapper, TransformedEnv
from torchrl.modules import MLP, MaskedCategorical, ProbabilisticActor, ValueOperator
from torchrl.objectives import ClipPPOLoss
from torchrl.objectives.value import GAE
from tqdm import tqdm

import gfn_envs
from gfn_envs import exact


class MaskedLogits(nn.Module):
    """Logits of the observation, and the int8 mask as bool."""

    def __init__(self, num_features: int, num_actions: int):
        super().__init__()
        self.net = MLP(num_features, num_actions, num_cells=[64, 64], activation_class=nn.Tanh)

    def forward(self, observation: torch.Tensor, mask: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        return self.net(observation), mask.bool()


def main(env_id: str, kwargs: dict, num_envs: int, num_steps: int, iterations: int, seed: int) -> None:
    torch.manual_seed(seed)
    envs = gym.make_vec(env_id, num_envs=num_envs, observation="features", dict_observation=True, **kwargs)
    dag = envs.unwrapped.dag
    env = TransformedEnv(GymWrapper(envs, categorical_action_encoding=True), ActionMask())
    network = MaskedLogits(dag.num_features, dag.num_actions)
    actor = ProbabilisticActor(
        TensorDictModule(network, in_keys=["observations", "action_mask"], out_keys=["logits", "mask"]),
        in_keys=["logits", "mask"],
        distribution_class=MaskedCategorical,
        return_log_prob=True,
        default_interaction_type=ExplorationType.RANDOM,  # without it, rollouts take the most likely action
    )
    critic = ValueOperator(
        MLP(dag.num_features, 1, num_cells=[64, 64], activation_class=nn.Tanh), in_keys=["observations"]
    )
    advantage = GAE(gamma=1.0, lmbda=0.95, value_network=critic, average_gae=True)
    loss_module = ClipPPOLoss(actor, critic, entropy_coeff=0.01, loss_critic_type="l2")
    optimizer = torch.optim.Adam(loss_module.parameters(), lr=1e-3)

    progress = tqdm(range(iterations), unit="update")
    for _ in progress:
        with torch.no_grad():
            batch = env.rollout(num_steps, actor, break_when_any_done=False)
        done = batch["next", "done"]
        if done.any():
            progress.set_postfix(mean_reward=f"{batch['next', 'reward'][done].mean():.3f}")
        for _ in range(4):
            with torch.no_grad():
                advantage(batch)
            flat = batch.reshape(-1)
            for rows in torch.randperm(len(flat)).chunk(4):
                losses = loss_module(flat[rows])
                loss = losses["loss_objective"] + losses["loss_critic"] + losses["loss_entropy"]
                optimizer.zero_grad()
                loss.backward()
                nn.utils.clip_grad_norm_(loss_module.parameters(), 0.5)
                optimizer.step()

    def probabilities(states: np.ndarray) -> np.ndarray:
        with torch.no_grad():
            logits = network.net(torch.from_numpy(dag.encode(states))).double()
        mask = torch.from_numpy(dag.forward_mask(states))
        return logits.masked_fill(~mask, -torch.inf).softmax(1).numpy()

    learned, reward = exact.terminal_distribution(dag, probabilities), np.exp(exact.log_rewards(dag))
    target = exact.target_distribution(dag)
    mean, target_mean = learned @ reward, target @ reward
    print(f"exact mean reward {mean:.4f}; under R(x) / Z {target_mean:.4f}, maximum {reward.max():.4f}")
    print(f"exact total variation from R(x) / Z: {exact.total_variation(learned, target):.4f}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--env", default="GFN/HyperGrid-v0", choices=gfn_envs.registered_ids())
    parser.add_argument("--env-kwargs", type=json.loads, default={}, metavar="JSON", help="such as '{\"side\": 4}'")
    parser.add_argument("--num-envs", type=int, default=32)
    parser.add_argument("--num-steps", type=int, default=32, help="steps per environment and iteration")
    parser.add_argument("--iterations", type=int, default=40)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    main(options.env, options.env_kwargs, options.num_envs, options.num_steps, options.iterations, options.seed)
