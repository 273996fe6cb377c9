"""InverseFolding: contact energies and input files, by independent computations."""

from __future__ import annotations

import itertools
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gfn_envs import InverseFolding, check_dag
from gfn_envs.envs.proteins import contacts, inverse_folding, pdb
from gfn_envs.envs.proteins.peptide_classifier import AMINO_ACIDS
from tests.helpers import RING, all_states

#: The lower triangle of table 3 of Miyazawa and Jernigan 1996: e'_ij = e_ij - (e_ii + e_jj) / 2.
MJ_LOWER = """
0.46
0.54 -0.20
0.49 -0.01 0.06
0.57 0.01 0.03 -0.08
0.52 0.18 0.10 -0.01 -0.04
0.30 -0.29 0.00 0.02 0.08 0.11
0.64 -0.10 0.05 0.11 0.10 0.23 -0.04
0.51 0.15 0.17 0.05 0.13 0.08 0.07 0.09
0.68 0.46 0.62 0.62 0.65 0.51 0.24 0.20 0.18
0.67 0.28 0.41 0.30 0.40 0.36 0.37 0.13 0.10 0.10
0.69 0.53 0.44 0.59 0.60 0.55 0.38 0.14 0.18 0.14 -0.06
0.97 0.62 0.72 0.87 0.79 0.77 0.30 0.17 0.36 0.22 0.02 0.10
0.64 0.20 0.30 0.37 0.42 0.46 0.19 -0.12 0.24 0.24 -0.08 0.11 -0.10
0.91 0.77 0.75 0.71 0.89 0.89 0.30 -0.07 0.26 0.13 -0.14 -0.19 -0.24 -0.09
0.91 0.30 0.52 0.46 0.55 0.55 0.00 -0.25 0.30 0.36 -0.22 -0.19 -0.21 -0.19 0.05
0.65 0.28 0.39 0.66 0.67 0.70 0.08 0.09 0.47 0.50 0.16 0.26 0.29 0.31 -0.19 -0.16
0.93 0.38 0.42 0.41 0.43 0.47 -0.11 -0.30 0.30 0.18 -0.07 -0.01 -0.02 -0.26 -0.91 -1.04 0.14
0.83 0.31 0.33 0.32 0.37 0.33 -0.10 -0.46 0.11 0.03 -0.19 -0.15 -0.30 -0.46 -1.01 -1.28 0.23 0.24
0.53 0.16 0.25 0.39 0.35 0.31 -0.33 -0.23 0.20 0.13 0.04 0.14 0.18 -0.08 0.14 0.07 0.15 -0.05 -0.04
"""


def test_both_triangles_of_the_published_energies_agree() -> None:
    """The printed lower triangle follows from the upper one, up to the rounding of both."""
    e = contacts.miyazawa_jernigan() / 100
    np.testing.assert_array_equal(e, e.T)
    order = [AMINO_ACIDS.index(letter) for letter in contacts.MJ_ORDER]
    for i, line in enumerate(MJ_LOWER.split("\n")[1:-1], 1):
        for j, printed in enumerate(line.split()):
            a, b = order[i], order[j]
            assert abs(e[a, b] - (e[a, a] + e[b, b]) / 2 - float(printed)) < 0.0151, (i, j)


def energy_by_loops(text: str, distances: Any, cutoff: float, separation: int, composition: float) -> float:
    """E of a sequence, in which "." is an empty position."""
    e, total = contacts.miyazawa_jernigan(), 0.0
    for i in range(len(text)):
        for j in range(i + separation, len(text)):
            if distances[i][j] < cutoff and "." not in (text[i], text[j]):
                total += e[AMINO_ACIDS.index(text[i]), AMINO_ACIDS.index(text[j])] / 100
    filled = text.replace(".", "")
    for letter in set(filled):
        share = inverse_folding.ABUNDANCE[AMINO_ACIDS.index(letter)] / inverse_folding.ABUNDANCE.sum()
        total += composition * filled.count(letter) * np.log(filled.count(letter) / len(filled) / share)
    return total


