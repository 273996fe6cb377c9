"""The how-to on sequences: from measured variants to designs that the programs of the field read."""

from __future__ import annotations

import csv
import re
import runpy
import sys
from pathlib import Path

import pytest
from Bio import SeqIO

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.slow
def test_from_measured_variants_to_designs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["variants", "--quick", "--iterations", "1000", "--out", str(tmp_path)])
    runpy.run_path(str(ROOT / "examples" / "sequences_variants.py"), run_name="__main__")
    printed = capsys.readouterr().out
    # The simulated scores are a sigmoid of additive effects and one interaction; a linear model explains most of it.
    assert 0.7 < float(re.search(r"R2 (0\.\d+)", printed)[1]) < 0.9
    assert float(re.search(r"total variation \(exact\): (0\.\d+)", printed)[1]) < 0.2
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
