"""The base of every agent: a policy on a Dag, an engine that samples and trains it, and checkpoints."""

from __future__ import annotations

import copy
import dataclasses
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor, nn

from agents import rollout
from agents.config import (
    BackwardSettings,
    Config,
    DelaySettings,
    EngineSettings,
    OptimizerSettings,
    ReplaySettings,
)
from agents.engines.adam import minimize
from agents.engines.engine import Engine
from agents.engines.optimizers import make_optimizer
from agents.engines.select import make_engine
from agents.errors import NoLegalActionError
from agents.exploration import EXPLORERS
from agents.exploration.explorer import Behaviors, make_explorer
from agents.held import held_digits
from agents.log_probs import LogProbs, log_probs
from agents.losses.balance import Balance
from agents.memory import trajectories_per_part
from agents.policies.backward import BackwardPolicy, backward_policy
from agents.policies.build import make_policy
from agents.policies.given import PolicyFactory, given_policy
from agents.policies.policy import Head, Policy
from agents.policies.seeding import OwnGenerator
from agents.replay.schemes import AUTOMATIC
from agents.schedules import Schedule, schedule
from agents.threads import on_working_threads
from agents.trajectories import Trajectories, concatenate
from gfn_envs.arrays import FloatArray, IntArray, distinct
from gfn_envs.border import check_once, log_rewards
from gfn_envs.dag import Dag
from gfn_envs.validation import positive_int

#: Default of ``delay_stop`` if every state can stop.
DELAY_STOP = 0.1
#: Below this many rows, evaluating repeated states again costs less than finding them.
DISTINCT_ROWS = 48


