"""Checks of settings. Each raises ValueError with the name of the setting, the allowed values and the given one."""

from __future__ import annotations

import functools
import numbers
import types
import typing
from typing import Any, Literal

import numpy as np

from agents.schedules import Schedule, schedule


def require(condition: bool, message: str, value: Any) -> None:
    """Raise ValueError "message, got value" unless ``condition``."""
    if not condition:
        raise ValueError(f"{message}, got {value}")


#: Allowed values of a field that is declared as one of these types.
KINDS = {int: (numbers.Integral, "an integer"), float: (numbers.Real, "a number"), bool: (bool | np.bool_, "a bool")}


def type_hints(config: Any) -> dict[str, Any]:
    """Types of the fields. Evaluating their text takes milliseconds, so it is done once per class."""
    kind: Any = type(config)
    return _type_hints(kind)


@functools.lru_cache(256)
def _type_hints(kind: Any) -> dict[str, Any]:
    return typing.get_type_hints(kind)


def read_schedules(config: Any) -> None:
    """Make a Schedule of the number or text in every field that is declared as one."""
    for name, kind in type_hints(config).items():
        if kind not in (Schedule, Schedule | None) or getattr(config, name) is None:
            continue
        try:
            object.__setattr__(config, name, schedule(getattr(config, name)))
        except ValueError as error:
            raise ValueError(f"{name}: {error}") from None


def require_types(config: Any) -> None:
    """Raise ValueError if a field declared as int, float or bool, or one of these or None, has another type."""
    for name, kind in type_hints(config).items():
        union = typing.get_origin(kind) in (typing.Union, types.UnionType)
        kinds, value = typing.get_args(kind) if union else (kind,), getattr(config, name)
        allowed = [KINDS[k] for k in kinds if k in KINDS]
        if not allowed or (value is None and type(None) in kinds):
            continue
        numeric = not isinstance(value, bool) or bool in kinds
        good = numeric and any(isinstance(value, accepted) for accepted, _ in allowed)
        require(good, f"{name} must be {' or '.join(text for _, text in allowed)}", repr(value))


def checked_widths(name: str, widths: Any) -> tuple[int, ...]:
    """``widths`` as a tuple. Raises ValueError unless they are integers >= 1."""
    good = isinstance(widths, list | tuple) and all(isinstance(w, int | np.integer) and w >= 1 for w in widths)
    require(good, f"{name} widths must be integers of at least 1, such as (256, 256)", repr(widths))
    return tuple(int(width) for width in widths)


def require_choices(config: Any) -> None:
    """Raise ValueError if a field declared as a Literal has another value, naming the allowed ones."""
    for name, kind in type_hints(config).items():
        if typing.get_origin(kind) is Literal and getattr(config, name) not in typing.get_args(kind):
            allowed = " or ".join(map(repr, typing.get_args(kind)))
            raise ValueError(f"{name} must be {allowed}, got {getattr(config, name)!r}")


def require_at_least(config: Any, least: int, *names: str) -> None:
    """Raise ValueError if a field (or an end of a schedule) is below ``least``."""
    for name in names:
        value = getattr(config, name)
        lowest = min(value.start, value.end) if isinstance(value, Schedule) else value
        message = f"{name} must not be negative" if least == 0 else f"{name} must be at least {least}"
        require(lowest >= least, message, value)


def require_two_trajectories(config: Any, what: str) -> None:
    """Raise ValueError unless every batch that an agent learns from has two trajectories to compare."""
    sizes = ["batch_size"] + ["replay_batch_size"] * (getattr(config, "replay", "none") not in ("none", "auto"))
    for name in sizes:
        size = getattr(config, name)
        require(size >= 2, f"{what} needs a {name} of at least 2", size)


def require_value_network(config: Any) -> None:
    """Check ``value_hidden``, made a tuple, ``lamda`` and ``lr_value``, settings of agents with a value network."""
    object.__setattr__(config, "value_hidden", checked_widths("value_hidden", config.value_hidden))
    require(0 <= config.lamda <= 1, "lamda must lie in [0, 1]", config.lamda)
    require_at_least(config, 0, "lr_value")


def require_share(config: Any, name: str) -> None:
    """Raise ValueError if an end of a schedule is outside [0, 1]."""
    share: Schedule = getattr(config, name)
    require(min(share.start, share.end) >= 0, f"{name} must lie in [0, 1]", share)
    require(max(share.start, share.end) <= 1, f"{name} must lie in [0, 1]", share)


def require_positive(config: Any, *names: str) -> None:
    """Raise ValueError if a field is neither None nor > 0."""
    for name in names:
        value = getattr(config, name)
        require(value is None or value > 0, f"{name} must be > 0", value)
