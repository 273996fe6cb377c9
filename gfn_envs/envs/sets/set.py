"""Set: sets of a fixed size, whose log reward is a sum over their items."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from math import comb

import numpy as np

from gfn_envs.arrays import BoolArray, FloatArray, IntArray
from gfn_envs.closed_levels import ProductLevels, product_levels
from gfn_envs.envs.sets.subset import Subset
from gfn_envs.user_arrays import real_array
from gfn_envs.validation import checked_seed, positive, positive_int


class Set(Subset):
    """Choose k of n items, one at a time; each item has an energy, and the reward favors sets of low energy.

    ## Description
    A state is a set of at most ``size`` of the ``num_items`` items. The order in which items are added does not matter.

    ## Action Space
    ``Discrete(num_items)``: add one item that is not in the set.

    ## Backward actions
    ``num_items``: remove one item of the set.

    ## Observation Space
    ``MultiDiscrete([2] * num_items)``: 1 for the items in the set. The state row and the network features are the same.

    ## Starting State
    The empty set.

    ## Rewards
    log R(x) = -(sum of the energies of the items in x) / temperature. The intermediate log reward is the same sum over
    the items so far. log Z is known exactly (an elementary symmetric polynomial), and so are samples of R(x) / Z.

    ## Episode End
    When the set has ``size`` items. There is no stop action.

    ## Number of states
    C(num_items, 0) + ... + C(num_items, size); C(num_items, size) objects.

    ## Arguments
    * ``num_items``: number of items n, from 1 to 1000. The published sizes (n, k) are (30, 20), (80, 60) and (100, 80).
    * ``size``: number of items k of a finished set, from 1 to num_items.
    * ``energies``: n finite numbers; None draws them uniformly from [-1, 1].
    * ``temperature``: T > 0.
    * ``seed``: seed of the drawn energies.

    ## References
    Pan et al. 2023, Better Training of GFlowNets with Local Credit and Incomplete Trajectories; Chen et al. 2026
    (alpha-GFN)

    ## Version History
    * v0: initial version.
    """

    def __init__(
        self,
        num_items: int = 16,
        size: int = 8,
        energies: Sequence[float] | None = None,
        temperature: float = 1.0,
        seed: int = 0,
    ):
        n = positive_int("num_items", num_items, "Set", at_most=1000)
        self.size = positive_int("size", size, "Set", at_most=n)
        self.temperature = positive("temperature", temperature, "Set")
        seed = checked_seed(seed, "Set")
        if energies is None:
            self.energies = np.random.default_rng(seed).uniform(-1, 1, n)
        else:
            self.energies = real_array(energies, "Set", "energies")
            energies = self.energies.tolist()
        if self.energies.shape != (n,) or not np.isfinite(self.energies).all():
            raise ValueError(f"Set: energies must be num_items = {n} finite numbers, got shape {self.energies.shape}")
        self.arguments = {"num_items": n, "size": self.size, "energies": energies}
        self.arguments |= {"temperature": self.temperature, "seed": seed}
        super().__init__(tuple(map(str, range(n))), stops=False, max_size=self.size)
        self.declared_num_terminal_states = comb(n, self.size)
        self.declared_num_states = sum(comb(n, k) for k in range(self.size + 1))

    @functools.cached_property
    def closed_levels(self) -> ProductLevels | None:  # type: ignore[override]
        """The level of a state is its number of items."""
        return product_levels([range(2)] * self.num_items, self.state_dtype, self.size)

    def addable(self, sets: IntArray) -> BoolArray:
        return (sets == 0) & (sets.sum(1, keepdims=True) < self.size)

    def partial_log_reward(self, states: IntArray) -> FloatArray:
        # einsum adds each row in the same order, whatever the batch.
        return np.einsum("ni,i->n", states, -self.energies / self.temperature)

    @functools.cached_property
    def _log_sums(self) -> FloatArray:
        """[i, k]: log of the sum of R over the sets of k of the first i items, float64 (n + 1, size + 1)."""
        sums = np.full((self.num_items + 1, self.size + 1), -np.inf)
        sums[0, 0] = 0.0
        for i, log_weight in enumerate(-self.energies / self.temperature):
            sums[i + 1] = sums[i]
            sums[i + 1, 1:] = np.logaddexp(sums[i, 1:], sums[i, :-1] + log_weight)
        return sums

    def exact_log_z(self) -> float:
        return float(self._log_sums[-1, -1])

    def sample_target(self, n: int, rng: np.random.Generator) -> IntArray:
        states, left = self.source(n), np.full(n, self.size)
        for i in reversed(range(self.num_items)):  # Item i is in the set with its probability given the later items.
            skip = np.exp(self._log_sums[i, left] - self._log_sums[i + 1, left])
            states[:, i] = rng.random(n) >= skip
            left -= states[:, i]
        return states
