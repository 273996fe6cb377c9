"""What the user's own objects hold, in a few digits: two of one class and name may differ."""

from __future__ import annotations

from typing import Any

from torch import nn

from gfn_envs.dag import Dag
from gfn_envs.oracle.identity import fingerprint


def held_digits(value: Any) -> str | None:
    """Twelve digits of the attributes of an object, apart from environments; None if there are none or if they cannot
    be pickled, and for objects of this library without a network, which their names describe. Networks count with their
    weights."""
    networks = any(isinstance(each, nn.Module) for each in vars(value).values())
    if type(value).__module__.startswith("agents.") and not networks:
        return None
    held = {name: _weights(each) for name, each in vars(value).items() if not isinstance(each, Dag)}
    try:
        return fingerprint(held, {}).hex()[:12] if held else None
    except Exception:  # Of pickle, of many kinds: such objects cannot be told apart.
        return None


def _weights(value: Any) -> Any:
    if not isinstance(value, nn.Module):
        return value
    return {name: weight.detach().cpu().numpy() for name, weight in value.state_dict().items()}
