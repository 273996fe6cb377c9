"""Peptides, green fluorescent proteins and inverse folding: models, energies and files, by other routes."""

from __future__ import annotations

import importlib.util
import itertools
import json
import time
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch

from gfn_envs import AMP, GFP, Dag, InverseFolding, check_dag, exact
from gfn_envs.data import registry as datasets
from gfn_envs.envs.proteins import contacts, inverse_folding
from gfn_envs.envs.proteins import gfp_brightness as brightness
from gfn_envs.envs.proteins.peptide_classifier import AMINO_ACIDS, PeptideClassifier
from tests.helpers import RING, all_states, scores

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture(scope="module")
def training() -> ModuleType:
    spec = importlib.util.spec_from_file_location("train_amp_proxy", ROOT / "scripts" / "train_amp_proxy.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def random_peptides(count: int, length: int = 60) -> np.ndarray:
    rng = np.random.default_rng(0)
    tokens = rng.integers(20, size=(count, length))
    return np.where(np.arange(length) < rng.integers(1, length + 1, size=(count, 1)), tokens, 20)


def reachable(dag: Dag) -> np.ndarray:
    """Which terminal states can be reached from which states, by the edges."""
    states = all_states(dag)
    reach = np.eye(len(states), dtype=bool)
    row, children, _ = dag.children(states)
    for source, child in reversed(list(zip(row, dag.state_index(children), strict=True))):
        reach[source] |= reach[child]
    return reach[:, dag.state_index(dag.terminal_states())]


# ---------------------------------------------------------------------- AMP


def test_peptides_are_scored_as_torch_scores_them(training: ModuleType) -> None:
    torch.manual_seed(0)
    members = [training.Member().eval() for _ in range(3)]
    tokens = random_peptides(100)
    with torch.no_grad():
        expected = torch.stack([member(torch.tensor(tokens)) for member in members]).mean(0).numpy()
    weights = training.weights_of(members)
    np.testing.assert_allclose(PeptideClassifier(weights).logits(tokens), expected, rtol=1e-4, atol=1e-5)
    weights |= {"scale": np.float32(2.0), "shift": np.float32(-0.5)}
    np.testing.assert_allclose(PeptideClassifier(weights)(tokens), 1 / (1 + np.exp(0.5 - 2 * expected)), rtol=1e-4)


def test_a_peptides_score_does_not_depend_on_its_batch() -> None:
    proxy, tokens = PeptideClassifier(datasets.packaged("amp_proxy")), random_peptides(100)
    together = proxy(tokens)
    np.testing.assert_array_equal([proxy(row[None])[0] for row in tokens], together)
    np.testing.assert_array_equal(proxy(tokens[::-1])[::-1], together)
    short = random_peptides(20, 7)
    wide = np.pad(short, ((0, 0), (0, 53)), constant_values=20)
    np.testing.assert_array_equal(proxy(short), proxy(wide))


def test_the_packaged_classifier_knows_the_peptides_it_was_trained_on() -> None:
    dag = AMP()
    names, labels = datasets.amp_peptides()
    kept = [i for i, name in enumerate(names) if len(name) <= 60 and set(name) <= set(AMINO_ACIDS)]
    log_reward = dag.log_reward(dag.from_text([names[i] for i in kept]))
    p = dag.proxy(dag.from_text([names[i] for i in kept])[:, :-1])
    np.testing.assert_allclose(log_reward, 3 * np.log(np.maximum(p, 1e-3)), rtol=1e-12)
    good, other = p[labels[kept]], p[~labels[kept]]
    auroc = (good[:, None] > other).mean() + 0.5 * (good[:, None] == other).mean()
    assert auroc > 0.93


def test_amp_needs_no_download(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(datasets, "fetch", lambda name: pytest.fail(f"asked for {name}"))
    dag = AMP("prepend_append", min_length=10)
    states = dag.from_text(["GLWSKIKEVGKEAAKAAAKAAGKAALGAVSEAV", "A" * 10])
    assert np.isfinite(dag.log_reward(states)).all()
    assert not check_dag(dag, max_states=20, num_walks=3).exhaustive
    with pytest.raises(ValueError, match="'AAA' is not a string of 10 to 60 letters"):
        dag.from_text(["AAA"])
    with pytest.raises(ValueError, match="None if construction is 'fill'"):
        AMP("fill")


# ---------------------------------------------------------------------- GFP


def genotypes_of(effect: np.ndarray, count: int, rng: np.random.Generator) -> brightness.Genotypes:
    """Random genotypes of one to four mutations, and what a known model says of them."""
    wild = [AMINO_ACIDS.index(a) for a in "SKGEELFT"]
    rows, positions, letters, z = [], [], [], []
    for row in range(count):
        chosen = rng.choice(8, size=rng.integers(1, 5), replace=False)
        z.append(2.0)
        for position in chosen.tolist():
            letter = int(rng.choice([a for a in range(20) if a != wild[position]]))
            rows.append(row), positions.append(position), letters.append(letter)
            z[-1] += effect[position, letter]
    y = 1.3 + 2.4 / (1 + np.exp(-np.array(z)))
    return brightness.Genotypes(np.array(rows), np.array(positions), np.array(letters), y)


def test_the_fit_recovers_a_known_model() -> None:
    rng = np.random.default_rng(0)
    effect = rng.normal(-0.8, 0.8, size=(8, 20))
    known, unseen = genotypes_of(effect, 4000, rng), genotypes_of(effect, 300, rng)
    model = brightness.Brightness(brightness.fit(known, "SKGEELFT"))
    tokens = np.tile([AMINO_ACIDS.index(a) for a in "SKGEELFT"], (300, 1))
    tokens[unseen.row, unseen.position] = unseen.letter
    error = model(tokens) - unseen.brightness
    assert np.sqrt((error**2).mean()) < 0.05 * unseen.brightness.std()


def test_brightness_by_a_loop() -> None:
    rng = np.random.default_rng(0)
    weights = {"effect": rng.normal(size=(5, 20)), "threshold": np.array(1.5), "low": np.array(1.3)}
    weights["span"] = np.array(2.0)
    tokens = rng.integers(20, size=(30, 5))
    z = [1.5 + sum(weights["effect"][i, a] for i, a in enumerate(row)) for row in tokens.tolist()]
    np.testing.assert_allclose(brightness.Brightness(weights)(tokens), 1.3 + 2 / (1 + np.exp(-np.array(z))), rtol=1e-12)


@pytest.mark.data("gfp")
def test_genotypes_are_those_measured() -> None:
    genotypes = brightness.read_genotypes(datasets.read("gfp"))
    assert len(genotypes.brightness) == 51_715
    assert (genotypes.num_mutations[0], genotypes.num_mutations.max()) == (0, 15)
    assert (genotypes.brightness.min(), genotypes.brightness.max()) == (brightness.DARKEST, brightness.BRIGHTEST)
    part = genotypes.select(np.flatnonzero(genotypes.num_mutations == 1))
    assert part.row.tolist() == list(range(len(part.brightness)))


@pytest.mark.parametrize("line", ["SA1D\t1\t2.0\t", "SK1\t1\t2\t", "K1D\t1\t2\t", "SK1D:\t1\t2\t", "SK999D\t1\t2\t"])
def test_bad_genotypes_are_named(line: str) -> None:
    with pytest.raises(ValueError, match=r"line 3: .* is no mutation of avGFP"):
        brightness.read_genotypes(f"header\nSK1D\t1\t2.0\t\n{line}\n".encode())


@pytest.mark.data("gfp")
def test_packaged_weights_are_the_fit() -> None:
    fitted, weights = brightness.fit(brightness.read_genotypes(datasets.read("gfp"))), datasets.packaged("gfp_proxy")
    assert fitted.keys() == weights.keys()
    for name, value in weights.items():
        np.testing.assert_allclose(value, fitted[name], rtol=1e-4, atol=1e-4, err_msg=name)


def test_gfp_by_the_fitted_model() -> None:
    dag, wild = GFP(), brightness.AVGFP
    dark = wild[:64] + "PPP" + wild[67:]  # the chromophore is gone
    # Measured: 3.7192. The model's residuals have a standard deviation of 0.24.
    assert dag.proxy(dag.tokens(dag.from_text([wild])))[0] == pytest.approx(3.7192, abs=0.24)
    reward = np.exp(dag.log_reward(dag.from_text([wild, wild[:1] + "R" + wild[2:], dark])))
    assert reward[0] > 0.5 > 0.01 > reward[2]
    whole = GFP("append")
    np.testing.assert_array_equal(whole.log_reward(whole.from_text([wild])), dag.log_reward(dag.from_text([wild])))


@pytest.mark.parametrize("max_mutations", [1, 2, 3])
def test_mutations_reach_every_sequence_near_the_wild_type(max_mutations: int) -> None:
    dag = GFP(max_mutations=max_mutations, wild_type="CAC", table=scores(8000))
    assert check_dag(dag).exhaustive
    near = [
        "".join(s)
        for s in itertools.product(AMINO_ACIDS, repeat=3)
        if sum(a != b for a, b in zip(s, "CAC", strict=True)) <= max_mutations
    ]
    objects = dag.terminal_states()
    assert sorted(dag.to_text(objects)) == sorted(near)
    values = dict(zip(map("".join, itertools.product(AMINO_ACIDS, repeat=3)), scores(8000), strict=True))
    expected = [3 * np.log(max(values[name], 1e-3)) for name in dag.to_text(objects)]
    np.testing.assert_allclose(dag.log_reward(objects), expected, rtol=1e-12)
    np.testing.assert_array_equal(dag.from_text(dag.to_text(objects)), objects)


def test_mutants_contain_their_mutations() -> None:
    dag = GFP(max_mutations=2, wild_type="CA", table=scores(400))
    np.testing.assert_array_equal(dag.contains(all_states(dag), dag.terminal_states()), reachable(dag))
    policy = exact.table_policy(dag, np.exp(exact.optimal_edge_log_probabilities(dag)))
    target = np.exp(dag.log_reward(dag.terminal_states()))
    np.testing.assert_allclose(exact.terminal_distribution(dag, policy), target / target.sum(), rtol=1e-10)
    assert (dag.action_label(0), dag.action_label(21), dag.action_label(40)) == ("C0A", "A1C", "stop")


# ---------------------------------------------------------------------- inverse folding

#: The lower triangle of the same table of Miyazawa and Jernigan: e'_ij = e_ij - (e_ii + e_jj) / 2.
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
    """E of a sequence with "." where it is empty."""
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
    matrix, numbers = contacts.read_distances(datasets.read("gfp-distances"), "avGFP")
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
    # No reward overflows, not even where every contact is of the lowest energy.
    assert np.isfinite(np.exp(-e.min() / 100 * count / dag.temperature))
    # The native sequence is better than its own letters in another order.
    tokens = dag.from_text([dag.native])[0, :-1]
    rng = np.random.default_rng(0)
    shuffled = dag.energy(np.stack([rng.permutation(tokens) for _ in range(200)]))
    assert dag.native_energy < shuffled.mean() - shuffled.std()


def pdb(atoms: list[tuple[str, str, str, int, float, float, float]]) -> str:
    """Lines of a PDB file: (atom, residue, chain, number, x, y, z); a fourth letter of the atom is its location."""
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
    ("CA", "HOH", "A", 10, 0.0, 0.0, 0.0),
    ("CA", "LYS", "B", 5, 0.0, 0.0, 0.0),
    ("CA", "ALA", "B", 8, 7.9, 0.0, 0.0),
]


def test_pdb_files(tmp_path: Path) -> None:
    path = tmp_path / "test.pdb"
    path.write_text(pdb(ATOMS) + "ENDMDL\n" + pdb([("CA", "ALA", "A", 30, 0.0, 0.0, 0.0)]))
    matrix, numbers, sequence = contacts.read_pdb(path, None, "test")
    assert (sequence, numbers.tolist()) == ("WGC", [5, 6, 9])
    expected = [[0, 3, 5], [3, 0, np.sqrt(34)], [5, np.sqrt(34), 0]]
    np.testing.assert_allclose(matrix, expected)
    dag = InverseFolding(str(path))
    assert dag.contacts.T.tolist() == [[0, 2], [1, 2]]  # residues 5 and 6 are neighbours in the chain; 6 and 9 are not
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
        ([("CA", "GLY", 1.0), ("CA", "SER", 2.0), ("CB", "SER", 3.0)], "G", 1.0),
    ],
)
def test_the_first_alternate_location_is_taken_whole(
    tmp_path: Path, atoms: list[tuple[str, str, float]], letter: str, place: float
) -> None:
    lines = [(name, residue, "A", 1, x, 0.0, 0.0) for name, residue, x in atoms]
    path = tmp_path / "test.pdb"
    path.write_text(pdb([*lines, ("CA B", "GLY", "A", 2, 10.0, 0.0, 0.0)]))
    matrix, _, sequence = contacts.read_pdb(path, None, "test")
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
    with pytest.raises(ValueError, match=r"InverseFolding: chain is for a PDB file, got 'A'"):
        InverseFolding(path, chain="A")
    path.write_text(DISTANCES_CSV.replace("6.5", ""))
    with pytest.raises(ValueError, match=r"InverseFolding: .*mine\.\w+: .*got 0 between residues 1 and 2"):
        InverseFolding(path)


