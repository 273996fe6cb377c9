"""Settings of agents, in groups. The config of an agent includes only the groups that apply to it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from agents.config_checks import (
    checked_widths,
    read_schedules,
    require,
    require_at_least,
    require_choices,
    require_positive,
    require_share,
    require_types,
)
from agents.losses.penalty import Kind
from agents.replay.schemes import SCHEMES, Scheme, register, scheme_named
from agents.schedules import Schedule
from gfn_envs import named


@dataclass(frozen=True)
class Config:
    """Settings of every agent. Groups and configs extend it and check their own values in ``__post_init__``."""

    batch_size: int = 16
    """Trajectories per iteration."""
    device: str = "cpu"
    """Device of the networks: cpu, cuda, cuda:1 ..."""

    def __post_init__(self) -> None:
        read_schedules(self)
        require_types(self)
        require_choices(self)
        require_at_least(self, 1, "batch_size")


@dataclass(frozen=True)
class NetworkSettings(Config):
    """Networks of the policy."""

    network: Literal["mlp", "transformer", "graph"] = "mlp"
    """mlp on features, transformer on tokens (causal if actions append tokens), or graph on states that are graphs."""
    hidden: tuple[int, ...] = (256, 256)
    """Widths of the hidden layers (mlp)."""
    width: int = 64
    """Width of embeddings (transformer, graph)."""
    layers: int = 3
    """Attention layers (transformer, graph)."""
    heads: int = 8
    """Attention heads (transformer, graph)."""
    shared: bool = True
    """One trunk for all heads, or one network per head (sa)."""
    activation: Literal["relu", "leaky_relu"] = "relu"
    """Activation of the hidden layers (mlp): relu, or leaky_relu with slope 0.01."""
    form: Literal["sa", "ssr"] = "sa"
    """Policy form: state-action (sa), or relative edge flows that score each pair of a state and its child (ssr)."""

    def __post_init__(self) -> None:
        super().__post_init__()
        object.__setattr__(self, "hidden", checked_widths("hidden", self.hidden))
        require_at_least(self, 1, "width", "layers", "heads")
        if self.network != "mlp":
            require(self.width % self.heads == 0, "width must be a multiple of heads", f"{self.width} and {self.heads}")
            require(self.activation == "relu", "activation leaky_relu needs network 'mlp'", repr(self.network))


@dataclass(frozen=True)
class OptimizerSettings(Config):
    """Optimizer of the networks."""

    optimizer: str = "adam"
    """adam, muon (orthogonalized momentum for the weight matrices, Adam for the rest: fewer iterations to the same
    distance), adamw, radam, nadam, adamax, rmsprop, adagrad, sgd, or your own torch.optim.Optimizer as module:name;
    keywords follow in parentheses: adamw(weight_decay=0.01)."""
    lr: Schedule = Schedule(1e-3, 1e-3, 1)
    """Learning rate of the networks: a number, start,end,steps for a linear change, or start,end,steps,shape with the
    shape cosine, exponential, or your own function as module:name."""
    max_grad_norm: float | None = None
    """Scale gradients down to this Euclidean norm."""

    def __post_init__(self) -> None:
        super().__post_init__()
        require_at_least(self, 0, "lr")
        require_positive(self, "max_grad_norm")


@dataclass(frozen=True)
class LogZSettings(Config):
    """Learned log Z."""

    lr_log_z: Schedule = Schedule(1e-1, 1e-1, 1)
    """Learning rate of log Z: a number, or start,end,steps."""
    init_log_z: float = 0.0
    """Initial value of log Z."""
    track_log_z: bool = True
    """Set log Z to the batch's estimate, the mean of log R + log P_B - log P_F, whenever the two differ by more than 1
    nat and 3 standard errors. Adam alone moves log Z by at most about lr_log_z per iteration."""

    def __post_init__(self) -> None:
        super().__post_init__()
        require_at_least(self, 0, "lr_log_z")
        require(math.isfinite(self.init_log_z), "init_log_z must be finite", self.init_log_z)


@dataclass(frozen=True)
class PenaltySettings(Config):
    """Penalty on residuals."""

    loss: Kind = "squared"
    """Penalty on residuals: squared, half-squared, huber, log-cosh; or shifted-cosh, linex and linex-half, which cover
    objects that P_F samples too rarely (agents.losses.penalty)."""
    clamp_loss: float | None = None
    """Upper bound of a penalty. Beyond it the gradient is 0. Off by default."""

    def __post_init__(self) -> None:
        super().__post_init__()
        require_positive(self, "clamp_loss")


@dataclass(frozen=True)
class MixingSettings(Config):
    """Mixing of the forward and the backward policy."""

    mixing: Schedule = Schedule(0.5, 0.5, 1)
    """alpha of alpha-GFN, in (0, 1): a number or start,end,steps. Objectives balance alpha F(s) P_F(s'|s) with (1 -
    alpha) F(s') P_B(s|s'). Above 0.5, objects with short trajectories gain weight; at 0.5 the target is R, so end there
    (agents.losses.balance)."""

    def __post_init__(self) -> None:
        super().__post_init__()
        ends = self.mixing.start, self.mixing.end
        require(min(ends) > 0 and max(ends) < 1, "mixing must lie in (0, 1)", self.mixing)


@dataclass(frozen=True)
class FlowSettings(Config):
    """State flows."""

    lr_log_z: Schedule | None = None
    """Learning rate of log Z = log F(s0) as a separate parameter, such as ten times lr (Madan et al. 2023). None:
    log F(s0) comes from the network, like all other flows."""
    track_log_z: bool = True
    """Fit log flows to the first batch if they are off by more than 10 nats and its trajectories have one length.
    Otherwise, and while beta < 1, shift all of them so that those of the states before the terminal ones match log R on
    average, whenever the two differ by more than 1 nat and 3 standard errors."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.lr_log_z is not None:
            require_at_least(self, 0, "lr_log_z")


