"""PHO4 (TFBind10): DNA 10-mers, rewarded by how strongly the transcription factor PHO4 binds to them."""

from __future__ import annotations

import functools

import numpy as np

from gfn_envs.arrays import FloatArray
from gfn_envs.data import registry as datasets
from gfn_envs.data.safe_pickle import decompressed, read_pickle
from gfn_envs.envs.strings.tabulated import Table, TabulatedSequence

OR_A_TABLE = (
    "Or give table=PATH, the path of a text file with one line for each of the 1,048,576 10-mers of A, C, G, T: the "
    "10-mer and its binding e (from ddG; larger is stronger)"
)


class PHO4(TabulatedSequence):
    """Build a DNA 10-mer; the reward is how strongly the yeast transcription factor PHO4 binds to it (TFBind10).

    ## Description
    Strings of 10 letters A, C, G, T, with the binding of each measured by BET-seq (data set pho4, as Shen et al. 2023
    published it; its digits 0, 1, 2, 3 are read as A, C, G, T). The data are read when the environment is made. They
    are downloaded, or read from the directory in the environment variable GFN_ENVS_DATA.

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
    * ``table``: values of e that replace the published ones: the path of a text file with a 10-mer and its binding e
      per line (a header, commas and tabs are fine), a mapping, or a list in alphabetical order.
    * ``exponent``: power beta of y, > 0.
    * ``scale``: the largest reward, > 0.
    * ``mode_fraction``: fraction of all strings that are modes, in (0, 1]; None: no modes.
    * ``length``: number of letters; other values than 10 need a ``table``.

    ## References
    Le et al. 2018 (PNAS); Trabucco et al. 2022, Design-Bench; Shen et al. 2023 (section 6)

    ## Version History
    * v0: initial version.
    """

    alphabet, published_length = "ACGT", 10

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
            DatasetError: no table is given, and the data set is not available.
        """
        given = self._table_values()
        e = _published(datasets.dataset("pho4").checksum) if given is None else given
        # log sigmoid(3 e) in a form that neither overflows nor underflows.
        log_y = -np.logaddexp(0.0, -3.0 * e)
        return self.scale * np.exp(self.exponent * (log_y - log_y.max()))


@functools.lru_cache(maxsize=1)
def _published(checksum: str) -> FloatArray:
    """e of every 10-mer in alphabetical order, float64 (1048576,), read once per process."""
    try:
        values = datasets.converted("pho4", values_of_pickle)["e"]
    except datasets.DatasetError as error:
        raise datasets.DatasetError(f"PHO4: {error}. {OR_A_TABLE}") from None
    except ValueError as error:
        raise datasets.DatasetError(f"PHO4: the data set pho4 cannot be read: {error}. {OR_A_TABLE}") from None
    values.flags.writeable = False
    return values


def values_of_pickle(data: bytes, length: int = 10) -> dict[str, FloatArray]:
    """e of every string in alphabetical order, float64 (4^length,), from the published file.

    The file is a pickled dict, compressed by gzip or not: ``x``, the strings as rows (n, length) of digits 0..3, and
    ``y``, their values (n,). If a string is repeated, the last value counts, as in the code of Shen et al. 2023.
    Nothing in the pickle is executed; a pandas object in it raises.

    Raises:
        UnsafePickleError: the pickle is damaged or holds something other than arrays and plain containers.
        ValueError: ``x`` or ``y`` is missing or has another shape; a digit is not in 0..3; a string is missing; or a
            value is not finite.
    """
    table = read_pickle(decompressed(data))
    if not isinstance(table, dict) or not {"x", "y"} <= set(table):
        raise ValueError(f"expected a pickled dict with x and y, got {type(table).__name__}")
    x, y = np.array(table["x"]), np.array(table["y"], dtype=np.float64).reshape(-1)
    if x.shape != (len(y), length) or not ((x >= 0) & (x <= 3) & (x == np.floor(x))).all():
        raise ValueError(f"expected x with rows of {length} digits 0..3, one per value of y, got shape {x.shape}")
    values = np.full(4**length, np.nan)
    values[x.astype(np.int64) @ 4 ** np.arange(length)[::-1]] = y
    if not np.isfinite(values).all():
        missing = int((~np.isfinite(values)).sum())
        raise ValueError(f"{missing:,} of {len(values):,} strings have no finite value")
    return {"e": values}
