"""The compiled engine for environments that are too large to list: tables hold the states of one batch."""

from __future__ import annotations

from typing import Any

import numpy as np

from agents.engines.adam import flushed_denormals
from agents.engines.engine import Engine, Learner
from agents.engines.numba import kernels
from agents.engines.numba.engine import NumbaEngine
from agents.engines.numba.kept import NOTHING, Kept, fingerprint
from agents.engines.numba.parts import Part, Scratch, same_steps
from agents.engines.numba.support import check, forward_head, require
from agents.engines.numba.tables import Tables
from agents.engines.numba.views import Views
from agents.engines.numba.visited import EMPTY, check_actions, features_of, legal_children, tables_of, with_backward
from agents.errors import NoLegalActionError
from agents.rollout import ON_POLICY, Exploration, no_trajectories, packed_of, without_stop
from agents.rollout_numbers import first_stops, uniform_of_steps
from agents.threads import on_working_threads
from agents.trajectories import Trajectories, concatenate
from gfn_envs.arrays import BoolArray, FloatArray, IntArray
from gfn_envs.border import check_once, log_rewards
from gfn_envs.dag import Dag

#: Numbers in the hidden layers, features and masks that a rollout keeps for the gradient step, together.
MOST_KEPT = 2**25
#: Larger batches are sampled in pieces of about this many numbers in features and masks.
PIECE = 2**26


