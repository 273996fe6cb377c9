"""Settings of conditional agents."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from agents.config import Config
from agents.config_checks import require, require_at_least
from agents.schedules import Schedule


@dataclass(frozen=True)
class ConditionSettings(Config):
    """Settings of a conditional agent."""

    #: The config class that these settings extend.
    plain: ClassVar[type[Any]]

    condition_by: Literal["auto", "concat", "film"] = "auto"
    """The condition is one more input of the network (concat), or scales and shifts its last hidden layer (film). auto:
    concat for mlp, film for transformer and graph."""
    per_condition: int | None = None
    """Trajectories per drawn condition. Default: 1; 4 for objectives that compare trajectories (vargrad)."""
    condition_range: Schedule = Schedule(1.0, 1.0, 1)
    """Part of the ranges that training draws from, starting at their low ends, in [0, 1]: a number or
    start,end,steps."""
    relabel: bool = False
    """Replay objects under newly drawn conditions c, chosen with probability proportional to R(x|c) among stored ones,
    instead of the conditions that they were sampled with."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.per_condition is not None:
            require_at_least(self, 1, "per_condition")
        ends = (self.condition_range.start, self.condition_range.end)
        require(0 <= min(ends) <= max(ends) <= 1, "condition_range must lie in [0, 1]", self.condition_range)

    def __reduce__(self) -> tuple[Any, ...]:
        # The class of a config with these settings is made at run time, so pickle cannot import it.
        values = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        return _made, (self.plain, values)


#: Classes made by :func:`conditional_config`, by the class that they extend.
_MADE: dict[type[Any], type[Any]] = {}


def conditional_config(plain: type[Any]) -> type[Any]:
    """The config class ``plain`` with these settings. It has the same name."""
    if plain not in _MADE:
        made: Any = dataclasses.make_dataclass(plain.__name__, [], bases=(ConditionSettings, plain), frozen=True)
        made.__doc__, made.plain = plain.__doc__, plain
        _MADE[plain] = made
    return _MADE[plain]


def _made(plain: type[Any], values: dict[str, Any]) -> Any:
    return conditional_config(plain)(**values)
