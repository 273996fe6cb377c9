"""Ising: the Ising model on a square torus."""

from __future__ import annotations

import numpy as np

from gfn_envs.arrays import FloatArray, IntArray
from gfn_envs.envs.assignments.assignment import Assignment
from gfn_envs.envs.assignments.torus_partition import torus_log_partition
from gfn_envs.envs.assignments.torus_samples import torus_samples
from gfn_envs.validation import positive_int, real


class Ising(Assignment):
    """Set the spins of an N x N torus to -1 or +1; the reward favors equal or unequal neighbors.

    ## Description
    D = side^2 spins x_i, each -1, +1 or not set yet.

    ## Action Space
    non_autoregressive: ``Discrete(2 D)``, action = 2 * spin + value, with value 0 for -1 and 1 for +1, legal if the
    spin is not set. autoregressive: ``Discrete(2)``, the value of the next spin, row by row.

    ## Backward actions
    non_autoregressive: D, each of which unsets one spin. autoregressive: 1, which unsets the last spin (so P_B = 1).

    ## Observation Space
    ``MultiDiscrete([3] * D)``: 0 for -1, 1 for +1, 2 if not set. The state row is the same. The network features are
    the spins as -1 and +1, with 0 if not set.

    ## Starting State
    No spin is set.

    ## Rewards
    log R(x) = sigma x'Jx, where J_ij is the number of the four directions in which site j is adjacent to site i on the
    torus: 1 for neighbors, or 2 for neighbors if side = 2. Thus log R(x) = 2 sigma sum over bonds of x_i x_j. Equal
    neighbors are likely if sigma > 0, and unequal neighbors if sigma < 0.

    The intermediate log reward uses the same formula with x_i = 0 for spins that are not set, so a bond counts once
    both of its ends are set.

    ## Episode End
    When all spins are set. There is no stop action.

    ## Number of states
    3^D non-autoregressive, 2^(D + 1) - 1 autoregressive; 2^D objects.

    ## Arguments
    * ``side``: N, at least 2; 9 and 10 are used in the literature.
    * ``sigma``: coupling strength, finite; from -0.1 to 0.5 in Zhang et al. 2022.
    * ``construction``: "non_autoregressive" or "autoregressive".

    ## References
    Zhang et al. 2022, Generative Flow Networks for Discrete Probabilistic Modeling (section 5.1)

    ## Version History
    * v0: initial version.
    """

    feature_bounds = (-1.0, 1.0)

    def __init__(self, side: int = 10, sigma: float = 0.2, construction: str = "non_autoregressive"):
        self.side = positive_int("side", side, "Ising", at_least=2)
        self.sigma = real("sigma", sigma, "Ising")
        super().__init__(self.side**2, 2, construction)
        self.arguments = {"side": self.side, "sigma": sigma, "construction": construction}
        self.num_features = self.num_variables

    def spins(self, states: IntArray) -> IntArray:
        """Spins as -1, +1, or 0 if not set, int64 (n, side, side)."""
        return np.array([-1, 1, 0]).take(states).reshape(-1, self.side, self.side)

    def partial_log_reward(self, states: IntArray) -> FloatArray:
        x = self.spins(states)
        # Pairing each site with the ones below and to the right counts each bond once.
        bonds = (x * (np.roll(x, -1, axis=1) + np.roll(x, -1, axis=2))).sum((1, 2))
        return self.sigma * 2.0 * bonds

    def exact_log_z(self) -> float:
        try:
            return self.log_partition()
        except ValueError as error:
            raise NotImplementedError(str(error)) from error

    def log_partition(self) -> float:
        """Exact log Z by the closed form of Kaufman 1949, to the last digits, for every side and either sign of sigma.

        Raises:
            ValueError: sigma < 0 on an odd side, with side * abs(sigma) above 1,400: that needs over 5,000 digits.
        """
        return torus_log_partition(self.side, 2 * self.sigma)

    def sample_target(self, n: int, rng: np.random.Generator) -> IntArray:
        return torus_samples(n, self.side, 2 * self.sigma, rng).reshape(n, self.num_variables).astype(self.state_dtype)

    def encode(self, states: IntArray) -> FloatArray:
        return np.array([-1, 1, 0], dtype=np.float32).take(states)

    def active_features(self, states: IntArray) -> None:
        return None

    def action_label(self, action: int) -> str:
        spin, value = (None, action) if self.autoregressive else divmod(action, 2)
        where = "next" if spin is None else f"({spin // self.side}, {spin % self.side})"
        return f"{where} {'-+'[value]}1"

    def render_text(self, state: IntArray) -> str:
        """The rows of the grid, separated by spaces, as +, - and . (not set)."""
        return " ".join("".join("-+."[value] for value in row) for row in state.reshape(self.side, self.side).tolist())
