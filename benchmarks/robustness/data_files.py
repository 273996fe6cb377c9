"""Mutated data files of every format that an environment reads."""

from __future__ import annotations

import random
from pathlib import Path

from benchmarks.malformed_files import EXAMPLES, complaint, mutated, random_edits
from benchmarks.robustness.outcome import Outcome, Outcomes


def trials(count: int, work: Path) -> Outcomes:
    """``count`` files, the same number of each format."""
    rng, names = random.Random(0), list(EXAMPLES)
    for k in range(count):
        name = names[k % len(names)]
        example, edits = EXAMPLES[name], random_edits(rng)
        fault = complaint(example, mutated(example.content, edits), work)
        yield Outcome("one clear error, or everything in the file is read", fault and f"{name}, {edits}: {fault}")
