"""New molecules from a library of known ones: blocks by BRICS, a product of scores, candidates as .sdf and .csv.

    python examples/molecules_from_a_library.py            # about 3 minutes
    python examples/molecules_from_a_library.py --quick    # half a minute
    python examples/molecules_from_a_library.py my_library.smi --stereo drop --out my_candidates

The library is a file of SMILES (.smi, .csv, with or without a header); the default has 50 drugs. Blocks bond only where
BRICS bonds them. The score is the product of drug-likeness (QED), ease of synthesis (SA), windows of logP and weight,
and a penalty for structural alerts. The reward is score^4, so that high scores are frequent. The .csv and .sdf have
every factor in a separate column; the .png shows the best molecules.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

import agents
import gfn_envs
from agents.evaluation.molecules import canonical_smiles, molecule_metrics
from agents.export import draw_samples, select, write_samples
from agents.report.pictures import png
from gfn_envs.envs.molecules.brics_blocks import STEREO, library_blocks, read_library

DRUGS = Path(__file__).parent / "data" / "drugs.csv"
SCORE = {"qed": 1, "sa": 1, "logp": (1, 4), "weight": (250, 450), "alerts": 1}
EXPONENT = 4


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("library", nargs="?", default=DRUGS, help="file of SMILES (default: %(default)s)")
    parser.add_argument("--stereo", choices=STEREO, default="refuse", help="see gfn-envs blocks --help")
    parser.add_argument("--iterations", type=int, default=2000, help="default: %(default)s")
    parser.add_argument("--samples", type=int, default=2000, help="default: %(default)s")
    parser.add_argument("--max-blocks", type=int, default=5, help="default: %(default)s")
    parser.add_argument("--top", type=int, default=100, help="candidates to write (default: %(default)s)")
    parser.add_argument(
        "--out", default="candidates", help="name of the files before the suffix (default: %(default)s)"
    )
    parser.add_argument("--seed", type=int, default=0, help="default: %(default)s")
    parser.add_argument("--quick", action="store_true", help="200 iterations, 300 samples")
    options = parser.parse_args()
    iterations, num_samples = (200, 300) if options.quick else (options.iterations, options.samples)

    library = read_library(options.library)
    blocks = library_blocks(library, options.stereo, max_atoms=12)
    print(f"{len(blocks.smiles)} blocks of {len(library)} molecules; left out: {blocks.left_out or 'nothing'}")
    dag = gfn_envs.make_dag(
        "GFN/FragmentMolecule-v0",
        blocks=blocks.smiles,
        rules="brics",
        max_blocks=options.max_blocks,
        reward=SCORE,
        exponent=EXPONENT,
    )
    agent = agents.make_agent("tb", dag, seed=options.seed, epsilon=0.05)
    known = [canonical_smiles(row.smiles) for row in library]
    for name in ("untrained", "trained"):
        if name == "trained":
            agents.train(agent, iterations=iterations, eval_every=0, progress=False)
        drawn = draw_samples(agent, num_samples, options.seed)
        found = molecule_metrics(drawn.names, np.ones(len(drawn), dtype=np.int64), known)
        shown = ", ".join(f"{metric} {value:.3g}" for metric, value in found.items() if value is not None)
        print(f"{name}: mean score {np.exp(drawn.log_reward / EXPONENT).mean():.3f}, {shown}")

    best = select(drawn, unique=True, exclude=known, sort="reward", top=options.top)
    for suffix in (".csv", ".sdf"):
        write_samples(f"{options.out}{suffix}", best, dag)
        print(f"saved {options.out}{suffix}: {len(best)} molecules")
    Path(f"{options.out}.png").write_bytes(png(dag.draw_molecules(best.states[:8], 4, (280, 200))))
    print(f"saved {options.out}.png")
    for smiles, log_reward in list(zip(best.names, best.log_reward, strict=True))[:5]:
        print(f"{np.exp(log_reward / EXPONENT):.3f}  {smiles}")


if __name__ == "__main__":
    main()
