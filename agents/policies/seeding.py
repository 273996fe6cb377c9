"""Random initial weights from a separate generator."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch.overrides import TorchFunctionMode

#: Names of functions that draw random numbers; all of them take ``generator``.
DRAWS = {
    *("rand", "randn", "randint", "randperm", "normal", "bernoulli", "uniform_", "normal_", "trunc_normal_"),
    *("kaiming_uniform_", "kaiming_normal_", "xavier_uniform_", "xavier_normal_", "orthogonal_"),
}


class OwnGenerator(TorchFunctionMode):
    """Within this context, torch draws from a generator with this seed instead of the global one.

    The weights of networks made inside depend on the seed only, whatever other threads draw. The global generator is
    unchanged.
    """

    def __init__(self, seed: int):
        super().__init__()
        self.generator = torch.Generator().manual_seed(seed)

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = dict(kwargs or {})
        if getattr(func, "__name__", "") in DRAWS and kwargs.get("generator") is None:
            kwargs["generator"] = self.generator
        return func(*args, **kwargs)
