"""The mixin that makes an agent class conditional."""

from __future__ import annotations

import contextlib
import copy
from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from agents.agent import Agent
from agents.conditional.film import film_policy
from agents.conditional.fixed import FixedPolicy
from agents.conditional.log_z import LogZ
from agents.conditional.relabel import RelabelingBuffer
from agents.conditional.settings import conditional_config
from agents.config import LogZSettings, NetworkSettings, TemperingSettings
from agents.engines.torch_engine import TorchEngine
from agents.errors import UnsupportedError
from agents.log_probs import LogProbs
from agents.losses.balance import Balance
from agents.policies.policy import Policy
from agents.replay.schemes import scheme_named
from agents.tempered_agent import LOG_Z_BATCH, LOG_Z_ERRORS, LOG_Z_NATS
from agents.tempering import first_beta, next_beta
from agents.trajectories import Trajectories
from gfn_envs.arrays import FloatArray, IntArray, distinct
from gfn_envs.conditions import Conditioned
from gfn_envs.conditions.conditions import ConditionArray

#: Classes made by :func:`conditional`, by the class that they extend.
_MADE: dict[type[Agent], type[Agent]] = {}
#: Default of ``per_condition`` for objectives that compare trajectories with the same condition.
COMPARED = 4


class Conditional(Agent):
    """An agent on a :class:`gfn_envs.conditions.Conditioned`: its networks see the condition, and log Z depends on it.

    Use :func:`conditional`, which combines it with an agent class. :meth:`at` is the agent at one condition, for
    evaluations and samples.
    """

    dag: Conditioned
    #: The class of the agent at one condition.
    plain: ClassVar[type[Agent]]

    def __init__(self, dag: Conditioned, *args: Any, **kwargs: Any):
        # A copy that shares the environment: agents may draw conditions from different ranges.
        super().__init__(copy.copy(dag), *args, **kwargs)
        if self.config.relabel:
            self.replay = RelabelingBuffer(self.dag, self.config.replay_capacity, self.config.replay)

    def check(self) -> None:
        super().check()
        config: Any = self.config
        name, learns = self.name, isinstance(config, NetworkSettings) and self.samples_by_policy
        if not learns:
            raise UnsupportedError(f"agent {name!r} learns no policy that could depend on conditions")
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

        if config.relabel:
            replay = getattr(config, "replay", None)
            wrong = f"agent {name!r} has no replay buffer" if replay is None else f"replay is {replay!r}"
            if replay in (None, "none") or scheme_named(replay).needs_losses:
                raise ValueError(f"relabel needs a replay buffer that draws by objects, such as 'uniform'; {wrong}")
            if config.replay_of == "trajectories":
                raise ValueError("relabel replays objects under new conditions; replay_of must be 'objects'")

    def automatic_replay(self) -> str:
        """As for one condition. An agent that compares trajectories with the same condition cannot replay."""
        return "none" if self.balance is not None and self.balance.centered else super().automatic_replay()

    # ------------------------------------------------------------------ networks

    def make_policy(self) -> Policy:
        by, network = self.config.condition_by, self.config.network
        if by == "concat" and network != "mlp":
            raise ValueError(f"condition_by 'concat' needs network 'mlp', got {network!r}; use 'film'")
        varies = self.dag.conditions.features.num_features > 0
        if by == "film" or (network != "mlp" and varies):
            return film_policy(self.dag, self.config, self.backward.learned, self.learns_flow)
        return super().make_policy()

    @property
    def shifts_flows(self) -> bool:
        """True if log Z(c), less a constant, is added to the state flows: all of them scale with the rewards of c."""
        declared = self.balance
        return declared is not None and declared.flow == "network" and getattr(self.config, "lr_log_z", None) is None

    def make_modules(self) -> dict[str, nn.Module]:
        features, own = self.dag.conditions.features, getattr(self.config, "lr_log_z", None)
        if not features.num_features or (own is None and not self.shifts_flows):
            return super().make_modules()
        speed = (own or LogZSettings.lr_log_z).start / max(self.config.lr.start, 1e-12)
        return super().make_modules() | {"log_z": LogZ(features, speed)}

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
        """log Z(c) of each trajectory (n,); None if it is not learned separately."""
        return None if self.log_z_parameter is None else self._log_z(self.conditions_of(trajectories))

    def conditions_of(self, trajectories: Trajectories) -> ConditionArray:
        """The condition of each trajectory, float32 (n, k)."""
        return self.dag.conditions_of(trajectories.states[trajectories.offsets[:-1]])

    def shift_of(self, conditions: ConditionArray) -> Tensor | None:
        """The term (n,) that is added to all log flows under conditions (n, k); None if there is no such term."""
        return self.modules["log_z"](conditions) if self.shifts_flows and "log_z" in self.modules else None

    def log_flow(self, balance: Balance, found: LogProbs, trajectories: Trajectories) -> tuple[Tensor, Tensor | None]:
        """As for one condition, with :meth:`shift_of` added before the terminal states."""
        parent: Any = super()
        if balance.flow == "network" and (shift := self.shift_of(self.conditions_of(trajectories))) is not None:
            shifted = np.repeat(np.arange(len(trajectories)), trajectories.lengths + 1)
            inner = np.ones(len(shifted), dtype=np.float32)
            inner[trajectories.last] = 0.0  # log F is log R there.
            index, mask = (torch.from_numpy(array).to(shift.device) for array in (shifted, inner))
            assert found.log_flow is not None
            found = found._replace(log_flow=found.log_flow + mask * shift.index_select(0, index))
        result: tuple[Tensor, Tensor | None] = parent.log_flow(balance, found, trajectories)
        return result

    def flow_gaps(self, batch: Trajectories) -> FloatArray:
        """As for one condition, with :meth:`shift_of` as a part of log F."""
        parent: Any = super()
        gaps: FloatArray = parent.flow_gaps(batch)
        shift = self.shift_of(self.conditions_of(batch))
        return gaps if shift is None else gaps - shift.detach().cpu().double().numpy()

    def track_log_z(self, batch: Trajectories, log_ratio: FloatArray | None = None) -> None:
        """As for one condition, with a linear function of the condition in place of a number."""
        parent: Any = super()
        learned, i = self.log_z_of(batch), self.iteration
        if learned is None:
            shifts = i == 0 and self.shifts_flows and "log_z" in self.modules and len(batch) >= LOG_Z_BATCH
            wanted = shifts and getattr(self.config, "track_log_z", False)
            (self.fit_flows if wanted else parent.track_log_z)(batch)
            return
        due = self.beta != 1 or i % (1 << max(0, i.bit_length() - 4)) == 0
        if not getattr(self.config, "track_log_z", False) or len(batch) < LOG_Z_BATCH or not due:
            return
        log_ratio = parent.log_ratio(batch) if log_ratio is None else log_ratio
        gaps = batch.log_reward - log_ratio - learned.detach().cpu().double().numpy()
        shift = float(gaps.mean())
        if abs(shift) > max(LOG_Z_NATS, LOG_Z_ERRORS * gaps.std() / np.sqrt(len(gaps))):
            if "log_z" in self.modules:
                shift = self.modules["log_z"].fit(self.conditions_of(batch), gaps)  # type: ignore[operator]
            with torch.no_grad():
                self.log_z_parameter += shift

    @torch.no_grad()
    def fit_flows(self, batch: Trajectories) -> None:
        """Shift new log flows by a linear function of the condition, so that they fit the rewards of a batch."""
        shift = self.modules["log_z"].fit(self.conditions_of(batch), self.flow_gaps(batch))  # type: ignore[operator]
        if (bias := self.policy.flow_bias()) is not None:
            bias += shift

    # ------------------------------------------------------------------ learning

    def tempered(self, batch: Trajectories) -> Trajectories:
        """As for one condition. The spread of rewards is measured without their trend over conditions.

        Agents that relabel replayed objects, which are then samples of R(x|c), do not temper unless beta is set.
        """
        parent: Any = super()
        if self.config.relabel and self.config.beta is None:
            self.track_log_z(batch)
            return batch
        if not isinstance(self.config, TemperingSettings) or self.config.beta is not None:
            tempered: Trajectories = parent.tempered(batch)
            return tempered
        log_reward, log_ratio = self.without_trend(batch), None
        if self.iteration == 0:
            self.beta = first_beta(log_reward, self.dag.expensive_reward)
        elif self.beta < 1:
            log_ratio = parent.log_ratio(batch)
            self.beta = next_beta(self.beta, log_reward, log_ratio)
        tempered = self.at_beta(batch)  # type: ignore[attr-defined]
        self.track_log_z(tempered, log_ratio)
        return tempered

    def without_trend(self, batch: Trajectories) -> FloatArray:
        """log R of a batch minus its best fit by a linear function of the condition, float64 (n,)."""
        features = self.dag.conditions.features
        if not features.num_varying:
            return batch.log_reward
        design = np.column_stack([np.ones(len(batch)), features.scaled(self.conditions_of(batch))])
        found, *_ = np.linalg.lstsq(design, batch.log_reward)
        return batch.log_reward - design @ found

    def sample_batch(self) -> Trajectories:
        with self.drawing():
            return super().sample_batch()

    def replayed_batch(self, replay: Any) -> Trajectories:
        """As for one condition. New conditions are drawn from the part of the ranges that training uses."""
        parent: Any = super()
        with self.drawing():
            batch: Trajectories = parent.replayed_batch(replay)
        return batch

    @contextlib.contextmanager
    def drawing(self) -> Iterator[None]:
        """A context in which conditions are drawn as in training."""
        centered = self.balance is not None and self.balance.centered
        self.dag.share = self.config.condition_range(self.iteration)
        self.dag.per_condition = self.config.per_condition or (COMPARED if centered else 1)
        try:
            yield
        finally:
            self.dag.share, self.dag.per_condition = 1.0, 1

    def groups(self, trajectories: Trajectories) -> IntArray:
        """A centered objective compares the trajectories with the same condition."""
        return distinct(self.conditions_of(trajectories).view(np.int32))[1]

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
        with torch.inference_mode():
            shift = self.shift_of(numbers)
        fixed.policy = FixedPolicy(self.policy, self.dag, numbers, None if shift is None else float(shift))
        if hasattr(self, "critics"):
            fixed.__dict__["critics"] = [FixedPolicy(critic, self.dag, numbers) for critic in self.critics]
        fixed.last_batch, fixed._engine = None, TorchEngine(fixed)
        fixed.__dict__["replay"] = None  # It holds objects under other conditions.
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
