"""All experiments of Madan et al. 2023 (Learning GFlowNets from Partial Episodes).

python -m examples.papers.madan2023              train what is missing; repeat the command to continue
python -m examples.papers.madan2023 --figures    write docs/papers/madan2023.md
"""

from __future__ import annotations

import madan2023_amp
import madan2023_bitseq
import madan2023_gfp
import madan2023_hypergrid
import madan2023_inverse_folding
import madan2023_molecules
from study import Claim, Part, Study, on
from study_command import main

MAIN = ("subtb", "tb", "db")
#: (dimensions, side, reward), the paper's main claim first.
GRIDS = [(2, 16, "hard"), *((2, side, "hard") for side in (8, 32, 64)), (2, 16, "easy"), (2, 32, "easy")]
GRIDS += [(4, 8, "hard"), (4, 8, "easy"), (4, 20, "hard")]
REWARDS = {"hard": "hard (R0 = 1e-4)", "easy": "standard (R0 = 1e-3)"}
GRID = madan2023_hypergrid.EXPERIMENT
ROWS = tuple(GRID.rows)


def better_than_both(metric: str, lower: bool) -> tuple[Claim, ...]:
    return tuple(Claim(f"SubTB is ahead of {row.upper()}", metric, "subtb", row, lower) for row in ("tb", "db"))


def grid(ndim: int, side: int, reward: str) -> Part:
    """TB, DB and SubTB(0.9) on one grid."""
    return Part(
        key=f"grid-{ndim}d-{side}-{reward}",
        title=f"Figures 1 and 2, {ndim}-D grid of side {side}, {REWARDS[reward]}",
        experiment=on(GRID, ndim=ndim, side=side, reward=reward),
        rows=MAIN,
        claims=better_than_both("l1", lower=True),
    )


OTHER_MODEL = "The reward model is ours, not the paper's, so published values are not comparable."

STUDY = Study(
    name="madan2023",
    title="Madan et al. 2023: sub-trajectory balance",
    parts=(
        *(grid(*instance) for instance in GRIDS),
        Part(
            key="grid-lambdas",
            title="Figure A.2, lambda on the hard 8 x 8 grid",
            experiment=on(GRID, side=8),
            rows=("subtb", "tb", "db", *(row for row in ROWS if "lambda" in row)),
        ),
        Part(
            key="grid-exploration",
            title="Figure A.3, TB with exploration on the hard 16 x 16 grid",
            experiment=on(GRID, side=16),
            rows=("subtb", *(row for row in ROWS if "epsilon" in row or "temperature" in row)),
            claims=tuple(
                Claim(f"SubTB is ahead of {row}", "l1", "subtb", row)
                for row in ROWS
                if "epsilon" in row or "temperature" in row
            ),
        ),
        Part(
            key="grid-short-parts",
            title="Figure A.4, sub-trajectories of at most 4 steps, hard 32 x 32 grid",
            experiment=on(GRID, side=32),
            rows=("subtb 4 steps", "subtb", "tb"),
            claims=(Claim("SubTB of at most 4 steps is ahead of TB", "l1", "subtb 4 steps", "tb"),),
        ),
        *(
            Part(
                key=f"bits-{size}",
                title=f"Figure 6, 120 bits in words of {size}",
                experiment=on(madan2023_bitseq.EXPERIMENT, word_size=size),
                rounds=2_000,
                single=("sac",) if size == 1 else (),
                metric="modes",
                claims=better_than_both("spearman", lower=False),
            )
            for size in (1, 2, 4, 6, 8, 10)
        ),
        *(
            Part(
                key=f"molecules-{exponent}",
                title=f"Figure 5, molecules for sEH, reward exponent {exponent}",
                experiment=on(madan2023_molecules.EXPERIMENT, exponent=exponent),
                rounds=2_500,
                metric="mean_reward",
                claims=better_than_both("pearson", lower=False),
            )
            for exponent in (4, 8, 10, 16)
        ),
        Part(
            key="amp",
            title="Table 2, antimicrobial peptides",
            experiment=madan2023_amp.EXPERIMENT,
            rounds=4_000,
            single=("sac",),
            metric="mean_reward",
            comparable=False,
            note=OTHER_MODEL,
            claims=better_than_both("top_100_value", lower=False),
        ),
        Part(
            key="gfp",
            title="Table 2, green fluorescent proteins, built whole",
            experiment=madan2023_gfp.EXPERIMENT,
            rounds=500,
            single=("sac",),
            metric="mean_reward",
            comparable=False,
            note=OTHER_MODEL,
            claims=better_than_both("top_100_value", lower=False),
        ),
        Part(
            key="inverse-folding",
            title="Figure F.1, inverse folding by substitutions, 8 residues of 4 amino acids",
            experiment=on(madan2023_inverse_folding.EXPERIMENT, **madan2023_inverse_folding.SMALL),
            metric="tv",
            comparable=False,
            note="Scaled down from 40 residues of 20 amino acids, so that all metrics are exact. " + OTHER_MODEL,
            claims=tuple(
                Claim(f"SubTB(0.9) is ahead of {row}", "pearson", "subtb lambda 0.9", row, lower=False)
                for row in ("db", "subtb lambda 0.1", "subtb lambda 3", "tb")
            ),
        ),
    ),
)

if __name__ == "__main__":
    main(STUDY, __doc__)
