"""Without an optional library, what needs it raises one line that names the extra to install."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from gfn_envs import make_dag, to_networkx
from gfn_envs.envs.molecules.brics_blocks import library_blocks
from gfn_envs.envs.molecules.kinds import parse_quietly
from gfn_envs.envs.phylogenetics import alignments
from gfn_envs.envs.strings.edit_distance import pairwise_distances

TINY = {"max_nodes": 2, "num_colors": 1}
BLOCKS = ["*CC", "*O*"]
CASES: dict[str, tuple[str, str, Callable[[], Any]]] = {
    "atoms": ("rdkit", "mols", lambda: make_dag("GFN/AtomMolecule-v0")),
    "atoms without forbidden bonds": ("rdkit", "mols", lambda: make_dag("GFN/AtomMolecule-v0", forbidden_bonds=None)),
    "fragments": ("rdkit", "mols", lambda: make_dag("GFN/FragmentMolecule-v0", blocks=BLOCKS)),
    "bonds": ("rdkit", "mols", lambda: make_dag("GFN/FragmentMolecule-v0", blocks=BLOCKS, forbidden_bonds="chemist")),
    "library": ("rdkit", "mols", lambda: library_blocks(["CCO"])),
    "SMILES": ("rdkit", "mols", lambda: parse_quietly("C")),
    "colored graph": ("networkx", "graphs", lambda: to_nx("GFN/Graph-v0", **TINY)),
    "reward of graphs": (
        "networkx",
        "graphs",
        lambda: log_rewards(make_dag("GFN/Graph-v0", **TINY, reward=lambda graph: 1.0)),
    ),
    "cut": ("networkx", "graphs", lambda: to_nx("GFN/MaxCut-v0", num_vertices=3)),
    "Bayesian network": ("networkx", "graphs", lambda: digraph(make_dag("GFN/BayesNet-v0", num_nodes=2))),
    "states": ("networkx", "mols", lambda: to_networkx(make_dag("GFN/HyperGrid-v0", side=2))),
    "distances": ("rapidfuzz", "diversity", lambda: pairwise_distances(["AC"])),
    "download": ("pooch", "data", lambda: make_dag("GFN/PhyloTree-v0", alignment="DS1")),
}


def to_nx(id: str, **arguments: Any) -> Any:
    dag: Any = make_dag(id, **arguments)
    return dag.to_networkx(dag.source(1)[0])


def digraph(dag: Any) -> Any:
    return dag.to_digraph(dag.source(1)[0])


def log_rewards(dag: Any) -> Any:
    return dag.log_reward(dag.step(dag.source(1), np.array([0])))


@pytest.mark.parametrize("name", CASES)
def test_one_line_names_the_extra(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    library, extra, call = CASES[name]
    monkeypatch.setitem(sys.modules, library, None)
    monkeypatch.delenv("GFN_ENVS_DATA", raising=False)
    alignments._benchmark_alignment.cache_clear()  # Another test may have read it.
    with pytest.raises(
        (ImportError, OSError, ValueError), match=rf'^[^\n]* needs? [^\n]*: pip install "gfn-envs\[{extra}\]"'
    ):
        call()
