"""Markov chain Monte Carlo on objects."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from agents import rollout
from agents.agent import Agent
from agents.baselines.random import UniformPolicy
from agents.config import Config
from agents.config_checks import require
from agents.local_search import Path, backtrack, log_move, reconstruct, step_range
from agents.policies.policy import Policy
from agents.trajectories import Trajectories
from gfn_envs.arrays import BoolArray, FloatArray, IntArray
from gfn_envs.border import log_rewards
from gfn_envs.dag import Dag


@dataclass(frozen=True)
class MCMCConfig(Config):
    """Settings of Markov chain Monte Carlo."""

    batch_size: int = 16
    """Parallel chains."""
    steps: int | None = None
    """Maximum number of steps that a move undoes; None: half of the longest trajectory, rounded up."""
    min_steps: int = 1
    """Minimum number of steps. The number is uniform between the two. With 1, objects of all lengths are reached."""
    rounds: int = 1
    """Moves of each chain per iteration. Its state is recorded after the last."""
    temperatures: tuple[float, ...] = (1.0,)
    """Parallel tempering: each chain has replicas with target R(x)^(1/T), which swap states with their neighbors
    after each move. The first temperature, 1, is the chain itself. 1 alone is plain Metropolis-Hastings."""
    memory: int = 100_000
    """Maximum number of recorded states. The oldest, such as the initial states, are dropped first."""

    def __post_init__(self) -> None:
        super().__post_init__()
        object.__setattr__(self, "temperatures", tuple(float(t) for t in self.temperatures))
        require(self.steps is None or self.steps >= 1, "steps must be at least 1 or None", self.steps)
        require(self.min_steps >= 1, "min_steps must be at least 1", self.min_steps)
        require(self.rounds >= 1, "rounds must be at least 1", self.rounds)
        require(self.memory >= 1, "memory must be at least 1", self.memory)
        message = "temperatures must be finite and > 0, and the first 1"
        valid = all(0 < t < math.inf for t in self.temperatures)
        require(valid and self.temperatures[:1] == (1.0,), message, self.temperatures)


class MCMC(Agent):
    """Metropolis-Hastings on objects: undo steps by uniform P_B, rebuild uniformly, accept by the exact ratio.

    Nothing is learned. :meth:`sample` draws from the recorded states of the chains, not from a policy.
    ``probabilities`` are those of the uniform policy that rebuilds objects. There is no exact distribution to evaluate:
    metrics use the frequencies of the recorded states.
    """

    name = "mcmc"
    paper = "Hastings 1970; Xie et al. 2021 (MARS)"
    samples_by_policy = takes_policy = False
    config_class = MCMCConfig
    config: MCMCConfig

    def __init__(self, dag: Dag, config: MCMCConfig | None = None, seed: int = 0, policy: Policy | None = None) -> None:
        super().__init__(dag, config, seed, policy)
        half = math.ceil(dag.max_length / 2)
        steps = max(half, self.config.min_steps) if self.config.steps is None else self.config.steps
        self.low, self.high = step_range(dag, steps, self.config.min_steps)
        #: 1 / T of every replica, all replicas of the first temperature first (r,).
        self.inverse_temperature = np.repeat(1 / np.array(self.config.temperatures), self.config.batch_size)
        start = self.sample_proposals(len(self.inverse_temperature))
        #: States of all replicas (r, state_width), and their log R (r,).
        # If rewards failed, fewer trajectories are left than there are replicas.
        again = np.arange(len(self.inverse_temperature)) % len(start)
        self.objects, self.log_reward = start.terminal_states[again], start.log_reward[again]
        self.recorded = self.objects[:0]
        self.record()

    def make_policy(self) -> Policy:
        return UniformPolicy(self.dag)

    def sample_proposals(self, n: int) -> Trajectories:
        """``n`` trajectories of the uniform policy that rebuilds objects."""
        return rollout.sample_forward(self.dag, self.forward_logits(), n, self.rng)

    def record(self) -> None:
        """Record the states of the chains."""
        recorded = np.concatenate([self.recorded, self.objects[: self.config.batch_size]])
        self.recorded = recorded[-self.config.memory :]

    def update(self) -> dict[str, Any]:
        """One iteration: ``rounds`` moves and swaps.

        Returns:
            ``loss``, minus the mean log R of the chains; ``acceptance``, the share of accepted moves of all replicas;
            ``transitions``, steps undone and rebuilt.
        """
        objects, log_reward = self.objects.copy(), self.log_reward.copy()
        try:
            with rollout.rewound_on_error(self.rng):
                accepted, edges = self.move()
        except BaseException:
            self.objects, self.log_reward = objects, log_reward
            raise
        self.record()
        self.iteration += 1
        chains = self.log_reward[: self.config.batch_size]
        return {
            "loss": -float(chains.mean()),
            "log_z": None,
            "transitions": edges,
            "mean_log_reward": float(chains.mean()),
            "acceptance": accepted / (self.config.rounds * len(self.objects)),
        }

    def move(self) -> tuple[int, int]:
        """``rounds`` moves and swaps. Returns the numbers of accepted moves and of steps undone and rebuilt."""
        accepted = edges = 0
        for _ in range(self.config.rounds):
            moved = metropolis_hastings(
                self.dag, self.objects, self.log_reward, self.inverse_temperature, self.low, self.high, self.rng
            )
            self.objects, self.log_reward = moved[:2]
            accepted, edges = accepted + int(moved[2].sum()), edges + moved[3]
            self.swap()
        return accepted, edges

    def swap(self) -> None:
        """Propose swaps of states between replicas of adjacent temperatures, one pair of temperatures at a time."""
        n = self.config.batch_size
        for first in range(0, len(self.objects) - n, n):
            cold, hot = np.arange(first, first + n), np.arange(first + n, first + 2 * n)
            log_ratio = log_swap(
                self.log_reward[cold],
                self.log_reward[hot],
                self.inverse_temperature[cold],
                self.inverse_temperature[hot],
            )
            swapped = -self.rng.standard_exponential(n) < log_ratio
            here = np.concatenate([cold[swapped], hot[swapped]])
            there = np.concatenate([hot[swapped], cold[swapped]])
            self.objects[here], self.log_reward[here] = self.objects[there], self.log_reward[there]

    # ------------------------------------------------------------------ sampling

    def sample(self, n: int, rng: np.random.Generator | None = None) -> IntArray:
        """``n`` of the recorded states of the chains, drawn uniformly with replacement (n, state_width)."""
        return self.recorded[(rng or self.rng).integers(len(self.recorded), size=n)]

    def sample_trajectories(
        self,
        n: int,
        exploration: rollout.Exploration = rollout.ON_POLICY,
        rng: np.random.Generator | None = None,
        rewards: bool = True,
    ) -> Trajectories:
        """Trajectories to objects of :meth:`sample`, by uniform P_B. Without ``rewards``, log R is NaN.

        ``exploration`` has no effect.
        """
        rng = rng or self.rng
        objects = self.sample(n, rng)
        if rewards:
            return rollout.sample_backward(self.dag, objects, None, rng)
        unknown = rollout.sample_backward(self.dag, objects, None, rng, np.zeros(n))
        return dataclasses.replace(unknown, log_reward=np.full(n, np.nan))

    # ------------------------------------------------------------------ checkpoints

    def state_dict(self) -> dict[str, Any]:
        return super().state_dict() | {
            name: torch.from_numpy(getattr(self, name).copy()) for name in ("objects", "log_reward", "recorded")
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        super().load_state_dict(state)
        for name in ("objects", "log_reward", "recorded"):
            setattr(self, name, state[name].numpy().copy())


def metropolis_hastings(
    dag: Dag,
    objects: IntArray,
    log_reward: FloatArray,
    inverse_temperature: FloatArray,
    low: int,
    high: int,
    rng: np.random.Generator,
) -> tuple[IntArray, FloatArray, BoolArray, int]:
    """One independent move of each chain.

    Args:
        dag: the environment.
        objects: states of the chains (n, state_width).
        log_reward: log R of ``objects`` (n,).
        inverse_temperature: 1 / T of each; its target is R^(1/T) (n,).
        low, high: the number of steps to undo is uniform on low..high, or all if there are fewer.
        rng: source of randomness.

    Returns:
        ``(objects, log_reward, accepted, edges)`` after the move; ``edges`` counts the steps undone and rebuilt.
    """
    k = rng.integers(low, high, size=len(objects), endpoint=True)
    states, undone = backtrack(dag, objects, k, None, rng)
    found, built = reconstruct(dag, states, None, rng)
    found_log_reward = log_rewards(dag, found)  # NaN is never accepted.
    at_source: BoolArray = ~np.logical_or.reduce(dag.backward_mask(states), axis=1)
    gain = inverse_temperature * (found_log_reward - log_reward)
    log_ratio = gain + log_proposal_ratio(dag, undone, built, at_source, low, high)
    accepted = -rng.standard_exponential(len(objects)) < log_ratio
    return (
        np.where(accepted[:, None], found, objects),
        np.where(accepted, found_log_reward, log_reward),
        accepted,
        len(undone.rows) + len(built.rows),
    )


def log_proposal_ratio(dag: Dag, undone: Path, built: Path, at_source: BoolArray, low: int, high: int) -> FloatArray:
    """log of q(x', d, r -> x) / q(x, d, r -> x'), float64 (n,): the reverse over the forward proposal.

    The undone and rebuilt paths d and r are part of the move (see :mod:`agents.local_search`); both policies are
    uniform.
    """
    back = log_move(dag, built, undone, at_source, None, None, low, high)
    return back - log_move(dag, undone, built, at_source, None, None, low, high)


def log_swap(cold: FloatArray, hot: FloatArray, inverse_cold: FloatArray, inverse_hot: FloatArray) -> FloatArray:
    """log of the Metropolis ratio of swapping states with log R ``cold`` and ``hot``, (n,) (Geyer 1991)."""
    return (inverse_cold - inverse_hot) * (hot - cold)
