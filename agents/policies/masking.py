"""Softmax over legal actions."""

from __future__ import annotations

import torch
from torch import Tensor

from gfn_envs.arrays import BoolArray


def masked_log_softmax(logits: Tensor, mask: BoolArray) -> Tensor:
    """log-softmax over legal actions, (n, actions); illegal ones get the dtype's minimum before normalizing.

    The caller must exclude rows without a legal action.
    """
    if (mask.all(1) | ~mask.any(1)).all():
        return logits.log_softmax(1)
    illegal = torch.from_numpy(~mask).to(logits.device)
    return logits.masked_fill(illegal, torch.finfo(logits.dtype).min).log_softmax(1)
