"""A softmax temperature per state."""

from __future__ import annotations

from typing import Any

import numpy as np

from agents.config_checks import require
from agents.exploration.explorer import Behaviors, Explorer
from gfn_envs import named
from gfn_envs.arrays import FloatArray, IntArray


class Temperature(Explorer):
    """Trajectories are sampled by P_F at a temperature that depends on the state.

    Args:
        of: ``module:name`` of a function from states (n, state_width) to temperatures > 0, (n,).
    """

    name = "temperature"

    def __init__(self, of: str):
        self.of, self.function = of, named.load(of, "explorer temperature(of=)") if named.is_named(of) else None
        require(callable(self.function), "of must be the module:name of a function of states", repr(of))

    def behaviors(self, agent: Any, n: int) -> Behaviors:
        logits = agent.forward_logits()

        def tempered(states: IntArray) -> FloatArray:
            heat = np.asarray(self.function(states), dtype=np.float32)  # type: ignore[misc]
            if heat.shape != (len(states),) or not (np.isfinite(heat).all() and (heat > 0).all()):
                raise ValueError(f"explorer temperature: {self.of} must return finite numbers > 0 ({len(states)},)")
            return logits(states) / heat[:, None]

        return [(tempered, n)]
