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


def flat_gradient(scalar: Tensor, parameters: Sequence[Tensor]) -> Tensor:
    """Gradient of a scalar with respect to all parameters as one vector."""
    gradients = torch.autograd.grad(scalar, parameters, retain_graph=True)
    return torch.cat([gradient.reshape(-1) for gradient in gradients])


def fisher_product(log_p: Tensor, weights: Tensor, parameters: Sequence[Tensor]) -> Callable[[Tensor], Tensor]:
    """Product of the Fisher matrix sum_s weights_s E_{a ~ p(.|s)} grad log p(a|s) grad log p(a|s)^T with flat vectors.

    It is the Hessian of KL(p || q) at q = p, by a product with the Jacobian of ``log_p`` and one with its transpose,
    which takes fewer operations than the second derivative.

    Args:
        log_p: log-probabilities (n, actions), a function of the parameters. Those of illegal actions do not count.
        weights: (n,).
        parameters: tensors that log_p depends on.
    """
    parameters = list(parameters)
    cotangent = torch.zeros_like(log_p, requires_grad=True)
    # The product with the transpose is linear in the cotangent, so its own transpose is the Jacobian.
    pulled = torch.autograd.grad(log_p, parameters, cotangent, create_graph=True)
    mass = weights.unsqueeze(1) * log_p.detach().exp()

    def product(vector: Tensor) -> Tensor:
        parts = [
            part.view_as(p) for part, p in zip(vector.split([p.numel() for p in parameters]), parameters, strict=True)
        ]
        (pushed,) = torch.autograd.grad(pulled, cotangent, parts, retain_graph=True)
        gradients = torch.autograd.grad(log_p, parameters, mass * pushed, retain_graph=True)
        return torch.cat([gradient.reshape(-1) for gradient in gradients])

    return product


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
    fisher: Callable[[Tensor], Tensor],
    radius: float,
    damping: float,
    iterations: int = 10,
    backtracks: int = 20,
) -> TrustRegionResult:
    """One step of trust region policy optimization (Schulman et al. 2015), in place.

    The direction d solves (H + damping) d = -g, with g the surrogate's gradient and H the Fisher matrix. Its length
    is the one that minimizes the quadratic model g d + d H d / 2, or that reaches the trust region's edge if that is
    shorter. It is halved until the surrogate falls and the KL is at most ``radius``. If that never happens, or
    anything is not finite, the parameters are restored exactly.

    Args:
        parameters: tensors to update.
        surrogate: objective to minimize, as a function of the current parameters.
        kl: KL(old || new), with old the policy at the time of this call.
        fisher: product of the Fisher matrix of the old policy with flat vectors, :func:`fisher_product`.
        radius: largest KL.
        damping: added to the diagonal of H; H alone is singular if parameters are redundant.
        iterations: conjugate gradient iterations.
        backtracks: maximum number of halvings.
    """
    before = surrogate()
    gradient = flat_gradient(before, parameters)
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
