"""Flow matching."""

from __future__ import annotations

import torch
from torch import Tensor


def flow_matching(log_inflow: Tensor, log_outflow: Tensor, eps: float = 0.0) -> Tensor:
    """Residual of flow matching, (s,), for states other than s0.

    log(eps + sum of edge flows in) - log(eps + sum of edge flows out). The outflow of a terminal state is its reward
    (Bengio et al. 2021, equation 12).
    """
    if eps == 0:
        return log_inflow - log_outflow
    floor = torch.full((), eps, dtype=log_inflow.dtype, device=log_inflow.device).log()
    return torch.logaddexp(log_inflow, floor) - torch.logaddexp(log_outflow, floor)
