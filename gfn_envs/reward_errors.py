"""Failed rewards: the error that names the object, and the alternatives to raising it."""

from __future__ import annotations

import logging
import numbers
import sys
from dataclasses import dataclass
from typing import Any

from gfn_envs.data.registry import DatasetError

logger = logging.getLogger(__name__)

POLICIES = ("raise", "floor", "skip")


class RewardError(ValueError):
    """The reward of an object raised an exception, or is not a finite number > 0.

    Attributes:
        object: the object as its user writes it; None if no single object is known.
        value: the reward that was given; None if it raised.
    """

    def __init__(self, message: str, object: str | None = None, value: Any = None):
        super().__init__(message)
        self.object, self.value = object, value


class BudgetSpent(RuntimeError):
    """The budget of calls of an oracle is spent. Training ends without an error; the results are in the oracle's
    log."""


class OracleError(OSError):
    """An oracle cannot work: its log cannot be written, or its workers cannot start."""


#: Errors that do not concern an object: data, libraries, memory, workers or the budget of calls are missing.
NOT_OF_THE_REWARD = (ImportError, DatasetError, MemoryError, BudgetSpent, OracleError)


class RewardShapeError(RewardError):
    """Rewards of a batch have a wrong type, shape or dtype. This is an error of the code, so it is always raised."""


@dataclass
class RewardRecord:
    """Calls of the log reward of one Dag through :func:`gfn_envs.border.log_rewards`.

    Attributes:
        calls: number of calls.
        failed: number of objects whose reward failed and got the floor or was skipped.
        last: object and reason of the last failure; "" without failures.
    """

    calls: int = 0
    failed: int = 0
    last: str = ""

    def add(self, names: list[str], count: int, reason: str, done: str) -> None:
        """Count failed objects; ``names`` are those of the first ones. The first failure of a Dag is logged as a
        warning, later ones at level INFO."""
        level = logging.INFO if self.failed else logging.WARNING
        self.failed += count
        self.last = f"object {names[0]}: {reason}" if names[0] not in reason else reason
        shown = ", ".join(names) + (f" and {count - len(names)} more" if count > len(names) else "")
        logger.log(level, "the reward failed for %s (call %d): %s; %s", shown, self.calls, reason, done)


def checked_on_error(on_error: Any, floor: float | None, where: str) -> str | float:
    """``on_error``: "raise", "floor", "skip", or the reward, a number > 0, that objects get whose reward fails.

    Raises:
        ValueError: it is something else, or "floor" and the environment declares no ``reward_floor``.
    """
    text = " ".join(repr(on_error).split())[:100]
    if isinstance(on_error, numbers.Real) and not isinstance(on_error, bool):
        number: Any = on_error
        if 0 < number <= sys.float_info.max:
            return float(number)
    elif not isinstance(on_error, str):
        pass
    elif on_error == "floor" and floor is None:
        raise ValueError(
            f"{where}: on_error='floor' needs a reward_floor, and this environment declares none; "
            "give the reward that failing objects get instead, such as on_error=1e-6"
        )
    elif on_error in POLICIES:
        return str(on_error)
    raise ValueError(f"{where}: on_error must be 'raise', 'floor', 'skip' or a finite number > 0, got {text}")
