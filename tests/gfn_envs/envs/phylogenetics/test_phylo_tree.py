"""PhyloTree: counts, parsimony by plain Python and by Biopython, alignments from files and mappings."""

from __future__ import annotations

import ast
import itertools
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gfn_envs import PhyloTree, exact
from gfn_envs.envs.phylogenetics import alignments, parsimony, simulation
from gfn_envs.envs.phylogenetics.parsimony import Parsimony

Tree = Any  # A taxon's number, or a pair of trees.


def walks(dag: PhyloTree, n: int, seed: int = 0) -> np.ndarray:
    """The states of random walks, level by level, (n * (max_length + 1), state_width)."""
    rng = np.random.default_rng(seed)
    levels = [dag.source(n)]
    for _ in range(dag.max_length):
        mask = dag.forward_mask(levels[-1])
        levels.append(dag.step(levels[-1], (mask * (1 - rng.random(mask.shape))).argmax(1)))
    return np.concatenate(levels)


def all_trees(leaves: list[int]) -> list[Tree]:
    """All rooted binary trees on ``leaves``, by recursive splits."""
    if len(leaves) == 1:
        return [leaves[0]]
    first, rest = leaves[0], leaves[1:]
    found = []
    for size in range(len(rest)):
        for left in itertools.combinations(rest, size):
            right = [leaf for leaf in rest if leaf not in left]
            found += list(itertools.product(all_trees([first, *left]), all_trees(right)))
    return found


def fitch(tree: Tree, letters: list[set[int]]) -> tuple[set[int], int]:
    """Possible nucleotides at the root, and mutations, at one site (Fitch 1971)."""
    if isinstance(tree, int):
        return letters[tree], 0
    (left, a), (right, b) = (fitch(child, letters) for child in tree)
    return (left & right, a + b) if left & right else (left | right, a + b + 1)


def mutations(tree: Tree, sequences: list[str]) -> int:
    possible = {"A": {0}, "C": {1}, "G": {2}, "T": {3}, "-": {4}, "?": {0, 1, 2, 3, 4}, "N": {0, 1, 2, 3, 4}}
    return sum(fitch(tree, [possible[letter] for letter in column])[1] for column in zip(*sequences, strict=True))


def parse(newick: str, taxa: tuple[str, ...]) -> Tree:
    """Nested pairs from Newick notation, which is parsed as Python tuples."""
    for number, name in sorted(enumerate(taxa), key=lambda item: -len(item[1])):
        newick = newick.replace(name, f"<{number}>")
    return ast.literal_eval(newick.rstrip(";").replace("<", "").replace(">", ""))


def canonical(tree: Tree) -> Tree:
    """The tree with children in the order of their first taxa."""
    if isinstance(tree, int):
        return tree
    return tuple(sorted(map(canonical, tree), key=lambda child: min(flat(child))))


def flat(tree: Tree) -> list[int]:
    return [tree] if isinstance(tree, int) else [leaf for child in tree for leaf in flat(child)]


# ---------------------------------------------------------------------- trees


@pytest.mark.parametrize(("n", "trees", "forests"), [(2, 1, 2), (3, 3, 7), (4, 15, 37), (5, 105, 266), (6, 945, 2431)])
def test_numbers_of_trees(n: int, trees: int, forests: int) -> None:
    dag = PhyloTree(num_taxa=n, num_sites=10)
    assert trees == math.prod(range(1, 2 * n - 2, 2)) == len(dag.terminal_states()) == dag.num_terminal_states
    assert len(np.concatenate(list(dag.levels()))) == forests == dag.num_states


@pytest.mark.parametrize(("n", "trees"), [(3, 1), (4, 3), (5, 15), (6, 105)])
def test_numbers_of_unrooted_trees(n: int, trees: int) -> None:
    dag = PhyloTree(num_taxa=n, num_sites=10, rooted=False)
    assert trees == math.prod(range(1, 2 * n - 4, 2)) == len(dag.terminal_states()) == dag.num_terminal_states
    assert dag.max_length == n - 2


def splits(tree: Tree, num_taxa: int) -> frozenset[frozenset[int]]:
    """The unrooted tree of a tree with any root: the side of each inner edge that is without the last taxon."""
    found: set[frozenset[int]] = set()

    def below(node: Tree) -> frozenset[int]:
        taxa = frozenset([node]) if isinstance(node, int) else frozenset().union(*map(below, node))
        found.add(frozenset(range(num_taxa)) - taxa if num_taxa - 1 in taxa else taxa)
        return taxa

    below(tree)
    return frozenset(side for side in found if 1 < len(side) < num_taxa - 1)


