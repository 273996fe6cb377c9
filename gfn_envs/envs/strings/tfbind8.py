"""TFBind8: DNA 8-mers, rewarded by how strongly the transcription factor SIX6 binds them."""

from __future__ import annotations

import functools

import numpy as np

from gfn_envs.arrays import FloatArray, IntArray
from gfn_envs.data import registry as datasets
from gfn_envs.envs.strings import reward_table as string_table
from gfn_envs.envs.strings.tabulated import PublishedStrings, Table


class TFBind8(PublishedStrings):
    """Build a DNA 8-mer; the reward is how strongly the human transcription factor SIX6 binds it.

    ## Description
    Strings of 8 letters A, C, G, T, and the measured binding of each (protein-binding microarrays). The data come with
    the package.

    ## Action Space
    As :class:`gfn_envs.Sequence`, by ``construction``: prepend_append 8 actions, append 4, insert and fill 32.

    ## Backward actions
    prepend_append 2, append 1, insert and fill 8.

    ## Observation Space
    ``MultiDiscrete([5] * 8)``: the letters, 4 where there is none.

    ## Starting State
    The empty string.

    ## Rewards
    R = max(scale y^exponent / max y^exponent, floor), where y is the E-score, scaled to [0, 1] over all 8-mers.

    Modes: the best 0.5% that do not differ from each other in one letter only: strings are taken from the best down,
    leaving out neighbours of those taken. These are the 328 of Shen et al.'s file of modes.

    ## Episode End
    After 8 letters.

    ## Number of states
    65,536 objects; 87,381 states, 390,625 with fill.

    ## Arguments
    * ``construction``: "prepend_append" (Shen et al. 2023), "append", "insert" or "fill".
    * ``exponent``: beta.
    * ``scale``: the largest reward.
    * ``floor``: the least reward.
    * ``mode_fraction``: modes among all strings, in (0, 1].
    * ``table``: scores in place of SIX6's: a mapping, values in alphabetical order, or a text file with an 8-mer and
      its score a line.
    * ``length``: letters of a string, for another ``table``.

    ## References
    Barrera et al. 2016; Shen et al. 2023, Towards Understanding and Improving GFlowNet Training (section 6)

    ## Version History
    * v0: initial version.
    """

    def __init__(
        self,
        construction: str = "prepend_append",
        exponent: float = 3.0,
        scale: float = 10.0,
        floor: float = 1e-3,
        mode_fraction: float = 0.005,
        table: Table | None = None,
        length: int = 8,
    ):
        super().__init__("ACGT", 8, construction, exponent, scale, floor, mode_fraction, table, length)

    @functools.cached_property
    def reward_table(self) -> FloatArray:
        """R of every string in alphabetical order, float64 (4^length,)."""
        given = self._table_values()
        scores = datasets.tfbind8_scores() if given is None else given
        y = (scores - scores.min()) / (np.ptp(scores) or 1.0)
        if not y.any():
            raise ValueError("TFBind8: the scores in the table are all equal")
        return self._raised(self.scale * (y / y.max()) ** self.exponent)

    @functools.cached_property
    def mode_strings(self) -> IntArray | None:
        """Positions of the modes in alphabetical order, ascending, int64 (num_modes,); None where there are none."""
        if self.mode_fraction is None:
            return None
        return string_table.separated_top(self.reward_table, 4, self.length, self.mode_fraction)
