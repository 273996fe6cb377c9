"""RNA: binding energies by ViennaRNA, as FLEXS defines them."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
import pytest

from gfn_envs import check_dag, make_dag
from gfn_envs.envs.strings.rna import RNA as Strands
from gfn_envs.envs.strings.rna import TARGETS

vienna = pytest.importorskip("RNA")


def flexs(sequence: str, targets: list[str]) -> float:
    """The fitness of flexs.landscapes.RNABinding."""
    fitness = []
    for target in targets:
        complement = "".join({"A": "U", "C": "G", "G": "C", "U": "A"}[x] for x in target)[::-1]
        norm = vienna.duplexfold(complement, target).energy * len(sequence) / len(target)
        fitness.append(vienna.duplexfold(target, sequence).energy / norm)
    return float(np.mean(fitness))


@pytest.mark.parametrize("names", [["RNA1"], ["RNA2"], ["RNA3"], ["RNA1", "RNA2"]])
def test_rewards_of_the_published_tasks(names: list[str]) -> None:
    dag = make_dag("GFN/RNA-v0", target=names if len(names) > 1 else names[0])
    strands = ["AUGGGCCGGACCCC", "GCCCCGCCGGAAUG", "AAAAAAAAAAAAAA", "GGGGGGGGGGGGGG"]
    expected = [flexs(strand, [TARGETS[name] for name in names]) for strand in strands]
    assert expected[0] > 0 > expected[2]
    assert dag.targets == tuple(TARGETS[name] for name in names)
    assert Strands([f"L14_{name}" for name in names]).targets == dag.targets
    states = dag.from_text(strands)
    np.testing.assert_allclose(dag.values(dag.tokens(states)), expected, rtol=1e-6)
    np.testing.assert_allclose(dag.log_reward(states), 3 * np.log(np.maximum(expected, 1e-3)), rtol=1e-6)


def test_short_strands_and_limits() -> None:
    dag = Strands("GGGAAACCC", 3, min_length=2, forbidden="GG", mode_fraction=0.1)
    assert check_dag(dag).exhaustive
    names = dag.to_text(dag.terminal_states())
    assert len(names) == 15 + 64 - 7
    assert not any("GG" in name for name in names)
    # The scale is that of strands of the largest length.
    energy, lowest = vienna.duplexfold("GGGAAACCC", "CCC").energy, vienna.duplexfold("GGGUUUCCC", "GGGAAACCC").energy
    assert dag.values(dag.tokens(dag.from_text(["CCC"])))[0] == pytest.approx(energy / (lowest * 3 / 9), rel=1e-6)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"target": "RNA9"}, "target must be one of RNA1, RNA2, RNA3, RNA4 or letters A, C, G, U, got 'RNA9'"),
        ({"target": "L50_RNA1"}, "target L50_RNA1 needs length 50, got 14"),
        ({"target": []}, "at least one target"),
        ({"target": [1]}, "target must be a text or a list of texts, got 1"),
        ({"target": "AAAA"}, "'AAAA' does not bind to its reverse complement"),
        ({"forbidden": "GT"}, "'GT' has 'T'"),
    ],
)
def test_wrong_arguments_raise(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises((ValueError, TypeError), match=message):
        Strands(**arguments)


def test_without_viennarna_one_line_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "RNA", None)
    with pytest.raises(ImportError, match=r"need ViennaRNA: pip install 'gfn-envs\[rna\]'$"):
        make_dag("GFN/RNA-v0")
