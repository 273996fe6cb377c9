"""PDB files: each residue is read as its amino acid or refused by name; chains, models and molecules are kept apart."""

from __future__ import annotations

import copy
import gzip
import pickle
from pathlib import Path

import pytest

from gfn_envs import AMP, GFP, InverseFolding
from gfn_envs.data import registry as datasets
from gfn_envs.envs.proteins import amp, distances, gfp, inverse_folding
from gfn_envs.envs.proteins.amino_acids import SYNONYMS, THREE_LETTERS


def atom(
    residue: str, number: int | str, x: float, chain: str = "A", name: str = "CA", record: str = "ATOM", alt: str = " "
) -> str:
    number = f"{number:>4} " if isinstance(number, int) else f"{number:>5}"
    return f"{record:<6s}{1:5d}  {name:<3s}{alt}{residue:<4s}{chain}{number}   {x:8.3f}{0:8.3f}{0:8.3f}  1.00 20.00"


def chain(names: str, chain: str = "A", start: int = 1, x: float = 0.0) -> list[str]:
    return [atom(name, start + k, x + 3.8 * k, chain) for k, name in enumerate(names.split())]


def read(lines: list[str], folder: Path, **arguments: object) -> InverseFolding:
    (folder / "p.pdb").write_text("\n".join(lines) + "\n")
    return InverseFolding(folder / "p.pdb", **arguments)


WATER = atom("HOH", 1, 90.0, name="O", record="HETATM")
FOUR = chain("ALA GLY TRP LYS")


@pytest.mark.parametrize(
    ("lines", "sequence"),
    [
        (chain("ALA HIE CYX HSD ASH GLU MSE"), "AHCHDEM"),
        (chain(" ".join(SYNONYMS)), "".join(SYNONYMS.values())),
        (chain(" ".join(THREE_LETTERS)), "".join(THREE_LETTERS.values())),
        (["MODRES 1ABC SEP A    2  SER  PHOSPHOSERINE", *chain("ALA SEP GLY")], "ASG"),
        ([*FOUR, "TER", WATER], "AGWK"),
        ([*FOUR, WATER, atom("CA", 9, 1.0, record="HETATM"), atom("NA", 10, 1.0, name="NA")], "AGWK"),
        ([atom("ACE", 0, -3.0, name="CH3"), *FOUR, atom("NME", 5, 20.0, name="N")], "AGWK"),
        ([atom("DA", 1, -9.0, "A", "P"), "TER", *FOUR], "AGWK"),
        ([*FOUR, "TER", atom("GLU", 5, 1.0, record="HETATM")], "AGWK"),
        ([*FOUR[:2], FOUR[2].replace("ATOM  ", "HETATM"), *FOUR[3:]], "AGWK"),
        ([*FOUR, "TER", *chain("LEU LEU", "B")], "AGWK"),
        (["MODEL        1", *FOUR, "ENDMDL", "MODEL        2", *chain("LEU LEU")], "AGWK"),
        (["MODEL        1", *FOUR, "MODEL        2", *chain("LEU LEU")], "AGWK"),
        ([*FOUR, "END", *chain("LEU LEU")], "AGWK"),
        ([*chain("ALA"), atom("GLY", "1A", 3.0), atom("TRP", "1B", 6.0)], "AGW"),
        ([atom("ALA", -1, 0.0), atom("GLY", 0, 3.0)], "AG"),
    ],
)
def test_sequences(tmp_path: Path, lines: list[str], sequence: str) -> None:
    assert read(lines, tmp_path).native == sequence
    (tmp_path / "q.pdb.gz").write_bytes(gzip.compress("\r\n".join(lines).encode()))
    assert InverseFolding(tmp_path / "q.pdb.gz").native == sequence


