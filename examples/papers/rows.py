"""Rows and columns that the experiments of one paper share."""

from __future__ import annotations

from collections.abc import Sequence

from runner import Column, Row


def shen2023_rows(
    hidden: tuple[int, int], published: Sequence[str], epsilon: float, guide: dict[str, float], lr: float = 1e-4
) -> dict[str, Row]:
    """Rows of table 1 of Shen et al. 2023.

    TB; TB with a maximum-entropy P_B; TB with prioritized replay (PRT); with PRT and relative edge flows (SSR); and
    guided TB with both.

    The settings are those of the authors' code: 16 sampled and 16 replayed objects per round, separate networks for P_F
    and P_B, and one hidden layer each in the encoder and the scorer of SSR. Three things differ from that code: log Z
    is not kept above 0, gradients are not clipped (the authors' code intends to clip them but does not), and each
    batch is used for one gradient step.

    Args:
        hidden: widths of the hidden layers.
        published: published value of each row.
        epsilon: exploration rate.
        guide: settings of guided TB.
        lr: learning rate.
    """
    both = {"lr": lr, "lr_log_z": 100 * lr, "init_log_z": 5.0, "epsilon": epsilon, "shared": False}
    plain, replay, ssr = {**both, "hidden": hidden}, {"replay": "prioritized"}, {"form": "ssr", "hidden": hidden[:1]}
    rows = {
        "tb": ("tb", plain),
        "maxent": ("tb", {**plain, "backward": "maxent"}),
        "tb+prt": ("tb", {**plain, **replay}),
        "tb+prt+ssr": ("tb", {**plain, **replay, **ssr}),
        "sub+prt+ssr": ("gtb", {**plain, **replay, **ssr, **guide}),
    }
    return {name: Row(*row, figure) for (name, row), figure in zip(rows.items(), published, strict=True)}


SHEN2023_COLUMNS = (
    Column("percent_of_target", "% of target mean", "{:.1f}"),
    Column("rounds_to_target", "rounds to 100%", "{:,.0f}"),
    Column("tv", "exact TV"),
    Column("anderson_darling", "A-D"),
    Column("modes", "modes", "{:,.0f}"),
    Column("num_modes", "of", "{:,.0f}"),
)

SHEN2023_PUBLISHED = "% of target mean, or rounds to reach 100%"


def niu2024_rows() -> dict[str, Row]:
    """Rows of Niu et al. 2024: policy gradients and balance objectives.

    The settings are those of the authors' code: four hidden layers of 256, batches of 128, on-policy samples, and Adam
    with learning rates 1e-3, 0.1 for log Z and 5e-3 for the value networks.
    """
    balance = {"batch_size": 128, "hidden": (256, 256, 256, 256), "shared": False, "delay_stop": 0}
    rows = {"rl-u": Row("rl-u", {}), "rl-b": Row("rl-b", {}), "rl-g": Row("rl-g", {}), "rl-t": Row("rl-t", {})}
    for agent in ("tb", "db", "subtb"):
        for backward in ("uniform", "learned"):
            name = f"{agent}-{'u' if backward == 'uniform' else 'b'}"
            rows[name] = Row(agent, {**balance, "backward": backward})
    return rows


NIU2024_COLUMNS = (
    Column("tv", "exact TV"),
    Column("jsd", "exact JSD"),
    Column("accuracy", "accuracy"),
    Column("modes", "modes", "{:,.0f}"),
    Column("num_modes", "of", "{:,.0f}"),
)
