"""TFBind8: DNA 8-mers, rewarded by how strongly the transcription factor SIX6 binds to them."""

from __future__ import annotations

import functools

import numpy as np

from gfn_envs.arrays import FloatArray, IntArray
from gfn_envs.data.packaged import tfbind8_scores
from gfn_envs.envs.strings.modes import separated_top
from gfn_envs.envs.strings.tabulated import Table, TabulatedSequence


class TFBind8(TabulatedSequence):
    """Build a DNA 8-mer; the reward is how strongly the human transcription factor SIX6 binds to it.

    ## Description
    Strings of 8 letters A, C, G, T, with the binding of each measured by protein-binding microarrays. The package
    includes the data.

    ## Action Space
    As in :class:`gfn_envs.Sequence`: 8 actions for prepend_append, 4 for append, 32 for insert and fill.

    ## Backward actions
    As in :class:`gfn_envs.Sequence`: 2 for prepend_append, 1 for append, 8 for insert and fill.

    ## Observation Space
    ``MultiDiscrete([5] * 8)``: the letter at each position, or 4 if the position is empty.

    ## Starting State
    The empty string.

    ## Rewards
    R = max(scale y^exponent / max y^exponent, floor), where y is the E-score, scaled to [0, 1] over all 8-mers.

    The modes are 0.5% of the strings: they are selected in order of decreasing reward, and a string is skipped if it
    differs in exactly one letter from a selected one. The result equals the 328 modes in Shen et al.'s file.

    ## Episode End
    After 8 letters.

    ## Number of states
    65,536 objects; 87,381 states, 390,625 with fill.

    ## Arguments
    * ``construction``: "prepend_append" (Shen et al. 2023), "append", "insert" or "fill".
    * ``exponent``: power beta of y, > 0.
    * ``scale``: the largest reward, > 0.
    * ``floor``: the smallest reward, > 0.
    * ``mode_fraction``: fraction of all strings that are modes, in (0, 1]; None: no modes.
    * ``table``: scores that replace those of SIX6: a mapping, a list in alphabetical order, or the path of a text file
      with a string and its score per line.
    * ``length``: number of letters; other values than 8 need a ``table``.

    ## References
    Barrera et al. 2016; Shen et al. 2023, Towards Understanding and Improving GFlowNet Training (section 6)

    ## Version History
    * v0: initial version.
    """

    alphabet, published_length = "ACGT", 8

    def __init__(
        self,
        construction: str = "prepend_append",
        exponent: float = 3.0,
        scale: float = 10.0,
        floor: float = 1e-3,
        mode_fraction: float | None = 0.005,
        table: Table | None = None,
        length: int = 8,
    ):
        super().__init__(construction, exponent, scale, floor, mode_fraction, table, length)

    @functools.cached_property
    def reward_table(self) -> FloatArray:
        """R of every string in alphabetical order, float64 (4^length,)."""
        given = self._table_values()
        scores = tfbind8_scores() if given is None else given
        y = (scores - scores.min()) / (np.ptp(scores) or 1.0)
        if not y.any():
            raise ValueError("TFBind8: the scores in the table are all equal")
        return self._floored(self.scale * (y / y.max()) ** self.exponent)

    @functools.cached_property
    def mode_strings(self) -> IntArray | None:
        """Positions of the modes in alphabetical order, ascending, int64 (num_modes,); None without modes."""
        if self.mode_fraction is None:
            return None
        return separated_top(self.reward_table, 4, self.length, self.mode_fraction)