@dataclass(frozen=True)
class TemperingSettings(Config):
    """Exponent of the reward during training."""

    beta: Schedule | None = None
    """Training targets R^beta: start,end,steps with end 1, or 1 for R from the start. Default: if log R of the first
    batch is wide, with a robust standard deviation above 2 nats (30 if rewards are expensive), beta starts low and
    rises to 1 as the policy follows; otherwise 1."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.beta is not None:
            ends = self.beta.end == 1 == self.beta(self.beta.steps)  # A shape of a user's need not get there.
            require(ends, "beta must end at 1, so that the agent learns R", self.beta)
            require(0 < self.beta.start <= 1, "beta must start in (0, 1]", self.beta)


@dataclass(frozen=True)
class ExplorationSettings(Config):
    """Behavior policy of rollouts."""

    epsilon: Schedule = Schedule(0.0, 0.0, 1)
    """Probability, at each step, of a uniformly random legal action: a number or start,end,steps."""
    temperature: Schedule = Schedule(1.0, 1.0, 1)
    """Softmax temperature of the behavior policy: a number or start,end,steps."""

    def __post_init__(self) -> None:
        super().__post_init__()
        require_share(self, "epsilon")
        require(min(self.temperature.start, self.temperature.end) > 0, "temperature must be > 0", self.temperature)


@dataclass(frozen=True)
class ExplorerSettings(Config):
    """Behavior policy beyond P_F."""

    explorer: str = "none"
    """Behavior policy, with keywords: none (P_F); teacher (looks for large losses); thompson(members=10) (one member of
    an ensemble per trajectory); noisy(scale=0.5) (noise on the weights of P_F); temperature(of='module:name') (a
    temperature per state); or your own as module:name (agents.exploration)."""


@dataclass(frozen=True)
class DelaySettings(Config):
    """Exploration of long trajectories."""

    delay_stop: Schedule | None = None
    """Share of trajectories that may stop only after a random number of steps, which finds modes far from s0: a number
    or start,end,steps. Default: 0.1 if every state can stop, else 0. If it and epsilon are 0, batches sample P_F."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.delay_stop is not None:
            require_share(self, "delay_stop")


