"""Settings that all GFlowNet agents share."""

from __future__ import annotations

import dataclasses
import math
import numbers
import types
import typing
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np

from agents.replay.schemes import SCHEMES, Scheme, register
from agents.schedules import Schedule, schedule

Backward = Literal["learned", "uniform", "maxent", "pessimistic", "tlm"]

#: Settings that mean nothing to an agent which learns no log Z.
NO_LOG_Z = ("lr_log_z", "init_log_z")


@dataclass(frozen=True)
class Config:
    """Settings that all GFlowNet agents share; those that mean nothing to one must keep their default."""

    unused: ClassVar[tuple[str, ...]] = ()
    """Settings that mean nothing to the agent."""

    batch_size: int = 16
    """Trajectories in an iteration."""
    network: Literal["mlp", "transformer", "graph"] = "mlp"
    """What the policy is made of: mlp on features, transformer on tokens, or graph on states that are
    graphs: attention over their nodes."""
    hidden: tuple[int, ...] = (256, 256)
    """Widths of the hidden layers (mlp)."""
    width: int = 64
    """Width of embeddings (transformer, graph)."""
    layers: int = 3
    """Attention layers (transformer, graph)."""
    heads: int = 8
    """Attention heads (transformer, graph)."""
    shared: bool = True
    """One trunk for all heads, or a network for each (sa)."""
    form: Literal["sa", "ssr"] = "sa"
    """Policy form: state-action, or relative edge flows that score each pair of a state and its child."""
    backward: Backward = "learned"
    """The backward policy P_B: learned with the objective, uniform, maxent (as many trajectories behind each parent),
    pessimistic or tlm (both: maximum likelihood of sampled trajectories)."""
    lr: Schedule = Schedule(1e-3, 1e-3, 1)
    """Learning rate of the networks (Adam): a number, or start,end,steps for a linear change."""
    lr_log_z: Schedule = Schedule(1e-1, 1e-1, 1)
    """Learning rate of log Z."""
    init_log_z: float = 0.0
    """First value of log Z."""
    loss: Literal["squared", "huber", "log-cosh"] = "squared"
    """Penalty on residuals."""
    clamp_loss: float | None = None
    """Penalties above this count as this, so that their gradient is 0. Off by default."""
    epsilon: Schedule = Schedule(0.0, 0.0, 1)
    """Probability, at each step, of a uniformly chosen legal action: a number or start,end,steps."""
    temperature: Schedule = Schedule(1.0, 1.0, 1)
    """Softmax temperature of the behaviour policy: a number or start,end,steps."""
    replay: str = "none"
    """Scheme of the replay buffer of distinct objects: none, fifo, uniform, proportional or prioritized (PRT); in
    Python also a Scheme of your own (agents.replay.schemes), which goes by its name from then on."""
    replay_batch_size: int = 16
    """Objects drawn from the buffer in an iteration."""
    replay_capacity: int = 100_000
    """Most objects in the buffer."""
    replay_mix: Literal["alternate", "joint"] = "alternate"
    """A gradient step on the sampled batch and one on the replayed, or one on both together."""
    local_search: int = 0
    """Rounds of backtracking and rebuilding of the sampled objects; what they find is learned from too."""
    search_fraction: float = 0.5
    """In local search 1 to so many steps are undone, as a share of the longest trajectory, in (0, 1]."""
    search_accept: Literal["greedy", "metropolis"] = "greedy"
    """Which rebuilt objects a local search goes on from: better ones, or by the exact Metropolis-Hastings rule."""
    max_grad_norm: float | None = None
    """Gradients are scaled down to this Euclidean norm."""
    compiled: bool = False
    """Sample and learn by loops that Numba compiles at first use: small networks on the CPU then train two to three
    times as fast. Needs the extra "fast", agent tb, vargrad, db or subtb, network mlp, form sa, shared, backward
    learned or uniform, and an environment that can be enumerated. One seed gives other samples than without it."""
    device: str = "cpu"
    """Where the networks live: cpu, cuda, cuda:1 ..."""

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            if field.type == "Schedule":
                try:
                    object.__setattr__(self, field.name, schedule(getattr(self, field.name)))
                except ValueError as error:
                    raise ValueError(f"{field.name}: {error}") from None
        require_types(self)
        object.__setattr__(self, "hidden", checked_widths("hidden", self.hidden))
        if isinstance(self.replay, Scheme):
            object.__setattr__(self, "replay", register(self.replay))
        known = " or ".join(map(repr, ("none", *SCHEMES)))
        require(self.replay in ("none", *SCHEMES), f"replay must be {known}", repr(self.replay))
        require_choices(self)
        for name in ("batch_size", "width", "layers", "heads", "replay_batch_size", "replay_capacity"):
            require(getattr(self, name) >= 1, f"{name} must be at least 1", getattr(self, name))
        if self.network != "mlp":
            require(self.width % self.heads == 0, "width must be a multiple of heads", f"{self.width} and {self.heads}")
        for name in ("lr", "lr_log_z"):
            value = getattr(self, name)
            require(min(value.start, value.end) >= 0, f"{name} must not be negative", value)
        require(min(self.epsilon.start, self.epsilon.end) >= 0, "epsilon must lie in [0, 1]", self.epsilon)
        require(max(self.epsilon.start, self.epsilon.end) <= 1, "epsilon must lie in [0, 1]", self.epsilon)
        require(min(self.temperature.start, self.temperature.end) > 0, "temperature must be > 0", self.temperature)
        require(math.isfinite(self.init_log_z), "init_log_z must be finite", self.init_log_z)
        require(self.local_search >= 0, "local_search must not be negative", self.local_search)
        require(0 < self.search_fraction <= 1, "search_fraction must lie in (0, 1]", self.search_fraction)
        for name in ("max_grad_norm", "clamp_loss"):
            require(getattr(self, name) is None or getattr(self, name) > 0, f"{name} must be > 0", getattr(self, name))
        for field in dataclasses.fields(self):
            if field.name in self.unused:
                message = f"{field.name} means nothing to this agent and must stay {field.default}"
                require(getattr(self, field.name) == field.default, message, getattr(self, field.name))


