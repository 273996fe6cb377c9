"""All experiments of Niu et al. 2024 (GFlowNet Training by Policy Gradients).

python -m examples.papers.niu2024              train what is missing; repeat the command to continue
python -m examples.papers.niu2024 --figures    write docs/papers/niu2024.md
"""

from __future__ import annotations

import niu2024_bayesnet
import niu2024_hypergrid
import niu2024_sequences
from study import Claim, Part, Study, on
from study_command import main

RIVALS = ("tb-u", "tb-b", "db-u", "db-b")
GRIDS = ((2, 256), (2, 128), (3, 64), (4, 32))
CLAIMS = (
    *(Claim(f"RL-U is ahead of {row}", "tv", "rl-u", row) for row in RIVALS),
    Claim("A guided P_B (RL-G) is ahead of an unguided one (RL-B)", "tv", "rl-g", "rl-b"),
    Claim("Trust regions (RL-T) are ahead of RL-U", "tv", "rl-t", "rl-u"),
    Claim("A coupled P_B (RL-B) is ahead of a uniform one (RL-U)", "tv", "rl-b", "rl-u"),
)


STUDY = Study(
    name="niu2024",
    title="Niu et al. 2024: policy gradients",
    parts=(
        *(
            Part(
                key=f"grid-{ndim}d-{side}",
                title=f"Section 5.1, {ndim}-D grid of side {side}",
                experiment=on(niu2024_hypergrid.EXPERIMENT, ndim=ndim, side=side),
                claims=CLAIMS,
            )
            for ndim, side in GRIDS
        ),
        *(
            Part(
                key=task,
                title=f"Section 5.2, {name}",
                experiment=niu2024_sequences.EXPERIMENTS[task],
                metric="mean_reward" if task == "sehstr" else "tv",
                claims=() if task == "sehstr" else CLAIMS,
            )
            for task, name in (("tfbind8", "SIX6"), ("qm9str", "QM9"), ("pho4", "PHO4"), ("sehstr", "sEH"))
        ),
        Part(
            key="bayesnet",
            title="Bayesian networks of 5 nodes",
            experiment=niu2024_bayesnet.EXPERIMENT,
            claims=CLAIMS,
        ),
        *(
            Part(
                key=f"lambda-{lamda:g}",
                title=f"Ablation, lambda {lamda:g} of the advantages of P_F, 64 x 64 grid",
                experiment=on(niu2024_hypergrid.EXPERIMENT, side=64),
                rows=("rl-u", "rl-b", "rl-t"),
                settings={"lamda": lamda},
            )
            for lamda in (0.0, 0.5, 0.9, 0.99, 1.0)
        ),
    ),
)

if __name__ == "__main__":
    main(STUDY, __doc__)