@pytest.mark.parametrize("name", ["1gfl.cif", "1gfl.CIF", "1gfl.pdb.gz", "1gfl.cif.gz"])
def test_other_files_of_structures_are_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("data_1GFL")
    with pytest.raises(ValueError, match=rf"InverseFolding: {tmp_path / name} is no PDB file; .*unpacked"):
        InverseFolding(tmp_path / name)


def test_pdb_files_without_residues_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "test.pdb"
    for content, chain, message in [
        ("", None, "holds 0 amino acids"),
        ("HETATM    1  CA  HOH A   1       0.0\n", None, "holds 0 amino acids"),
        ("\x00\xff" * 100, None, "holds 0 amino acids"),
        (pdb(ATOMS[:3]), None, "holds 1 amino acids in chain 'A'"),
        (pdb(ATOMS), "Z", "holds 0 amino acids in chain 'Z'"),
        (pdb(ATOMS).replace("   4.000", "   four "), None, "line 5: expected an atom of a PDB file"),
        (pdb(ATOMS)[:130], None, "line 3: expected an atom"),
        (
            pdb(ATOMS).replace("   4.000", "     nan"),
            None,
            r"test\.pdb, line 5: coordinates must be finite, got 'ATOM .* nan",
        ),
        (
            pdb(ATOMS).replace("   4.000", "    -inf"),
            None,
            r"test\.pdb, line 5: coordinates must be finite, got 'ATOM .* -inf",
        ),
    ]:
        path.write_text(content, encoding="latin-1")
        with pytest.raises(ValueError, match=message):
            InverseFolding(path, chain=chain)
    with pytest.raises(FileNotFoundError):
        InverseFolding(tmp_path / "none.pdb")


