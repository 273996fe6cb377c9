"""Adam's step without the bookkeeping, which costs small networks more than the arithmetic."""

from __future__ import annotations

import torch


@torch.no_grad()
def adam_step(optimizer: torch.optim.Adam) -> None:
    """``optimizer.step()`` to the bit, sooner: only parameters with a gradient move, and the state is torch's own.

    torch's kernel is called on the lists of each group as they are. A step that has more to do goes to torch: the first
    of a parameter, one that is not fused, and groups on several devices or of several types. Hooks are not called.
    """
    calls = []
    for group in optimizer.param_groups:
        parameters = [p for p in group["params"] if p.grad is not None]
        if not parameters:
            continue
        states = [optimizer.state[p] for p in parameters]
        kinds = {(p.dtype, p.device) for p in parameters}
        if not (all(states) and group["fused"]) or group["amsgrad"] or len(kinds) > 1:
            optimizer.step()
            return
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
