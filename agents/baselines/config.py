"""Settings that all baselines share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from agents.config import Config

#: Settings of GFlowNet agents that mean nothing to an agent which replays no objects.
NO_REPLAY_OF_OBJECTS = ("replay", "replay_mix", "local_search", "search_fraction", "search_accept")


@dataclass(frozen=True)
class BaselineConfig(Config):
    """Settings that baselines share."""

    backward: Literal["uniform"] = "uniform"
    """The backward policy: baselines learn none."""
