"""What every GFlowNet agent shares: networks, optimiser, rollouts, checkpoints."""

from __future__ import annotations

import copy
import functools
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import torch
from torch import Tensor, nn

from agents import rollout
from agents.config import Config
from agents.engines.adam import adam_step
from agents.errors import NoLegalActionError
from agents.local_search import local_search
from agents.log_probs import EdgeTerms, edge_terms
from agents.losses import balance as objectives
from agents.policies.backward import maxent_log_pb, maxent_logits, negative_log_likelihood
from agents.policies.build import make_policy
from agents.policies.policy import Head, Policy
from agents.replay.objects import ReplayBuffer
from agents.replay.trajectories import TrajectoryMemory
from agents.trajectories import Trajectories, concatenate
from gfn_envs.arrays import FloatArray, IntArray, distinct
from gfn_envs.dag import Dag

if TYPE_CHECKING:
    from agents.engines.numba.engine import Engine

#: Below this many rows it is cheaper to evaluate repeated states again than to find them.
DISTINCT_ROWS = 48


def usable_device(name: str) -> torch.device:
    """The device of that name. Raises ValueError where this machine, or this build of torch, has none."""
    try:
        device = torch.device(name)
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:
        raise ValueError(f"device {name!r} cannot be used here: {str(error).splitlines()[0]}") from error
    return device


