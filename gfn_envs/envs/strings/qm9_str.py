"""QM9Str: small molecules as strings of five building blocks, rewarded by a proxy for their HOMO-LUMO gap."""

from __future__ import annotations

import functools

import numpy as np

from gfn_envs.arrays import FloatArray
from gfn_envs.data import registry as datasets
from gfn_envs.data.safe_pickle import read_pickle
from gfn_envs.envs.molecules.block_chains import BlockChains, published
from gfn_envs.envs.strings.reward_table import table_values
from gfn_envs.envs.strings.tabulated import Table, TabulatedSequence

ALPHABET = "0123456789a"


class QM9Str(TabulatedSequence):
    """Build a small molecule as a string of five blocks; the reward is a proxy for its HOMO-LUMO gap (QM9str).

    ## Description
    Strings of 5 letters 0..9, a. They stand for 11 building blocks with two attachment points each (C, O, N, C-F, C=O,
    C=C, C#C, benzene, cyclohexane, pyrrolidine, CCC), which are bonded in a line. ``block_chains`` turns strings into
    molecules; it needs RDKit and the data set qm9str-blocks.

    ## Action Space
    As in :class:`gfn_envs.Sequence`: 22 actions for prepend_append, 11 for append, 55 for insert and fill.

    ## Backward actions
    As in :class:`gfn_envs.Sequence`: 2 for prepend_append, 1 for append, 5 for insert and fill.

    ## Observation Space
    ``MultiDiscrete([12] * 5)``: the block at each position, or 11 if the position is empty.

    ## Starting State
    The empty string.

    ## Rewards
    R = scale r / max r with r = max(y, floor)^exponent, where y is the value of the proxy. The modes are the best 0.5%.

    The table of y is read when the environment is made, from the data set qm9str. It is downloaded, or read
    from the directory in the environment variable GFN_ENVS_DATA.

    ## Episode End
    After 5 blocks.

    ## Number of states
    161,051 objects; 177,156 states, 248,832 with fill.

    ## Arguments
    * ``construction``: "prepend_append" (Shen et al. 2023), "append", "insert" or "fill".
    * ``exponent``: power beta of y, > 0.
    * ``scale``: the largest reward, > 0.
    * ``floor``: lower bound of y, > 0; None: all values must be > 0.
    * ``mode_fraction``: fraction of all strings that are modes, in (0, 1]; None: no modes.
    * ``table``: values of y that replace the published ones: a mapping, a list in alphabetical order, or the path of a
      text file with a string and its value per line.
    * ``length``: number of blocks; other values than 5 need a ``table``.

    ## References
    Zhang et al. 2020 (the proxy); Shen et al. 2023, Towards Understanding and Improving GFlowNet Training (section 6)

    ## Version History
    * v0: initial version.
    """

    alphabet, published_length = ALPHABET, 5

    def __init__(
        self,
        construction: str = "prepend_append",
        exponent: float = 5.0,
        scale: float = 100.0,
        floor: float | None = 1e-3,
        mode_fraction: float | None = 0.005,
        table: Table | None = None,
        length: int = 5,
    ):
        super().__init__(construction, exponent, scale, floor, mode_fraction, table, length)

    @functools.cached_property
    def block_chains(self) -> BlockChains:
        """The molecules: ``block_chains.mols(states[:, :-1])`` are RDKit's, and ``smiles`` and ``distances`` as well.

        Raises:
            DatasetError: the data set qm9str-blocks is not available.
            ImportError: RDKit is not installed.
        """
        return published("qm9str-blocks", datasets.dataset("qm9str-blocks").checksum, self.length)

    @functools.cached_property
    def reward_table(self) -> FloatArray:
        """R of every string in alphabetical order, float64 (11^length,).

        Raises:
            DatasetError: no table is given, and the data set is not available.
        """
        given = self._table_values()
        y = self._floored(_published(datasets.dataset("qm9str").checksum) if given is None else given)
        return self._scaled(y, y.max())


@functools.lru_cache(maxsize=1)
def _published(checksum: str) -> FloatArray:
    """y of every string in alphabetical order, float64 (161051,), read once per process."""
    values = datasets.converted("qm9str", _values)["y"].astype(np.float64)
    values.flags.writeable = False
    return values


def _values(data: bytes) -> dict[str, FloatArray]:
    """Values in alphabetical order, float32 (161051,), from the published pickle, a dict from strings to values."""
    table = read_pickle(data)
    if not isinstance(table, dict):
        raise ValueError(f"expected a pickled dict of strings and values, got {type(table).__name__}")
    return {"y": table_values(table, ALPHABET, 5, 5, "QM9Str").astype(np.float32)}