class Agent:
    """A policy on a Dag, and a way to train it.

    Args:
        dag: the environment's core.
        config: the agent's settings.
        seed: seed of the initial weights and of all sampling. The same seed gives the same result.
        policy: your own network, or a class or function that makes it (:mod:`agents.policies.given`). None: the network
            that ``config`` describes.

    Raises:
        UnsupportedError: the method does not apply to this environment.
        ValueError: settings that contradict each other or the environment, or a policy without the state flows or the
            backward logits that the agent needs.
    """

    #: Name in tables and saved runs. A subclass without one takes the name of its class.
    name: ClassVar[str]
    paper: ClassVar[str] = "none"
    config_class: ClassVar[type[Any]] = Config
    config: Any
    learns_flow: ClassVar[bool] = False
    #: P_B of agents without a setting for it.
    fixed_backward: ClassVar[str] = "uniform"
    #: True if a user's network can replace the one that the settings describe.
    takes_policy: ClassVar[bool] = True
    #: True if objects are the ends of rollouts of P_F, so their distribution follows from :meth:`probabilities`.
    samples_by_policy: ClassVar[bool] = True
    #: Otherwise: objects whose frequencies estimate the distribution (m, state_width).
    recorded: IntArray
    #: The last sampled batch of training; None before the first.
    last_batch: Trajectories | None = None
    #: Exponent of the reward in the last batch of training.
    beta: float = 1.0
    #: Share of trajectories that may not stop early, if the agent has this setting.
    delay_stop: Schedule | None = None
    #: Target network of the objective, if it has one.
    target: Any = None

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if "name" not in cls.__dict__:
            cls.name = cls.__name__

    def __init__(self, dag: Dag, config: Any = None, seed: int = 0, policy: Policy | PolicyFactory | str | None = None):
        check_once(dag)
        self.dag, self.seed = dag, seed
        self.config = self.config_class() if config is None else config
        chosen = isinstance(self.config, BackwardSettings)
        self.backward: BackwardPolicy = backward_policy(self.config.backward if chosen else self.fixed_backward)
        #: Digits of what objects that the user gave as settings hold, by setting, for saved runs.
        self.held = {"backward": held_digits(self.backward)}
        if chosen:
            self.config = dataclasses.replace(self.config, backward=self.backward.name)
        if isinstance(self.config, ReplaySettings) and self.config.replay == "auto":
            self.config = dataclasses.replace(self.config, replay=self.automatic_replay())
        self.device = usable_device(self.config.device)
        if policy is not None and not self.takes_policy:
            raise ValueError(f"agent {self.name!r} has its own policy; policy must be None")
        #: The class or function that made the policy, if the user gave one; saved runs name it.
        self.policy_factory = None if isinstance(policy, Policy) else policy
        self.policy_given = policy is not None
        self.rng = np.random.default_rng(seed)
        self.check()
        if isinstance(self.config, DelaySettings):
            self.delay_stop = self.config.delay_stop or schedule(DELAY_STOP if dag.can_stop_anywhere else 0.0)
            if max(self.delay_stop.start, self.delay_stop.end) > 0 and not dag.can_stop_anywhere:
                raise ValueError(f"delay_stop needs an environment where every state can stop, got {dag!r}; use 0")
        with OwnGenerator(seed):
            own = None if policy is None else given_policy(policy, dag, self.backward.learned, self.learns_flow)
            self.policy = (self.make_policy() if own is None else own).to(self.device)
            self.explorer = make_explorer(getattr(self.config, "explorer", "none"), EXPLORERS)
            if self.explorer.name != "none" and type(self).behavior is not Agent.behavior:
                raise ValueError(f"agent {self.name!r} defines its own behavior policy; explorer must be 'none'")
            self.modules = nn.ModuleDict(self.make_modules() | self.explorer.modules(self)).to(self.device)
        if self.learns_flow and not self.policy.learns_flow:
            raise ValueError(f"agent {self.name!r} learns state flows, but the given policy has none (learns_flow)")
        if self.backward.learned and not self.policy.learns_backward:
            raise ValueError(f"backward {self.backward.name!r} is learned, but the given policy learns no P_B")
        if self.policy.learns_backward and not self.backward.learned:
            raise ValueError(f"backward {self.backward.name!r} is not learned, but the given policy learns a P_B")
        self.log_z_parameter: Any = None
        groups: list[dict[str, Any]] = [{"params": list(self.policy.parameters())}]
        if getattr(self.config, "lr_log_z", None) is not None:  # LogZSettings, or FlowSettings with a log Z.
            initial = float(getattr(self.config, "init_log_z", 0.0))
            self.log_z_parameter = nn.Parameter(torch.tensor(initial, device=self.device))
            groups.append({"params": [self.log_z_parameter]})
        if self.modules:
            groups.append({"params": list(self.modules.parameters())})
        self.optimizer = make_optimizer(getattr(self.config, "optimizer", "adam"), groups)
        self.iteration = 0
        self._engine: Engine | None = None
        if getattr(self.config, "engine", "auto") != "auto":
            self._engine = make_engine(self, self.config.engine)

    def check(self) -> None:
        """Raise UnsupportedError if the method does not apply to the environment."""

    def automatic_replay(self) -> str:
        """The scheme of ``replay="auto"``."""
        return AUTOMATIC[self.dag.expensive_reward]

    def make_policy(self) -> Policy:
        """The networks, sized for the environment."""
        return make_policy(self.dag, self.config, self.backward.learned, self.learns_flow)

    def make_modules(self) -> dict[str, nn.Module]:
        """Networks in addition to the policy, by name, such as a guide or an ensemble; none by default.

        They are in :attr:`modules`, the optimizer trains them at the rate ``lr``, and checkpoints hold them.
        """
        return {}

    @property
    def engine(self) -> Engine:
        """The engine that samples and trains this agent; chosen at first use if the setting is "auto"."""
        if self._engine is None:
            self._engine = make_engine(self, "auto" if isinstance(self.config, EngineSettings) else "torch")
        return self._engine

    @property
    def balance(self) -> Balance | None:
        """The objective as a balance declaration; None if it is not a balance objective."""
        return None

    @property
    def log_odds(self) -> float:
        """log(alpha / (1 - alpha)) of alpha-GFN, which balance objectives add to log P_F - log P_B of every edge."""
        return 0.0

    # ------------------------------------------------------------------ learning

    def update(self) -> dict[str, Any]:
        """One iteration.

        Returns:
            ``loss``, ``log_z``, ``transitions`` (steps taken or undone) and ``mean_log_reward`` of the sampled batch.
        """
        raise NotImplementedError(f"{type(self).__name__} defines no update")

    def loss(self, trajectories: Trajectories) -> Tensor:
        """Scalar loss of a batch."""
        raise NotImplementedError(f"{type(self).__name__} defines no loss")

    def auxiliary_loss(self, trajectories: Trajectories) -> Tensor | None:
        """Loss of the explorer's networks in :attr:`modules` on the same batch; None if it has none."""
        return self.explorer.loss(self, trajectories)

    def log_probs(self, trajectories: Trajectories) -> LogProbs:
        """log P_F, log P_B and log F along trajectories, as the objective sees them."""
        found = log_probs(self.dag, self.policy, trajectories, self.backward)
        # If P_B has a separate loss, the objective must not train it.
        return found if self.backward.in_objective else found._replace(log_pb=found.log_pb.detach())

    def log_pb(self, trajectories: Trajectories) -> Tensor:
        """log P_B of the edges (e,), with its gradient."""
        return log_probs(self.dag, self.policy, trajectories, self.backward).log_pb

    @on_working_threads
    def step_optimizer(self, loss: Tensor) -> None:
        """Backpropagate and step, at this iteration's learning rates."""
        self.set_learning_rates()
        minimize(loss, self.optimizer, getattr(self.config, "max_grad_norm", None))

    def set_learning_rates(self) -> None:
        """Set the learning rates of networks and log Z for this iteration."""
        groups = self.optimizer.param_groups
        if isinstance(self.config, OptimizerSettings):
            groups[0]["lr"] = self.config.lr(self.iteration)
        if self.log_z_parameter is not None:
            groups[1]["lr"] = self.config.lr_log_z(self.iteration)
        if self.modules:
            groups[-1]["lr"] = groups[0]["lr"]

    # ------------------------------------------------------------------ sampling

    def forward_logits(self) -> rollout.Logits:
        """The forward policy as a function of states, with the current parameters."""
        return self._logits("forward")

    def backward_logits(self) -> rollout.Logits | None:
        """The backward policy as a function of states; None if it is uniform."""
        return self._logits("backward") if self.backward.learned else self.backward.sampler(self.dag, self.policy)

    def _logits(self, head: Head) -> rollout.Logits:
        evaluate = self.policy.logits(head)

        def logits(states: IntArray) -> FloatArray:
            if len(states) < DISTINCT_ROWS:
                return evaluate(states)
            unique, inverse = distinct(states)
            return evaluate(unique).take(inverse, axis=0)

        return logits

    def sample_trajectories(
        self,
        n: int,
        exploration: rollout.Exploration = rollout.ON_POLICY,
        rng: np.random.Generator | None = None,
        rewards: bool = True,
    ) -> Trajectories:
        """``n`` trajectories of the forward policy. Without ``rewards``, none is evaluated, and log R is NaN."""
        n, rng = positive_int("n", n, f"agent {self.name!r}", at_least=0), rng or self.rng
        with rollout.rewound_on_error(rng):
            return self.engine.sample(n, rng, exploration, rewards)

    def behavior(self) -> rollout.Logits | None:
        """The policy that training samples from, as a function of states; None is P_F itself.

        It is called once per batch. Exploration is applied on top. Evaluations always sample P_F. Objectives
        that are policy gradients need batches of P_F. Explorers (:mod:`agents.exploration`) choose other behaviors.
        """
        return None

    def behaviors(self, n: int) -> Behaviors:
        """The policies that training samples ``n`` trajectories from, and the number of trajectories of each.

        By default the setting ``explorer`` chooses them; without an explorer, :meth:`behavior` samples all
        trajectories. Thompson sampling returns many policies (members of an ensemble), each with few trajectories.
        """
        return self.explorer.behaviors(self, n)

    def sample_batch(self) -> Trajectories:
        """The trajectories of this iteration, with its exploration. They stay in :attr:`last_batch`."""
        n, i = self.config.batch_size, self.iteration
        delay_stop = 0.0 if self.delay_stop is None else self.delay_stop(i)
        exploration = rollout.Exploration(self.config.epsilon(i), self.config.temperature(i), delay_stop)
        with rollout.rewound_on_error(self.rng):
            with torch.inference_mode():
                behaviors = self.behaviors(n)
            if [logits for logits, _ in behaviors] == [None]:
                self.last_batch = self.sample_trajectories(n, exploration)
            else:
                self.last_batch = self._sample_behaviors(behaviors, exploration)
        return self.last_batch

    @on_working_threads
    def _sample_behaviors(self, behaviors: Behaviors, exploration: rollout.Exploration) -> Trajectories:
        """Trajectories of each of these policies, with their rewards, evaluated together."""
        with torch.inference_mode():
            policies = [(self.forward_logits() if logits is None else logits, size) for logits, size in behaviors]
            parts = [
                rollout.sample_forward(self.dag, logits, size, self.rng, exploration, rewards=False)
                for logits, size in policies
            ]
        batch = concatenate(*parts)
        found = log_rewards(self.dag, batch.terminal_states)
        return rollout.rewarded(self.dag, dataclasses.replace(batch, log_reward=found))

    @on_working_threads
    def sample_backward(self, objects: IntArray, log_reward: FloatArray | None = None) -> Trajectories:
        """One trajectory to each object (n, state_width), sampled backward from its end by P_B."""
        with torch.inference_mode():
            return rollout.sample_backward(self.dag, objects, self.backward_logits(), self.rng, log_reward)

    def sample(self, n: int, rng: np.random.Generator | None = None) -> IntArray:
        """``n`` objects: terminal states (n, state_width). No reward is evaluated.

        ``rng`` defaults to the agent's own random stream. Objects with long trajectories are sampled in parts, so that
        memory stays bounded.
        """
        n, rng = positive_int("n", n, f"agent {self.name!r}", at_least=0), rng or self.rng
        size = trajectories_per_part(self)
        with rollout.rewound_on_error(rng):
            parts = [
                self.sample_trajectories(min(size, n - start), rng=rng, rewards=False).terminal_states
                for start in range(0, max(n, 1), size)
            ]
        return np.concatenate(parts)

    @on_working_threads
    def probabilities(self, states: IntArray) -> FloatArray:
        """P_F of non-terminal states, float64 (n, num_actions); illegal actions have probability 0.

        Raises:
            NoLegalActionError: a state without a legal action.
            FloatingPointError: NaN or infinite logits.
        """
        mask = self.dag.forward_mask(states)
        if not mask.any(1).all():
            raise NoLegalActionError(f"state {states[int(np.argmin(mask.any(1)))].tolist()} has no action")
        with torch.inference_mode():
            logits = self.forward_logits()(states).astype(np.float64)
        logits[~mask] = -np.inf
        largest = logits.max(1, keepdims=True)
        if not np.isfinite(largest).all():
            row = int(np.argmin(np.isfinite(largest)))
            raise FloatingPointError(f"the policy gave NaN or infinite logits at state {states[row].tolist()}")
        weights = np.exp(logits - largest)
        return weights / weights.sum(1, keepdims=True)

    def target_log_weights(self) -> FloatArray | None:
        """log w(x) of a target w(x) R(x), float64 (num_terminal_states,); None if the target is R."""
        return None

    @property
    def log_z(self) -> float | None:
        """The agent's estimate of log Z; None if it has none."""
        return None if self.log_z_parameter is None else self.log_z_parameter.item()

    # ------------------------------------------------------------------ checkpoints

    def state_dict(self) -> dict[str, Any]:
        """State that the next iteration depends on: tensors, numbers, strings and plain containers only."""
        log_z = self.log_z_parameter
        modules = {"modules": self.modules.state_dict()} if self.modules else {}
        return modules | {
            "iteration": self.iteration,
            "policy": self.policy.state_dict(),
            "log_z": None if log_z is None else log_z.detach().clone(),
            "optimizer": self.optimizer.state_dict(),
            "rng": self.rng.bit_generator.state,
            "beta": self.beta,
            "memory": self.backward.state_dict(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore :meth:`state_dict`. The run continues bit for bit.

        Raises:
            ValueError: the state of another kind of agent or environment. The agent is unchanged.
        """
        self.policy.load_state_dict(state["policy"])
        if self.modules:
            self.modules.load_state_dict(state["modules"])
        self.iteration = state["iteration"]
        self.beta = state.get("beta", 1.0)  # Version 0.1 had no beta.
        if self.log_z_parameter is not None:
            with torch.no_grad():
                self.log_z_parameter.copy_(state["log_z"])
        # Adam keeps the given tensors and changes them later.
        self.optimizer.load_state_dict(copy.deepcopy(self._own_groups(state["optimizer"])))
        self.rng.bit_generator.state = state["rng"]
        self.backward.load_state_dict(state["memory"])

    def _own_groups(self, saved: dict[str, Any]) -> dict[str, Any]:
        """The state of an optimizer without the group of log Z, which version 0.1 saved for every agent."""
        groups = saved["param_groups"][: len(self.optimizer.param_groups)]
        kept = {i for group in groups for i in group["params"]}
        return {"param_groups": groups, "state": {i: s for i, s in saved["state"].items() if i in kept}}


def usable_device(name: str) -> torch.device:
    """The device with that name. Raises ValueError if this machine, or this build of torch, has none."""
    try:
        device = torch.device(name)
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:
        raise ValueError(f"device {name!r} cannot be used here: {str(error).splitlines()[0]}") from error
    return device
