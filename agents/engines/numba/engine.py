"""What an agent with ``compiled=True`` samples and learns by."""

from __future__ import annotations

import itertools
import math
import operator
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch
from threadpoolctl import threadpool_limits
from torch import Tensor

from agents.engines.numba import adam, kernels
from agents.engines.numba import balance as objectives
from agents.engines.numba.tables import tables
from agents.errors import NoLegalActionError
from agents.gflownets.db import DB
from agents.gflownets.subtb import SubTB
from agents.gflownets.tb import TB
from agents.gflownets.vargrad import VarGrad
from agents.policies.mlp import MLP
from agents.policies.state_action import StateActionPolicy
from agents.trajectories import Trajectories, concatenate
from gfn_envs.arrays import FloatArray, IntArray
from gfn_envs.enumeration import state_graph

if TYPE_CHECKING:
    from agents.agent import Agent

#: Larger batches are sampled in pieces, of so many random numbers each.
NUMBERS = 2**22
#: The objective of each agent that can be compiled.
OBJECTIVES: dict[type[Agent], Any] = {
    TB: objectives.trajectory_balance,
    VarGrad: objectives.log_partition_variance,
    DB: objectives.detailed_balance,
    SubTB: objectives.subtrajectory_balance,
}


class Evaluated(NamedTuple):
    """log P_F, log P_B (e,) and log F (s,), where the policy has it, of a batch; and how they came about."""

    log_pf: FloatArray
    log_pb: FloatArray
    log_flow: FloatArray
    batch: tuple[Any, ...]
    inside: tuple[Any, ...]


def check(agent: Agent) -> None:
    """Raise ValueError where an agent cannot be compiled, saying what it takes."""
    dag, policy, backward = agent.dag, agent.policy, agent.config.backward
    require(type(agent) in OBJECTIVES, f"agent {' or '.join(a.name for a in OBJECTIVES)}", agent.name)
    require(backward in ("learned", "uniform"), "backward 'learned' or 'uniform'", repr(backward))
    require(agent.device.type == "cpu", "device 'cpu'", repr(agent.config.device))
    # Subclasses may compute something else.
    layered = type(policy) is StateActionPolicy and all(type(network) is MLP for network in policy.networks)
    require(layered, "a multi-layer perceptron (network 'mlp', form 'sa')", "another policy")
    assert isinstance(policy, StateActionPolicy)
    require(len(policy.networks) == 1, "one network for all heads (shared True)", f"{len(policy.networks)}")
    require(policy.inputs == dag.encode, "a policy that reads dag.encode", repr(policy.inputs))
    require(policy.anchor.dtype == torch.float32, "single precision", str(policy.anchor.dtype))
    layers = layers_of(policy)
    require(len(layers) > 1, "at least one hidden layer", "none")
    own, parameters = [p for layer in layers for p in layer], list(policy.parameters())
    same = len(own) == len(parameters) and all(map(operator.is_, own, parameters))
    require(same, "a policy whose parameters are those of its layers", f"{len(parameters)} parameters")
    outputs = [dag.num_actions, dag.num_backward_actions * policy.learns_backward, int(policy.learns_flow)]
    widths = [dag.num_features, *(len(bias) for _, bias in layers[:-1]), sum(outputs)]
    shapes = [*itertools.pairwise(widths[:-1]), (widths[-1], widths[-2])]
    fits = policy.sizes == outputs and shapes == [tuple(weight.shape) for weight, _ in layers]
    given = f"heads of {policy.sizes} and weights of {[tuple(weight.shape) for weight, _ in layers]}"
    require(fits, f"heads of {outputs} and weights of {shapes}, as the environment has it", given)


def require(condition: bool, what: str, given: str) -> None:
    """Raise ValueError unless ``condition``."""
    if not condition:
        raise ValueError(f"compiled needs {what}, got {given}")


def layers_of(policy: Any) -> list[tuple[torch.nn.Parameter, torch.nn.Parameter]]:
    """Weight and bias of each layer of a policy that passed :func:`check`."""
    return policy.networks[0].layers