@dataclass(frozen=True)
class FlowConfig(Config):
    """Settings of agents whose log Z is the flow of s0, or follows from their policy."""

    unused: ClassVar[tuple[str, ...]] = NO_LOG_Z


def require(condition: bool, message: str, value: Any) -> None:
    """Raise ValueError "message, got value" unless ``condition``."""
    if not condition:
        raise ValueError(f"{message}, got {value}")


#: What a field declared as one of these types may hold.
KINDS = {int: (numbers.Integral, "an integer"), float: (numbers.Real, "a number"), bool: (bool | np.bool_, "a bool")}


def require_types(config: Any) -> None:
    """Raise ValueError where a field declared as int, float or bool, or one of these or None, holds something else."""
    for name, kind in typing.get_type_hints(type(config)).items():
        union = typing.get_origin(kind) in (typing.Union, types.UnionType)
        kinds, value = typing.get_args(kind) if union else (kind,), getattr(config, name)
        allowed = [KINDS[k] for k in kinds if k in KINDS]
        if not allowed or (value is None and type(None) in kinds):
            continue
        numeric = not isinstance(value, bool) or bool in kinds
        good = numeric and any(isinstance(value, accepted) for accepted, _ in allowed)
        require(good, f"{name} must be {' or '.join(text for _, text in allowed)}", repr(value))


def checked_widths(name: str, widths: Any) -> tuple[int, ...]:
    """``widths`` as a tuple. Raises ValueError unless they are integers >= 1."""
    good = isinstance(widths, list | tuple) and all(isinstance(w, int | np.integer) and w >= 1 for w in widths)
    require(good, f"{name} widths must be integers of at least 1, such as (256, 256)", repr(widths))
    return tuple(int(width) for width in widths)


def require_choices(config: Any) -> None:
    """Raise ValueError where a field declared as a Literal holds another value, naming those allowed."""
    for name, kind in typing.get_type_hints(type(config)).items():
        if typing.get_origin(kind) is Literal and getattr(config, name) not in typing.get_args(kind):
            allowed = " or ".join(map(repr, typing.get_args(kind)))
            raise ValueError(f"{name} must be {allowed}, got {getattr(config, name)!r}")
