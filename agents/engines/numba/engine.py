"""The engine for small networks on environments that can be enumerated: loops compiled by Numba."""

from __future__ import annotations

from typing import Any, TypeVar

import numpy as np
import scipy.linalg.cython_blas  # noqa: F401 - Numba would load it in a matrix product, on all threads.

from agents.engines.adam import flushed_denormals
from agents.engines.engine import Engine, Learner
from agents.engines.numba import adam, balance, kernels, network
from agents.engines.numba.groups import step_group
from agents.engines.numba.kept import NOTHING, Kept, fingerprint
from agents.engines.numba.network import Evaluated, Layers
from agents.engines.numba.parts import Part, Scratch, bounds, divisible, part_of, same_steps, weighted_sum
from agents.engines.numba.support import check, forward_head, has_steps, layers_of, require
from agents.engines.numba.tables import Tables, checked_index, tables
from agents.engines.numba.views import Views
from agents.errors import NoLegalActionError
from agents.losses.balance import share
from agents.rollout import ON_POLICY, Exploration
from agents.rollout_numbers import first_stops
from agents.threads import map_on_threads, on_working_threads, working_threads
from agents.trajectories import Trajectories, concatenate
from gfn_envs.arrays import BoolArray, FloatArray, IntArray
from gfn_envs.border import log_rewards, partial_log_rewards
from gfn_envs.enumeration import state_graph

T = TypeVar("T")

#: Larger batches are sampled in pieces of this many random numbers.
NUMBERS = 2**22


