"""The command ``gfn-envs data``, also ``python -m gfn_envs.data``."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence

from gfn_envs.data import registry


def main(argv: Sequence[str] | None = None, prog: str = "gfn-envs data") -> int:
    """``list | fetch NAME ... | path``. Exit code 0, or 2 if a data set or directory is not available."""
    parser = argparse.ArgumentParser(
        prog=prog,
        description="Data sets that are not part of the package.",
        epilog=f"example: {prog} fetch qm9str",
    )
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("list", help="list every data set with its license, citation and address")
    fetcher = commands.add_parser("fetch", help="download data sets and check their content")
    fetcher.add_argument("names", nargs="+", metavar="NAME", help=f"all, or any of: {', '.join(registry.DATASETS)}")
    commands.add_parser("path", help="print the directory that data sets are read from")
    options = parser.parse_args(argv)
    try:
        directory = registry.mirror()
        if options.command == "list":
            for entry in registry.DATASETS.values():
                print(_describe(entry, f"not in {registry.MIRROR}" if directory else "not downloaded"))
        elif options.command == "path":
            print(directory or registry.cache_dir())
        else:
            for name in registry.DATASETS if options.names == ["all"] else options.names:
                print(registry.fetch(name))
        sys.stdout.flush()
    except BrokenPipeError:
        # The reader, such as head, has closed the pipe. Without this, Python would write to it again at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except OSError as error:  # a DatasetError, or a file without read permission
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


def _describe(entry: registry.Dataset, otherwise: str) -> str:
    where = "available" if registry.is_available(entry.name) else otherwise
    size = "" if entry.bytes is None else f"{entry.bytes / 1000:,.0f} kB, "
    return (
        f"{entry.name} ({size}{where})\n    {entry.description}\n"
        f"    license: {entry.license}\n    cite: {entry.citation}\n    from: {entry.url}"
    )