def test_unrooted_trees_are_the_rooted_ones_up_to_the_root() -> None:
    rooted, unrooted = (PhyloTree(num_taxa=6, num_sites=40, constant=9.0, rooted=way) for way in (True, False))
    of_rooted: dict[Any, list[float]] = {}
    for state, mutations in zip(rooted.terminal_states(), rooted.mutations(rooted.terminal_states()), strict=True):
        of_rooted.setdefault(splits(parse(rooted.to_newick(state), rooted.taxa), 6), []).append(mutations)
    # Each of the 9 edges of an unrooted tree is the place of a root, and parsimony does not tell them apart.
    assert {len(found) for found in of_rooted.values()} == {9}
    assert all(len(set(found)) == 1 for found in of_rooted.values())
    objects = unrooted.terminal_states()
    trees = [parse(unrooted.to_newick(state), unrooted.taxa) for state in objects]
    assert {len(tree) for tree in trees} == {3}
    found = {splits(tree, 6): mutations for tree, mutations in zip(trees, unrooted.mutations(objects), strict=True)}
    assert found == {tree: mutations[0] for tree, mutations in of_rooted.items()}
    np.testing.assert_array_equal(unrooted.log_reward(objects), (9.0 - unrooted.mutations(objects)) / 4)


def test_rootings_of_one_tree_share_the_reward_of_many_objects() -> None:
    """Ten rootings of the best tree of 6 taxa are ten objects; as one unrooted tree it has its own probability."""
    rooted, unrooted = (PhyloTree(num_taxa=6, temperature=0.5, rooted=way) for way in (True, False))
    best = [exact.target_distribution(dag).max() for dag in (rooted, unrooted)]
    assert best[1] == pytest.approx(9 * best[0], rel=1e-9)


def test_objects_are_all_rooted_trees_once() -> None:
    dag = PhyloTree(num_taxa=5, num_sites=10)
    found = {canonical(parse(dag.to_newick(state), dag.taxa)) for state in dag.terminal_states()}
    assert found == set(map(canonical, all_trees(list(range(5)))))


def test_joins_by_hand() -> None:
    """((0,2),(1,3)) is built in two orders and then split at its root."""
    dag = PhyloTree({"a": "A", "b": "C", "c d": "A", "e": "C"}, constant=0.0, temperature=1.0)
    pairs = [(0, 1), (0, 2), (0, 3), (1, 2), (1, 3), (2, 3)]
    results = []
    for order in ([(0, 2), (1, 3), (0, 1)], [(1, 3), (0, 2), (0, 1)]):
        state = dag.source(1)
        for pair in order:
            state = dag.step(state, np.array([pairs.index(pair)]))
        results.append(state)
    np.testing.assert_array_equal(*results)
    assert dag.to_newick(state[0]) == "((a,'c d'),(b,e));"
    assert dag.log_reward(state).tolist() == [-1.0]
    assert dag.backward_mask(state).tolist() == [[True, False, False]]
    assert dag.render_text(dag.undo(state, np.array([0]))[0]) == "(a,'c d') (b,e)"
    assert dag.forward_action(state, np.array([0])).tolist() == [0]
    assert dag.encode(state)[0].tolist() == [1, 0.5, 1, 1, 0.5, 1]


def test_features_of_different_forests_differ() -> None:
    dag = PhyloTree(num_taxa=5, num_sites=10)
    states = np.concatenate(list(dag.levels()))
    features = dag.encode(states)
    assert len(np.unique(features, axis=0)) == len(states)
    # In any order, and whatever shares a chunk.
    order = np.random.default_rng(0).permutation(len(states))
    np.testing.assert_array_equal(dag.encode(states[order]), features[order])
    np.testing.assert_array_equal(np.concatenate([dag.encode(state[None]) for state in states]), features)


# ---------------------------------------------------------------------- parsimony


@pytest.mark.parametrize("seed", [0, 1])
def test_parsimony_equals_that_of_fitch(seed: int) -> None:
    rng = np.random.default_rng(seed)
    sequences = {f"t{i}": "".join(rng.choice(list("ACGT-?"), size=30)) for i in range(12)}
    dag = PhyloTree(sequences, constant=7.0, temperature=2.0)
    objects = walks(dag, 20)[-20:]
    expected = [mutations(parse(dag.to_newick(state), dag.taxa), list(sequences.values())) for state in objects]
    assert dag.mutations(objects).tolist() == expected
    np.testing.assert_allclose(dag.log_reward(objects), (7.0 - np.array(expected)) / 2)


