"""Vocabularies and factors from users: lines, marks and containers are used or refused by name."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas
import pytest

from gfn_envs import FactorGraph
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
