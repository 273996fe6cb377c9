"""The agents that the compiled engine supports."""

from __future__ import annotations

import itertools
import operator
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from agents.engines.adam import is_adam
from agents.engines.engine import Learner
from agents.engines.muon import Muon
from agents.policies.mlp import MLP
from agents.policies.state_action import StateActionPolicy
from gfn_envs.arrays import FloatArray

#: Options of Adam that change its step.
NOT_PLAIN = ("weight_decay", "amsgrad", "maximize")
#: Methods of the learner that the kernels replace.
COMPILED = (
    *("loss", "balance_loss", "auxiliary_loss", "penalty", "log_flow", "log_z_of", "groups", "log_probs", "log_pb"),
    "forward_logits",
)


def check(learner: Learner) -> None:
    """Raise ValueError if this engine does not support a learner. The message names the requirement."""
    dag, policy = learner.dag, learner.policy
    require(learner.balance is not None, "an agent with a balance objective", learner.name)
    require(learner.backward.in_objective, "a P_B without a separate loss", repr(learner.backward.name))
    require(dag.on_error != "skip", "a reward for every object (on_error other than 'skip')", repr(dag.on_error))
    require(learner.device.type == "cpu", "device 'cpu'", repr(str(learner.device)))
    optimizer = learner.optimizer
    plain = has_steps(optimizer) and not any(g.get(k) for g in optimizer.param_groups for k in NOT_PLAIN)
    given = repr(getattr(learner.config, "optimizer", ""))
    require(plain, "optimizer 'muon', or 'adam' with its betas and eps at most", given)
    overridden = [name for name in COMPILED if not getattr(type(learner), name, check).__module__.startswith("agents.")]
    require(not getattr(learner, "modules", ()), "no further networks", f"those of {learner.name!r}")
    own = [part for part in (learner.backward, getattr(learner, "explorer", None)) if _has_loss(part)]
    require(not own, "no further losses", ", ".join(f"that of {type(part).__name__}" for part in own))
    given = f"{', '.join(overridden)} defined by {learner.name!r}"
    require(not overridden, "the loss that the balance declares", given)
    # Subclasses may compute something else.
    layered = type(policy) is StateActionPolicy and all(type(network) is MLP for network in policy.networks)
    require(layered, "a multi-layer perceptron (network 'mlp', form 'sa')", "another policy")
    assert isinstance(policy, StateActionPolicy)
    require(not any(network.slope for network in policy.networks), "activation 'relu'", "'leaky_relu'")
    require(len(policy.networks) == 1, "one network for all heads (shared True)", f"{len(policy.networks)}")
    reads = policy.inputs in (dag.encode, dag.active_features)
    require(reads, "a policy that reads dag.encode", repr(policy.inputs))
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


def _has_loss(part: Any) -> bool:
    """Whether a user's P_B or explorer has a loss of its own."""
    return part is not None and not type(part).loss.__module__.startswith("agents.")


def has_steps(optimizer: torch.optim.Optimizer) -> bool:
    """Whether this engine has the steps of an optimizer."""
    return is_adam(optimizer) or type(optimizer) is Muon


def require(condition: bool, what: str, given: str) -> None:
    """Raise ValueError unless ``condition``."""
    if not condition:
        raise ValueError(f"engine 'numba' needs {what}, got {given}; use engine='torch'")


def layers_of(policy: Any) -> list[tuple[torch.nn.Parameter, torch.nn.Parameter]]:
    """Weight and bias of each layer of a policy that passed :func:`check`."""
    return policy.networks[0].layers


def forward_head(weights: Sequence[FloatArray], num_actions: int) -> FloatArray:
    """The last weights for the forward logits, (in, num_actions), contiguous for products."""
    return np.ascontiguousarray(weights[-1][:num_actions].T)
