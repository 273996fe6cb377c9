"""Optimizers by name: those of torch, with optional keywords, or a custom one."""

from __future__ import annotations

from typing import Any

import torch

from agents.engines.adam import Adam
from agents.engines.muon import Muon
from agents.keywords import class_named

OPTIMIZERS: dict[str, type[torch.optim.Optimizer]] = {
    "adam": Adam,
    "adamw": torch.optim.AdamW,
    "radam": torch.optim.RAdam,
    "nadam": torch.optim.NAdam,
    "adamax": torch.optim.Adamax,
    "rmsprop": torch.optim.RMSprop,
    "adagrad": torch.optim.Adagrad,
    "sgd": torch.optim.SGD,
    "muon": Muon,
}


def make_optimizer(text: str, groups: list[dict[str, Any]]) -> torch.optim.Optimizer:
    """The optimizer that a setting describes. Schedules set its learning rates.

    Args:
        text: a name in :data:`OPTIMIZERS` or ``module:name``, optionally with keywords in parentheses, such as
            ``sgd(momentum=0.9)``.
        groups: groups of parameters.

    Raises:
        ValueError: an unknown name, or keywords that the optimizer does not take.
        ImportError: a named module does not exist or cannot be imported.
        TypeError: ``module:name`` is not a subclass of torch.optim.Optimizer.
    """
    kind: Any  # the arguments of a subclass are its own
    kind, keywords = class_named(text, "optimizer", "weight_decay=0.01", OPTIMIZERS, torch.optim.Optimizer)
    if "lr" in keywords:
        raise ValueError(f"optimizer {text!r}: the learning rate is the setting lr")
    if kind in (Adam, torch.optim.Adam):
        keywords = {"fused": True, **keywords}
    try:
        return kind(groups, lr=1e-3, **keywords)
    except (TypeError, ValueError) as error:
        raise ValueError(f"optimizer {text}: {error}") from None