class Agent:
    """A GFlowNet: a policy on a Dag, and how it learns.

    A concrete agent defines :meth:`objective` on evaluated trajectories, or :meth:`loss` where that is not enough.

    Args:
        dag: the environment's core.
        config: the agent's settings.
        seed: of the network's first weights and of all sampling; one seed, one result.
        policy: a network of your own in place of the one that ``config`` describes.

    Raises:
        UnsupportedError: the method makes no sense on this environment.
        ValueError: settings that make no sense together or on this environment; a policy without the state flows or
            the backward logits that the agent needs.
    """

    name: ClassVar[str]
    paper: ClassVar[str]
    config_class: ClassVar[type[Config]] = Config
    learns_flow: ClassVar[bool] = False
    #: Whether a network of the user's own can take the place of the one that the settings describe.
    takes_policy: ClassVar[bool] = True
    #: Whether objects are what rollouts of P_F end in, so that their distribution follows from :meth:`probabilities`.
    samples_by_policy: ClassVar[bool] = True
    #: Where they are not: objects that stand for the distribution instead (m, state_width).
    recorded: IntArray

    def __init__(self, dag: Dag, config: Config | None = None, seed: int = 0, policy: Policy | None = None):
        self.dag, self.config, self.seed = dag, config or self.config_class(), seed
        self.device = usable_device(self.config.device)
        if policy is not None and not self.takes_policy:
            raise ValueError(f"agent {self.name!r} brings its own policy; policy must be None")
        self.policy_given = policy is not None
        self.rng = np.random.default_rng(seed)
        self.check()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.policy = (self.make_policy() if policy is None else policy).to(self.device)
        if self.learns_flow and not self.policy.learns_flow:
            raise ValueError(f"agent {self.name!r} learns state flows, and the policy given has none (learns_flow)")
        if self.learns_backward and not self.policy.learns_backward:
            raise ValueError(f"backward {self.config.backward!r} is learned, and the policy given learns no P_B")
        if self.policy.learns_backward and not self.learns_backward:
            raise ValueError(f"backward {self.config.backward!r} is not learned, and the policy given learns a P_B")
        self.log_z_parameter = nn.Parameter(torch.tensor(float(self.config.init_log_z), device=self.device))
        self.optimizer = torch.optim.Adam(
            [{"params": list(self.policy.parameters())}, {"params": [self.log_z_parameter]}],
            lr=1e-3,
            fused=True,
        )
        scheme, capacity = self.config.replay, self.config.replay_capacity
        self.replay = None if scheme == "none" else ReplayBuffer(dag, capacity, scheme)
        self.memory = TrajectoryMemory()
        self.engine = self.make_engine() if self.config.compiled else None
        self.iteration = 0
        # Moments of weights that get no gradient decay into denormal numbers, which halve the speed of Adam.
        torch.set_flush_denormal(True)

    def check(self) -> None:
        """Raise UnsupportedError where the method makes no sense on the environment."""

    @property
    def learns_backward(self) -> bool:
        """Whether P_B is a network."""
        return self.config.backward in ("learned", "tlm", "pessimistic")

    def make_policy(self) -> Policy:
        """The networks, sized for the environment."""
        return make_policy(self.dag, self.config, self.learns_backward, self.learns_flow)

    def make_engine(self) -> Engine:
        """What samples and learns where ``config.compiled``. Raises ValueError where it cannot."""
        try:
            from agents.engines.numba.engine import Engine
        except ImportError as error:
            raise ValueError(f'compiled needs Numba ({error}): pip install "gfn-envs[fast]"') from error
        except RuntimeError as error:
            raise ValueError(f"compiled needs a directory for its code ({error}): set NUMBA_CACHE_DIR") from error
        return Engine(self)

    def terms(self, trajectories: Trajectories) -> EdgeTerms:
        """log P_F, log P_B and log F along trajectories, as the objective is to see them."""
        terms = edge_terms(self.dag, self.policy, trajectories)
        if self.config.backward == "maxent":
            return terms._replace(log_pb=torch.from_numpy(maxent_log_pb(self.dag, trajectories)).to(terms.log_pf))
        # Where P_B has an objective of its own, this one leaves it alone.
        return terms if self.config.backward in ("learned", "uniform") else terms._replace(log_pb=terms.log_pb.detach())

    def loss(self, trajectories: Trajectories) -> Tensor:
        """Scalar loss of a batch."""
        return self.objective(self.terms(trajectories), trajectories)

    def objective(self, terms: EdgeTerms, trajectories: Trajectories) -> Tensor:
        """Scalar objective of evaluated trajectories."""
        raise NotImplementedError(f"{type(self).__name__} defines neither objective nor loss")

    def penalty(self, residual: Tensor) -> Tensor:
        """The configured penalty of residuals."""
        return objectives.penalty(residual, self.config.loss, self.config.clamp_loss)

    def backward_loss(self, trajectories: Trajectories) -> Tensor:
        """Loss of a P_B that is fitted by maximum likelihood to trajectories of P_F."""
        if self.config.backward == "pessimistic":
            self.memory.add(trajectories)
            trajectories = self.memory.sample(self.rng)
        return negative_log_likelihood(edge_terms(self.dag, self.policy, trajectories).log_pb, len(trajectories))

    # ------------------------------------------------------------------ learning

    def update(self) -> dict[str, Any]:
        """One iteration: sample a batch, take a gradient step; with replay, learn from the buffer too.

        Returns:
            ``loss``, ``log_z``, ``mean_log_reward`` of the batch sampled; ``transitions``, all steps taken or undone.

        Raises:
            FloatingPointError: the loss or the policy's logits became NaN or infinite; the parameters keep their last
                finite values.
        """
        batch = self.sample_trajectories(
            self.config.batch_size, self.config.epsilon(self.iteration), self.config.temperature(self.iteration)
        )
        fitted = self.backward_loss(batch) if self.config.backward in ("tlm", "pessimistic") else None
        others, searched = self.replayed(batch)
        joint = self.config.replay_mix == "joint"
        value = self.learn(concatenate(batch, *others) if joint and others else batch, fitted)
        for other in () if joint else others:
            self.learn(other)
        self.iteration += 1
        return {
            "loss": value,
            "log_z": self.log_z,
            "transitions": batch.num_edges + searched + sum(other.num_edges for other in others),
            "mean_log_reward": float(batch.log_reward.sum()) / len(batch),
        }

    def replayed(self, batch: Trajectories) -> tuple[list[Trajectories], int]:
        """What else this iteration learns from: objects that local search finds from those of ``batch``, and objects
        of the buffer, which ``batch`` enters; each with a trajectory sampled by P_B. And the steps of the search."""
        others: list[Trajectories] = []
        searched = 0
        if not self.config.local_search and self.replay is None:
            return others, searched
        objects, log_reward = batch.terminal_states, batch.log_reward
        if self.config.local_search:
            with torch.inference_mode(), rollout.one_blas_thread():
                found = local_search(
                    self.dag,
                    objects,
                    log_reward,
                    self.forward_logits(),
                    self.backward_logits(),
                    self.rng,
                    steps=self.config.search_fraction,
                    min_steps=1,
                    rounds=self.config.local_search,
                    accept=self.config.search_accept,
                )
            searched = found.transitions
            others.append(self.sample_backward(found.objects, found.log_reward))
            objects = np.concatenate([objects, found.proposals])
            log_reward = np.concatenate([log_reward, found.proposals_log_reward])
        if self.replay is not None:
            self.replay.add(objects, log_reward)
            others.append(self.sample_backward(*self.replay.sample(self.config.replay_batch_size, self.rng)))
        return others, searched

    def learn(self, trajectories: Trajectories, extra: Tensor | None = None) -> float:
        """A gradient step on a batch; returns its loss."""
        if self.engine is not None:
            return self.engine.learn(trajectories)
        loss = self.loss(trajectories)
        if extra is not None:
            loss = loss + extra
        value = loss.item()
        if not np.isfinite(value):
            raise FloatingPointError(f"iteration {self.iteration}: the loss is {value}; try a lower learning rate")
        self.step_optimizer(loss)
        return value

    def step_optimizer(self, loss: Tensor) -> None:
        """Backpropagate and step, at this iteration's learning rates."""
        self.set_learning_rates()
        for group in self.optimizer.param_groups:
            for parameter in group["params"]:
                parameter.grad = None
        loss.backward()
        if self.config.max_grad_norm is not None:
            nn.utils.clip_grad_norm_(self.policy.parameters(), self.config.max_grad_norm)
        adam_step(self.optimizer)

    def set_learning_rates(self) -> list[dict[str, Any]]:
        """The optimiser's groups, networks and log Z, at this iteration's learning rates."""
        networks, log_z = groups = self.optimizer.param_groups
        networks["lr"], log_z["lr"] = self.config.lr(self.iteration), self.config.lr_log_z(self.iteration)
        return groups

    # ------------------------------------------------------------------ sampling

    def forward_logits(self) -> rollout.Logits:
        """The forward policy as a function of states, with the parameters of this moment."""
        return self._logits("forward")

    def backward_logits(self) -> rollout.Logits | None:
        """The backward policy as a function of states; None where it is uniform."""
        if self.config.backward == "maxent":
            return functools.partial(maxent_logits, self.dag)
        return self._logits("backward") if self.policy.learns_backward else None

    def _logits(self, head: Head) -> rollout.Logits:
        evaluate = self.policy.logits(head)

        def logits(states: IntArray) -> FloatArray:
            if len(states) < DISTINCT_ROWS:
                return evaluate(states)
            unique, inverse = distinct(states)
            return evaluate(unique).take(inverse, axis=0)

        return logits

    def sample_trajectories(
        self, n: int, epsilon: float = 0.0, temperature: float = 1.0, rng: np.random.Generator | None = None
    ) -> Trajectories:
        """``n`` trajectories of the forward policy."""
        if self.engine is not None:
            return self.engine.sample(n, rng or self.rng, epsilon, temperature)
        with torch.inference_mode(), rollout.one_blas_thread():
            return rollout.sample_forward(
                self.dag, self.forward_logits(), n, rng or self.rng, epsilon=epsilon, temperature=temperature
            )

    def sample_backward(self, objects: IntArray, log_reward: FloatArray | None = None) -> Trajectories:
        """A trajectory to each object (n, state_width), from its end, by P_B."""
        with torch.inference_mode(), rollout.one_blas_thread():
            return rollout.sample_backward(self.dag, objects, self.backward_logits(), self.rng, log_reward)

    def sample(self, n: int, rng: np.random.Generator | None = None) -> IntArray:
        """``n`` objects: terminal states (n, state_width). With no ``rng`` the agent's own stream is used."""
        return self.sample_trajectories(n, rng=rng).terminal_states

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

    @property
    def log_z(self) -> float | None:
        """The agent's estimate of log Z; None where it has none."""
        return self.log_z_parameter.item()

    # ------------------------------------------------------------------ checkpoints

    def state_dict(self) -> dict[str, Any]:
        """Everything that the next iteration depends on: tensors, numbers, strings and plain containers only."""
        return {
            "iteration": self.iteration,
            "policy": self.policy.state_dict(),
            "log_z": self.log_z_parameter.detach().clone(),
            "optimizer": self.optimizer.state_dict(),
            "rng": self.rng.bit_generator.state,
            "memory": self.memory.state_dict(),
            "replay": None if self.replay is None else self.replay.state_dict(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore :meth:`state_dict`; the run continues bit for bit.

        Raises:
            ValueError: with another buffer than this agent's, such as one of another environment; the agent is then
                left as it was.
        """
        if (self.replay is None) != (state["replay"] is None):
            given = "no" if state["replay"] is None else "a"
            raise ValueError(
                f"the saved agent has {given} replay buffer, and this one has replay={self.config.replay!r}"
            )
        # First of all, as it may refuse.
        if self.replay is not None:
            self.replay.load_state_dict(state["replay"])
        self.policy.load_state_dict(state["policy"])
        self.iteration = state["iteration"]
        with torch.no_grad():
            self.log_z_parameter.copy_(state["log_z"])
        # Adam keeps the tensors it is given, and goes on to change them.
        self.optimizer.load_state_dict(copy.deepcopy(state["optimizer"]))
        self.rng.bit_generator.state = state["rng"]
        self.memory.load_state_dict(state["memory"])