@pytest.mark.parametrize("construction", ["fill", "append"])
@pytest.mark.parametrize(("separation", "composition"), [(1, 0.0), (2, 0.7), (3, 0.0), (5, 1.0)])
def test_energies_by_a_double_loop(construction: str, separation: int, composition: float) -> None:
    dag = InverseFolding(RING, construction, 2.5, 5.9, separation, composition, alphabet="WKC")
    assert check_dag(dag).exhaustive
    states = all_states(dag)
    texts = [dag.render_text(state) for state in states]
    expected = [-energy_by_loops(text, RING, 5.9, separation, composition) / 2.5 for text in texts]
    np.testing.assert_allclose(dag.partial_log_reward(states), expected, rtol=1e-12, atol=1e-12)
    objects = dag.terminal_states()
    np.testing.assert_array_equal(dag.log_reward(objects), dag.partial_log_reward(objects))


@pytest.mark.data("gfp-distances")
def test_avgfp_and_its_native_sequence() -> None:
    dag = InverseFolding()
    matrix, numbers = inverse_folding.avgfp()
    assert numbers.tolist() == inverse_folding.AVGFP_RESIDUES
    first, second = dag.contacts
    assert dag.native is not None
    expected, e = 0.0, contacts.miyazawa_jernigan()
    count = 0
    for i, j in itertools.combinations(range(228), 2):
        if matrix[i, j] < 8 and numbers[j] - numbers[i] >= 3:
            count += 1
            expected += e[AMINO_ACIDS.index(dag.native[i]), AMINO_ACIDS.index(dag.native[j])] / 100
    assert count == len(first) == len(second)
    assert dag.native_energy == pytest.approx(expected)
    # No reward overflows, even if all contacts have the lowest energy.
    assert np.isfinite(np.exp(-e.min() / 100 * count / dag.temperature))
    # The native sequence has a lower energy than random permutations of its residues.
    tokens = dag.from_text([dag.native])[0, :-1]
    rng = np.random.default_rng(0)
    shuffled = dag.energy(np.stack([rng.permutation(tokens) for _ in range(200)]))
    assert dag.native_energy < shuffled.mean() - shuffled.std()


def pdb_text(atoms: list[tuple[str, str, str, int, float, float, float]]) -> str:
    """A PDB file of atoms (name, residue, chain, number, x, y, z); a fourth letter of the name is the location."""
    return "HEADER    A TEST\n" + "".join(
        f"ATOM  {i:5d}  {atom:<4s}{residue} {chain}{number:4d}    {x:8.3f}{y:8.3f}{z:8.3f}  1.00  0.00\n"
        for i, (atom, residue, chain, number, x, y, z) in enumerate(atoms, 1)
    )


ATOMS = [
    ("N", "TRP", "A", 5, 9.0, 9.0, 9.0),
    ("CA", "TRP", "A", 5, 0.0, 0.0, 0.0),
    ("CB", "TRP", "A", 5, 1.0, 0.0, 0.0),
    ("CA", "GLY", "A", 6, 4.0, 0.0, 0.0),
    ("CA", "CYS", "A", 9, 50.0, 0.0, 0.0),
    ("CB", "CYS", "A", 9, 1.0, 3.0, 4.0),
    ("O", "HOH", "A", 10, 0.0, 0.0, 0.0),
    ("CA", "LYS", "B", 5, 0.0, 0.0, 0.0),
    ("CA", "ALA", "B", 8, 7.9, 0.0, 0.0),
]


def test_pdb_files(tmp_path: Path) -> None:
    path = tmp_path / "test.pdb"
    path.write_text(pdb_text(ATOMS) + "ENDMDL\n" + pdb_text([("CA", "ALA", "A", 30, 0.0, 0.0, 0.0)]))
    matrix, numbers, sequence = pdb.read_chain(path.read_text(), None, None, "test")
    assert (sequence, numbers.tolist()) == ("WGC", [5, 6, 9])
    expected = [[0, 3, 5], [3, 0, np.sqrt(34)], [5, np.sqrt(34), 0]]
    np.testing.assert_allclose(matrix, expected)
    dag = InverseFolding(str(path))
    assert dag.contacts.T.tolist() == [[0, 2], [1, 2]]  # residues 5 and 6 are adjacent in the chain; 6 and 9 are not
    assert dag.native_energy == pytest.approx(-4.95 - 3.16)
    other = InverseFolding(path, chain="B")
    assert (other.native, other.native_energy) == ("KA", pytest.approx(-1.31))


