"""Re-encode the data sets in the package: gfn_envs/data/*.npz.

``python scripts/package_data.py`` reads the published files with gfn_envs.data.registry, which checks their sha256.
"""

from __future__ import annotations

import csv
import io
from pathlib import Path

import numpy as np

from gfn_envs.data import registry as datasets

DATA = Path(datasets.__file__).parent


def tfbind8() -> dict[str, np.ndarray]:
    """Scores in units of 1e-5 (exact), one per pair of 8-mer and reverse complement, sorted by the smaller 8-mer."""
    rows = csv.DictReader(io.StringIO(datasets.read("tfbind8").decode("ascii")), delimiter="\t")
    # The header calls both strands "8-mer", so DictReader keeps the second. The first is its reverse complement.
    complement = str.maketrans("ACGT", "TGCA")
    scores = {}
    for row in rows:
        strand, score = row["8-mer"], round(float(row["E-score"]) * 100_000)
        if score / 100_000 != float(row["E-score"]):
            raise ValueError(f"{row['E-score']} has more than five decimals")
        scores[min(strand, strand[::-1].translate(complement))] = score
    if len(scores) != 32_896:
        raise ValueError(f"expected 32,896 pairs of 8-mers, got {len(scores)}")
    return {"score_1e5": np.array([scores[key] for key in sorted(scores)], dtype=np.int32)}


def amp() -> dict[str, np.ndarray]:
    """All letters in one array, and lengths and labels (1: antimicrobial) of the sequences."""
    lines = datasets.read("amp").decode("ascii").splitlines()[1:]
    sequences, labels = zip(*(line.split(",") for line in lines if line.strip()), strict=True)
    letters = "".join(sequence.strip() for sequence in sequences).encode("ascii")
    return {
        "letters": np.frombuffer(letters, dtype=np.uint8),
        "lengths": np.array([len(sequence.strip()) for sequence in sequences], dtype=np.int16),
        "labels": np.array([int(label) for label in labels], dtype=np.int8),
    }


if __name__ == "__main__":
    for function in (tfbind8, amp):
        np.savez_compressed(DATA / f"{function.__name__}.npz", **function())
