"""The command ``gfn-envs blocks``: blocks for GFN/FragmentMolecule-v0 from the molecules of a library."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from gfn_envs.envs.molecules import brics_blocks
from gfn_envs.text_files import file_error


def main(argv: Sequence[str] | None = None, prog: str = "gfn-envs blocks") -> int:
    """Cut a library into blocks and write them. Exit codes: 0 success, 2 a bad file or argument, or no RDKit."""
    parser = argparse.ArgumentParser(
        prog=prog,
        description="Blocks for GFN/FragmentMolecule-v0: the molecules of a library, cut by BRICS.",
        epilog=f"example: {prog} library.smi --out blocks.smi --min-count 2; then "
        "gfn train tb GFN/FragmentMolecule-v0 --env.blocks blocks.smi --env.rules brics",
    )
    parser.add_argument("library", type=Path, help="molecules: .smi, .csv, .tsv or .txt, with or without a header")
    parser.add_argument(
        "--out", type=Path, required=True, metavar="FILE", help="file for the blocks, such as blocks.smi"
    )
    parser.add_argument("--min-count", type=int, default=1, metavar="N", help="leave out blocks of fewer molecules (1)")
    parser.add_argument("--max-atoms", type=int, metavar="N", help="leave out blocks with more atoms")
    parser.add_argument("--max-blocks", type=int, metavar="N", help="keep the N most frequent blocks")
    parser.add_argument(
        "--stereo",
        choices=brics_blocks.STEREO,
        default="refuse",
        help="stereochemistry at an attachment point, which blocks do not keep: stop (refuse, the default), leave such "
        "molecules out (skip), or remove all stereochemistry (drop)",
    )
    options = parser.parse_args(argv)
    try:
        rows = brics_blocks.read_library(options.library)
        found = brics_blocks.library_blocks(
            rows, options.stereo, options.min_count, options.max_atoms, options.max_blocks
        )
        brics_blocks.write_blocks(options.out, found)
    except (OSError, ValueError, ImportError) as error:
        text = file_error(error, "blocks", vars(options)) if isinstance(error, OSError) else error
        print(f"error: {text}", file=sys.stderr)
        return 2
    for reason, number in found.left_out.items():
        print(f"left out: {number:,} {reason}")
    print(f"saved {options.out}: {len(found.smiles):,} blocks of {len(rows):,} molecules; use them with rules='brics'")
    return 0
