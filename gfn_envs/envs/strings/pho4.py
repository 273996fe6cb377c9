"""PHO4 (TFBind10): DNA 10-mers, rewarded by how strongly the transcription factor PHO4 binds to them."""

from __future__ import annotations

import functools

import numpy as np

from gfn_envs.arrays import FloatArray
from gfn_envs.data import registry as datasets
from gfn_envs.envs.strings.tabulated import Table, TabulatedSequence

MISSING_TABLE = (
    "PHO4: this package does not include the binding table. Give table=PATH, the path of a text file with one line for "
    "each of the 1,048,576 10-mers of A, C, G, T: the 10-mer and its binding e (from ddG; larger is stronger). The "
    "measurements are the supplementary data of Le et al. 2018 (PNAS, doi 10.1073/pnas.1715888115); "
    "design-bench (Trabucco et al. 2022) has them as tf_bind_10-pho4"
)


class PHO4(TabulatedSequence):
    """Build a DNA 10-mer; the reward is how strongly the yeast transcription factor PHO4 binds to it (TFBind10).

    ## Description
    Strings of 10 letters A, C, G, T, with the binding of each measured by BET-seq. The package does not include the
    measurements: give them as ``table``. Without a table, everything works except rewards and modes.

    ## Action Space
    As in :class:`gfn_envs.Sequence`: 8 actions for prepend_append, 4 for append, 40 for insert and fill.

    ## Backward actions
    As in :class:`gfn_envs.Sequence`: 2 for prepend_append, 1 for append, 10 for insert and fill.

    ## Observation Space
    ``MultiDiscrete([5] * 10)``: the letter at each position, or 4 if the position is empty.

    ## Starting State
    The empty string.

    ## Rewards
    R = scale y^exponent / max y^exponent with y = sigmoid(3 e), where e is the binding in the table. The modes are the
    best 0.5%.

    ## Episode End
    After 10 letters.

    ## Number of states
    1,048,576 objects; 1,398,101 states, 9,765,625 with fill.

    ## Arguments
    * ``construction``: "prepend_append" (Shen et al. 2023), "append", "insert" or "fill".
    * ``table``: the path of a text file with a 10-mer and its binding e per line (a header, commas and tabs are fine),
      a mapping, or a list in alphabetical order. The measurements are the supplementary data of Le et al. 2018;
      design-bench has them as tf_bind_10-pho4.
    * ``exponent``: power beta of y, > 0.
    * ``scale``: the largest reward, > 0.
    * ``mode_fraction``: fraction of all strings that are modes, in (0, 1]; None: no modes.
    * ``length``: number of letters.

    ## References
    Le et al. 2018 (PNAS); Trabucco et al. 2022, Design-Bench; Shen et al. 2023 (section 6)

    ## Version History
    * v0: initial version.
    """

    alphabet, published_length = "ACGT", None

    def __init__(
        self,
        construction: str = "prepend_append",
        table: Table | None = None,
        exponent: float = 3.0,
        scale: float = 10.0,
        mode_fraction: float | None = 0.005,
        length: int = 10,
    ):
        super().__init__(construction, exponent, scale, None, mode_fraction, table, length)
        self.arguments = {name: value for name, value in self.arguments.items() if name != "floor"}

    @functools.cached_property
    def reward_table(self) -> FloatArray:
        """R of every string in alphabetical order, float64 (4^length,).

        Raises:
            DatasetError: no table was given.
        """
        e = self._table_values()
        if e is None:
            raise datasets.DatasetError(MISSING_TABLE)
        # log sigmoid(3 e) in a form that neither overflows nor underflows.
        log_y = -np.logaddexp(0.0, -3.0 * e)
        return self.scale * np.exp(self.exponent * (log_y - log_y.max()))
