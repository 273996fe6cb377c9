"""Softmax over legal actions."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from gfn_envs.arrays import BoolArray


def masked_log_softmax(logits: Tensor, mask: BoolArray) -> Tensor:
    """log-softmax over legal actions, (n, actions); illegal ones get the dtype's minimum before normalizing.

    The caller must exclude rows without a legal action.
    """
    # Counting is the fastest reduction, and mostly decides.
    legal = np.count_nonzero(mask)
    if legal == mask.size or (legal % mask.shape[1] == 0 and (mask.all(1) | ~mask.any(1)).all()):
        return logits.log_softmax(1)
    illegal = torch.from_numpy(~mask).to(logits.device)
    return logits.masked_fill(illegal, torch.finfo(logits.dtype).min).log_softmax(1)
