"""All experiments of Shen et al. 2023 (Towards Understanding and Improving GFlowNet Training): table 1 and figure 2.

python -m examples.papers.shen2023              train what is missing; repeat the command to continue
python -m examples.papers.shen2023 --figures    write docs/papers/shen2023.md
"""

from __future__ import annotations

import dataclasses

import shen2023_bag
import shen2023_pho4
import shen2023_qm9str
import shen2023_sehstr
import shen2023_tfbind8
from rows import SHEN2023_COLUMNS
from runner import Column
from study import Claim, Part, Study, on
from study_command import main

PERCENT = "percent_of_target"


def claims(metric: str, lower: bool) -> tuple[Claim, ...]:
    """The paper's claims on its three changes, by the metric of a task."""
    return (
        Claim("Prioritized replay (PRT) helps", metric, "tb+prt", "tb", lower),
        Claim("Relative edge flows (SSR) help", metric, "tb+prt+ssr", "tb+prt", lower),
        Claim("Guided TB (Sub) helps", metric, "sub+prt+ssr", "tb+prt+ssr", lower),
        Claim("By exact total variation, PRT helps", "tv", "tb+prt", "tb"),
        Claim("By exact total variation, SSR helps", "tv", "tb+prt+ssr", "tb+prt"),
        Claim("By exact total variation, Sub helps", "tv", "sub+prt+ssr", "tb+prt+ssr"),
    )


STUDY = Study(
    name="shen2023",
    title="Shen et al. 2023: prioritized replay, relative edge flows, guided trajectory balance",
    parts=(
        Part(
            key="bag",
            title="Table 1, Bag",
            experiment=shen2023_bag.EXPERIMENT,
            note="The published rounds are to a mean reward of 18.17, 73% of the exact 24.79.",
            claims=claims("rounds_to_published_target", lower=True),
        ),
        Part(
            key="tfbind8",
            title="Table 1, SIX6 (TFBind8)",
            experiment=shen2023_tfbind8.EXPERIMENT,
            single=("tb+prt+ssr", "sub+prt+ssr"),  # 26 and 45 CPU minutes per seed.
            claims=claims(PERCENT, lower=False),
        ),
        Part(
            key="pho4",
            title="Table 1, PHO4",
            experiment=shen2023_pho4.EXPERIMENT,
            claims=claims(PERCENT, lower=False),
        ),
        Part(
            key="qm9str",
            title="Table 1, QM9",
            experiment=shen2023_qm9str.EXPERIMENT,
            single=("tb+prt+ssr", "sub+prt+ssr"),
            claims=claims("rounds_to_target", lower=True),
        ),
        Part(
            key="sehstr",
            title="Table 1, sEH",
            experiment=shen2023_sehstr.EXPERIMENT,
            rounds=10_000,
            single=("tb+prt+ssr", "sub+prt+ssr"),
            note="The paper counts modes and diversity at round 10,000, so this is where the rows end. Its values: 140 "
            "modes with TB and 867 with all three changes; diversity of the 100 best 0.55 and 0.517.",
            metric="mean_reward",
            claims=(
                *claims("percent_of_target", lower=False)[:3],
                Claim("All three changes find more modes than TB", "modes", "sub+prt+ssr", "tb", lower=False),
                Claim("Their 100 best are a little less diverse", "tanimoto_diversity", "sub+prt+ssr", "tb"),
            ),
        ),
        Part(
            key="tfbind8-append",
            title="Figure 2, SIX6 built by appending",
            experiment=dataclasses.replace(
                on(shen2023_tfbind8.EXPERIMENT, construction="append"),
                columns=(
                    *SHEN2023_COLUMNS[:2],
                    Column("rounds_to_97", "rounds to 97%, staying", "{:,.0f}"),
                    *SHEN2023_COLUMNS[2:],
                ),
            ),
            rows=("tb", "tb+prt", "tb+prt+ssr"),
            comparable=False,
            note="Published percentages: TB 97.3, with PRT 96.9 (after 8,000 rounds, 6 times sooner), with PRT and SSR "
            "96.6 (after 3,500, 14 times sooner). Rows of table 1 are not comparable, because they prepend and append.",
            claims=(
                Claim("With PRT, 97% comes sooner", "rounds_to_97", "tb+prt", "tb"),
                Claim("With PRT and SSR, it comes sooner than with PRT", "rounds_to_97", "tb+prt+ssr", "tb+prt"),
                *claims(PERCENT, lower=False)[3:5],
            ),
        ),
    ),
)

if __name__ == "__main__":
    main(STUDY, __doc__)
