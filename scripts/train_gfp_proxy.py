"""Fit the proxy of GFN/GFP-v0, evaluate it on held-out genotypes, and write gfn_envs/data/gfp_proxy.npz.

``python scripts/train_gfp_proxy.py`` needs the data set gfp (``gfn data fetch gfp``) and scipy, and takes a minute.

The split is that of TAPE (Rao et al. 2019): training on genotypes with at most 3 mutations, evaluation on genotypes
with 4 or more. TAPE includes genotypes with a stop codon; they are excluded here. The written proxy is fitted to all
genotypes.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from scipy.stats import spearmanr

from gfn_envs.data import registry as datasets
from gfn_envs.envs.proteins.gfp_brightness import AMINO_ACIDS, AVGFP, Brightness, Genotypes, fit, read_genotypes

OUT = Path(datasets.__file__).parent / "gfp_proxy.npz"


def tokens_of(genotypes: Genotypes) -> np.ndarray:
    """Amino acids of the genotypes, int64 (genotypes, 237)."""
    tokens = np.tile([AMINO_ACIDS.index(a) for a in AVGFP], (len(genotypes.brightness), 1))
    tokens[genotypes.row, genotypes.position] = genotypes.letter
    return tokens


def report(title: str, model: Brightness, genotypes: Genotypes) -> None:
    y, predicted = genotypes.brightness, model(tokens_of(genotypes))
    r2 = 1 - ((y - predicted) ** 2).mean() / y.var()
    print(f"{title}: {len(y):,} genotypes, Spearman {spearmanr(predicted, y)[0]:.4f}, R^2 {r2:.4f}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=OUT)
    options = parser.parse_args()
    genotypes = read_genotypes(datasets.read("gfp"))
    count = genotypes.num_mutations
    print(f"{len(count):,} genotypes without a stop codon")
    few = np.flatnonzero(count <= 3)
    validation = np.zeros(len(count), dtype=bool)
    validation[np.random.default_rng(0).permutation(few)[: len(few) // 10]] = True
    model = Brightness(fit(genotypes.select(np.flatnonzero((count <= 3) & ~validation))))
    report("up to 3 mutations, held-out tenth", model, genotypes.select(np.flatnonzero(validation)))
    report("4 mutations or more", model, genotypes.select(np.flatnonzero(count > 3)))
    for k in range(4, 9):
        report(f"  {k} mutations", model, genotypes.select(np.flatnonzero(count == k)))
    weights = {name: value.astype(np.float32) for name, value in fit(genotypes).items()}
    report("fitted and evaluated on all", Brightness(weights), genotypes)
    np.savez_compressed(options.out, **weights)  # type: ignore[arg-type]
    print(f"{options.out}: {options.out.stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