@dataclass(frozen=True)
class ReplaySettings(Config):
    """Replay buffer of objects."""

    replay: str = "auto"
    """Scheme of the buffer of distinct objects: none, fifo, uniform, proportional, prioritized (PRT), loss (by rank),
    diverse(distance=1), or your own as module:name (agents.replay.schemes). auto: prioritized if rewards are expensive,
    else none."""
    replay_batch_size: int = 16
    """Objects drawn from the buffer per iteration."""
    replay_capacity: int = 100_000
    """Capacity of the buffer, in objects."""
    replay_of: Literal["objects", "trajectories"] = "objects"
    """Replay objects, each by a new trajectory of P_B, or trajectories as they were sampled."""
    replay_mix: Literal["alternate", "joint"] = "alternate"
    """One gradient step on the sampled batch and one on the replayed batch, or one step on both together."""

    def __post_init__(self) -> None:
        if isinstance(self.replay, Scheme):
            object.__setattr__(self, "replay", register(self.replay))
        super().__post_init__()
        known = " or ".join(map(repr, ("auto", "none", *SCHEMES)))
        if "(" in self.replay or named.is_named(self.replay):
            try:
                scheme_named(self.replay)
            except TypeError as error:
                raise ValueError(str(error)) from error
        require(self.replay in ("auto", "none", *SCHEMES), f"replay must be {known} or module:name", repr(self.replay))
        require_at_least(self, 1, "replay_batch_size", "replay_capacity")


@dataclass(frozen=True)
class LocalSearchSettings(Config):
    """Local search around the sampled objects."""

    local_search: int = 0
    """Rounds of undoing and rebuilding the sampled objects. The agent also learns from the objects found."""
    search_fraction: float = 0.5
    """Local search undoes between 1 step and this share of the longest trajectory, in (0, 1]."""
    search_accept: Literal["greedy", "metropolis"] = "greedy"
    """Acceptance of rebuilt objects: only better ones, or the exact Metropolis-Hastings rule."""

    def __post_init__(self) -> None:
        super().__post_init__()
        require(self.local_search >= 0, "local_search must not be negative", self.local_search)
        require(0 < self.search_fraction <= 1, "search_fraction must lie in (0, 1]", self.search_fraction)


@dataclass(frozen=True)
class BackwardSettings(Config):
    """Backward policy."""

    backward: str = "learned"
    """Backward policy P_B: learned with the objective, uniform, distinct (uniform over distinct parents), maxent (all
    trajectories to an object equally likely), pessimistic or tlm (both: maximum likelihood of sampled trajectories);
    or your own (agents.policies.backward) as module:name."""


@dataclass(frozen=True)
class EngineSettings(Config):
    """Engine that samples and trains."""

    engine: Literal["auto", "torch", "numba"] = "auto"
    """torch; numba (compiled loops for multi-layer perceptrons on the CPU: 2 to 3 times as fast if all states can be
    listed, about 1.3 times otherwise); or auto, the fastest that supports the agent. Samples of a seed differ between
    engines."""


@dataclass(frozen=True)
class GFlowNetConfig(
    LocalSearchSettings,
    ReplaySettings,
    DelaySettings,
    ExplorerSettings,
    ExplorationSettings,
    TemperingSettings,
    PenaltySettings,
    OptimizerSettings,
    NetworkSettings,
):
    """Settings of agents that learn from sampled, replayed and searched objects."""

    steps_per_batch: int = 1
    """Gradient steps on each batch, sampled, replayed or searched."""

    def __post_init__(self) -> None:
        super().__post_init__()
        require_at_least(self, 1, "steps_per_batch")
