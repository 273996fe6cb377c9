"""Compressed text files: read if their name ends in .gz, and refused by name otherwise, by every reader."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

import pytest

from gfn_envs import make_dag

#: environment -> (argument, suffix, content, other arguments)
FILES: dict[str, tuple[str, str, str, dict[str, Any]]] = {
    "BayesNet": ("data", ".csv", "a,b\n1.5,1\n2,5.5\n3,1\n", {}),
    "PhyloTree": ("alignment", ".fasta", ">A\nACGT\n>B\nACGA\n>C\nACCA\n", {}),
    "FragmentMolecule": ("blocks", ".smi", "*C\n*O\n", {"max_blocks": 2}),
    "Sequence": ("reward", ".csv", "A,1\nC,2\n", {"alphabet": "AC", "length": 1}),
    "IndependentSet": ("graph", ".txt", "0 1\n1 2\n", {}),
}


@pytest.mark.parametrize("name", FILES)
def test_gzip_is_read_if_the_name_says_so(name: str, tmp_path: Path) -> None:
    argument, suffix, content, others = FILES[name]
    if name == "FragmentMolecule":
        pytest.importorskip("rdkit")
    plain, packed, wrong = (tmp_path / f"file{end}" for end in (suffix, suffix + ".gz", "2" + suffix))
    plain.write_text(content)
    for path in (packed, wrong):
        path.write_bytes(gzip.compress(content.encode()))
    first, second = (make_dag(f"GFN/{name}-v0", **{argument: str(path)}, **others) for path in (plain, packed))
    assert first.num_actions == second.num_actions
    with pytest.raises(ValueError, match=rf"{name}: .*file2{suffix} is not UTF-8 but gzip; name it file2{suffix}\.gz"):
        make_dag(f"GFN/{name}-v0", **{argument: str(wrong)}, **others)
