"""Gradient steps with Adam: the only place that calls torch's optimizers. The compiled engine has its own step, in
``agents/engines/numba/adam.py``."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

#: True if torch has the two private kernels of its fused Adam as in versions 2.4 to 2.14.
FUSED = (2, 4) <= tuple(map(int, torch.__version__.split(".")[:2])) <= (2, 14) and all(
    hasattr(torch, name) for name in ("_fused_adam_", "_foreach_add_")
)


class Adam(torch.optim.Adam):
    """torch's Adam, without the import of torch's compiler at first use, which takes most of a second.

    torch marks these methods for the compiler to leave alone; here they are without that mark.
    """

    add_param_group = inspect.unwrap(torch.optim.Adam.add_param_group)
    zero_grad = inspect.unwrap(torch.optim.Adam.zero_grad)
    state_dict = inspect.unwrap(torch.optim.Adam.state_dict)
    load_state_dict = inspect.unwrap(torch.optim.Adam.load_state_dict)


def is_adam(optimizer: torch.optim.Optimizer) -> bool:
    """True for Adam itself, and not for its variants, such as AdamW."""
    return type(optimizer) in (Adam, torch.optim.Adam)


def new_state(parameter: Tensor) -> dict[str, Any]:
    """torch's state of a parameter before its first step with fused Adam: the moments, and the number of steps."""
    moments = {name: torch.zeros_like(parameter, requires_grad=False) for name in ("exp_avg", "exp_avg_sq")}
    return {"step": torch.zeros((), device=parameter.device), **moments}


#: Variables, because a product of constants is computed at compile time.
_DENORMAL, _ONE = 5e-324, 1.0


def minimize(
    loss: Tensor,
    optimizer: torch.optim.Optimizer,
    max_grad_norm: float | None = None,
    combine: Callable[[list[Tensor]], None] | None = None,
) -> None:
    """One gradient step on a scalar loss.

    Args:
        loss: a scalar to minimize.
        optimizer: updates those of its parameters that the loss depends on.
        max_grad_norm: scale the gradients of the first group of parameters down to this Euclidean norm.
        combine: changes the gradients in place before they are scaled, such as to their sum over processes.
    """
    for group in optimizer.param_groups:
        for parameter in group["params"]:
            parameter.grad = None
    with flushed_denormals():
        loss.backward()
        if combine is not None:
            combine([p.grad for group in optimizer.param_groups for p in group["params"] if p.grad is not None])
        if max_grad_norm is not None:
            nn.utils.clip_grad_norm_(optimizer.param_groups[0]["params"], max_grad_norm)
        if isinstance(optimizer, torch.optim.Adam) and is_adam(optimizer):
            adam_step(optimizer)
        else:
            optimizer.step()


class flushed_denormals:
    """Context that treats denormal numbers as 0 on this thread.

    Moments of weights without a gradient decay into denormal numbers, which halve the speed of Adam.
    """

    __slots__ = ("before",)

    def __enter__(self) -> None:
        self.before = _DENORMAL * _ONE == 0
        if not self.before:
            torch.set_flush_denormal(True)

    def __exit__(self, *error: object) -> None:
        if not self.before:
            torch.set_flush_denormal(False)


@torch.no_grad()
def adam_step(optimizer: torch.optim.Adam) -> None:
    """Bit-exact ``optimizer.step()`` without its bookkeeping, which costs small networks more than the arithmetic.

    It calls torch's fused kernel on the lists of each group. ``optimizer.step()`` itself is called if there is more to
    do: without fused kernels, or for groups of several devices or types. Hooks are not called.
    """
    calls = []
    for group in optimizer.param_groups:
        parameters = [p for p in group["params"] if p.grad is not None]
        if not parameters:
            continue
        kinds = {(p.dtype, p.device) for p in parameters}
        if not (FUSED and group["fused"]) or group["amsgrad"] or len(kinds) > 1:
            optimizer.step()
            return
        states = [optimizer.state[p] for p in parameters]
        for parameter, state in zip(parameters, states, strict=True):
            if not state:
                state.update(new_state(parameter))
        calls.append((group, parameters, states))
    for group, parameters, states in calls:
        steps = [state["step"] for state in states]
        torch._foreach_add_(steps, 1)
        torch._fused_adam_(
            parameters,
            [p.grad for p in parameters],
            [state["exp_avg"] for state in states],
            [state["exp_avg_sq"] for state in states],
            [],
            steps,
            lr=group["lr"],
            beta1=group["betas"][0],
            beta2=group["betas"][1],
            weight_decay=group["weight_decay"],
            eps=group["eps"],
            amsgrad=False,
            maximize=group["maximize"],
        )