class Engine:
    """Compiled rollouts and gradient steps of an agent.

    The arrays that the kernels work on are the agent's own parameters and moments, so checkpoints are the same, and
    whatever else changes them is seen here.

    Args:
        agent: one of :data:`OBJECTIVES`, on an environment that can be enumerated, whose policy is a multi-layer
            perceptron that all heads share.

    Raises:
        ValueError: another agent, policy or device, or a P_B with an objective of its own.
        EnumerationError: the environment is too large.
    """

    def __init__(self, agent: Agent):
        check(agent)
        self.agent, self.views = agent, Views()
        self.place = np.full(len(tables(agent.dag).child), -1, np.int32)
        self.latest: tuple[Trajectories, IntArray] | None = None
        self.threads = 0

    def arrays(self) -> tuple[tuple[FloatArray, ...], tuple[FloatArray, ...]]:
        """Weights and biases, in the memory of the policy's parameters."""
        layers = layers_of(self.agent.policy)
        return self.views.of("weights", (w for w, _ in layers)), self.views.of("biases", (b for _, b in layers))

    def sample(self, n: int, rng: np.random.Generator, epsilon: float = 0.0, temperature: float = 1.0) -> Trajectories:
        """``n`` trajectories of the forward policy, as :func:`agents.rollout.sample_forward` samples them.

        Raises:
            FloatingPointError: logits that are no numbers.
            NoLegalActionError: a trajectory is longer than the environment says.
        """
        dag = self.agent.dag
        piece = max(1, NUMBERS // dag.max_length)
        if n > piece:
            sizes = [min(piece, n - first) for first in range(0, n, piece)]
            return concatenate(*(self.sample(size, rng, epsilon, temperature) for size in sizes))
        u = rng.random((dag.max_length, n), dtype=np.float32)
        explore = rng.random(u.shape, dtype=np.float32) if epsilon > 0 else u
        index, actions, backward_actions, offsets, bad = kernels.sample(
            tables(dag), *self.arrays(), u, explore, np.float32(epsilon), np.float32(temperature)
        )
        states = state_graph(dag).states
        if bad == kernels.LONGER:
            raise NoLegalActionError(f"a trajectory is longer than max_length = {dag.max_length}")
        if bad >= 0:
            raise FloatingPointError(f"the policy gave NaN or infinite logits at state {states[bad].tolist()}")
        log_reward = dag.log_reward(states.take(index.take(offsets[1:] - 1), axis=0))
        batch = Trajectories(states.take(index, axis=0), actions, backward_actions, offsets, log_reward)
        self.latest = batch, index
        return batch

    def index(self, batch: Trajectories) -> IntArray:
        """Positions of a batch's states in ``dag.levels()``, (s,): known of what was sampled here last.

        Raises:
            KeyError: a state that cannot be reached.
            ValueError: arrays that do not fit together.
        """
        if self.latest is not None and self.latest[0] is batch:
            return self.latest[1]
        known, index, edges = tables(self.agent.dag), self.agent.dag.state_index(batch.states), batch.num_edges
        lengths = np.diff(batch.offsets)
        fits = len(lengths) == len(batch.log_reward) and len(batch.backward_actions) == edges == len(index) - len(batch)
        fits &= batch.offsets[0] == 0 and batch.offsets[-1] == len(index) and bool((lengths > 1).all())
        fits = fits and batch.actions.min() >= 0 and int(batch.actions.max()) < self.agent.dag.num_actions
        if fits:
            taken = index[batch.sources], batch.actions
            fits = np.array_equal(known.child[taken], index[batch.targets])
            fits = fits and np.array_equal(known.backward_action[taken], batch.backward_actions)
        if not fits:
            raise ValueError("trajectories whose states, actions, backward actions and rewards do not fit together")
        return index

    def evaluate(self, trajectories: Trajectories) -> Evaluated:
        """Log-probabilities and log flows of a batch."""
        known, (weights, biases) = tables(self.agent.dag), self.arrays()
        _, num_backward, flow = self.agent.policy.sizes  # type: ignore[misc]
        batch = (
            num_backward,
            bool(flow),
            self.index(trajectories),
            trajectories.actions,
            trajectories.backward_actions,
            trajectories.offsets,
        )
        log_pf, log_pb, log_flow, *inside = kernels.evaluate(
            known, weights, biases, *batch, trajectories.log_reward, self.place
        )
        return Evaluated(log_pf, log_pb, log_flow, batch, tuple(inside))

    def learn(self, trajectories: Trajectories) -> float:
        """A gradient step of the agent on a batch; returns its loss.

        Raises:
            FloatingPointError: the loss is NaN or infinite; nothing has changed then.
            ValueError: an optimiser of another kind, or parameters that are not learned; a batch that is none.
        """
        plain = type(self.agent.optimizer) is torch.optim.Adam
        require(plain, "the optimiser torch.optim.Adam", type(self.agent.optimizer).__name__)
        # NumPy's, SciPy's: whoever gives torch a number of threads means these, too.
        if self.threads != torch.get_num_threads():
            self.threads = torch.get_num_threads()
            threadpool_limits(self.threads, user_api="blas")
        agent, evaluated = self.agent, self.evaluate(trajectories)
        loss, *of_terms, of_log_z = objective(agent, evaluated, trajectories)
        if not math.isfinite(loss):
            raise FloatingPointError(f"iteration {agent.iteration}: the loss is {loss}; try a lower learning rate")
        gradients = self.gradients(evaluated, of_terms)
        if agent.config.max_grad_norm is not None:
            adam.clip(gradients, agent.config.max_grad_norm)
        networks, log_z = agent.set_learning_rates()
        self.step("networks", networks, gradients)
        if not agent.learns_flow:
            self.step("log_z", log_z, (np.array([of_log_z], np.float32),))
        return float(loss)

    def gradients(self, evaluated: Evaluated, of_terms: Iterable[FloatArray]) -> tuple[FloatArray, ...]:
        """Flat gradients of the policy's parameters, in their order, from those of the log-probabilities and flows."""
        known, (weights, biases) = tables(self.agent.dag), self.arrays()
        of_weights, of_biases = tuple(map(np.empty_like, weights)), tuple(map(np.empty_like, biases))
        kernels.differentiate(
            known, weights, *evaluated.batch, *evaluated.inside, tuple(of_terms), of_weights, of_biases
        )
        return tuple(g.reshape(-1) for layer in zip(of_weights, of_biases, strict=True) for g in layer)

    def step(self, name: str, group: dict[str, Any], gradients: tuple[FloatArray, ...]) -> None:
        """Adam's step on a group of parameters, by its settings and on the state that torch keeps."""
        parameters, state = group["params"], self.agent.optimizer.state
        changed = [key for key in ("weight_decay", "amsgrad", "maximize") if group[key]]
        require(not changed, "Adam as it is", ", ".join(changed))
        require(all(p.requires_grad for p in parameters), "parameters that are all learned", "one that is not")
        for p in parameters:
            if not state[p]:
                moments = {moment: torch.zeros_like(p, requires_grad=False) for moment in ("exp_avg", "exp_avg_sq")}
                state[p] = {"step": torch.zeros(()), **moments}
        adam.adam(
            self.views.of(name, parameters, flat=True),
            gradients,
            *(
                self.views.of(f"{name}.{part}", (state[p][part] for p in parameters), flat=True)
                for part in ("exp_avg", "exp_avg_sq", "step")
            ),
            group["lr"],
            *group["betas"],
            group["eps"],
        )


def objective(agent: Agent, evaluated: Evaluated, trajectories: Trajectories) -> tuple[Any, ...]:
    """The loss of ``agent``, and its derivatives with respect to log P_F, log P_B, log F and log Z."""
    config = agent.config
    most = math.inf if config.clamp_loss is None else config.clamp_loss
    weighting = (float(agent.config.lamda), agent.config.weighting == "batch") if isinstance(agent, SubTB) else ()
    return OBJECTIVES[type(agent)](
        *evaluated[:3],
        agent.log_z_parameter.item(),
        trajectories.log_reward,
        trajectories.offsets,
        (objectives.PENALTIES[config.loss], float(most)),
        *weighting,
    )


class Views:
    """NumPy arrays in the memory of tensors, by name, made once as long as the tensors stay where they are.

    Making them takes longer than a small matrix product. Copies begin anew: their tensors lie elsewhere.
    """

    def __init__(self) -> None:
        self.known: dict[str, tuple[list[int], tuple[FloatArray, ...]]] = {}

    def __reduce__(self) -> tuple[type[Views], tuple[()]]:
        return Views, ()

    def of(self, name: str, tensors: Iterable[Tensor], flat: bool = False) -> tuple[FloatArray, ...]:
        """The arrays of the tensors of that name, in their shapes or ``flat``."""
        tensors = tuple(tensors)
        where = [t.data_ptr() for t in tensors]
        if name not in self.known or self.known[name][0] != where:
            arrays = (t.detach().numpy() for t in tensors)
            self.known[name] = where, tuple(a.reshape(-1) if flat else a for a in arrays)
        return self.known[name][1]
