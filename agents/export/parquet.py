"""Samples as Parquet files. The only module that imports pyarrow."""

from __future__ import annotations

from typing import BinaryIO

from agents.export.samples import Samples
from agents.export.tables import table_columns
from gfn_envs.dag import Dag


def check_pyarrow() -> None:
    """Raise ImportError, with the extra to install, if pyarrow is missing."""
    try:
        import pyarrow.parquet  # noqa: F401
    except ImportError:
        raise ImportError('.parquet files need pyarrow: pip install "gfn-envs[parquet]"') from None


def write_parquet(file: BinaryIO, samples: Samples, dag: Dag) -> None:
    """One row group with the columns of the CSV file."""
    import pyarrow
    from pyarrow import parquet

    kinds = {"object": pyarrow.string(), "samples": pyarrow.int64()}
    columns = table_columns(samples)
    arrays = {name: pyarrow.array(values, kinds.get(name, pyarrow.float64())) for name, values in columns.items()}
    parquet.write_table(pyarrow.table(arrays), file)
