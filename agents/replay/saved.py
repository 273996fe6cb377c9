"""Checks of saved buffers: the environment, the settings and the tensors."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from gfn_envs.dag import Dag


def environment_signature(dag: Dag) -> str:
    """Text that identifies an environment: class, arguments, state width and dtype.

    Functions among the arguments are given by name, so the text does not depend on the process.
    """
    name = f"{type(dag).__module__}.{type(dag).__qualname__}"
    arguments = json.dumps(dict(dag.arguments), sort_keys=True, default=_as_text)
    return f"{name} {arguments} state_width={dag.state_width} state_dtype={np.dtype(dag.state_dtype)}"


def _as_text(value: Any) -> Any:
    if isinstance(value, np.ndarray | np.generic):
        return value.tolist()
    if callable(value):
        return getattr(value, "__qualname__", type(value).__qualname__)
    return str(value)


def check_same_buffer(where: str, state: Mapping[str, Any], own: Mapping[str, Any]) -> None:
    """Raise ValueError if ``state`` was saved with other settings than ``own``, naming them."""
    if differences := [
        f"{k}: {state.get(k)!r} (saved) != {v!r} (this buffer)" for k, v in own.items() if state.get(k) != v
    ]:
        raise ValueError(f"{where}: the saved buffer differs: {'; '.join(differences)}")


def checked_tensor(
    where: str, state: Mapping[str, Any], name: str, shape: tuple[int, ...], dtype: np.dtype[Any]
) -> npt.NDArray[Any]:
    """A copy of the tensor ``state[name]`` as an array. Raises ValueError if it, its shape or its dtype is wrong."""
    value = state.get(name)
    array = value.detach().cpu().numpy() if torch.is_tensor(value) else np.empty(0, dtype=object)
    if array.shape != shape or array.dtype != dtype:
        given = f"{array.dtype} {array.shape}" if torch.is_tensor(value) else type(value).__name__
        raise ValueError(f"{where}: the saved buffer is damaged: {name} must be {dtype} {shape}, got {given}")
    return array.copy()
