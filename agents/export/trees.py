"""Sampled trees as NEXUS, their clades with support, and their majority-rule consensus."""

from __future__ import annotations

import csv
import io
import math
from typing import BinaryIO

import numpy as np

from agents.evaluation.evaluate import is_enumerable, may_evaluate_rewards, target_of
from agents.evaluation.tree_support import CladeSupport, clade_support, consensus_newick, majority_rule, support_of
from agents.export.samples import Samples
from gfn_envs.dag import Dag

#: The exact support of clades is computed for at most this many trees.
MAX_EXACT_TREES = 20_000


def write_nexus(file: BinaryIO, samples: Samples, dag: Dag) -> None:
    """Every row as a tree of a NEXUS file (Maddison et al. 1997), with its log reward and its number of samples.

    ``[&W 0.25]`` is the weight of a tree: its share of the samples. Biopython reads no fractions.
    """
    labels, total = _labels(dag), int(samples.samples.sum())
    lines = ["#NEXUS", "BEGIN TAXA;", f"  DIMENSIONS NTAX={len(labels)};", f"  TAXLABELS {' '.join(labels)};", "END;"]
    lines += ["BEGIN TREES;"]
    rows = zip(samples.names, samples.log_reward.tolist(), samples.samples.tolist(), strict=True)
    for number, (name, log_reward, count) in enumerate(rows, start=1):
        known = "" if math.isnan(log_reward) else f" [&log_reward={log_reward:.6f}]"
        lines.append(f"  TREE sample_{number} = {_root(dag)} [&W {count / total:.9f}]{known} {name}")
    file.write("\n".join([*lines, "END;", ""]).encode())


def write_consensus(file: BinaryIO, samples: Samples, dag: Dag) -> None:
    """The majority-rule consensus of the samples in Newick notation, with the support of each clade."""
    chosen = majority_rule(sampled_support(samples, dag))
    file.write(f"{_root(dag)} {consensus_newick(_labels(dag), chosen)}\n".encode())


def write_clades(file: BinaryIO, samples: Samples, dag: Dag) -> None:
    """A CSV file with one line per clade: its taxa, size, support, the standard error, and the support by R / Z.

    The last is exact, and empty if there are more than ``MAX_EXACT_TREES`` trees or rewards are expensive.
    """
    found, target = sampled_support(samples, dag), target_support(dag)
    error = np.sqrt(found.support * (1 - found.support) / samples.samples.sum())
    exact = [""] * len(error) if target is None else support_of(found.members, target).tolist()
    text = io.TextIOWrapper(file, encoding="utf-8", newline="")
    writer, labels = csv.writer(text), np.array(_labels(dag))
    writer.writerow(["clade", "taxa", "support", "standard_error", "target"])
    for members, *numbers in zip(found.members, found.support.tolist(), error.tolist(), exact, strict=True):
        writer.writerow([" ".join(labels[members]), members.sum(), *numbers])
    text.flush()
    text.detach()


def sampled_support(samples: Samples, dag: Dag) -> CladeSupport:
    """The support of the clades of the samples, each weighted by its number of samples."""
    return clade_support(dag.clades(samples.states), samples.samples.astype(np.float64))


def target_support(dag: Dag) -> CladeSupport | None:
    """The exact support of clades by R / Z; None if it needs too many trees or expensive rewards."""
    few = (dag.declared_num_terminal_states or MAX_EXACT_TREES + 1) <= MAX_EXACT_TREES
    if not few or not is_enumerable(dag) or not may_evaluate_rewards(dag, "auto"):
        return None
    return clade_support(dag.clades(dag.terminal_states()), target_of(dag).probabilities)


def _root(dag: Dag) -> str:
    return "[&R]" if dag.rooted else "[&U]"


def _labels(dag: Dag) -> list[str]:
    """The taxa as Newick and NEXUS write them: in quotes if they have special characters."""
    plain = [all(letter.isalnum() or letter in "_.-|" for letter in name) for name in dag.taxa]
    quoted = ["'" + name.replace("'", "''") + "'" for name in dag.taxa]
    return [name if is_plain else quotes for name, is_plain, quotes in zip(dag.taxa, plain, quoted, strict=True)]
