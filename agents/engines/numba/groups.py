"""Steps of Adam and Muon on parameter groups, with the settings and the state of torch's optimizer."""

from __future__ import annotations

from typing import Any

from torch.optim import Optimizer

from agents.engines.adam import new_state
from agents.engines.muon import Muon, is_matrix, step_matrix
from agents.engines.numba import adam
from agents.engines.numba.support import NOT_PLAIN, require
from agents.engines.numba.views import Views
from gfn_envs.arrays import FloatArray


def step_group(
    views: Views, optimizer: Optimizer, name: str, group: dict[str, Any], gradients: tuple[FloatArray, ...]
) -> None:
    """One step on a parameter group, in place.

    Args:
        views: arrays of the parameters and of the optimizer's state.
        optimizer: Adam, or Muon, which leaves all but matrices to Adam.
        name: name of the group in ``views``.
        group: one of ``optimizer.param_groups``.
        gradients: flat gradients of its parameters.

    Raises:
        ValueError: a setting without a compiled step, or a parameter that is not trained.
    """
    changed = [key for key in NOT_PLAIN if group.get(key)]
    require(not changed, "Adam with its defaults", ", ".join(changed))
    require(all(p.requires_grad for p in group["params"]), "parameters that are all trained", "an untrained one")
    trained = list(zip(group["params"], gradients, strict=True))
    if isinstance(optimizer, Muon):
        step_matrices(views, optimizer, name, group, [pair for pair in trained if is_matrix(pair[0])])
        trained = [pair for pair in trained if not is_matrix(pair[0])]
    parameters, state = [p for p, _ in trained], optimizer.state
    for p in parameters:
        if not state[p]:
            state[p] = new_state(p)
    arrays = [
        views.of(name, parameters, flat=True),
        [gradient for _, gradient in trained],
        *(
            views.of(f"{name}.{part}", (state[p][part] for p in parameters), flat=True)
            for part in ("exp_avg", "exp_avg_sq", "step")
        ),
    ]
    for own in zip(*arrays, strict=True):
        adam.adam(*own, group["lr"], *group["betas"], group["eps"])


def step_matrices(
    views: Views, optimizer: Muon, name: str, group: dict[str, Any], trained: list[tuple[Any, FloatArray]]
) -> None:
    """A step of Muon on matrices, given with their flat gradients."""
    arrays = views.of(f"{name}.matrices", (p for p, _ in trained))
    momenta = views.of(f"{name}.momentum", (optimizer.state_of(p)["momentum"] for p, _ in trained))
    for matrix, (_, gradient), momentum in zip(arrays, trained, momenta, strict=True):
        step_matrix(matrix, gradient.reshape(matrix.shape), momentum, group["momentum"], group["lr"])
