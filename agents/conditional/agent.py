"""What a conditional agent adds to the class of its objective."""

from __future__ import annotations

import copy
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
from agents.conditional.settings import conditional_config
from agents.config import LogZSettings, NetworkSettings, TemperingSettings
from agents.engines.torch_engine import TorchEngine
from agents.errors import UnsupportedError
from agents.log_probs import LogProbs
from agents.losses.balance import COMPLETE, Balance, balance_loss, path_sums
from agents.policies.policy import Policy
from agents.tempered_agent import LOG_Z_BATCH, LOG_Z_ERRORS, LOG_Z_NATS
from agents.tempering import first_beta, next_beta
from agents.trajectories import Trajectories
from gfn_envs.arrays import FloatArray, distinct
from gfn_envs.conditions import Conditioned
from gfn_envs.conditions.conditions import ConditionArray

#: Classes made by :func:`conditional`, by the class that they extend.
_MADE: dict[type[Agent], type[Agent]] = {}
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

    def __init__(self, dag: Conditioned, *args: Any, **kwargs: Any):
        # A copy, which shares the environment: how an agent draws conditions must not change how another does.
        super().__init__(copy.copy(dag), *args, **kwargs)

    def check(self) -> None:
        super().check()
        config: Any = self.config
        name, learns = self.name, isinstance(config, NetworkSettings) and self.samples_by_policy
        if not learns:
            raise UnsupportedError(f"agent {name!r} learns no policy, so it has none that depends on conditions")
        if isinstance(config, LogZSettings) and self.balance is None:
            raise UnsupportedError(f"agent {name!r} has one log Z for all conditions; tb, vargrad and subtb have not")
        if getattr(config, "engine", "auto") == "numba":
            raise ValueError("engine 'numba' does not learn with conditions; use engine='torch' or 'auto'")
        centered = self.balance is not None and self.balance.centered
        if centered and config.per_condition == 1:
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
    def log_z(self) -> None:
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
        parent: Any = super()
        learned, i = self.log_z_of(batch), self.iteration
        if learned is None:
            parent.track_log_z(batch)
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

    def tempered(self, batch: Trajectories) -> Trajectories:
        """As for one condition. How wide rewards are is measured without their trend over conditions."""
        parent: Any = super()
        if not isinstance(self.config, TemperingSettings) or self.config.beta is not None:
            tempered: Trajectories = parent.tempered(batch)
            return tempered
        log_reward = self.without_trend(batch)
        if self.iteration == 0:
            self.beta = first_beta(log_reward)
        elif self.beta < 1:
            self.beta = next_beta(self.beta, log_reward, self.engine.log_ratio(batch))
        tempered = self.at_beta(batch)  # type: ignore[attr-defined]
        self.track_log_z(tempered)
        return tempered

    def without_trend(self, batch: Trajectories) -> FloatArray:
        """log R of a batch without what a linear function of the condition explains, float64 (n,)."""
        features = self.dag.conditions.features
        if not features.num_varying:
            return batch.log_reward
        design = np.column_stack([np.ones(len(batch)), features.scaled(self.conditions_of(batch))])
        found, *_ = np.linalg.lstsq(design, batch.log_reward)
        return batch.log_reward - design @ found

    def sample_batch(self) -> Trajectories:
        centered = self.balance is not None and self.balance.centered
        self.dag.share = self.config.condition_range(self.iteration)
        self.dag.per_condition = self.config.per_condition or (COMPARED if centered else 1)
        try:
            return super().sample_batch()
        finally:
            self.dag.share, self.dag.per_condition = 1.0, 1

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

    def __reduce__(self) -> tuple[Any, ...]:
        # The class is made at run time, so pickle cannot import it.
        return _empty, (self.plain,), self.__dict__

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


def conditional(plain: type[Agent]) -> type[Agent]:
    """The class of conditional agents with the objective of ``plain``. It has the same name."""
    if plain not in _MADE:
        config = conditional_config(plain.config_class)
        body = {"name": plain.name, "plain": plain, "config_class": config, "__doc__": plain.__doc__}
        body["__module__"] = plain.__module__
        metaclass: Any = type(plain)
        _MADE[plain] = metaclass(f"Conditional{plain.__name__}", (Conditional, plain), body)
    return _MADE[plain]


def _empty(plain: type[Agent]) -> Agent:
    return object.__new__(conditional(plain))