class StepwiseEngine(NumbaEngine):
    """Compiled networks and gradient steps; transitions, masks and features come from the environment, step by step.

    Rollouts keep features, masks and hidden layers for the gradient step on their batch.

    Args:
        learner: an agent with a balance objective and one multi-layer perceptron for all heads.

    Raises:
        ValueError: another objective, policy or device, a P_B with a separate loss, or conditions.
    """

    def __init__(self, learner: Learner):
        check(learner)
        require(learner.dag.conditions is None, "an environment without conditions", repr(learner.dag))
        Engine.__init__(self, learner)
        self.views = Views()
        self.scratches = [Scratch(NOTHING.states)]
        self.sampled: tuple[Trajectories, tuple[float, ...], list[Part]] | None = None
        self.kept: list[Kept] = []

    @property
    def listed(self) -> bool:
        """Whether the first layer adds weights of active features, instead of multiplying all."""
        policy: Any = self.learner.policy
        return bool(policy.inputs == self.learner.dag.active_features)

    # ------------------------------------------------------------------ sampling

    @on_working_threads
    def sample(
        self, n: int, rng: np.random.Generator, exploration: Exploration = ON_POLICY, rewards: bool = True
    ) -> Trajectories:
        dag = self.learner.dag
        piece = max(1, PIECE // (dag.max_length * (dag.num_actions + dag.num_features)))
        if n > piece:
            sizes = [min(piece, n - first) for first in range(0, n, piece)]
            return concatenate(*(self.sample(size, rng, exploration, rewards) for size in sizes))
        check_once(dag)
        self.sampled = None  # Its memory will be used for this batch, even if its reward raises.
        if n == 0:
            return no_trajectories(dag)
        network, heat = self.arrays(self.learner.policy), (exploration.epsilon, exploration.temperature)
        parts = [
            Rollout(dag, self.listed, network, *own, scratch) for own, scratch in self.with_scratch(self.bounds(n))
        ]
        states, rows = dag.start(n, rng), np.arange(n)
        visited, row_lists, actions_taken, indices = [states], [rows], [], []
        stops = first_stops(rng, n, exploration.delay_stop, dag.max_length)
        numbers = uniform_of_steps(rng, n, exploration.epsilon > 0)
        with flushed_denormals():
            while len(rows):
                if len(visited) > dag.max_length:
                    raise NoLegalActionError(f"a trajectory is longer than max_length = {dag.max_length}")
                mask = dag.forward_mask(states)
                allowed = mask
                if exploration.delay_stop > 0:
                    allowed = without_stop(mask, stops[rows] > len(visited))
                u = next(numbers).take(rows, axis=1)
                found = [part.act(states, rows, mask, allowed, u, heat) for part in parts]
                actions, index = (np.concatenate([one[i] for one in found]) for i in range(2))
                self._check(states, allowed, actions)
                states = dag.step(states, actions)
                actions_taken.append(actions)
                indices.append(index)
                visited.append(states)
                row_lists.append(rows)
                going = ~dag.is_terminal(states)
                if not going.all():
                    states, rows = states.compress(going, axis=0), rows.compress(going)
        all_states, offsets, place, edge_rows = packed_of(dag, visited, row_lists, n, backward=False)
        taken, edge = np.concatenate(actions_taken), place[n:] - edge_rows - 1
        actions, backward_actions = np.empty((2, len(edge)), dtype=np.int64)
        actions[edge] = taken
        backward_actions[edge] = dag.backward_action(all_states.take(place[n:] - 1, axis=0), taken)
        log_reward = log_rewards(dag, all_states[offsets[1:] - 1]) if rewards else np.full(n, np.nan)
        batch = Trajectories(all_states, actions, backward_actions, offsets, log_reward)
        if all(part.whole for part in parts):
            index = np.full(len(all_states), -1)
            index[edge + edge_rows] = np.concatenate(indices)  # The states that edges leave.
            made = [part.made(batch, index, self.learner.policy.learns_backward) for part in parts]
            self.sampled = batch, fingerprint(network[0]), made
        return batch

    @staticmethod
    def _check(states: IntArray, allowed: BoolArray, actions: IntArray) -> None:
        """Raise if an action is -1: no legal action, or NaN or infinite logits."""
        if actions.min() >= 0:
            return
        bad = int(actions.argmin())
        if not allowed[bad].any():
            raise NoLegalActionError(f"state {states[bad].tolist()} has no legal action")
        raise FloatingPointError(f"the policy gave NaN or infinite logits at state {states[bad].tolist()}")

    # ------------------------------------------------------------------ learning

    def parts(self, batch: Trajectories) -> list[Part]:
        """The parts of a batch, with what is known of its rollout."""
        weights = fingerprint(self.arrays(self.learner.policy)[0])
        if self.sampled is not None and same_steps(self.sampled[0], batch):
            sampled, known, parts = self.sampled
            if known != weights:  # Other weights will use the memory.
                self.sampled = sampled, (), parts
            kept = [part.kept if known == weights else NOTHING for part in parts]
            rewards = [batch.log_reward[part.first : part.last] for part in parts]
            return [
                part._replace(kept=k, batch=with_rewards(part.batch, r))
                for part, k, r in zip(parts, kept, rewards, strict=True)
            ]
        self.sampled = None  # Its memory will be used for this batch.
        return [
            self.part(batch.part(first, last) if (first, last) != (0, len(batch)) else batch, first, last, scratch)
            for (first, last), scratch in self.with_scratch(self.bounds(len(batch)))
        ]

    def whole(self, batch: Trajectories) -> Part:
        return self.part(batch, 0, len(batch), Scratch(NOTHING.states))

    def part(self, batch: Trajectories, first: int, last: int, scratch: Scratch) -> Part:
        """Trajectories that were not sampled last, as a part.

        Raises:
            ValueError: inconsistent arrays.
        """
        dag = self.learner.dag
        made = tables_of(dag, self.listed, batch.states)
        check_actions(dag, made, batch)
        return Part(first, last, batch, made, np.arange(len(batch.states)), NOTHING, placed(scratch, made))

    def stopped(self, parts: list[Part], batch: Trajectories, inner: BoolArray) -> IntArray:
        states = batch.states[inner]
        return self.learner.dag.step(states, np.full(len(states), self.learner.dag.num_actions - 1))


class Rollout:
    """The states that trajectories ``first`` to ``last - 1`` of a batch visit, and their hidden layers.

    Args:
        dag, listed: the environment, and whether its features are lists of active ones.
        network: weights and biases.
        first, last: the trajectories.
        scratch: memory.
    """

    def __init__(self, dag: Dag, listed: bool, network: tuple[Any, ...], first: int, last: int, scratch: Scratch):
        self.dag, self.listed, self.network = dag, listed, network
        self.first, self.last, self.scratch = first, last, scratch
        self.head = forward_head(network[0], dag.num_actions)
        #: Number of rows, and whether they are all that the trajectories have visited.
        self.used, self.whole = 0, True
        self.states: list[IntArray] = []
        self.child: list[IntArray] = []
        self.features: list[tuple[IntArray, FloatArray]] = []
        width = sum(map(len, network[1][:-1])) + dag.num_actions + dag.num_features
        self.cap = max(last - first, MOST_KEPT // width)

    def act(
        self,
        states: IntArray,
        rows: IntArray,
        mask: BoolArray,
        allowed: BoolArray,
        u: FloatArray,
        heat: tuple[float, float],
    ) -> tuple[IntArray, IntArray]:
        """Actions in the states of this part's trajectories, and their rows; both int64 (m,).

        Args:
            states: those of all unfinished trajectories of the batch (n, state_width).
            rows: their trajectories, ascending (n,).
            mask: legal actions; ``allowed``: those that may be taken now, bool (n, num_actions).
            u: uniform numbers for the action and for exploration (2, n).
            heat: share of random actions, and temperature.
        """
        own, unlimited = slice(*np.searchsorted(rows, (self.first, self.last))), allowed is mask
        states, mask, allowed, u = states[own], mask[own], allowed[own], u[:, own]
        place, child = np.arange(len(states)), legal_children(mask)
        if not len(states):
            return place, place
        may = child if unlimited else legal_children(allowed)
        if self.whole and not self.states:  # All trajectories start in s0.
            states, child, place = states[:1], child[:1], np.zeros_like(place)
        if self.whole and self.used + len(states) > self.cap:  # Forget, rather than take ever more memory.
            self.states, self.child, self.features, self.used, self.whole = [], [], [], 0, False
        features = features_of(self.dag, self.listed, states)
        (weights, biases), scratch, used = self.network, self.scratch, self.used
        scratch.memory = kernels.room(weights, scratch.memory, used, used + len(states))
        step = Tables(may, EMPTY, np.zeros((0, 0), bool), EMPTY[0:0].reshape(-1), np.zeros(0, bool), *features)
        actions = kernels.act(
            *(step, weights, biases, self.head, scratch.memory, used, place, *map(np.ascontiguousarray, u)),
            *(np.float32(heat[0]), np.float32(heat[1])),
        )
        if self.whole:
            self.used += len(states)
            self.states.append(states)
            self.child.append(child)
            self.features.append(features)
        return actions, place + used

    def made(self, batch: Trajectories, index: IntArray, learns_backward: bool) -> Part:
        """The part of a batch. Rows of the terminal states follow those of the others.

        Args:
            index: row of each state of the whole batch in its part, but for the terminal states.
            learns_backward: whether the network evaluates terminal states, too.
        """
        own = batch if (self.first, self.last) == (0, len(batch)) else batch.part(self.first, self.last)
        index = index[batch.offsets[self.first] : batch.offsets[self.last]]
        ends = own.states.take(own.last, axis=0)
        index[own.last] = self.used + np.arange(len(ends))
        features = self.features + ([features_of(self.dag, self.listed, ends)] if learns_backward else [])
        child = [*self.child, np.full((len(ends), self.dag.num_actions), -1, np.int32)]
        states = np.concatenate([*self.states, ends])
        made = with_backward(
            self.dag, states, np.concatenate(child), len(ends), *map(np.concatenate, zip(*features, strict=True))
        )
        kept = Kept((), np.arange(self.used, dtype=np.int32), self.scratch.memory)
        return Part(self.first, self.last, own, made, index, kept, placed(self.scratch, made))


def placed(scratch: Scratch, made: Tables) -> Scratch:
    """Scratch with room for the states of tables."""
    if len(scratch.place) < len(made.ends):
        scratch.place = np.full(len(made.ends), -1, np.int32)
    return scratch


def with_rewards(batch: Trajectories, log_reward: FloatArray) -> Trajectories:
    """A batch with other rewards."""
    return Trajectories(batch.states, batch.actions, batch.backward_actions, batch.offsets, log_reward)