@pytest.mark.parametrize(
    ("atoms", "letter", "place"),
    [
        ([("CA A", "GLY", 1.0), ("CA B", "SER", 2.0), ("CB B", "SER", 3.0)], "G", 1.0),
        ([("CA B", "SER", 2.0), ("CB B", "SER", 3.0), ("CA A", "GLY", 1.0)], "S", 3.0),
        ([("CA A", "SER", 1.0), ("CA B", "SER", 2.0), ("CB B", "SER", 3.0), ("CB A", "SER", 4.0)], "S", 4.0),
        ([("CA", "SER", 1.0), ("CB B", "SER", 3.0), ("CB A", "SER", 4.0)], "S", 3.0),
        ([("CA A", "SER", 1.0), ("CA B", "SER", 2.0), ("CB", "SER", 5.0)], "S", 5.0),
    ],
)
def test_all_atoms_come_from_the_first_alternate_location(
    tmp_path: Path, atoms: list[tuple[str, str, float]], letter: str, place: float
) -> None:
    lines = [(name, residue, "A", 1, x, 0.0, 0.0) for name, residue, x in atoms]
    path = tmp_path / "test.pdb"
    path.write_text(pdb_text([*lines, ("CA B", "GLY", "A", 2, 10.0, 0.0, 0.0)]))
    matrix, _, sequence = pdb.read_chain(path.read_text(), None, None, "test")
    assert sequence == letter + "G"
    assert matrix[0, 1] == 10.0 - place


DISTANCES_CSV = ",5,6,9\n5,0,3,5\n6,3,0,6.5\n9,5,6.5,0\n"