def test_chain_and_model_are_settings(tmp_path: Path) -> None:
    lines = ["MODEL 1", *FOUR, "TER", *chain("LEU LEU", "B"), "ENDMDL", "MODEL 2", *chain("PRO PRO PRO"), "ENDMDL"]
    for arguments, sequence in [({}, "AGWK"), ({"chain": "B"}, "LL"), ({"model": 2}, "PPP"), ({"model": 1}, "AGWK")]:
        dag = read(lines, tmp_path, **arguments)
        assert dag.native == sequence
        assert InverseFolding(**dag.arguments).native == sequence
    message = "has 0 amino acids in chain 'B'; at least two are required .it has 3 in chain 'A'"
    with pytest.raises(ValueError, match=message):
        read(lines, tmp_path, chain="B", model=2)
    with pytest.raises(ValueError, match="has 2 models; model must be 1 to 2, got 3"):
        read(lines, tmp_path, model=3)


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (
            [*FOUR, "TER", *chain("LEU LEU LEU")],
            "line 6: a second molecule in chain 'A', which has ended with TER on l",
        ),
        ([*chain("ALA GLY", " "), "TER", *chain("LEU", " ", 9)], "line 4: a second molecule in chain ' '"),
        ([*FOUR, *chain("LEU LEU")], "line 5: residue LEU 1 of chain 'A' has the number of ALA 1 on line 1"),
        ([*FOUR, *chain("LEU LEU", "B"), *chain("PRO", "A", 9)], "line 7: chain 'A' continues after chain 'B'"),
        (chain("ALA UNK GLY SEP"), "2 residues have no letter: UNK 2 .line 2., SEP 4 .line 4.; rename or remove"),
        ([*FOUR, atom("SEP", 5, 9.0, record="HETATM")], "1 residues have no letter: SEP 5"),
        ([*FOUR, atom("ALA", 5, 9.0, name="N")], "line 5: residue ALA 5 has neither a CB nor a CA atom"),
        ([*FOUR, atom("GLY", 4, 9.0)], "line 5: residue LYS 4 is also called GLY"),
        ([*FOUR, atom("LYS", 4, 9.0)], "line 5: residue LYS 4 has two atoms CA"),
        ([*FOUR, atom("GLY", 5, 0.0)], "residues ALA 1 and GLY 5 are at the same place"),
        ([*FOUR, atom("GLY", 5, 9.0).replace("ATOM  ", "ATOM ")], "line 5: (expected an ATOM|coordinates must)"),
        ([*FOUR, atom("GLY", 5, 9.0).replace("ATOM", "AUOM")], "line 5: expected an ATOM or HETATM record"),
        ([*FOUR, atom("GLY", 5, 9.0).lower()], "line 5: expected an ATOM or HETATM record"),
        (["data_1ABC", "loop_", "_atom_site.id"], "is an mmCIF file; allowed: a PDB file, or a CSV"),
    ],
)
def test_what_is_refused(tmp_path: Path, lines: list[str], message: str) -> None:
    with pytest.raises(ValueError, match=f"^InverseFolding: {tmp_path}/p.pdb.*{message}"):
        read(lines, tmp_path)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "0,3,9\n3,0,4\n9,4,0\n",
            "the first line must be an empty cell and the residue numbers, got '0,3,9'; a matrix",
        ),
        ("", "the first line must be an empty cell and the residue numbers, got 'nothing'"),
        (",5,x\n5,0,3\nx,3,0\n", "line 1: .* must hold residue numbers, got 'x'"),
        (",5,6\n5,0,3\n7,3,0\n", "the same residue numbers, but have 2 and 2, first 6 and 7"),
        (",5,5\n5,0,3\n5,3,0\n", "residue number 5 occurs twice"),
        (",5,6\n5,0,3\n6,3\n", "line 3: expected 2 distances, got 1"),
        (",5,6\n5,0,3\n6,3,zero\n", "line 3: expected distances, got 'zero'"),
        (",5,6\n5,0,3\n6,4,0\n", "finite, >= 0 and symmetric, got 3 from residue 5 to 6 and 4 back"),
        (f",5,{'9' * 30}\n", "line 1: .* must hold residue numbers"),
        (',5,6\n5,0,"3', "expected 2 distances|same residue numbers"),
    ],
)
def test_tables_of_distances(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "m.csv").write_text(text)
    with pytest.raises(ValueError, match=f"^InverseFolding: {tmp_path}/m.csv.*({message})"):
        InverseFolding(tmp_path / "m.csv", min_separation=1)


def test_labels_and_masks_are_not_dropped() -> None:
    np, pandas = pytest.importorskip("numpy"), pytest.importorskip("pandas")
    matrix = np.array([[0.0, 3.0], [3.0, 0.0]])
    for value in (pandas.DataFrame(matrix, index=[5, 9], columns=[5, 9]), np.ma.masked_equal(matrix, 3.0)):
        with pytest.raises(TypeError, match="InverseFolding: distances must be a matrix without labels or mask, got"):
            InverseFolding(value)


# ---------------------------------------------------------------------- data


def test_missing_data_raise_when_the_environment_is_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GFN_ENVS_DATA", str(tmp_path))
    inverse_folding.avgfp.cache_clear()
    with pytest.raises(datasets.DatasetError, match="gfn-envs data fetch gfp-distances"):
        InverseFolding()
    with pytest.raises((ValueError, OSError), match=r"none\.tsv"):
        GFP("append", wild_type="CA", table=tmp_path / "none.tsv")


@pytest.mark.data("gfp-distances")
def test_data_are_read_once_in_a_process(monkeypatch: pytest.MonkeyPatch) -> None:
    reads: list[str] = []
    for module, name in ((inverse_folding.datasets, "read"), (amp, "packaged"), (gfp, "packaged")):
        original = getattr(module, name)
        monkeypatch.setattr(module, name, lambda key, original=original: reads.append(key) or original(key))
    for cached in (inverse_folding.avgfp, amp.classifier, gfp.brightness_model):
        cached.cache_clear()
    for make in (InverseFolding, AMP, GFP):
        for dag in (make(), copy.deepcopy(make()), pickle.loads(pickle.dumps(make()))):
            dag.log_reward(
                dag.from_text(["A" * 60 if make is AMP else dag.native if make is InverseFolding else gfp.AVGFP])
            )
    assert sorted(reads) == ["amp_proxy", "gfp-distances", "gfp_proxy"]
    dag = AMP()
    dag.log_reward(dag.from_text(["A" * 60]))
    assert b"PeptideClassifier" not in pickle.dumps(dag)  # the weights are not in copies


def test_read_distances_of_a_header_with_a_name() -> None:
    matrix, numbers = distances.read_distances("residue,2,3\n2,,4.5\n3,4.5,\n", "here")
    assert (matrix.tolist(), numbers.tolist()) == ([[0.0, 4.5], [4.5, 0.0]], [2, 3])
