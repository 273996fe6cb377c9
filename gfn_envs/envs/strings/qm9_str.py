"""QM9Str: small molecules as strings of five building blocks, rewarded by a proxy of their HOMO-LUMO gap."""

from __future__ import annotations

import functools

import numpy as np

from gfn_envs.arrays import FloatArray
from gfn_envs.data import registry as datasets
from gfn_envs.data.safe_pickle import read_pickle
from gfn_envs.envs.strings import reward_table as string_table
from gfn_envs.envs.strings.tabulated import PublishedStrings, Table

ALPHABET = "0123456789a"


class QM9Str(PublishedStrings):
    """Build a small molecule as a string of five blocks; the reward is a proxy of its HOMO-LUMO gap (QM9str).

    ## Description
    Strings of 5 letters 0..9, a, which stand for 11 building blocks with two stems (C, O, N, C-F, C=O, C=C, C#C,
    benzene, cyclohexane, pyrrolidine, CCC), bonded in a line.

    ## Action Space
    As :class:`gfn_envs.Sequence`, by ``construction``: prepend_append 22 actions, append 11, insert and fill 55.

    ## Backward actions
    prepend_append 2, append 1, insert and fill 5.

    ## Observation Space
    ``MultiDiscrete([12] * 5)``: the blocks, 11 where there is none.

    ## Starting State
    The empty string.

    ## Rewards
    R = scale r / max r with r = max(y, floor)^exponent, y the proxy's value. Modes: the best 0.5%. The table of y is
    read at first use (the data set qm9str of ``gfn data``: downloaded, or in the mirror that GFN_ENVS_DATA names).

    ## Episode End
    After 5 blocks.

    ## Number of states
    161,051 objects; 177,156 states, 248,832 with fill.

    ## Arguments
    * ``construction``: "prepend_append" (Shen et al. 2023), "append", "insert" or "fill".
    * ``exponent``: beta.
    * ``scale``: the largest reward.
    * ``floor``: of the proxy's value; None: values must be above 0.
    * ``mode_fraction``: modes among all strings, in (0, 1].
    * ``table``: values of y in place of the published ones: a mapping, values in alphabetical order, or a text file
      with a string and its value a line.
    * ``length``: blocks, for another ``table``.

    ## References
    Zhang et al. 2020 (the proxy); Shen et al. 2023, Towards Understanding and Improving GFlowNet Training (section 6)

    ## Version History
    * v0: initial version.
    """

    def __init__(
        self,
        construction: str = "prepend_append",
        exponent: float = 5.0,
        scale: float = 100.0,
        floor: float | None = 1e-3,
        mode_fraction: float = 0.005,
        table: Table | None = None,
        length: int = 5,
    ):
        super().__init__(ALPHABET, 5, construction, exponent, scale, floor, mode_fraction, table, length)

    @functools.cached_property
    def reward_table(self) -> FloatArray:
        """R of every string in alphabetical order, float64 (11^length,). Raises DatasetError without the data."""
        given = self._table_values()
        y = self._raised(datasets.converted("qm9str", _values)["y"].astype(np.float64) if given is None else given)
        return self._scaled(y, y.max())


def _values(data: bytes) -> dict[str, FloatArray]:
    """The published pickle, a dict from strings to values, as float32 (161051,) in alphabetical order."""
    table = read_pickle(data)
    if not isinstance(table, dict):
        raise ValueError(f"expected a pickled dict of strings and values, got {type(table).__name__}")
    return {"y": string_table.table_values(table, ALPHABET, 5, 5, "QM9Str").astype(np.float32)}
