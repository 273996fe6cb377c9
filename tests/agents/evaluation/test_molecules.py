"""Metrics of molecules: the formulas of MOSES on lists of samples, in evaluations and from a shell."""

from __future__ import annotations

import itertools
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rdkit import Chem
from rdkit.Chem import AllChem, DataStructs
from rdkit.Chem.Scaffolds.MurckoScaffold import MurckoScaffoldSmiles

import agents
import gfn_envs
from agents.cli import main as cli
from agents.evaluation.labels import LABELS
from agents.evaluation.molecules import molecule_metrics

#: Samples: two ways to write toluene, an invalid SMILES, and repetitions.
SMILES = ["Cc1ccccc1", "c1ccccc1C", "C1CCCCC1N", "CCO", "C(", "c1ccc2ccccc2c1", ""]
COUNTS = np.array([3, 1, 2, 2, 1, 1, 1])
KNOWN = ["OCC", "Clc1ccccc1", "C1CCCCC1"]


def similarity(one: str, other: str) -> float:
    prints = [AllChem.GetMorganFingerprintAsBitVect(Chem.MolFromSmiles(smiles), 2, 1024) for smiles in (one, other)]
    return DataStructs.TanimotoSimilarity(*prints)


def test_metrics_follow_their_definitions() -> None:
    found = molecule_metrics(SMILES, COUNTS, KNOWN)
    samples = [
        Chem.CanonSmiles(s) for s, n in zip(SMILES, COUNTS, strict=True) for _ in range(n) if s not in ("C(", "")
    ]
    assert found["validity"] == pytest.approx(9 / 11)
    assert found["uniqueness"] == pytest.approx(4 / 9)
    assert found["novelty"] == pytest.approx(3 / 4)  # ethanol is known
    pairs = [similarity(a, b) for a, b in itertools.product(samples, repeat=2)]
    assert found["internal_diversity"] == pytest.approx(1 - np.mean(pairs))
    assert found["nearest_known"] == pytest.approx(np.mean([max(similarity(s, k) for k in KNOWN) for s in samples]))
    assert found["distinct_scaffolds"] == 3
    scaffolds = [s for s in map(MurckoScaffoldSmiles, samples) if s]
    names = ["c1ccccc1", "C1CCCCC1", "c1ccc2ccccc2c1"]
    mine, theirs = np.array([scaffolds.count(name) for name in names]), np.array([1, 1, 0])
    cosine = mine @ theirs / np.linalg.norm(mine) / np.linalg.norm(theirs)
    assert found["scaffold_similarity"] == pytest.approx(cosine)


def test_without_known_molecules_or_valid_samples() -> None:
    assert set(molecule_metrics(["C", "CC"], np.array([1, 1]))) == {
        *("validity", "uniqueness", "internal_diversity", "distinct_scaffolds")
    }
    assert molecule_metrics(["C("], np.array([2]))["uniqueness"] is None
    assert molecule_metrics(["C"], np.array([2]), ["CC"])["scaffold_similarity"] is None  # no rings
    with pytest.raises(ValueError, match=r"known molecules: 'C\(' is not a valid SMILES"):
        molecule_metrics(["C"], np.array([1]), ["C("])


def test_evaluations_have_them() -> None:
    dag = gfn_envs.make_dag("GFN/AtomMolecule-v0", max_atoms=3, elements="C,O")
    agent = agents.make_agent("tb", dag, engine="torch")
    found = agents.full_evaluation(agent, 50, known=["CCO", "CC"])
    assert found["validity"] == 1
    assert 0 < found["novelty"] < 1
    assert found["uniqueness"] == found["distinct_objects"] / 50
    assert {"validity", "novelty", "nearest_known", "internal_diversity", "scaffold_similarity"} <= set(LABELS)
    with pytest.raises(ValueError, match="known is only for molecules, which the objects of HyperGrid"):
        agents.full_evaluation(agents.make_agent("tb", gfn_envs.make_dag("GFN/HyperGrid-v0")), 50, known=["C"])


def test_from_a_shell(tmp_path: Path, capsys: Any) -> None:
    run, known = tmp_path / "run", tmp_path / "known.csv"
    known.write_text("name,smiles\nethanol,CCO\n")
    words = "train tb GFN/AtomMolecule-v0 --env.max-atoms 3 --env.elements C,O --iterations 2 --eval-every 0"
    gfn(capsys, *words.split(), "--agent.engine", "torch", "--out", str(run))
    _, out, _ = gfn(capsys, "evaluate", str(run), "--num-samples", "50", "--known", str(known), "--json")
    assert json.loads(out)["validity"] == 1
    assert json.loads(out)["novelty"] < 1
    known.write_text("name,smiles\nethanol,OCC\nmethane,C\n")  # not canonical
    words = ("--num", "200", "--unique", "--rewards", "none", "--exclude", str(known))
    _, out, _ = gfn(capsys, "sample", str(run), *words, "--out", str(tmp_path / "new.csv"))
    assert "2 of the 2 excluded objects were sampled" in out
    assert "\nCCO," not in (tmp_path / "new.csv").read_text()
    code, _, err = gfn(capsys, "evaluate", str(run), "--known", str(tmp_path / "none.smi"))
    assert code == 2
    assert "none.smi" in err


def gfn(capsys: Any, *words: str) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as left:
        cli.main(list(words))
    out, err = capsys.readouterr()
    return int(left.value.code or 0), out, err
