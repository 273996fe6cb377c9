"""PHO4 (TFBind10): DNA 10-mers, rewarded by how strongly the transcription factor PHO4 binds them."""

from __future__ import annotations

import functools
import os
from collections.abc import Mapping
from collections.abc import Sequence as Letters

import numpy as np

from gfn_envs.arrays import FloatArray
from gfn_envs.data import registry as datasets
from gfn_envs.envs.strings import reward_table as string_table
from gfn_envs.envs.strings.sequence import Sequence
from gfn_envs.validation import positive

WHERE_TO_GET_IT = (
    "PHO4: the binding table is not part of this package and has no stable address of its own. Give table=PATH, a text "
    "file with a 10-mer of A, C, G, T and its binding e (the larger the stronger, from ddG) a line, all 1,048,576 of "
    "them. The measurements are the supplementary data of Le et al. 2018 (PNAS, doi 10.1073/pnas.1715888115); "
    "design-bench (Trabucco et al. 2022) has them as tf_bind_10-pho4"
)


class PHO4(Sequence):
    """Build a DNA 10-mer; the reward is how strongly the yeast transcription factor PHO4 binds it (TFBind10).

    ## Description
    Strings of 10 letters A, C, G, T, and the measured binding of each (BET-seq). The table is not part of the package:
    it comes from the user. Everything but rewards and modes works without it.

    ## Action Space
    As :class:`gfn_envs.Sequence`, by ``construction``: prepend_append 8 actions, append 4, insert and fill 40.

    ## Backward actions
    prepend_append 2, append 1, insert and fill 10.

    ## Observation Space
    ``MultiDiscrete([5] * 10)``: the letters, 4 where there is none.

    ## Starting State
    The empty string.

    ## Rewards
    R = scale y^exponent / max y^exponent, with y = sigmoid(3 e) of the binding e in the table. Modes: the best 0.5%.

    ## Episode End
    After 10 letters.

    ## Number of states
    1,048,576 objects; 1,398,101 states, 9,765,625 with fill.

    ## Arguments
    * ``construction``: "prepend_append" (Shen et al. 2023), "append", "insert" or "fill".
    * ``table``: a text file with a 10-mer and its binding e a line (a header, commas and tabs are fine); or a mapping;
      or values in alphabetical order. Measurements: the supplementary data of Le et al. 2018; design-bench has them as
      tf_bind_10-pho4.
    * ``exponent``: beta.
    * ``scale``: the largest reward.
    * ``mode_fraction``: modes among all strings, in (0, 1].
    * ``length``: letters of a string, for another ``table``.

    ## References
    Le et al. 2018 (PNAS); Trabucco et al. 2022, Design-Bench; Shen et al. 2023 (section 6)

    ## Version History
    * v0: initial version.
    """

    def __init__(
        self,
        construction: str = "prepend_append",
        table: Mapping[str, float] | Letters[float] | str | os.PathLike[str] | None = None,
        exponent: float = 3.0,
        scale: float = 10.0,
        mode_fraction: float = 0.005,
        length: int = 10,
    ):
        super().__init__("ACGT", length, construction, exponent=exponent, mode_fraction=mode_fraction)
        self.scale, self._table = positive("scale", scale, "PHO4"), table
        self.arguments = {
            "construction": construction,
            "table": table,
            "exponent": exponent,
            "scale": scale,
            "mode_fraction": mode_fraction,
            "length": length,
        }

    @functools.cached_property
    def reward_table(self) -> FloatArray:
        """R of every string in alphabetical order, float64 (4^length,). Raises DatasetError without a table."""
        if self._table is None:
            raise datasets.DatasetError(WHERE_TO_GET_IT)
        e = string_table.table_values(self._table, self.letters, self.length, self.length, "PHO4")
        # log sigmoid(3 e), which neither overflows nor rounds to 0.
        log_y = -np.logaddexp(0.0, -3.0 * e)
        return self.scale * np.exp(self.exponent * (log_y - log_y.max()))
