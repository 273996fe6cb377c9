"""Strings of one length whose published values a table of the user's can replace."""

from __future__ import annotations

import os
from collections.abc import Mapping
from collections.abc import Sequence as Letters

from gfn_envs.arrays import FloatArray
from gfn_envs.envs.strings import reward_table as string_table
from gfn_envs.envs.strings.sequence import Sequence
from gfn_envs.validation import positive

Table = Mapping[str, float] | Letters[float] | str | os.PathLike[str]


class PublishedStrings(Sequence):
    """What environments with published values of strings share: a scale, and a table in their place.

    Raises:
        ValueError: a bad setting, or another length than the published one without a table.
    """

    def __init__(
        self,
        alphabet: str,
        published_length: int,
        construction: str,
        exponent: float,
        scale: float,
        floor: float | None,
        mode_fraction: float,
        table: Table | None,
        length: int,
    ):
        super().__init__(alphabet, length, construction, exponent=exponent, floor=floor, mode_fraction=mode_fraction)
        where = type(self).__name__
        self.scale, self._table = positive("scale", scale, where), table
        if table is None and length != published_length:
            raise ValueError(f"{where}: length must be {published_length} unless a table is given, got {length}")
        self.arguments = {
            "construction": construction,
            "exponent": exponent,
            "scale": scale,
            "floor": floor,
            "mode_fraction": mode_fraction,
            "table": table,
            "length": length,
        }

    def _scaled(self, raised: FloatArray, largest: float) -> FloatArray:
        """scale (raised / largest)^exponent of values with a floor, float64 (n,)."""
        # What is not above 0 stays, to be refused: an even exponent would make it good.
        good, result = raised > 0, raised.copy()
        result[good] = self.scale * (raised[good] / largest) ** self.exponent
        return result

    def _table_values(self) -> FloatArray | None:
        """The table's value of every string in alphabetical order; None where there is no table."""
        if self._table is None:
            return None
        return string_table.table_values(self._table, self.letters, self.length, self.length, type(self).__name__)
