"""Files of samples: read back with the libraries of their fields, or refused in one line."""

import csv
import dataclasses
import gzip
import io
import math
import os
from pathlib import Path

import numpy as np
import pytest

import agents
import gfn_envs
from agents.export import draw_samples, select, suffixes, write_samples
from agents.export.fields import write_fasta
from agents.export.names import read_names
from agents.export.samples import Samples
from agents.export.tables import table_columns
from gfn_envs.oracle import Oracle
from tests.helpers import AMP, BITS, FRAGMENTS, GRID, ISING, PHYLO_TREE, QM9STR, TFBIND8, TableDag, small_dag

EVERY = [".csv", ".parquet", ".npy"]
SMALL = {
    FRAGMENTS: {"blocks": ["*C", "*c1cc(*)cc(*)c1", "*CO*"], "max_blocks": 3, "reward": {"qed": 2.0, "sa": 1.0}},
    PHYLO_TREE: {"alignment": {"ape": "ACGT-", "bee": "acctN", "cat": "RCTAA", "d e": "GCTAA"}},
}


def sampled(id, arguments=None, n=40, **kwargs):
    dag = small_dag(id, SMALL[id] if arguments is None else arguments)
    return dag, draw_samples(agents.make_agent("tb", dag, hidden=(8,)), n, **kwargs)


def written(tmp_path, name, dag, samples):
    write_samples(tmp_path / name, samples, dag)
    assert [path.name for path in tmp_path.iterdir()] == [name]
    return tmp_path / name


@pytest.mark.parametrize(
    ("id", "arguments", "own"),
    [
        (GRID, {"ndim": 2, "side": 4}, []),
        (BITS, {"n": 8, "word_size": 2, "num_modes": 3}, []),
        (TFBIND8, {"length": 2, "table": list(range(1, 17))}, [".fasta"]),
        (QM9STR, {"length": 2, "table": list(range(1, 122))}, []),
        (AMP, {"length": 2}, [".fasta"]),
        (FRAGMENTS, None, [".smi", ".sdf"]),
        (PHYLO_TREE, None, [".nwk", ".nex", ".contree", ".clades.csv"]),
        (ISING, {"side": 2}, []),
    ],
)
def test_an_environment_has_the_formats_of_its_field(id, arguments, own):
    assert suffixes(small_dag(id, SMALL[id] if arguments is None else arguments)) == EVERY + own


@pytest.mark.parametrize("name", ["a.sdf", "a.fasta", "a.xyz", "a", "a.csv.gz"])
def test_other_formats_are_refused_and_nothing_is_written(tmp_path, name):
    dag, samples = sampled(GRID, {"ndim": 2, "side": 4}, 3)
    with pytest.raises(ValueError, match=r"a.*HyperGrid.*\.csv, \.parquet, \.npy") as raised:
        write_samples(tmp_path / name, samples, dag)
    assert str(tmp_path / name) in str(raised.value)
    assert not list(tmp_path.iterdir())


def test_csv_holds_every_number_exactly(tmp_path):
    dag, samples = sampled(FRAGMENTS, with_log_pf=True)
    rows = list(csv.DictReader(written(tmp_path, "a.csv", dag, samples).open(encoding="utf-8")))
    assert list(rows[0]) == ["object", "reward", "log_reward", "qed", "sa", "log_pf", "samples"]
    assert [row["object"] for row in rows] == dag.to_smiles(samples.states)
    np.testing.assert_array_equal([float(row["log_reward"]) for row in rows], dag.log_reward(samples.states))
    product = [2 * math.log(float(row["qed"])) + math.log(float(row["sa"])) for row in rows]
    np.testing.assert_allclose(product, samples.log_reward, rtol=1e-9)
    assert all(float(row["log_pf"]) <= 0 for row in rows)


def test_parquet_and_npy_hold_the_same(tmp_path):
    parquet = pytest.importorskip("pyarrow.parquet")
    dag, samples = sampled(GRID, {"ndim": 2, "side": 4})
    table = parquet.read_table(written(tmp_path, "a.parquet", dag, samples)).to_pydict()
    assert table["object"] == dag.object_names(samples.states)
    np.testing.assert_array_equal(table["log_reward"], samples.log_reward)
    (tmp_path / "a.parquet").unlink()
    np.testing.assert_array_equal(np.load(written(tmp_path, "a.npy", dag, samples)), samples.states)


def test_molecules_are_read_back_by_rdkit(tmp_path):
    chem = pytest.importorskip("rdkit.Chem")
    dag, samples = sampled(FRAGMENTS)
    smiles = dag.to_smiles(samples.states)
    path = written(tmp_path, "a.smi", dag, samples)
    supplier = chem.SmilesMolSupplier(str(path), titleLine=False)
    read = [supplier[i] for i in range(len(supplier))]
    assert [chem.MolToSmiles(mol) for mol in read] == smiles
    assert [mol.GetProp("_Name") for mol in read] == [str(i + 1) for i in range(len(smiles))]
    path.unlink()
    read = list(chem.SDMolSupplier(str(written(tmp_path, "a.sdf", dag, samples))))
    assert [chem.MolToSmiles(mol) for mol in read] == smiles
    assert [mol.GetProp("smiles") for mol in read] == smiles
    np.testing.assert_array_equal([float(mol.GetProp("log_reward")) for mol in read], samples.log_reward)
    assert all(np.ptp(mol.GetConformer().GetPositions(), axis=0).max() > 0.5 for mol in read)


