"""Penalties on residuals.

A penalty g of the residual d = log forward flow - log backward flow belongs to a divergence (Hu et al. 2025, Beyond
Squared Error, theorem 4.1). On trajectories of P_F, the gradient of the mean of g is that of a divergence between P_F
and Q = P_B R / Z: of the mean of f(Q / P_F), with f(t) = t times the integral from 1 to t of h'(log s) / s^2 and
h(t) = g(-t).

| loss | g(d) | divergence | |
|---|---|---|---|
| squared | d^2 | 2 KL(P_F, Q) | zero-forcing |
| half-squared | d^2 / 2 | KL(P_F, Q) | zero-forcing |
| linex | e^-d + d - 1 | KL(Q, P_F) | zero-avoiding |
| linex-half | 4 (e^(-d/2) + d/2 - 1) | 4 - 4 sum sqrt(P_F Q) | neither |
| shifted-cosh | e^d + e^-d - 2 | KL(Q, P_F) + chi^2(P_F, Q) / 2 | both |

Zero-forcing losses avoid objects of little reward; zero-avoiding ones cover all objects. Departure: beyond abs(d) = 20
(40 for linex-half), an exponential continues as its tangent, so that losses and gradients stay finite. The sign is that
of the paper, whose g takes log P_B - log P_F. Code that passes the opposite residual makes Linex zero-forcing.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Literal

import torch
from torch import Tensor

Kind = Literal["squared", "half-squared", "huber", "log-cosh", "shifted-cosh", "linex", "linex-half"]
#: Exponentials are continued as tangents beyond this exponent.
LARGEST = 20.0


def _huber(d: Tensor) -> Tensor:
    return torch.nn.functional.huber_loss(d, torch.zeros_like(d), reduction="none")


def _log_cosh(d: Tensor) -> Tensor:
    size = d.abs()
    return size + torch.nn.functional.softplus(-2 * size) - math.log(2)


def _shifted_cosh(d: Tensor) -> Tensor:
    inside = 4 * (d.clamp(-LARGEST, LARGEST) / 2).sinh().square()
    return inside + 2 * math.sinh(LARGEST) * (d.abs() - LARGEST).relu()


def _linex(d: Tensor) -> Tensor:
    inside, beyond = (-d).clamp(max=LARGEST), (-d - LARGEST).relu()
    return inside.expm1() - inside + math.expm1(LARGEST) * beyond


#: Name -> penalty, elementwise.
PENALTIES: dict[str, Callable[[Tensor], Tensor]] = {
    "squared": lambda d: d * d,  # torch.square takes half as long again with its gradient.
    "half-squared": lambda d: d.square() / 2,
    "huber": _huber,
    "log-cosh": _log_cosh,
    "shifted-cosh": _shifted_cosh,
    "linex": _linex,
    "linex-half": lambda d: 4 * _linex(d / 2),
}


def penalty(residual: Tensor, loss: str = "squared", clamp: float | None = None) -> Tensor:
    """Penalty of each residual d, elementwise.

    Args:
        residual: any shape.
        loss: "squared", d^2; "half-squared", d^2 / 2; "huber", d^2 / 2 up to abs(d) = 1 and abs(d) - 1/2 beyond;
            "log-cosh", log cosh d; "shifted-cosh", "linex" or "linex-half" (see above).
        clamp: upper bound of a penalty. Beyond it the gradient is 0: with 100, squared residuals above 10 are ignored.

    Raises:
        ValueError: an unknown loss.
    """
    if loss not in PENALTIES:
        *names, last = map(repr, PENALTIES)
        raise ValueError(f"loss must be {', '.join(names)} or {last}, got {loss!r}")
    value = PENALTIES[loss](residual)
    if clamp is None:
        return value
    # The gradient of an infinite residual must be 0 too, but 0 times infinity is NaN.
    large = value.detach() > clamp
    return penalty(residual.masked_fill(large, 0.0), loss).masked_fill(large, clamp)
