"""Maximum-entropy RL with ``reward_mode="soft"``, entropy coefficient 1 and discount 1 is a GFlowNet.

First by dynamic programming: the soft-optimal policy ends in x with probability R(x) / Z. If the reward lacks log P_B,
this probability is proportional to n(x) R(x) instead, with n(x) the number of trajectories to x. Then by learning:
tabular soft Q-learning reaches the same distribution from the rewards of a Gymnasium environment (Tiapkin et al. 2024,
Generative Flow Networks as Entropy-Regularized RL).

python examples/soft_rl_equals_gflownet.py
"""

from __future__ import annotations

import argparse

import numpy as np
from tqdm import tqdm

import gfn_envs
from gfn_envs import exact
from gfn_envs.arrays import FloatArray
from gfn_envs.dag import Dag
from gfn_envs.gym import GFNVectorEnv

ENVIRONMENTS = [
    ("GFN/HyperGrid-v0", {"ndim": 2, "side": 8}),
    ("GFN/HyperGrid-v0", {"ndim": 4, "side": 5}),
    ("GFN/BitSequence-v0", {"n": 8, "word_size": 2, "num_modes": 3}),
    ("GFN/BitSequence-v0", {"n": 8, "word_size": 2, "num_modes": 3, "construction": "non_autoregressive"}),
    ("GFN/Bag-v0", {}),
]


def distances(dag: Dag) -> tuple[float, float]:
    """Total variation between the soft-optimal policy and R / Z, with and without log P_B in the reward."""
    target, with_pb = exact.target_distribution(dag), exact.soft_edge_rewards(dag)
    return tuple(
        exact.total_variation(exact.terminal_distribution(dag, exact.soft_optimal_policy(dag, reward)), target)
        for reward in (with_pb, with_pb - exact.uniform_log_pb(dag))
    )  # type: ignore[return-value]


def soft_q_learning(dag: Dag, num_envs: int, steps: int, seed: int) -> FloatArray:
    """Q(s, a) of every state, (num_states, num_actions), from random episodes; -inf if an action is illegal.

    Q(s, a) <- r + log sum_a' exp Q(s', a'), with learning rate 1, because transitions are deterministic.
    """
    envs = GFNVectorEnv(dag, num_envs, reward_mode="soft")
    rng = np.random.default_rng(seed)
    q = np.where(dag.forward_mask(np.concatenate(list(dag.levels()))), 0.0, -np.inf)
    _, info = envs.reset(seed=seed)
    for _ in tqdm(range(steps), desc="soft Q-learning", unit="step"):
        mask, states = info["action_mask"], dag.state_index(envs.states)
        actions = (mask * rng.random(mask.shape)).argmax(1)
        _, rewards, terminated, _, info = envs.step(actions)
        # After the end of an episode the environment is in a new one. The value of its state must not be used.
        value = np.logaddexp.reduce(q[dag.state_index(envs.states)], axis=1)
        q[states, actions] = rewards + np.where(terminated, 0.0, value)
    return q


def main(num_envs: int, steps: int, seed: int) -> None:
    print("total variation between the objects of the soft-optimal policy and R(x) / Z")
    for env_id, kwargs in ENVIRONMENTS:
        dag = gfn_envs.make_dag(env_id, **kwargs)
        with_pb, without = distances(dag)
        print(f"  with log P_B {with_pb:.1e}, without {without:.3f}: {dag!r}")
        if with_pb > 1e-9:
            raise SystemExit(f"{dag!r}: expected at most 1e-9")
    dag = gfn_envs.make_dag("GFN/HyperGrid-v0", ndim=2, side=8)
    q = soft_q_learning(dag, num_envs, steps, seed)
    learned = exact.terminal_distribution(
        dag,
        lambda states: np.exp(
            q[dag.state_index(states)] - np.logaddexp.reduce(q[dag.state_index(states)], axis=1)[:, None]
        ),
    )
    tv = exact.total_variation(learned, exact.target_distribution(dag))
    log_z = np.logaddexp.reduce(q[0])
    print(
        f"learned by soft Q-learning: total variation {tv:.1e}, V(s0) {log_z:.6f}, log Z {exact.log_partition(dag):.6f}"
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--num-envs", type=int, default=64)
    parser.add_argument("--steps", type=int, default=10_000, help="steps of soft Q-learning")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    main(options.num_envs, options.steps, options.seed)
