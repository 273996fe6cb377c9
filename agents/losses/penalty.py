"""Penalties on residuals."""

from __future__ import annotations

import math
from typing import Literal

import torch
from torch import Tensor

Kind = Literal["squared", "huber", "log-cosh"]


def penalty(residual: Tensor, loss: str = "squared", clamp: float | None = None) -> Tensor:
    """Penalty of each residual d, elementwise.

    Args:
        residual: any shape.
        loss: "squared", d^2; "huber", d^2 / 2 up to abs(d) = 1 and abs(d) - 1/2 beyond; "log-cosh", log cosh d.
        clamp: upper bound of a penalty. Beyond it the gradient is 0: with 100, squared residuals above 10 are ignored.

    Raises:
        ValueError: an unknown loss.
    """
    if loss == "squared":
        value = residual.square()
    elif loss == "huber":
        value = torch.nn.functional.huber_loss(residual, torch.zeros_like(residual), reduction="none")
    elif loss == "log-cosh":
        size = residual.abs()
        value = size + torch.nn.functional.softplus(-2 * size) - math.log(2)
    else:
        raise ValueError(f"loss must be 'squared', 'huber' or 'log-cosh', got {loss!r}")
    if clamp is None:
        return value
    # The gradient of an infinite residual must be 0 too, but 0 times infinity is NaN.
    large = value.detach() > clamp
    return penalty(residual.masked_fill(large, 0.0), loss).masked_fill(large, clamp)