class NumbaEngine(Engine):
    """Compiled rollouts and gradient steps.

    The kernels work in place on the learner's parameters and moments. Checkpoints therefore equal those of torch, and
    parameters that are changed elsewhere take effect.

    Args:
        learner: an agent with a balance objective, an environment that can be enumerated, and one multi-layer
            perceptron for all heads.

    Raises:
        ValueError: another objective, policy or device, or a P_B with a separate loss.
        EnumerationError: the environment is too large.
    """

    name = "numba"

    def __init__(self, learner: Learner):
        check(learner)
        super().__init__(learner)
        self.views = Views()
        self.scratches = [Scratch(np.full(len(tables(learner.dag).child), -1, np.int32))]
        self.latest: tuple[Trajectories, IntArray] | None = None
        self.kept: list[Kept] = []

    @property
    def tables(self) -> Tables:
        """The transitions of the environment."""
        return tables(self.learner.dag)

    @property
    def heads(self) -> tuple[int, bool]:
        """Number of backward logits, and whether there is a flow head."""
        _, num_backward, flow = self.learner.policy.sizes  # type: ignore[misc]
        return num_backward, bool(flow)

    def arrays(self, policy: Any, name: str = "policy") -> Layers:
        """Weights and biases, in the memory of a policy's parameters."""
        weights, biases = zip(*layers_of(policy), strict=True)
        return self.views.of(f"{name}.weights", weights), self.views.of(f"{name}.biases", biases)

    # ------------------------------------------------------------------ sampling

    @on_working_threads
    def sample(
        self, n: int, rng: np.random.Generator, exploration: Exploration = ON_POLICY, rewards: bool = True
    ) -> Trajectories:
        dag, piece = self.learner.dag, max(1, NUMBERS // self.learner.dag.max_length)
        if n > piece:
            sizes = [min(piece, n - first) for first in range(0, n, piece)]
            return concatenate(*(self.sample(size, rng, exploration, rewards) for size in sizes))
        self.latest, self.kept = None, []  # Their memory will be used for this batch, even if its reward raises.
        u = rng.random((dag.max_length, n), dtype=np.float32)
        explore = rng.random(u.shape, dtype=np.float32) if exploration.epsilon > 0 else u
        stops = first_stops(rng, n, exploration.delay_stop, dag.max_length)
        layers = self.arrays(self.learner.policy)
        head = forward_head(layers[0], dag.num_actions)
        heat = np.float32(exploration.epsilon), np.float32(exploration.temperature)

        def rollout(part: tuple[tuple[int, int], Scratch]) -> tuple[Any, ...]:
            (first, last), scratch = part
            own = np.ascontiguousarray(u[:, first:last])
            other = own if explore is u else np.ascontiguousarray(explore[:, first:last])
            with flushed_denormals():
                found: tuple[Any, ...] = kernels.sample(
                    *(self.tables, *layers, head, own, other, *heat, stops[first:last], scratch.place, scratch.memory)
                )
            scratch.memory = found[-1]
            return found

        rollouts = map_on_threads(rollout, self.with_scratch(self.bounds(n)))
        states = state_graph(dag).states
        for *_, bad, _, _ in rollouts:
            if bad == kernels.TOO_LONG:
                raise NoLegalActionError(f"a trajectory is longer than max_length = {dag.max_length}")
            if bad >= 0:
                raise FloatingPointError(f"the policy gave NaN or infinite logits at state {states[bad].tolist()}")
        index, actions, backward_actions = (np.concatenate([found[i] for found in rollouts]) for i in range(3))
        lengths = np.concatenate([np.diff(found[3]) for found in rollouts])
        offsets = np.concatenate([[0], lengths.cumsum()])
        objects = states.take(index.take(offsets[1:] - 1), axis=0)
        log_reward = log_rewards(dag, objects) if rewards else np.full(n, np.nan)
        batch = Trajectories(states.take(index, axis=0), actions, backward_actions, offsets, log_reward)
        weights = fingerprint(layers[0])
        self.latest, self.kept = (batch, index), [Kept(weights, kept, memory) for *_, kept, memory in rollouts]
        return batch

    def bounds(self, n: int) -> list[tuple[int, int]]:
        """First and last of the trajectories of each part of a batch of n."""
        return bounds(n) if divisible(self.learner) else [(0, n)]

    def with_scratch(self, parts: list[T]) -> list[tuple[T, Scratch]]:
        """Each part with memory of its own."""
        while len(self.scratches) < len(parts):
            self.scratches.append(Scratch(self.scratches[0].place.copy()))
        return list(zip(parts, self.scratches, strict=False))

    def parts(self, batch: Trajectories) -> list[Part]:
        """The parts of a batch, with the hidden layers that are known of its rollout."""
        index, ends = self.index(batch), self.bounds(len(batch))
        known = self.kept if self.latest is not None and self.latest[1] is index else []
        if len(known) != len(ends) or known[0].weights != fingerprint(self.arrays(self.learner.policy)[0]):
            known, self.kept = [NOTHING] * len(ends), []  # Their memory will be used for this batch.
        return [
            part_of(batch, self.tables, index, *own, kept, scratch)
            for (own, scratch), kept in zip(self.with_scratch(ends), known, strict=True)
        ]

    def whole(self, batch: Trajectories) -> Part:
        """A batch as one part, in new memory."""
        return Part(0, len(batch), batch, self.tables, self.index(batch), NOTHING, Scratch(self.scratches[0].place))

    def index(self, batch: Trajectories) -> IntArray:
        """:func:`checked_index` of a batch, cached for the last sample."""
        if self.latest is not None and same_steps(self.latest[0], batch):
            return self.latest[1]
        return checked_index(self.learner.dag, self.tables, batch)

    # ------------------------------------------------------------------ learning

    @on_working_threads
    def step(self, batch: Trajectories, sampled: Trajectories | None = None) -> float:
        """One gradient step on a batch; returns its loss.

        Raises:
            FloatingPointError: the loss is NaN or infinite. Nothing is changed.
            ValueError: another optimizer than Adam or Muon, parameters that are not trained, or an inconsistent batch.
        """
        learner = self.learner
        require(
            has_steps(learner.optimizer), "the optimizer torch.optim.Adam or Muon", type(learner.optimizer).__name__
        )
        parts = self.parts_to_learn(batch)
        weights = [1.0]
        if len(parts) > 1:
            assert learner.balance is not None
            weights = [share(learner.balance.pairs, batch.offsets, part.first, part.last) for part in parts]
        losses, arrays = zip(*map_on_threads(self.loss_and_gradients, parts), strict=True)
        loss = self.finite(sum(weight * loss for weight, loss in zip(weights, losses, strict=True)))
        *gradients, log_z_gradient = weighted_sum(arrays, weights)
        with flushed_denormals(), working_threads(1):  # Steps of Muon are small products.
            if self.combine is not None:
                self.combine.gradients((*gradients, log_z_gradient))
            if learner.config.max_grad_norm is not None:
                adam.clip(tuple(gradients), learner.config.max_grad_norm)
            learner.set_learning_rates()
            networks, *log_z = learner.optimizer.param_groups
            self.kept = []
            step_group(self.views, learner.optimizer, "networks", networks, tuple(gradients))
            for group in log_z:
                step_group(self.views, learner.optimizer, "log_z", group, (log_z_gradient,))
        return float(loss)

    def loss_and_gradients(self, part: Part) -> tuple[float, tuple[FloatArray, ...]]:
        """Loss of a part of a batch, and the gradients of all parameters, with that of log Z last."""
        with flushed_denormals():
            evaluated = self.evaluate(part)
            loss, d_log_probs, d_log_z = self.objective(evaluated, part)
            layers = self.arrays(self.learner.policy)
            gradients = network.gradients(part, layers, *self.heads, evaluated, d_log_probs)
            return loss, (*gradients, np.array([d_log_z], np.float32))

    @on_working_threads
    def log_ratio(self, batch: Trajectories) -> FloatArray:
        def ratio(part: Part) -> FloatArray:
            with flushed_denormals():
                evaluated = self.evaluate(part)
            difference = evaluated.log_pf - evaluated.log_pb.astype(np.float64)
            found: FloatArray = np.add.reduceat(difference, part.batch.edge_offsets[:-1])
            return found

        return np.concatenate(map_on_threads(ratio, self.parts(batch)))

    def evaluate(self, part: Part, policy: Any = None) -> Evaluated:
        """Log-probabilities and log flows of a batch, by the learner's policy or by a target network."""
        if policy is None:
            evaluated = network.evaluate(part, self.arrays(self.learner.policy), *self.heads)
        else:
            evaluated = network.evaluate(part._replace(kept=NOTHING), self.arrays(policy, "target"), *self.heads)
        backward = self.learner.backward
        if backward.learned or backward.name == "uniform":
            return evaluated
        return evaluated._replace(log_pb=backward.log_probs(self.learner.dag, part.batch).astype(np.float32))

    def objective(
        self, evaluated: Evaluated, part: Part
    ) -> tuple[float, tuple[FloatArray, FloatArray, FloatArray], float]:
        """The loss; its derivatives with respect to log P_F, log P_B and log F; and with respect to log Z."""
        learner, batch = self.learner, part.batch
        declared = learner.balance
        assert declared is not None
        log_flow, end_flow = self.log_flow(declared.flow, evaluated, part)
        if declared.partial_reward:
            partial = learner.beta * partial_log_rewards(learner.dag, batch.states)
            partial[batch.last] = 0.0  # log F is log R there already.
            log_flow = log_flow + partial
            end_flow = log_flow
        penalty = balance.penalty_numbers(learner.config.loss, learner.config.clamp_loss)
        loss, mean, d_log_pf, d_log_flow, d_end_flow = balance.balance_loss(
            *(evaluated.log_pf + np.float32(learner.log_odds), evaluated.log_pb, log_flow, end_flow, batch.offsets),
            *(balance.numbers(declared), penalty),
        )
        if learner.target is None:
            d_log_flow = d_log_flow + d_end_flow
        d_log_z, own = 0.0, learner.log_z_parameter is not None
        if declared.flow == "log_z" or (declared.flow == "network" and own):
            d_log_z = float(d_log_flow[batch.offsets[:-1]].sum())
            d_log_flow[batch.offsets[:-1]] = 0.0
        elif declared.centered:
            log_z = learner.log_z_parameter.item()
            loss, d_log_z = loss + (log_z + mean) ** 2, 2 * (log_z + mean)
        learned = d_log_flow if declared.flow in ("network", "stop") else d_log_flow[:0]
        return loss, (d_log_pf, -d_log_pf, learned), d_log_z

    def log_flow(self, source: str, evaluated: Evaluated, part: Part) -> tuple[FloatArray, FloatArray]:
        """log F of the states, float64 (s,), as the first and as the second state of a pair."""
        batch = part.batch
        if source == "network":
            log_flow = evaluated.log_flow.astype(np.float64)
            if self.learner.log_z_parameter is not None:  # log F(s0) is a separate parameter.
                log_flow[batch.offsets[:-1]] = self.learner.log_z_parameter.item()
            return log_flow, log_flow
        if source == "stop":
            log_flow, target = self.stop_flow(evaluated, part), self.learner.target
            if target is None:
                return log_flow, log_flow
            whole = self.whole(batch)._replace(stopped=part.stopped)
            return log_flow, self.stop_flow(self.evaluate(whole, target), whole)
        log_flow = np.zeros(len(batch.states))
        log_flow[batch.last] = batch.log_reward
        if source == "log_z":
            log_flow[batch.offsets[:-1]] = self.learner.log_z_parameter.item()
        return log_flow, log_flow

    def parts_to_learn(self, batch: Trajectories) -> list[Part]:
        """The parts of a batch, with log R of stopping in their states if these are flows. One thread evaluates it."""
        learner, parts = self.learner, self.parts(batch)
        if learner.balance is None or learner.balance.flow != "stop":
            return parts
        ends, inner = batch.offsets, np.ones(len(batch.states), dtype=bool)
        inner[batch.last] = False
        log_reward = np.zeros(len(inner))
        log_reward[inner] = learner.beta * log_rewards(learner.dag, self.stopped(parts, batch, inner))
        return [part._replace(stopped=log_reward[ends[part.first] : ends[part.last]]) for part in parts]

    def stopped(self, parts: list[Part], batch: Trajectories, inner: BoolArray) -> IntArray:
        """The terminal states to which the states in ``inner`` (s,) stop."""
        index = np.concatenate([part.indices for part in parts])
        return state_graph(self.learner.dag).states[self.tables.child[index[inner], -1]]

    def stop_flow(self, evaluated: Evaluated, part: Part) -> FloatArray:
        """log R(s stopped) - log P_F(stop|s) of states that are not terminal, 0 elsewhere, float64 (s,)."""
        inner = ~part.tables.ends[part.indices]
        log_flow = part.stopped.copy()
        log_flow[inner] -= evaluated.outputs[evaluated.row[inner], self.learner.dag.num_actions - 1]
        return log_flow
