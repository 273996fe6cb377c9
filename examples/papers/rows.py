"""Rows and columns that the experiments of one paper share."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from runner import Column, Row

#: Additions of this library that the papers do not have, switched off: tempered rewards, a log Z that follows the
#: batches, and a stop action that starts out improbable.
OWN_OFF: dict[str, Any] = {"beta": 1, "track_log_z": False, "delay_stop": 0}


def shen2023_rows(
    hidden: tuple[int, int],
    published: Sequence[str],
    epsilon: float,
    guide: dict[str, Any],
    lr: float = 1e-4,
    steps_per_batch: int = 1,
) -> dict[str, Row]:
    """Rows of table 1 of Shen et al. 2023.

    TB; TB with P_B uniform over distinct parents ("MaxEnt"); TB with prioritized replay (PRT); with PRT and relative
    edge flows (SSR); and guided TB with both.

    The settings are those of the authors' code: 16 sampled and 16 replayed objects per round, squared residuals clamped
    at 100, leaky ReLU, separate networks for P_F and P_B, one hidden layer each in the encoder and the scorer of SSR,
    and in the guided row trajectories sampled from the guide. Two things differ: log Z is not kept above 0, and
    gradients are not clipped (the authors' code intends to clip them but does not). Two errors of that code are not
    taken over: the loss of P_B in the guided row has no log R, and PRT draws the exact best tenth where rewards tie.

    Args:
        hidden: widths of the hidden layers.
        published: published value of each row.
        epsilon: exploration rate.
        guide: settings of guided TB.
        lr: learning rate.
        steps_per_batch: gradient steps on each batch.
    """
    rates = {
        "lr": lr,
        "lr_log_z": 100 * lr,
        "init_log_z": 5.0,
        "track_log_z": False,
        "steps_per_batch": steps_per_batch,
    }
    both = {**rates, "epsilon": epsilon, "shared": False, "activation": "leaky_relu", "clamp_loss": 100.0, "beta": 1}
    plain, replay, ssr = {**both, "hidden": hidden}, {"replay": "prioritized"}, {"form": "ssr", "hidden": hidden[:1]}
    rows = {
        "tb": ("tb", plain),
        "maxent": ("tb", {**plain, "backward": "distinct"}),
        "tb+prt": ("tb", {**plain, **replay}),
        "tb+prt+ssr": ("tb", {**plain, **replay, **ssr}),
        "sub+prt+ssr": ("gtb", {**plain, **replay, **ssr, **guide}),
    }
    return {name: Row(*row, figure) for (name, row), figure in zip(rows.items(), published, strict=True)}


SHEN2023_COLUMNS = (
    Column("percent_of_target", "% of target mean", "{:.1f}"),
    Column("rounds_to_target", "rounds to 100%, staying", "{:,.0f}"),
    Column("tv", "exact TV"),
    Column("anderson_darling", "A-D"),
    Column("modes", "modes", "{:,.0f}"),
    Column("num_modes", "of", "{:,.0f}"),
)

SHEN2023_PUBLISHED = "% of target mean, or rounds to reach 100%"


#: Share of random actions of the balance objectives: 1 at first, times 0.99 after each iteration.
NOISE = "1,4.3e-5,1000,exponential"


def niu2024_rows(lr_log_z: float = 0.1, backward: dict[str, Any] | None = None) -> dict[str, Row]:
    """Rows of Niu et al. 2024: policy gradients and balance objectives.

    The settings are those of the authors' code: four hidden layers of 256, batches of 128, and Adam with learning rates
    1e-3, 0.1 for log Z and 5e-3 for the value networks. Policy gradients sample on-policy. The balance objectives do
    too, and in the rows "+ noise" they have the decaying share of random actions that the paper mentions; in the code,
    its rate of decay is 0.99 and its start is left to the user. RL-T departs from the paper's; see its docstring.

    Args:
        lr_log_z: learning rate of log Z.
        backward: settings of the updates of P_B of rl-b and rl-g.
    """
    both = {"track_log_z": False, "beta": 1}
    log_z, fit = {**both, "lr_log_z": lr_log_z}, backward or {}
    rows = {name: Row(name, log_z | (fit if name in ("rl-b", "rl-g") else {})) for name in ("rl-u", "rl-b", "rl-g")}
    rows["rl-t"] = Row("rl-t", log_z)
    balance = {"batch_size": 128, "hidden": (256, 256, 256, 256), "shared": False, "delay_stop": 0}
    for agent in ("tb", "db", "subtb"):
        own = log_z if agent == "tb" else both
        for letter, policy in (("u", "uniform"), ("b", "learned")):
            settings = {**balance, **own, "backward": policy}
            rows[f"{agent}-{letter}"] = Row(agent, settings)
            rows[f"{agent}-{letter} + noise"] = Row(agent, {**settings, "epsilon": NOISE})
    return rows


NIU2024_COLUMNS = (
    Column("tv", "exact TV"),
    Column("jsd", "exact JSD"),
    Column("accuracy", "accuracy"),
    Column("modes", "modes", "{:,.0f}"),
    Column("num_modes", "of", "{:,.0f}"),
)
