"""The how-to on sequences: from measured variants to designs that the programs of the field read."""

from __future__ import annotations

import csv
import re
from pathlib import Path

from Bio import SeqIO

from tests.helpers import run_python

ROOT = Path(__file__).resolve().parents[2]


def test_from_measured_variants_to_designs(tmp_path: Path) -> None:
    done = run_python(
        str(ROOT / "examples" / "sequences_variants.py"), "--quick", "--iterations", "1000", "--out", str(tmp_path)
    )
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    # The simulated scores are a sigmoid of additive effects and one interaction; a linear model explains most of it.
    assert 0.7 < float(re.search(r"R2 (0\.\d+)", done.stdout)[1]) < 0.9
    assert float(re.search(r"total variation \(exact\): (0\.\d+)", done.stdout)[1]) < 0.2
    designs = [str(record.seq) for record in SeqIO.parse(tmp_path / "designs.fasta", "fasta")]
    wild = str(next(SeqIO.parse(ROOT / "examples" / "data" / "wild_type_simulated.fasta", "fasta")).seq)
    assert len(set(designs)) == len(designs) == 100
    for design in designs:
        changed = [i + 1 for i, (a, b) in enumerate(zip(design, wild, strict=True)) if a != b]
        assert len(changed) <= 2
        assert set(changed) <= {39, 40, 41, 54}
        assert re.search("N[^P][ST]", design) is None
    with (tmp_path / "designs.csv").open() as file:
        assert [row["object"] for row in csv.DictReader(file)] == designs
    assert (tmp_path / "sites.png").stat().st_size > 5000
