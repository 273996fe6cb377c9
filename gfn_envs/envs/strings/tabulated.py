"""TabulatedSequence: base class of string environments with a published reward, which a user's table can replace."""

from __future__ import annotations

import os
from collections.abc import Mapping
from collections.abc import Sequence as Letters

from gfn_envs.arrays import FloatArray
from gfn_envs.envs.strings.reward_table import table_values
from gfn_envs.envs.strings.sequence import Sequence
from gfn_envs.validation import positive

Table = Mapping[str, float] | Letters[float] | str | os.PathLike[str]


class TabulatedSequence(Sequence):
    """Strings of fixed length whose rewards have a largest value, ``scale``.

    A subclass sets ``alphabet``, ``published_length``, and ``reward_table``, which is computed here.

    Args:
        construction: "append", "prepend_append", "insert" or "fill".
        exponent: beta.
        scale: the largest reward.
        floor: lower bound; each subclass says of what.
        mode_fraction: fraction of all strings that are modes; None: no modes.
        table: values that replace the published ones.
        length: number of letters.

    Raises:
        ValueError: an argument is out of range, or ``length`` differs from ``published_length`` without a table.
        DatasetError: no table is given, and the data set is not available.
    """

    alphabet: str
    published_length: int

    def __init__(
        self,
        construction: str,
        exponent: float,
        scale: float,
        floor: float | None,
        mode_fraction: float | None,
        table: Table | None,
        length: int,
    ):
        super().__init__(
            self.alphabet, length, construction, exponent=exponent, floor=floor, mode_fraction=mode_fraction
        )
        where = type(self).__name__
        self.scale, self._table = positive("scale", scale, where), table
        if table is None and self.length != self.published_length:
            raise ValueError(f"{where}: length must be {self.published_length} unless a table is given, got {length}")
        self.arguments = {
            "construction": construction,
            "exponent": exponent,
            "scale": scale,
            "floor": floor,
            "mode_fraction": mode_fraction,
            "table": table,
            "length": self.length,
        }
        self.reward_table  # noqa: B018  # Tables that are missing or wrong raise here, not at the first terminal state.

    def _scaled(self, values: FloatArray, largest: float) -> FloatArray:
        """scale (value / largest)^exponent, float64 (n,), of values that satisfy the floor."""
        # Values <= 0 are kept and raise later; an even exponent would turn negative values into valid rewards.
        good, result = values > 0, values.copy()
        result[good] = self.scale * (values[good] / largest) ** self.exponent
        return result

    def _table_values(self) -> FloatArray | None:
        """Values of the user's table in alphabetical order, float64 (num_strings,); None without a table."""
        if self._table is None:
            return None
        return table_values(self._table, self.letters, self.length, self.length, type(self).__name__)
