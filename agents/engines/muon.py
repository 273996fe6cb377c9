"""Muon: steps along orthogonalized momentum for matrices, and Adam for all other parameters.

Jordan et al. 2024 (https://kellerjordan.github.io/posts/muon/), with the scale of Liu et al. 2025, Muon is Scalable for
LLM Training, which gives a step the size of one of Adam, so that both take the same learning rates.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from agents.engines.adam import new_state

#: Coefficients of the quintic Newton-Schulz iteration, and the number of iterations.
A, B, C, ITERATIONS = 3.4445, -4.7750, 2.0315, 5
#: Adam updates matrices with fewer rows or columns, such as heads with few actions.
SMALLEST = 16
#: Root mean square of the entries of a step, in learning rates; about that of Adam.
SIZE = 0.2


def is_matrix(parameter: Any) -> bool:
    """Whether Muon orthogonalizes the steps of a parameter."""
    return parameter.ndim == 2 and min(parameter.shape) >= SMALLEST


def orthogonalized(matrix: Any) -> Any:
    """The matrix with its singular values replaced by values near 1, roughly U V^T of its decomposition U S V^T.

    Args:
        matrix: a tensor or a NumPy array (rows, columns).

    Returns:
        The same kind. Its singular values lie between 0.6 and 1.3, apart from those that are nearly 0.
    """
    tall = matrix.shape[0] > matrix.shape[1]
    x = matrix.T if tall else matrix
    x = x / ((x * x).sum() ** 0.5 + 1e-7)
    for _ in range(ITERATIONS):
        square = x @ x.T
        x = A * x + (B * square + C * (square @ square)) @ x
    return x.T if tall else x


def step_matrix(matrix: Any, gradient: Any, momentum: Any, decay: float, lr: float) -> None:
    """One step of Muon with Nesterov momentum, in place, on tensors or NumPy arrays."""
    momentum *= decay
    momentum += gradient
    matrix -= lr * SIZE * max(matrix.shape) ** 0.5 * orthogonalized(gradient + decay * momentum)


class Muon(torch.optim.Optimizer):
    """Muon for matrices (:func:`is_matrix`), Adam for the rest, at the same learning rate.

    Args:
        params: parameters or groups, as for every optimizer of torch.
        lr: learning rate.
        momentum: decay of Muon's momentum.
        betas, eps: of Adam.

    Raises:
        ValueError: ``momentum`` or one of ``betas`` outside [0, 1).
    """

    def __init__(
        self,
        params: Any,
        lr: float = 1e-3,
        momentum: float = 0.95,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
    ):
        if not all(0 <= decay < 1 for decay in (momentum, *betas)):
            raise ValueError(f"momentum and betas must lie in [0, 1), got {momentum} and {betas}")
        super().__init__(params, {"lr": lr, "momentum": momentum, "betas": betas, "eps": eps})

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> None:  # type: ignore[override]
        """One step on every parameter that has a gradient."""
        if closure is not None:
            raise ValueError("Muon takes no closure")
        for group in self.param_groups:
            for parameter in (p for p in group["params"] if p.grad is not None):
                state = self.state_of(parameter)
                if is_matrix(parameter):
                    step_matrix(parameter, parameter.grad, state["momentum"], group["momentum"], group["lr"])
                else:
                    _adam(parameter, parameter.grad, state, group)

    def state_of(self, parameter: torch.Tensor) -> dict[str, Any]:
        """The state of a parameter, made at its first step."""
        if not self.state[parameter]:
            new = {"momentum": torch.zeros_like(parameter)} if is_matrix(parameter) else new_state(parameter)
            self.state[parameter].update(new)
        return self.state[parameter]


def _adam(parameter: Any, gradient: torch.Tensor, state: dict[str, Any], group: dict[str, Any]) -> None:
    """One step of Adam (Kingma and Ba 2015, algorithm 1)."""
    beta1, beta2 = group["betas"]
    state["step"] += 1
    step = float(state["step"])
    mean, square = state["exp_avg"], state["exp_avg_sq"]
    mean.lerp_(gradient, 1 - beta1)
    square.mul_(beta2).addcmul_(gradient, gradient, value=1 - beta2)
    scale = (square / (1 - beta2**step)).sqrt_().add_(group["eps"])
    parameter.addcdiv_(mean, scale, value=-group["lr"] / (1 - beta1**step))
