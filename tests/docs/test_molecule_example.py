"""examples/molecules_from_a_library.py writes candidates that RDKit reads back, with every factor of their score."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
from rdkit import Chem

from tests.docs.test_examples import run


def test_candidates_from_a_library(tmp_path: Path) -> None:
    library = tmp_path / "library.smi"
    library.write_text("CC(=O)Nc1ccc(O)cc1 paracetamol\nCCOC(=O)c1ccc(N)cc1 benzocaine\nCCN(CC)CC(=O)OCC\n")
    words = ("--iterations", "5", "--samples", "60", "--top", "20", "--out", str(tmp_path / "candidates"))
    text = run("molecules_from_a_library.py", str(library), *words)
    assert "of 3 molecules" in text
    assert "validity 1" in text
    mols = list(Chem.SDMolSupplier(str(tmp_path / "candidates.sdf")))
    with (tmp_path / "candidates.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert 5 < len(rows) <= 20
    assert [Chem.MolToSmiles(mol) for mol in mols] == [row["object"] for row in rows]
    factors = ("qed", "sa", "logp_window", "weight_window", "alerts")
    scores = [np.prod([max(float(row[name]), 1e-3) for name in factors]) for row in rows]
    np.testing.assert_allclose([float(row["reward"]) for row in rows], np.array(scores) ** 4, rtol=1e-9)
    known = {Chem.CanonSmiles(line.split()[0]) for line in library.read_text().splitlines()}
    assert known.isdisjoint(row["object"] for row in rows)
    assert (tmp_path / "candidates.png").read_bytes()[:4] == b"\x89PNG"
