"""A step of trust region policy optimization."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor


def conjugate_gradient(
    product: Callable[[Tensor], Tensor], b: Tensor, iterations: int = 10, tolerance: float = 1e-10
) -> Tensor:
    """x with ``product(x)`` close to b, for a symmetric positive definite product of vectors.

    Stops after ``iterations``, or when the residual's norm is at most ``tolerance`` times that of b.
    """
    x, residual = torch.zeros_like(b), b.clone()
    direction, square = residual.clone(), residual @ residual
    target = tolerance**2 * square
    for _ in range(iterations):
        if square <= target:
            break
        image = product(direction)
        step = square / (direction @ image)
        x, residual = x + step * direction, residual - step * image
        previous, square = square, residual @ residual
        direction = residual + square / previous * direction
    return x


def flat_gradient(scalar: Tensor, parameters: Sequence[Tensor], create_graph: bool = False) -> Tensor:
    """Gradient of a scalar with respect to all parameters as one vector."""
    gradients = torch.autograd.grad(scalar, parameters, create_graph=create_graph, retain_graph=True)
    return torch.cat([gradient.reshape(-1) for gradient in gradients])


def hessian_product(scalar: Tensor, parameters: Sequence[Tensor]) -> Callable[[Tensor], Tensor]:
    """Product of the Hessian of a scalar with flat vectors. For KL(old || new) at new = old: the Fisher matrix."""
    gradient = flat_gradient(scalar, parameters, create_graph=True)
    return lambda vector: flat_gradient(gradient @ vector, parameters)


@dataclass(frozen=True)
class TrustRegionResult:
    """Result of a trust region step."""

    accepted: bool
    """True if the parameters changed."""
    improvement: float
    """Decrease of the surrogate; 0 if no step was accepted."""
    kl: float
    """KL(old || new); 0 if no step was accepted."""
    backtracks: int
    """Number of times the step was halved."""


def trust_region_step(
    parameters: Sequence[Tensor],
    surrogate: Callable[[], Tensor],
    kl: Callable[[], Tensor],
    radius: float,
    damping: float,
    iterations: int = 10,
    backtracks: int = 20,
) -> TrustRegionResult:
    """One step of trust region policy optimization (Schulman et al. 2015), in place.

    The direction d solves (H + damping) d = -g, with g the surrogate's gradient and H the Hessian of the KL. Its length
    is the one that minimizes the quadratic model g d + d H d / 2, or that reaches the trust region's edge if that is
    shorter. It is halved until the surrogate falls and the KL is at most ``radius``. If that never happens, or
    anything is not finite, the parameters are restored exactly.

    Args:
        parameters: tensors to update.
        surrogate: objective to minimize, as a function of the current parameters.
        kl: KL(old || new), with old the policy at the time of this call.
        radius: largest KL.
        damping: added to the diagonal of H; H alone is singular if parameters are redundant.
        iterations: conjugate gradient iterations.
        backtracks: maximum number of halvings.
    """
    before = surrogate()
    gradient = flat_gradient(before, parameters)
    fisher = hessian_product(kl(), parameters)
    direction = -conjugate_gradient(lambda v: fisher(v) + damping * v, gradient, iterations)
    slope, curvature = (gradient @ direction).item(), (direction @ fisher(direction)).item()
    failed = TrustRegionResult(False, 0.0, 0.0, 0)
    if not slope < 0 or not curvature > 0 or not torch.isfinite(direction).all():
        return failed
    length = min(-slope / curvature, (2 * radius / curvature) ** 0.5)
    old = [parameter.detach().clone() for parameter in parameters]
    moves = direction.split([parameter.numel() for parameter in parameters])
    for halvings in range(backtracks + 1):
        with torch.no_grad():
            for parameter, start, move in zip(parameters, old, moves, strict=True):
                parameter.copy_(start + length * 0.5**halvings * move.view_as(start))
            improvement, distance = (before - surrogate()).item(), kl().item()
        # Comparisons with NaN are False.
        if improvement > 0 and distance <= radius:
            return TrustRegionResult(True, improvement, distance, halvings)
    with torch.no_grad():
        for parameter, start in zip(parameters, old, strict=True):
            parameter.copy_(start)
    return failed