@pytest.mark.parametrize("name", ["mine.csv", "mine.CSV"])
def test_distances_from_a_csv_file(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.write_text("\ufeff" + DISTANCES_CSV)
    dag = InverseFolding(str(path), native="WGC")
    assert dag.contacts.T.tolist() == [[0, 2], [1, 2]]
    assert dag.native_energy == pytest.approx(-4.95 - 3.16)
    assert InverseFolding(path).native is None
    with pytest.raises(ValueError, match=r"InverseFolding: chain is only for PDB files, got 'A'"):
        InverseFolding(path, chain="A")
    path.write_text(DISTANCES_CSV.replace("6.5", ""))
    with pytest.raises(ValueError, match=r"InverseFolding: .*mine\.\w+: .*got 0 between residues 6 and 9"):
        InverseFolding(path)


@pytest.mark.parametrize("name", ["1gfl.cif", "1gfl.CIF", "1gfl.cif.gz", "distances.npy"])
def test_other_structure_files_raise(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("data_1GFL")
    with pytest.raises(ValueError, match=rf"InverseFolding: {tmp_path / name} is not a PDB file; allowed: a PDB"):
        InverseFolding(tmp_path / name)


#: Contacts of five residues. Residues 1 and 2 are in contact and also adjacent in the chain.
TOUCHING = {(0, 3), (0, 4), (1, 2), (1, 4)}
CONTACT_MAP = [[i == j or (i, j) in TOUCHING or (j, i) in TOUCHING for j in range(5)] for i in range(5)]


@pytest.mark.parametrize("given", [CONTACT_MAP, np.array(CONTACT_MAP)], ids=["lists", "array"])
@pytest.mark.parametrize("cutoff", [8.0, 0.5])
def test_a_matrix_of_booleans_is_a_contact_map(given: Any, cutoff: float) -> None:
    dag = InverseFolding(given, alphabet="CKW", cutoff=cutoff)
    assert dag.contacts.T.tolist() == [[0, 3], [0, 4], [1, 4]]
    assert InverseFolding(given, min_separation=1).contacts.T.tolist() == [list(pair) for pair in sorted(TOUCHING)]
    assert InverseFolding(**dag.arguments).contacts.tolist() == dag.contacts.tolist()
    assert json.loads(json.dumps(dag.arguments["distances"])) == CONTACT_MAP


@pytest.mark.parametrize("kind", [int, float])
def test_contacts_as_numbers_are_not_read_as_distances(kind: type) -> None:
    everyone = np.ones((4, 4)) - np.eye(4)
    overlap = np.array(RING)
    overlap[1, 3] = overlap[3, 1] = 0
    for matrix, given in [
        (np.array(CONTACT_MAP).astype(kind), "only 0 and 1"),
        (everyone.astype(kind), "only 0 and 1"),
        ((overlap * 10).astype(kind), "0 between residues 1 and 3"),
    ]:
        with pytest.raises(ValueError, match=f"InverseFolding: distances .*got {given}; .*matrix of booleans"):
            InverseFolding(matrix)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"distances": [[0, 1], [1]]}, "distances must be a square matrix of numbers"),
        ({"distances": [[True, True], [False, True]]}, "contacts must be symmetric"),
        ({"distances": [[True]]}, r"got shape \(1, 1\)"),
        ({"distances": [[0, 1, 2], [1, 0, 2]]}, r"at least two rows, got shape \(2, 3\)"),
        ({"distances": [[0]]}, r"got shape \(1, 1\)"),
        ({"distances": [[0, 1], [2, 0]]}, "finite, >= 0 and symmetric, got 1 from residue 0 to 1 and 2 back"),
        ({"distances": [[0, np.inf], [np.inf, 0]]}, "finite, >= 0 and symmetric, got inf from residue 0 to 1"),
        ({"distances": RING, "native": 5}, "native must be 5 letters"),
        ({"alphabet": 5}, "alphabet must be letters of .*, got 5"),
        ({"composition": "1"}, "composition must be finite and >= 0"),
        ({"distances": RING, "model": 2}, "model is only for PDB files"),
        ({"distances": "x.pdb", "model": 0}, "model must be an integer >= 1"),
        ({"distances": [[0, np.nan], [np.nan, 0]]}, "finite, >= 0 and symmetric"),
        ({"distances": [[0, -1], [-1, 0]]}, "finite, >= 0 and symmetric"),
        ({"distances": [["a", "b"], ["b", "a"]]}, "square matrix of numbers"),
        ({"distances": RING, "alphabet": "ABC"}, "alphabet must be letters of .*, got 'ABC'"),
        ({"distances": RING, "native": "KKKK"}, "native must be 5 letters"),
        ({"distances": RING, "native": "KKKKX"}, "native must be 5 letters"),
        ({"native": "K"}, "native is only for a matrix or a CSV file, got 'K' with distances None"),
        ({"distances": RING, "chain": "A"}, "chain is only for PDB files"),
        ({"construction": "insert"}, "'fill', 'append'.*, got 'insert'"),
        ({"temperature": 0.0}, "temperature must be finite and > 0"),
        ({"cutoff": np.inf}, "cutoff must be finite and > 0"),
        ({"min_separation": 0}, "min_separation must be an integer >= 1"),
        ({"composition": -1.0}, "composition must be finite and >= 0"),
    ],
)
def test_bad_arguments_are_named(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        InverseFolding(**arguments)


def test_unknown_native_sequences_raise() -> None:
    with pytest.raises(ValueError, match="is unknown; give the argument native"):
        assert InverseFolding(RING).native_energy
    with pytest.raises(ValueError, match=r"has \['W'\], which are not in the alphabet"):
        assert InverseFolding(RING, alphabet="CK", native="CKCKW").native_energy


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("arguments", [{"temperature": 3e-308}, {"composition": 1e308}], ids=str)
def test_non_finite_log_rewards_raise(arguments: dict[str, float]) -> None:
    dag = InverseFolding(RING, min_separation=1, alphabet="WKC", **arguments)
    states = dag.from_text(["CCCCC", "WKCWK"])
    message = r"InverseFolding: log R of object \[\d, \d, \d, \d, \d\] is -?inf; allowed: finite \(give a larger temp"
    for log_reward in (dag.log_reward, dag.partial_log_reward):
        with pytest.raises(ValueError, match=message):
            log_reward(states)