def test_sequences_and_trees_are_read_back_by_their_libraries(tmp_path):
    sequences, dendropy = pytest.importorskip("Bio.SeqIO"), pytest.importorskip("dendropy")
    dag, samples = sampled(TFBIND8, {"length": 2, "table": list(range(1, 17))})
    records = list(sequences.parse(written(tmp_path, "a.fasta", dag, samples), "fasta"))
    assert [str(record.seq) for record in records] == dag.object_names(samples.states)
    assert [record.id for record in records] == [str(i + 1) for i in range(len(samples))]
    (tmp_path / "a.fasta").unlink()
    dag, samples = sampled(PHYLO_TREE)
    text = written(tmp_path, "a.nwk", dag, samples).read_text()
    trees = dendropy.TreeList.get(data=text, schema="newick", preserve_underscores=True)
    assert len(trees) == len(samples)
    assert sorted(leaf.taxon.label for leaf in trees[0].leaf_node_iter()) == ["ape", "bee", "cat", "d e"]
    alone = [dendropy.Tree.get(data=name, schema="newick", preserve_underscores=True) for name in samples.names]
    assert [tree.as_string("newick") for tree in trees] == [tree.as_string("newick") for tree in alone]


def test_long_sequences_are_wrapped():
    samples = Samples(np.zeros((1, 1), int), ("A" * 130,), np.zeros(1), np.ones(1, int), {})
    file = io.BytesIO()
    write_fasta(file, samples, None)
    assert file.getvalue().decode().splitlines() == [">1 reward=1", "A" * 60, "A" * 60, "A" * 10]


def test_a_full_disk_leaves_the_old_file(tmp_path, monkeypatch):
    dag, samples = sampled(GRID, {"ndim": 2, "side": 4}, 3)
    path = written(tmp_path, "a.csv", dag, samples)
    before = path.read_bytes()
    monkeypatch.setattr(os, "fsync", full_disk)
    with pytest.raises(OSError, match=r"a\.csv was not written: No space left"):
        write_samples(path, samples.take(np.array([0])), dag)
    assert path.read_bytes() == before
    assert len(list(tmp_path.iterdir())) == 1


def full_disk(file):
    raise OSError(28, "No space left on device")


# ---------------------------------------------------------------------- samples


class Counting(TableDag):
    """Counts the objects whose reward is evaluated."""

    asked = 0

    def log_reward(self, states):
        self.asked += len(states)
        return super().log_reward(states)


EDGES = [(0, 0, 1), (0, 1, 2), (1, 0, 3), (1, 1, 4), (2, 0, 4), (2, 1, 5)]


def test_each_object_costs_one_reward_and_none_without():
    agent = agents.make_agent("tb", Counting(EDGES), hidden=(8,))
    agent.dag.asked = 0
    before = agent.rng.bit_generator.state
    samples = draw_samples(agent, 200, with_log_pf=True)
    distinct = len(set(samples.names))
    assert agent.dag.asked == distinct <= 3
    agent.dag.asked = 0
    without = draw_samples(agent, 200, rewards="none", with_log_pf=True)
    assert agent.dag.asked == 0
    assert np.isnan(without.log_reward).all()
    np.testing.assert_array_equal(without.states, samples.states)
    assert agent.rng.bit_generator.state == before
    agent.dag.expensive_reward = True
    assert np.isnan(draw_samples(agent, 50).log_reward).all()
    assert not np.isnan(draw_samples(agent, 50, rewards="all").log_reward).any()


def test_rewards_in_the_replay_buffer_are_known():
    agent = agents.make_agent("tb", Counting(EDGES), hidden=(8,), replay="uniform")
    agent.dag.expensive_reward = True
    agent.dag.asked = 0
    everything = agent.dag.terminal_states()
    agent.replay.add(everything[:1], np.array([0.25]))
    found = draw_samples(agent, 300)
    assert agent.dag.asked == 0
    is_first = (found.states == everything[0]).all(1)
    assert is_first.any()
    np.testing.assert_array_equal(found.log_reward[is_first], 0.25)
    assert np.isnan(found.log_reward[~is_first]).all()


def test_the_logs_of_pf_are_those_of_the_policy():
    dag = TableDag(EDGES)
    agent = agents.make_agent("tb", dag, hidden=(8,))
    samples = draw_samples(agent, 400, with_log_pf=True)
    exact = agents.exact_distribution(agent)
    # Two trajectories lead to state 4, and one to each other object.
    for k, name in enumerate(dag.object_names(dag.terminal_states())):
        of_object = np.unique(samples.columns["log_pf"][[n == name for n in samples.names]].round(5))
        assert np.exp(of_object).sum() == pytest.approx(exact[k], rel=1e-3)