def test_mutations_of_a_forest_are_the_sum_over_its_trees() -> None:
    dag = PhyloTree(num_taxa=6, num_sites=40, mutation_probability=0.3)
    states, letters = walks(dag, 10), list(dag.sequences.values())
    for state, found, partial in zip(states, dag.mutations(states), dag.partial_log_reward(states), strict=True):
        trees = [parse(tree, dag.taxa) for tree in dag.to_newick(state).splitlines()]
        expected = sum(mutations(tree, letters) for tree in trees)
        joins = dag.num_taxa - len(trees)
        assert found == expected
        assert math.isclose(partial, (dag.constant * joins / 5 - expected) / 4, abs_tol=1e-12)


def test_parsimony_equals_that_of_biopython() -> None:
    pytest.importorskip("Bio")
    import io

    from Bio import Align, Phylo, Seq, SeqRecord
    from Bio.Phylo.TreeConstruction import ParsimonyScorer

    dag = PhyloTree(num_taxa=9, num_sites=60, mutation_probability=0.3, seed=4)
    records = [SeqRecord.SeqRecord(Seq.Seq(sequence), id=name) for name, sequence in dag.sequences.items()]
    objects = walks(dag, 5)[-5:]
    for state, found in zip(objects, dag.mutations(objects), strict=True):
        tree = Phylo.read(io.StringIO(dag.to_newick(state)), "newick")
        for clade in tree.find_clades():
            clade.branch_length = 1.0  # Biopython reroots the tree, which needs branch lengths.
        assert ParsimonyScorer().get_score(tree, Align.MultipleSeqAlignment(records)) == found


def test_chunks_do_not_matter(monkeypatch: pytest.MonkeyPatch) -> None:
    dag = PhyloTree(num_taxa=6)
    states = walks(dag, 9)
    whole = dag.mutations(states)
    monkeypatch.setattr(parsimony, "CHUNK_BYTES", 4 * dag.parsimony.patterns.size)
    np.testing.assert_array_equal(dag.mutations(states), whole)


def test_greedy_trees_are_better_than_most() -> None:
    dag = PhyloTree(num_taxa=6, num_sites=200)
    assert (dag.log_reward(dag.terminal_states()) >= 0).mean() < 0.05


@pytest.mark.data(*(f"phylo-ds{k}" for k in range(1, 9)))
def test_benchmark_alignments() -> None:
    """Numbers of taxa and sites, and C, of DS1 to DS8; a random tree of DS1 by plain Python."""
    sizes = [(27, 1949), (29, 2520), (36, 1812), (41, 1137), (50, 378), (50, 1133), (59, 1824), (64, 1008)]
    constants = [5800, 8000, 8800, 3500, 2300, 2300, 12500, 2800]
    dags = [PhyloTree(f"DS{k}") for k in range(1, 9)]
    assert [(dag.num_taxa, len(next(iter(dag.sequences.values())))) for dag in dags] == sizes
    assert [dag.constant for dag in dags] == constants
    state = walks(dags[0], 1)[-1:]
    expected = mutations(parse(dags[0].to_newick(state[0]), dags[0].taxa), list(dags[0].sequences.values()))
    assert dags[0].log_reward(state).tolist() == [(5800 - expected) / 4]


# ---------------------------------------------------------------------- alignments


def test_simulated_alignments_have_the_expected_number_of_mutations() -> None:
    rng = np.random.default_rng(0)
    two = list(simulation.simulate_alignment(2, 100_000, 0.1, rng).values())
    differ = np.mean([a != b for a, b in zip(*two, strict=True)])
    # Two edges: sites are equal if neither mutates, or if both mutate to the same one of three nucleotides.
    assert abs(differ - (1 - 0.81 - 0.01 / 3)) < 5 * math.sqrt(0.19 * 0.81 / 100_000)
    assert PhyloTree(seed=1).sequences == PhyloTree(seed=1).sequences != PhyloTree(seed=2).sequences


SEQUENCES = {"ape": "ACGTAC", "bee": "AC-TNC", "c 3": "RCGTAA"}
FASTA = ">ape one\nACG\nTAC\n\n>bee\nAC-TNC\n>c3\nRCGTAA\n"
NEXUS = """#NEXUS
[a comment]
BEGIN DATA;
  DIMENSIONS NTAX=3 NCHAR=6;
  FORMAT DATATYPE=DNA MISSING=N GAP=* MATCHCHAR=. INTERLEAVE;
  MATRIX
    ape   ACG
    bee   AC* [inner; comment]
    'c 3' RCG

    ape   TAC
    bee   .NC
    'c 3' .AA
  ;
END;
"""


