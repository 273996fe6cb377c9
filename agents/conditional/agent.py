"""What a conditional agent adds to the class of its objective."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Mapping
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from agents.agent import Agent
from agents.conditional.film import film_policy
from agents.conditional.fixed import FixedPolicy
from agents.conditional.log_z import LogZ
from agents.conditional.settings import ConditionSettings
from agents.config import LogZSettings, NetworkSettings
from agents.engines.torch_engine import TorchEngine
from agents.errors import UnsupportedError
from agents.log_probs import LogProbs
from agents.losses.balance import COMPLETE, Balance, balance_loss, path_sums
from agents.policies.policy import Policy
from agents.tempered_agent import LOG_Z_BATCH, LOG_Z_ERRORS, LOG_Z_NATS
from agents.trajectories import Trajectories
from gfn_envs.arrays import distinct
from gfn_envs.conditions import Conditioned
from gfn_envs.conditions.conditions import ConditionArray

#: Default of ``per_condition`` for objectives that compare trajectories with the same condition.
COMPARED = 4


class Conditional(Agent):
    """An agent on a :class:`gfn_envs.conditions.Conditioned`: its networks see the condition, and log Z depends on it.

    Use :func:`conditional`, which puts it in front of an agent class. :meth:`at` is the agent at one condition, for
    evaluations and samples.
    """

    dag: Conditioned
    #: The class of the agent at one condition.
    plain: ClassVar[type[Agent]]

    def check(self) -> None:
        super().check()
        config, name = self.config, self.name
        if not self.samples_by_policy or not isinstance(config, NetworkSettings):
            raise UnsupportedError(f"agent {name!r} learns no policy, so it has none that depends on conditions")
        if isinstance(config, LogZSettings) and self.balance is None:
            raise UnsupportedError(f"agent {name!r} has one log Z for all conditions; tb, vargrad and subtb have not")
        if getattr(config, "engine", "auto") == "numba":
            raise ValueError("engine 'numba' does not learn with conditions; use engine='torch' or 'auto'")
        centered = self.balance is not None and self.balance.centered
        self.dag.per_condition = config.per_condition or (COMPARED if centered else 1)
        if centered and self.dag.per_condition < 2:
            raise ValueError(f"agent {name!r} compares trajectories: per_condition must be at least 2, got 1")
        if centered and config.replay != "none":
            raise ValueError(
                f"agent {name!r} compares trajectories with the same condition, and replayed objects have different "
                f"ones; replay must be 'none', got {config.replay!r}"
            )

    # ------------------------------------------------------------------ networks

    def make_policy(self) -> Policy:
        by, network = self.config.condition_by, self.config.network
        if by == "concat" and network != "mlp":
            raise ValueError(f"condition_by 'concat' needs network 'mlp', got {network!r}; use 'film'")
        varies = self.dag.conditions.features.num_features > 0
        if by == "film" or (network != "mlp" and varies):
            return film_policy(self.dag, self.config, self.backward.learned, self.learns_flow)
        return super().make_policy()

    def make_modules(self) -> dict[str, nn.Module]:
        features = self.dag.conditions.features
        needed = isinstance(self.config, LogZSettings) and features.num_features
        return super().make_modules() | ({"log_z": LogZ(features)} if needed else {})

    # ------------------------------------------------------------------ log Z

    @property
    def log_z(self) -> None:  # type: ignore[override]
        """None: there is one for each condition, see :meth:`log_z_at`."""
        return None

    def log_z_at(self, conditions: npt.ArrayLike) -> npt.NDArray[np.float64] | None:
        """The agent's estimates of log Z(c) for conditions (n, k), float64 (n,); None if it has none.

        Raises:
            ValueError: a condition is out of range.
        """
        given = self.dag.conditions.checked(conditions)
        found = [self.at(condition).log_z for condition in given]
        return None if None in found else np.array(found, dtype=np.float64)

    def _log_z(self, conditions: ConditionArray) -> Tensor:
        """The learned log Z(c) of conditions (n, k), (n,)."""
        parameter: Tensor = self.log_z_parameter
        if "log_z" not in self.modules:
            return parameter.expand(len(conditions))
        return parameter + self.modules["log_z"](conditions)

    def log_z_of(self, trajectories: Trajectories) -> Tensor | None:
        """log Z(c) of each trajectory (n,); None if it is not learned on its own."""
        return None if self.log_z_parameter is None else self._log_z(self.conditions_of(trajectories))

    def conditions_of(self, trajectories: Trajectories) -> ConditionArray:
        """The condition of each trajectory, float32 (n, k)."""
        return self.dag.conditions_of(trajectories.states[trajectories.offsets[:-1]])

    def track_log_z(self, batch: Trajectories) -> None:
        """As for one condition, with a linear function of the condition in place of a number."""
        learned, parent, i = self.log_z_of(batch), super(), self.iteration
        if learned is None:
            parent.track_log_z(batch)  # type: ignore[misc]
            return
        due = self.beta != 1 or i % (1 << max(0, i.bit_length() - 4)) == 0
        if not getattr(self.config, "track_log_z", False) or len(batch) < LOG_Z_BATCH or not due:
            return
        log_ratio = self.engine.log_ratio(batch) + self.log_odds * batch.lengths
        gaps = batch.log_reward - log_ratio - learned.detach().cpu().double().numpy()
        shift = float(gaps.mean())
        if abs(shift) > max(LOG_Z_NATS, LOG_Z_ERRORS * gaps.std() / np.sqrt(len(gaps))):
            if "log_z" in self.modules:
                shift = self.modules["log_z"].fit(self.conditions_of(batch), gaps)  # type: ignore[operator]
            with torch.no_grad():
                self.log_z_parameter += shift

    # ------------------------------------------------------------------ learning

    def sample_batch(self) -> Trajectories:
        self.dag.share = self.config.condition_range(self.iteration)
        try:
            return super().sample_batch()
        finally:
            self.dag.share = 1.0

    def balance_loss(
        self,
        balance: Balance,
        found: LogProbs,
        trajectories: Trajectories,
        penalty: Callable[[Tensor], Tensor] | None = None,
    ) -> Tensor:
        """As for one condition. A centered objective subtracts the mean residual of each condition."""
        parent: Any = super()
        if not balance.centered:
            return parent.balance_loss(balance, found, trajectories, penalty)
        best = self.best_log_z(found, trajectories)
        log_flow, end_flow = self.log_flow(balance, found, trajectories)  # type: ignore[attr-defined]
        loss, _ = balance_loss(
            *(found.log_pf + self.log_odds, found.log_pb, log_flow, trajectories.offsets),
            *(balance._replace(centered=False), penalty or self.penalty, end_flow, best),  # type: ignore[attr-defined]
        )
        learned = self.log_z_of(trajectories)
        return loss if learned is None else loss + (learned - best.detach()).square().mean()

    def best_log_z(self, found: LogProbs, trajectories: Trajectories) -> Tensor:
        """Mean of log R + log P_B - log P_F over the trajectories with the same condition, (n,)."""
        ratio = found.log_pb - found.log_pf - self.log_odds
        sums = path_sums(ratio, COMPLETE, trajectories.edge_offsets[:-1], trajectories.lengths)
        values = sums + torch.from_numpy(trajectories.log_reward).to(sums)
        unique, group = distinct(self.conditions_of(trajectories).view(np.int32))
        index = torch.from_numpy(group).to(values.device)
        count = torch.from_numpy(np.bincount(group, minlength=len(unique))).to(values)
        means = values.new_zeros(len(unique)).index_add(0, index, values) / count
        return means.index_select(0, index)

    # ------------------------------------------------------------------ one condition

    def at(self, condition: npt.ArrayLike | Mapping[str, float]) -> Agent:
        """This agent at one condition: numbers (k,), or numbers by name.

        It has the current weights, the environment ``self.dag.at(condition)``, and evaluates and samples as an
        unconditional agent. It is not for training.

        Raises:
            ValueError: the condition is out of range. The message gives the ranges.
        """
        numbers = self.dag.conditions.checked(condition)
        fixed = object.__new__(self.plain)
        fixed.__dict__.update(self.__dict__)
        fixed.dag = self.dag.at(numbers)
        fixed.policy = FixedPolicy(self.policy, self.dag, numbers)
        fixed.last_batch, fixed._engine = None, TorchEngine(fixed)
        if self.log_z_parameter is not None:
            with torch.inference_mode():
                fixed.log_z_parameter = self._log_z(numbers)[0]
        return fixed


@functools.cache
def conditional(plain: type[Agent]) -> type[Agent]:
    """The class of conditional agents with the objective of ``plain``. It has the same name."""
    config = dataclasses.make_dataclass(
        plain.config_class.__name__, [], bases=(ConditionSettings, plain.config_class), frozen=True
    )
    config.__doc__ = plain.config_class.__doc__
    body = {"name": plain.name, "plain": plain, "config_class": config, "__doc__": plain.__doc__}
    made = type(plain)(f"Conditional{plain.__name__}", (Conditional, plain), {**body, "__module__": plain.__module__})
    assert issubclass(made, Agent)
    return made
