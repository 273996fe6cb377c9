"""log Z as a function of the condition."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from agents.policies.mlp import MLP
from gfn_envs.arrays import FloatArray
from gfn_envs.conditions.conditions import ConditionArray
from gfn_envs.conditions.features import Features

#: Widths of the hidden layers.
HIDDEN = (64, 64)


class LogZ(nn.Module):
    """What log Z(c) adds to the parameter log Z: a linear function of c, and a network; 0 at first.

    Args:
        features: inputs of the network.
        speed: learning rate of the slope, in units of that of the networks.
    """

    def __init__(self, features: Features, speed: float):
        super().__init__()
        self.features, self.speed = features, speed
        self.slope = nn.Parameter(torch.zeros(features.num_varying))
        self.network = MLP([features.num_features, *HIDDEN, 1])
        for parameter in self.network.layers[-1]:
            nn.init.zeros_(parameter)

    def forward(self, conditions: ConditionArray) -> Tensor:
        """Conditions (n, k) -> (n,)."""
        scaled, features = (
            torch.from_numpy(array).to(self.slope) for array in (self.scaled(conditions), self.features(conditions))
        )
        return self.speed * (scaled @ self.slope) + self.network(features).squeeze(1)

    def scaled(self, conditions: ConditionArray) -> FloatArray:
        """The numbers that vary, from -1 to 1, float64 (n, k')."""
        return 2 * self.features.scaled(conditions) - 1

    @torch.no_grad()
    def fit(self, conditions: ConditionArray, gaps: FloatArray) -> float:
        """Change the slope so that it and a constant fit ``gaps`` (n,) best. Returns the constant."""
        scaled = self.scaled(conditions)
        # A small ridge keeps numbers that barely vary in the batch from large slopes.
        design = np.column_stack([np.ones(len(gaps)), scaled])
        ridge = np.diag([0.0] + [0.1] * scaled.shape[1])
        found = np.linalg.solve(design.T @ design + ridge, design.T @ gaps)
        self.slope.add_(torch.from_numpy(found[1:] / self.speed).to(self.slope))
        return float(found[0])
