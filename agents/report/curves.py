"""Learning curves of groups of runs, as charts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from agents.report.charts import Chart, Line, line_chart
from agents.runs.compare import Group, learning_curves, logged_metrics, short_environments


class CurveKind(NamedTuple):
    """A metric that reports draw over training, if a run has it."""

    metric: str
    title: str
    caption: str
    log: bool = False


CURVES = (
    CurveKind("tv", "Distance to the target", "Exact total variation: 0 is a perfect sampler, 1 the worst.", True),
    CurveKind("elbo", "Lower bound of log Z", "ELBO from samples. It rises to log Z as the policy learns."),
    CurveKind("log_z", "log Z, learned", "The agent's estimate of the log of the total reward."),
    CurveKind("loss", "Loss", "Mean since the last point. Losses of different objectives are not comparable.", True),
    CurveKind("sampled_mean_reward", "Mean reward", "Mean reward of sampled objects."),
    CurveKind("mean_log_reward", "Mean log reward in training", "Mean log R of the batches of training."),
    CurveKind("modes_found", "Modes found", "Distinct modes among the samples of an evaluation."),
    CurveKind("batch_ess", "Effective share of a batch", "1 if the policy samples in proportion to reward, 0 if not."),
    CurveKind("beta", "Exponent of the reward", "While it is below 1, the policy learns a flatter reward, R^beta."),
    CurveKind("failed_rewards", "Rewards that failed", "Objects whose reward raised or was not a positive number."),
)
#: Curves in one report.
MAX_CURVES = 6
#: Axes are logarithmic if the largest value is this many times the smallest: others would lack labels.
DECADES = 30


def curve_charts(groups: Sequence[Group]) -> list[Chart]:
    """The first charts of CURVES that the runs have data for, one per environment and metric."""
    logged, charts = logged_metrics(groups), []
    short = dict(zip((group.environment for group in groups), short_environments(groups), strict=True))
    for kind in [kind for kind in CURVES if kind.metric in logged][:MAX_CURVES]:
        for environment, curves in learning_curves(groups, kind.metric).items():
            lines = [Line(curve.label, curve.x, curve.mean, curve.se) for curve in curves]
            if not any(len(line.x) > 1 for line in lines):
                continue
            title = f"{kind.title}: {short[environment]}" if len(short) > 1 else kind.title
            positive = np.concatenate([line.y[line.y > 0] for line in lines])
            is_log = kind.log and len(positive) > 0 and positive.max() > DECADES * positive.min()
            charts.append(line_chart(title, kind.caption, lines, "iteration", kind.metric, is_log))
    return charts