#: Contacts of five residues; residues 1 and 2 touch too, and are neighbours in the chain.
TOUCHING = {(0, 3), (0, 4), (1, 2), (1, 4)}
CONTACT_MAP = [[i == j or (i, j) in TOUCHING or (j, i) in TOUCHING for j in range(5)] for i in range(5)]


@pytest.mark.parametrize("given", [CONTACT_MAP, np.array(CONTACT_MAP)], ids=["lists", "array"])
@pytest.mark.parametrize("cutoff", [8.0, 0.5])
def test_a_matrix_of_booleans_is_a_map_of_contacts(given: Any, cutoff: float) -> None:
    dag = InverseFolding(given, alphabet="CKW", cutoff=cutoff)
    assert dag.contacts.T.tolist() == [[0, 3], [0, 4], [1, 4]]
    assert InverseFolding(given, min_separation=1).contacts.T.tolist() == [list(pair) for pair in sorted(TOUCHING)]
    assert InverseFolding(**dag.arguments).contacts.tolist() == dag.contacts.tolist()
    assert json.loads(json.dumps(dag.arguments["distances"])) == CONTACT_MAP


@pytest.mark.parametrize("kind", [int, float])
def test_contacts_as_numbers_are_not_taken_for_distances(kind: type) -> None:
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
    ("make", "arguments", "message"),
    [
        (InverseFolding, {"distances": [[0, 1], [1]]}, "distances must be a square matrix of numbers"),
        (InverseFolding, {"distances": [[True, True], [False, True]]}, "contacts must be symmetric"),
        (InverseFolding, {"distances": [[True]]}, r"got shape \(1, 1\)"),
        (InverseFolding, {"distances": [[0, 1, 2], [1, 0, 2]]}, r"two rows or more, got shape \(2, 3\)"),
        (InverseFolding, {"distances": [[0]]}, r"got shape \(1, 1\)"),
        (InverseFolding, {"distances": [[0, 1], [2, 0]]}, "finite, >= 0 and symmetric"),
        (InverseFolding, {"distances": [[0, np.nan], [np.nan, 0]]}, "finite, >= 0 and symmetric"),
        (InverseFolding, {"distances": [[0, -1], [-1, 0]]}, "finite, >= 0 and symmetric"),
        (InverseFolding, {"distances": [["a", "b"], ["b", "a"]]}, "square matrix of numbers"),
        (InverseFolding, {"distances": RING, "alphabet": "ABC"}, "alphabet must be letters of .*, got 'B'"),
        (InverseFolding, {"distances": RING, "native": "KKKK"}, "native must be 5 letters"),
        (InverseFolding, {"distances": RING, "native": "KKKKX"}, "native must be 5 letters"),
        (InverseFolding, {"native": "K"}, "native is for a matrix or a CSV file, got 'K' with distances None"),
        (InverseFolding, {"distances": RING, "chain": "A"}, "chain is for a PDB file"),
        (InverseFolding, {"construction": "insert"}, "'fill' or 'append', got 'insert'"),
        (InverseFolding, {"temperature": 0.0}, "temperature must be finite and > 0"),
        (InverseFolding, {"cutoff": np.inf}, "cutoff must be finite and > 0"),
        (InverseFolding, {"min_separation": 0}, "min_separation must be an integer >= 1"),
        (InverseFolding, {"composition": -1.0}, "composition must be finite and >= 0"),
        (GFP, {"construction": "swap"}, "construction must be one of"),
        (GFP, {"max_mutations": 0}, "max_mutations must be an integer >= 1"),
        (GFP, {"max_mutations": 238}, "max_mutations must be at most 237"),
        (GFP, {"wild_type": "SKX"}, "wild_type must be letters of"),
        (GFP, {"wild_type": ""}, "wild_type must be letters of"),
        (GFP, {"wild_type": "SKG"}, "must be avGFP unless a table is given"),
        (AMP, {"min_length": 61}, "min_length must be at most length"),
        (AMP, {"exponent": 0.0}, "exponent must be finite and > 0"),
    ],
)
def test_bad_arguments_are_named(make: type[Dag], arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make(**arguments)


def test_native_sequences_that_are_not_known() -> None:
    with pytest.raises(ValueError, match="not known; give native="):
        assert InverseFolding(RING).native_energy
    with pytest.raises(ValueError, match=r"has \['W'\], which are not in the alphabet"):
        assert InverseFolding(RING, alphabet="CK", native="CKCKW").native_energy


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("arguments", [{"temperature": 3e-308}, {"composition": 1e308}], ids=str)
def test_energies_too_large_for_a_log_reward_are_refused(arguments: dict[str, float]) -> None:
    dag = InverseFolding(RING, min_separation=1, alphabet="WKC", **arguments)
    states = dag.from_text(["CCCCC", "WKCWK"])
    message = r"InverseFolding: log R of object \[\d, \d, \d, \d, \d\] is -?inf; allowed: finite \(give a larger temp"
    for log_reward in (dag.log_reward, dag.partial_log_reward):
        with pytest.raises(ValueError, match=message):
            log_reward(states)


def test_gfp_sequences_that_are_none() -> None:
    dag = GFP(max_mutations=1, wild_type="CAC", table=scores(8000))
    for string, message in [("CA", "is not 3 letters"), ("CAX", "is not 3 letters"), ("KKC", "has 2 mutations")]:
        with pytest.raises(ValueError, match=message):
            dag.from_text([string])


def test_proxies_are_fast() -> None:
    """Far below what is measured (20,000 peptides a second and more), so that a busy machine passes too."""
    proxy, tokens = PeptideClassifier(datasets.packaged("amp_proxy")), random_peptides(1000)
    proxy(tokens[:100])
    start = time.process_time()
    proxy(tokens)
    assert time.process_time() - start < 0.5