def test_files_and_mappings_give_the_same_environment(tmp_path: Path) -> None:
    (tmp_path / "a.fasta").write_text(FASTA)
    (tmp_path / "a.nex").write_text(NEXUS)
    dags = [PhyloTree(SEQUENCES), PhyloTree(tmp_path / "a.fasta"), PhyloTree(str(tmp_path / "a.nex"))]
    assert [dag.taxa for dag in dags] == [("ape", "bee", "c 3"), ("ape", "bee", "c3"), ("ape", "bee", "c 3")]
    objects = dags[0].terminal_states()
    for dag in dags:
        np.testing.assert_array_equal(dag.log_reward(objects), dags[0].log_reward(objects))
    # The mutations are the gap and the last A instead of C. R and N match A.
    assert dags[0].mutations(objects).tolist() == [2.0] * 3
    assert dags[2].sequences["bee"] == "AC-T?C"


WRAPPED = """#NEXUS
begin data;
dimensions nchar=8;
format datatype=dna;
matrix
t1 ACGT
   AAAA
't 2'
ACGA CCCC
t3 ACGGGGGG;
end;
"""


def test_sequences_over_several_lines(tmp_path: Path) -> None:
    (tmp_path / "file").write_text(WRAPPED)
    assert alignments.read_alignment(tmp_path / "file", "here") == {
        "t1": "ACGTAAAA",
        "t 2": "ACGACCCC",
        "t3": "ACGGGGGG",
    }


@pytest.mark.parametrize(
    ("alignment", "message"),
    [
        ({"a": "ACG", "b": "AC"}, "all taxa must have the same number of sites, but 'b' has 2 and 'a' has 3"),
        ({"a": "ACG", "b": "AJG"}, "taxon 'b', site 2: unknown letter 'J'; allowed: - [?] A B C"),
        ({"a": "ACG"}, "at least 2 taxa, got 1"),
        ({"a": "", "b": ""}, "taxon 'a' has no sites"),
    ],
)
def test_bad_alignments(alignment: dict[str, str], message: str) -> None:
    with pytest.raises(ValueError, match=f"PhyloTree: .*{message}"):
        PhyloTree(alignment)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("ACGT", "must be a FASTA file"),
        (">a\nAC\n>a\nAC\n", "different names, got 'a'"),
        ("#NEXUS\nbegin trees;\nend;\n", "no DATA or CHARACTERS block with a MATRIX"),
        (WRAPPED.replace("nchar=8", ""), "'AAAA' is alone on its line, and NCHAR is missing"),
        (WRAPPED.replace("nchar=8", "nchar=9"), "taxon .* sites, but NCHAR is 9"),
        (">a\nAC\n>b\nACG\n", "all taxa must have the same number of sites, but 'b' has 3 and 'a' has 2"),
    ],
)
def test_bad_files(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "file").write_text(text)
    with pytest.raises(ValueError, match=message):
        PhyloTree(tmp_path / "file")


@pytest.mark.parametrize(
    ("kwargs", "message"),
    [
        ({"num_taxa": 1}, "num_taxa must be an integer from 2 to 8,192, got 1"),
        ({"temperature": 0.0}, "temperature must be finite and > 0"),
        ({"temperature": "4"}, "temperature must be finite and > 0"),
        ({"constant": math.nan}, "constant must be finite"),
        ({"mutation_probability": "0.1"}, "mutation_probability must be finite"),
        ({"seed": -1}, "seed must be an integer >= 0"),
        ({"num_taxa": 8000, "num_sites": 100_000}, "num_sites is too large"),
        ({"mutation_probability": 1.5}, r"mutation_probability must be in \[0, 1\], got 1.5"),
    ],
)
def test_bad_arguments(kwargs: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        PhyloTree(**kwargs)


def test_greedy_joins_are_the_cheapest_first_pairs() -> None:
    """As written out: of all pairs of trees, the first of those that add the fewest mutations."""
    rng = np.random.default_rng(0)
    for _ in range(30):
        taxa, patterns = rng.integers(2, 16), rng.integers(1, 12)
        given = (1 << rng.integers(0, 4, (taxa, patterns))).astype(np.uint8)
        weights = rng.integers(1, 5, patterns).astype(float)
        trees, expected = {i: given[i] for i in range(taxa)}, []
        while len(trees) > 1:
            pairs = [(i, j) for i in trees for j in trees if i < j]
            i, j = min(pairs, key=lambda pair: (((trees[pair[0]] & trees[pair[1]]) == 0) @ weights, pair))
            expected.append((i, j))
            common, both = trees[i] & trees[j], trees[i] | trees.pop(j)
            trees[i] = np.where(common, common, both)
        assert Parsimony(given, weights).greedy() == expected


def test_unrooted_needs_three_taxa_and_a_truth_value() -> None:
    with pytest.raises(ValueError, match=r"an unrooted tree \(rooted=False\) must have at least 3 taxa, got 2"):
        PhyloTree(num_taxa=2, rooted=False)
    with pytest.raises(TypeError, match="rooted must be True or False, got 'no'"):
        PhyloTree(rooted="no")
