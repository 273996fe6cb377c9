"""Vocabularies and factors from users: lines, marks and containers are used or refused by name."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas
import pytest

from gfn_envs import FactorGraph, FragmentMolecule, check_dag
from gfn_envs.envs.molecules.vocabulary import load_vocabulary


@pytest.mark.parametrize(
    "text", ["*C methyl\n*O\n", "SMILES,name\r\n*C,methyl\r\n\r\n*O,\r\n", "smiles\n*C\tx\n*O;y\n"]
)
def test_files_of_blocks(text: str, tmp_path: Path) -> None:
    path = tmp_path / "b.smi"
    path.write_bytes(text.encode())
    assert [kind.smiles for kind in load_vocabulary(path).kinds] == ["*C", "*O"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("*C\n\n*C x\n", r"line 3: '\*C' is the same block as line 1"),
        ("*C\nC1\n", "line 2: 'C1' is not a valid SMILES"),
        ("methyl,*C\n", "line 1: the line must begin with the SMILES"),
        ("*C\n*[C@H](F)Cl\n", "line 2: .*chiral center"),
        ("*C\n*/C=C/C\n", "line 2: .*stereo double bond"),
        ("*[13CH3]\n", "line 1: .*an isotope"),
        ("*[CH3:1]\n", "line 1: .*an atom map number"),
        ("\n", "at least one block"),
    ],
)
def test_files_of_blocks_that_raise(text: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / "b.smi"
    path.write_text(text)
    with pytest.raises(ValueError, match=rf"FragmentMolecule: .*b\.smi.*{message}"):
        load_vocabulary(path)


@pytest.mark.parametrize("blocks", [{"*C", "*O"}, {"a": "*C"}, iter(["*C"]), 5, pandas.Series(["*C"], index=["a"])])
def test_containers_of_blocks_that_raise(blocks: Any) -> None:
    with pytest.raises(TypeError, match="FragmentMolecule: blocks"):
        load_vocabulary(blocks)


TWO = np.zeros((2, 2))


@pytest.mark.parametrize(
    ("graph", "message"),
    [
        ({(0, 1): TWO}, "graph is a mapping"),
        ([(0, np.zeros(2))], "factor 0: variables must be a tuple"),
        (Path("model.uai"), "cannot be a file"),
        ([((0, 1), TWO, 1.0)], "factor 0: expected a pair"),
        ([((0.9, 1.7), TWO)], r"factor 0: variables\[0\] must be an integer"),
        ([("01", TWO)], "factor 0: variables"),
        ([((True, False), TWO)], r"variables\[0\] must be an integer"),
        ([({0, 1}, TWO)], "variables is a set, which has no order"),
        ([((0, 0), TWO)], "must be distinct"),
        ([((0, 1), np.ma.array(TWO, mask=[[1, 0], [0, 0]]))], r"the table\[0, 0\] is masked"),
        ([((0, 1), TWO + 1j)], "complex numbers"),
        ([((0, 1), pandas.DataFrame(TWO, index=[1, 0]))], "index labels"),
        (5, "graph must be a name or a list"),
    ],
)
def test_graphs_that_raise(graph: Any, message: str) -> None:
    with pytest.raises((TypeError, ValueError), match=f"^FactorGraph: .*{message}"):
        FactorGraph(graph, num_variables=3, num_values=2)
    assert FactorGraph([((0.0, np.int64(2)), TWO)], 3, 2).factors[0].variables == (0, 2)


@pytest.mark.parametrize(
    ("blocks", "forbidden", "longest"),
    [(["*N*", "*C"], "N-N", 3), (["*N*", "*C"], None, 4), (["*C", "*O"], None, 2), (["*C*", "*N"], "C-C", 3)],
)
def test_the_longest_trajectory_if_bonds_are_forbidden(blocks: list[str], forbidden: str | None, longest: int) -> None:
    dag = FragmentMolecule(blocks=blocks, forbidden_bonds=forbidden, max_blocks=4, reward="qed")
    assert dag.max_length == longest
    assert check_dag(dag).longest_path == longest


def test_molecules_whose_reward_fails_are_no_modes() -> None:
    def docking(smiles: str) -> float:
        if "N" in smiles:
            raise RuntimeError("no pose")
        return 0.9

    settings = {"blocks": ["*C", "*N", "*O"], "max_blocks": 2, "reward_of": "smiles", "mode_threshold": 0.3}
    dag = FragmentMolecule(reward=docking, **settings)
    dag.on_error = 0.5
    objects = dag.terminal_states()
    has_nitrogen = np.array(["N" in name for name in dag.object_names(objects)])
    np.testing.assert_array_equal(dag.mode_index(objects) < 0, has_nitrogen)
    assert dag.draw_molecules(objects[:4], 2, (100, 100)).ndim == 3