def test_rows_are_chosen():
    samples = Samples(
        np.arange(5)[:, None],
        ("a", "b", "a", "c", "d"),
        np.log([2.0, 5.0, 2.0, 1.0, np.nan]),
        np.ones(5, dtype=np.int64),
        {"log_pf": np.arange(5.0)},
    )
    assert select(samples).names == samples.names
    merged = select(samples, unique=True)
    assert (merged.names, merged.samples.tolist()) == (("a", "b", "c", "d"), [2, 1, 1, 1])
    assert merged.columns["log_pf"].tolist() == [0, 1, 3, 4]
    assert select(samples, unique=True, sort="reward").names == ("b", "a", "c", "d")
    assert select(samples, unique=True, sort="samples").names == ("a", "b", "c", "d")
    assert select(samples, sort="reward", top=2).names == ("b", "a")
    assert select(samples, min_reward=2.0).names == ("a", "b", "a")
    assert select(samples, min_reward=0.0).names == ("a", "b", "a", "c")
    assert select(samples, exclude=["a", "x"]).names == ("b", "c", "d")
    assert select(samples, exclude="abcd", unique=True, sort="reward", top=3).names == ()
    with pytest.raises(ValueError, match="'reward', 'samples' or 'none', got 'name'"):
        select(samples, sort="name")


def test_names_are_read_from_our_own_files(tmp_path):
    dag, samples = sampled(FRAGMENTS)
    for name in ("a.csv", "a.smi"):
        write_samples(tmp_path / name, samples, dag)
        assert read_names(tmp_path / name) == list(samples.names)
    (tmp_path / "a.txt").write_text("(0, 1)\n\n (2, 3) \n")
    assert read_names(tmp_path / "a.txt") == ["(0, 1)", "(2, 3)"]
    (tmp_path / "b.csv").write_text("smiles,reward\nC,1\n")
    with pytest.raises(ValueError, match=r"b\.csv, line 1: .*'object', only smiles, reward"):
        read_names(tmp_path / "b.csv")


@pytest.mark.parametrize("name", ["a.csv", "a.fasta", "a.tsv", "a.csv.gz", "a.fa.gz"])
def test_names_are_read_back_from_every_format(tmp_path, name):
    dag, samples = sampled("GFN/Sequence-v0", {"alphabet": "ACGT", "length": 70})
    plain = Path(name.removesuffix(".gz"))
    kind = ".csv" if plain.suffix in (".csv", ".tsv") else ".fasta"
    write_samples(tmp_path / f"w{kind}", samples, dag)
    text = (tmp_path / f"w{kind}").read_text()
    content = (text.replace(",", "\t") if plain.suffix == ".tsv" else text).encode()
    (tmp_path / name).write_bytes(gzip.compress(content) if name.endswith(".gz") else content)
    assert read_names(tmp_path / name) == list(samples.names)


def test_names_of_trees_are_read_back(tmp_path):
    dag, samples = sampled(PHYLO_TREE)
    write_samples(tmp_path / "a.nwk", samples, dag)
    assert (tmp_path / "a.nwk").read_text().startswith("[")
    assert read_names(tmp_path / "a.nwk") == list(samples.names)


@pytest.mark.parametrize("ndim", [1, 2, 3, 4])
@pytest.mark.parametrize("extra", [{}, {"conditions": "temperature:1,8"}])
def test_grids_of_every_dimension_are_sampled(ndim, extra):
    dag = gfn_envs.make_dag(GRID, ndim=ndim, side=3, **extra)
    drawn = draw_samples(agents.make_agent("tb", dag, hidden=(8,)), 5)
    assert len(drawn) == 5
    assert set(drawn.columns) == ({"condition.beta"} if extra else set())


def test_components_never_take_the_place_of_a_column():
    parts = {"value": 3.0, "reward": 7.0, "samples": 9.0, "object": 2.0, "log_pf": 1.0, "condition.a": 4.0, "mass": 5.0}
    dag = gfn_envs.make_dag(GRID, ndim=2, side=4, reward=Oracle(lambda cell: dict(parts)))
    drawn = draw_samples(agents.make_agent("tb", dag, hidden=(8,)), 5, rewards="all", with_log_pf=True)
    columns = table_columns(drawn)
    assert columns["object"] == list(drawn.names)
    assert columns["reward"] == pytest.approx([3.0] * 5)
    assert columns["samples"] == [1] * 5
    assert all(value < 0 for value in columns["log_pf"])
    assert columns["mass"] == [5.0] * 5
    for name in ("reward", "samples", "object", "log_pf", "condition.a"):
        assert columns[f"component.{name}"] == [parts[name]] * 5


def test_rewards_outside_double_precision_have_no_number():
    _, drawn = sampled(GRID, {"ndim": 2, "side": 4})
    far = dataclasses.replace(drawn, log_reward=np.where(np.arange(len(drawn)) % 2, 1800.0, -1800.0))
    assert table_columns(far)["reward"] == [None] * len(drawn)
