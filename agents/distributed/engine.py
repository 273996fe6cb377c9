"""An engine that works on a part of each batch. All processes together give the result of one on whole batches."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from agents.distributed.group import Group
from agents.engines.engine import Engine, Learner
from agents.errors import UnsupportedError
from agents.losses.balance import share
from agents.rollout import ON_POLICY, Exploration
from agents.trajectories import Trajectories
from gfn_envs.arrays import FloatArray
from gfn_envs.border import reward_record


def check(learner: Learner, size: int) -> None:
    """Raise UnsupportedError if ``size`` processes cannot share the batches of a learner. The message says why."""
    config, balance = learner.config, learner.balance
    if balance is None:
        _unsupported("an agent with a balance objective, whose loss is a weighted sum over trajectories", learner.name)
    elif balance.centered:
        _unsupported("residuals that do not depend on the mean of the whole batch", f"agent {learner.name!r}")
    loss = getattr(type(learner), "loss", None)
    if loss is not None and not loss.__module__.startswith("agents."):
        _unsupported("the loss that the balance declares", f"its own loss in {learner.name!r}")
    if getattr(learner.dag, "conditions", None) is not None:
        _unsupported("an environment without conditions, which are drawn for the whole batch", repr(learner.dag))
    if getattr(learner.dag, "oracle", None) is not None:
        _unsupported("an environment without an oracle, whose calls one process counts", repr(learner.dag))
    if not learner.backward.in_objective:
        _unsupported("a P_B without a separate loss", f"backward {learner.backward.name!r}")
    if getattr(config, "explorer", "none") != "none":
        _unsupported("no explorer, which works on the whole batch", f"explorer={config.explorer!r}")
    if getattr(config, "local_search", 0):
        _unsupported("no local search, which works on the whole batch", f"local_search={config.local_search}")
    if learner.dag.on_error == "skip":
        _unsupported("a reward for every object (on_error other than 'skip')", repr(learner.dag.on_error))
    if learner.device.type != "cpu":
        _unsupported("device 'cpu'", repr(str(learner.device)))
    if config.batch_size < size:
        _unsupported(f"a batch_size of at least {size}", f"{config.batch_size}")


def _unsupported(what: str, given: str) -> None:
    raise UnsupportedError(f"training on several processes needs {what}, got {given}; use one process")


class OwnNumbers:
    """Draws the random numbers of a whole batch, and returns those of trajectories ``first`` to ``last - 1``.

    It has the generator methods that rollouts call. The second axis of a shape runs over trajectories.

    Args:
        rng: the generator, in the same state in all processes.
        batch: number of trajectories of the batch.
        first, last: the trajectories of this process.

    Attributes:
        draws: number of calls.
    """

    def __init__(self, rng: np.random.Generator, batch: int, first: int, last: int):
        self.rng, self.batch, self.first, self.last = rng, batch, first, last
        self.draws = 0

    def random(self, size: Sequence[int], dtype: Any = np.float64) -> FloatArray:
        """Uniform numbers in [0, 1)."""
        return self._own(self.rng.random, size, dtype)

    def standard_exponential(self, size: Sequence[int], dtype: Any = np.float64) -> FloatArray:
        """Exponentially distributed numbers."""
        return self._own(self.rng.standard_exponential, size, dtype)

    def _own(self, draw: Any, size: Sequence[int], dtype: Any) -> FloatArray:
        steps, n, *rest = size
        if n != self.last - self.first:
            raise ValueError(f"a batch of {self.batch} trajectories is too large to be shared: use smaller batches")
        self.draws += 1
        return np.ascontiguousarray(draw((steps, self.batch, *rest), dtype=dtype)[:, self.first : self.last])


class SharedEngine(Engine):
    """Samples and learns together with the other processes, each on its part of the batch.

    Args:
        inner: the engine that works on this part.
        group: the processes. All call the same methods in the same order.

    Raises:
        UnsupportedError: see :func:`check`.
    """

    name = "shared"

    def __init__(self, inner: Engine, group: Group):
        check(inner.learner, group.size)
        super().__init__(inner.learner)
        self.inner, self.group = inner, group
        self.weight = 1.0
        self.latest: tuple[Trajectories, Trajectories] | None = None

    # ------------------------------------------------------------------ sampling

    def sample(
        self, n: int, rng: np.random.Generator, exploration: Exploration = ON_POLICY, rewards: bool = True
    ) -> Trajectories:
        first, last = self.group.bounds(n)
        numbers, record = OwnNumbers(rng, n, first, last), reward_record(self.learner.dag)
        failed = record.failed
        own = self.inner.sample(last - first, numbers, exploration, rewards)  # type: ignore[arg-type]
        state = json.dumps(rng.bit_generator.state).encode()
        parts = self.group.gather(
            [
                own.states,
                own.actions,
                own.backward_actions,
                own.lengths,
                own.log_reward,
                np.array([numbers.draws, record.failed - failed]),
                np.frombuffer(state, dtype=np.uint8),
            ]
        )
        # A process whose trajectories end earlier draws fewer numbers. The longest trajectory decides, as in one.
        furthest = max(range(len(parts)), key=lambda i: parts[i][5][0])
        rng.bit_generator.state = json.loads(parts[furthest][6].tobytes())
        record.failed = failed + sum(int(part[5][1]) for part in parts)
        states, actions, backward_actions, lengths, log_reward = (
            np.concatenate([part[i] for part in parts]) for i in range(5)
        )
        offsets = np.concatenate([[0], np.cumsum(lengths + 1)])
        batch = Trajectories(states, actions, backward_actions, offsets, log_reward)
        self.latest = batch, own
        return batch

    def log_ratio(self, batch: Trajectories) -> FloatArray:
        if len(batch) < self.group.size:
            return self.inner.log_ratio(batch)
        return self.group.gather_floats(self.inner.log_ratio(self.own_part(batch)))

    # ------------------------------------------------------------------ learning

    def step(self, batch: Trajectories, sampled: Trajectories | None = None) -> float:
        """One gradient step on a batch that all processes hold; returns its loss."""
        balance = self.learner.balance
        assert balance is not None
        if len(batch) < self.group.size:
            own, self.weight = batch, 1 / self.group.size
        else:
            own = self.own_part(batch)
            self.weight = share(balance.pairs, batch.offsets, *self.group.bounds(len(batch)))
        self.inner.combine = self
        try:
            return self.inner.step(own)
        finally:
            self.inner.combine = None

    def own_part(self, batch: Trajectories) -> Trajectories:
        """This process's part of a batch."""
        first, last = self.group.bounds(len(batch))
        if self.latest is not None and self.latest[0].offsets is batch.offsets:
            # The arrays that the inner engine has sampled, about which it may know more. Rewards may be tempered.
            return dataclasses.replace(self.latest[1], log_reward=batch.log_reward[first:last])
        return batch.part(first, last)

    def loss(self, loss: float) -> float:
        """Loss of the whole batch (:class:`agents.engines.engine.Combine`)."""
        return self.group.sum(self.weight * loss)

    def gradients(self, gradients: Sequence[Any]) -> None:
        """Gradients of the whole batch (:class:`agents.engines.engine.Combine`)."""
        parts = [torch.as_tensor(gradient).detach() for gradient in gradients]
        flat = torch.cat([part.reshape(-1) for part in parts]).mul_(self.weight)
        self.group.add(flat)
        for part, whole in zip(parts, flat.split([part.numel() for part in parts]), strict=True):
            part.copy_(whole.view_as(part))
