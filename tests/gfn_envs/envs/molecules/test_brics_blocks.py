"""gfn-envs blocks: a library of molecules becomes blocks that bond by the rules of BRICS."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from rdkit import Chem
from rdkit.Chem import BRICS

from gfn_envs import FragmentMolecule, cli
from gfn_envs.envs.molecules.brics_blocks import library_blocks, read_library
from gfn_envs.smiles_files import SmilesRow, read_smiles
from tests.helpers import run_python

DRUGS = Path(__file__).resolve().parents[4] / "examples" / "data" / "drugs.csv"


def rows(*smiles: str) -> list[SmilesRow]:
    return [SmilesRow(line, each, "") for line, each in enumerate(smiles, 1)]


def blocks(capsys: Any, *words: str) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as left:
        cli.main(["blocks", *words])
    out, err = capsys.readouterr()
    return int(left.value.code or 0), out, err


def test_blocks_are_those_of_rdkits_decomposition() -> None:
    found = library_blocks(read_library(DRUGS))
    mols = [Chem.MolFromSmiles(row.smiles) for row in read_smiles(DRUGS, "test")]
    parts = [set(Chem.MolToSmiles(BRICS.BreakBRICSBonds(mol)).split(".")) for mol in mols]
    fragments = set().union(*parts)
    usable = {smiles for smiles in fragments if "*" in smiles}
    assert set(found.smiles) == usable
    counts = dict(zip(found.smiles, found.molecules, strict=True))
    assert all(counts[smiles] == sum(smiles in part for part in parts) for smiles in usable)
    assert found.molecules == sorted(found.molecules, reverse=True)
    assert any("[7*]" in smiles for smiles in usable)  # a double bond
    assert found.left_out == {"fragments without an attachment point": sum("*" not in smiles for smiles in fragments)}
    dag = FragmentMolecule(found.smiles, rules="brics")
    assert len(dag.vocabulary.kinds) == len(found.smiles)


def test_molecules_of_the_library_can_be_built_again() -> None:
    """Every molecule is among the objects of its own blocks."""
    for smiles in ("CC(=O)Nc1ccc(O)cc1", "CCOC(=O)c1ccc(N)cc1", "CC(C)=CCOC(=O)C", "CC=Cc1ccccc1"):
        found = library_blocks(rows(smiles))
        size = len(Chem.MolToSmiles(BRICS.BreakBRICSBonds(Chem.MolFromSmiles(smiles))).split("."))
        dag = FragmentMolecule(found.smiles, max_blocks=size, rules="brics")
        assert Chem.CanonSmiles(smiles) in dag.to_smiles(dag.terminal_states())


def test_limits_and_what_is_left_out() -> None:
    found = library_blocks(read_library(DRUGS), min_count=2, max_atoms=6, max_blocks=5)
    assert len(found.smiles) == 5
    assert min(found.molecules) >= 2
    assert {reason.split(" than")[0] for reason in found.left_out} >= {"fragments in fewer", "fragments of more"}
    assert any("beyond the 5 most frequent" in reason for reason in found.left_out)


def test_stereochemistry_is_kept_dropped_skipped_or_refused() -> None:
    kept, lost = "CCOC(=O)CC[C@H](F)CCC(=O)OCC", "C[C@H](N(C)C(C)=O)C(=O)OCC"
    with pytest.raises(ValueError, match=r"line 1: .* has a stereo double bond \(/ or .\) at an attachment point"):
        library_blocks(rows("C/C=C/CC"))
    assert any("@" in smiles for smiles in library_blocks(rows("CCOC(=O)C[C@@H](C)CCN(C)C(C)=O")).smiles)
    assert library_blocks(rows(kept)).smiles
    with pytest.raises(ValueError, match=r"line 2: .* has a chiral center \(@\) at an attachment point.*--stereo drop"):
        library_blocks(rows(kept, lost))
    assert not any("@" in smiles for smiles in library_blocks(rows(lost), stereo="drop").smiles)
    assert library_blocks(rows(kept, lost), stereo="skip").left_out == {
        "molecules with a chiral center (@) at an attachment point": 1
    }
    with pytest.raises(ValueError, match="stereo must be one of"):
        library_blocks(rows(kept), stereo="ignore")


def test_the_command_writes_a_file_that_the_environment_reads(tmp_path: Path, capsys: Any) -> None:
    out = tmp_path / "blocks.smi"
    code, text, _ = blocks(capsys, str(DRUGS), "--out", str(out), "--min-count", "2")
    assert code == 0
    assert "left out: " in text
    assert f"saved {out}: " in text
    dag = FragmentMolecule(out, rules="brics", max_blocks=3)
    assert len(dag.vocabulary.kinds) == len(out.read_text().splitlines()) - 1


@pytest.mark.parametrize(
    ("library", "words", "message"),
    [
        ("CCO\nC(\n", [], "line 2: 'C(' is not a valid SMILES"),
        ("C\nCC\n", [], "no block is left (2 fragments without an attachment point)"),
        ("", [], "no block is left (the library is empty)"),
        ("id,smiles\n1\n", [], "line 2: there is no SMILES in column 2"),
        ("CCO\n", ["--min-count", "0"], "min_count must be an integer >= 1, got 0"),
        (None, [], "library.smi': no such file"),
    ],
)
def test_failures_are_one_line(
    library: str | None, words: list[str], message: str, tmp_path: Path, capsys: Any
) -> None:
    path = tmp_path / "library.smi"
    if library is not None:
        path.write_text(library)
    code, _, err = blocks(capsys, str(path), "--out", str(tmp_path / "blocks.smi"), *words)
    assert (code, err.count("\n")) == (2, 1)
    assert err.startswith("error: ")
    assert message in err
    assert not (tmp_path / "blocks.smi").exists()


@pytest.mark.parametrize(
    ("text", "smiles"),
    [
        ("CCO ethanol\nC methane\n", ["CCO", "C"]),
        ("smiles\nCCO\n", ["CCO"]),
        ("ID,Canonical SMILES,price\r\n1,CCO,2\r\n2,C,3\r\n", ["CCO", "C"]),
        ('name\tSMILES\n"a b"\tCCO\n', ["CCO"]),
        ("SMILES;name\nC[C@H](N)O alanine, really;x\n", ["C[C@H](N)O"]),
        ("object,reward\nCC,0.5\n", ["CC"]),
        ("\n\nCC\n", ["CC"]),
        ("CC fragment\nC mol\n", ["CC", "C"]),
        ("mol\nC\n", ["C"]),
    ],
)
def test_files_with_and_without_headers(text: str, smiles: list[str], tmp_path: Path) -> None:
    path = tmp_path / "library.csv"
    path.write_bytes(text.encode())
    assert [row.smiles for row in read_smiles(path, "test")] == smiles


def test_the_command_works_without_torch(tmp_path: Path) -> None:
    code = "import sys; sys.modules['torch'] = None; from gfn_envs.cli import main; main()"
    done = run_python("-c", code, "blocks", str(DRUGS), "--out", str(tmp_path / "b.smi"))
    assert done.returncode == 0, done.stderr
