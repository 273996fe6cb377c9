"""Seconds of training until the exact total variation on 4-D side 20 is low: gfnx, torchgfn and ours.

Ours trains by modified detailed balance with Muon, and by trajectory balance, the objective of the peers' own baselines
on this grid. The peers run with their own defaults and with our settings: batches, network, optimizer and decaying
rates as ours; with Muon, which optax and torch have; and by modified detailed balance where they offer it for grids.
They explore by epsilon, which decays too, because neither can delay the stop. Seconds are CPU seconds of training on
one core, without evaluations and compilation.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from typing import Any

from agents.plots.style import styled
from benchmarks import report
from benchmarks.peers.speed import our_task, peer_task, training_worker

FIGURE = report.ROOT / "docs" / "figures" / "time_to_quality.png"
GOALS = (0.05, 0.02)
#: A run is evaluated this many times.
CHECKS = 20


def decayed(iterations: int, lr: float = 6e-3) -> dict[str, Any]:
    """Our settings for a run of ``iterations``, those that every library has."""
    return {
        "hidden": [128, 128],
        "lr": [lr, 1e-5, iterations],
        "lr_log_z": [0.1, 1e-4, iterations],
    }


BETAS = [0.9, 0.99]
#: Learning rate with Muon.
MUON_LR = 2e-2


def ours(iterations: int, seed: int) -> dict[str, Any]:
    explore = {"epsilon": 0.0, "delay_stop": [0.8, 0.0, iterations // 4], "optimizer": f"muon(betas={tuple(BETAS)})"}
    return our_task(4, 20, 64, seed=seed, objective="mdb", **decayed(iterations, MUON_LR), **explore)


def ours_by_tb(iterations: int, seed: int) -> dict[str, Any]:
    explore = {"epsilon": 0.0, "delay_stop": [0.4, 0.0, iterations // 4], "optimizer": f"adam(betas={tuple(BETAS)})"}
    return our_task(4, 20, 64, seed=seed, **decayed(iterations), **explore)


def with_our_settings(objective: str = "tb", muon: float = 0.0) -> Callable[[int, int], dict[str, Any]]:
    """Tasks of a peer, by the number of iterations and the seed; ``muon`` is the learning rate with Muon, if any."""

    def task(iterations: int, seed: int) -> dict[str, Any]:
        rates = decayed(iterations, muon or 6e-3)
        rest = {"betas": BETAS, "epsilon": [0.1, 0.0, iterations // 2], "muon": muon > 0}
        return peer_task(4, 20, 64, seed=seed, objective=objective, **rates, **rest)

    return task


def gfnx_defaults(iterations: int, seed: int) -> dict[str, Any]:
    """Those of its baseline on this grid (hypergrid, TB)."""
    return peer_task(4, 20, 16, seed=seed, epsilon=[0.1, 0.0, 30_000])


def torchgfn_defaults(iterations: int, seed: int) -> dict[str, Any]:
    """Those of its tutorials/examples/train_hypergrid_simple.py."""
    return peer_task(4, 20, 16, seed=seed, epsilon=0.0, max_grad_norm=1.0)


#: Name -> (library, task of a number of iterations and a seed, iterations of the runs).
#: With decaying rates a run aims at one goal: a shorter one reaches 0.05 sooner, a longer one 0.02 at all.
RUNNERS: dict[str, tuple[str, Any, tuple[int, ...]]] = {
    "ours": ("ours", ours, (500, 1100)),
    "ours by tb": ("ours", ours_by_tb, (2200, 4000)),
    "gfnx, our settings": ("gfnx", with_our_settings(), (3000, 6000)),
    "gfnx, our settings, muon": ("gfnx", with_our_settings(muon=8e-3), (1500, 3000)),
    "gfnx, our settings, db with muon": ("gfnx", with_our_settings("db", muon=8e-3), (800, 1600, 2400)),
    "torchgfn, our settings": ("torchgfn", with_our_settings(), (3000, 6000)),
    "torchgfn, our settings, mdb with muon": ("torchgfn", with_our_settings("mdb", muon=MUON_LR), (500, 1000)),
    "gfnx, its defaults": ("gfnx", gfnx_defaults, (20_000,)),
    "torchgfn, its defaults": ("torchgfn", torchgfn_defaults, (10_000,)),
}


def runs(seeds: int, text: str) -> Iterator[tuple[str, str, int, int]]:
    """(key, name, iterations, seed) of the runs whose key contains ``text``."""
    for seed in range(seeds):
        for name, (_, _, lengths) in RUNNERS.items():
            for iterations in lengths:
                key = f"{name}, {iterations} iterations, seed {seed}"
                if text in key:
                    yield key, name, iterations, seed


def measure(name: str, iterations: int, seed: int, limit: float) -> list[list[float]]:
    """Rows of (iteration, CPU seconds, TV) of one run, which ends after ``limit`` CPU seconds at the latest."""
    library, task, _ = RUNNERS[name]
    every, rows, seconds = max(1, iterations // CHECKS), [], 0.0
    with training_worker(library, task(iterations, seed)) as worker:
        for done in range(every, iterations + 1, every):
            answer = worker.ask(iterations=every, exact=True)
            seconds += answer["cpu_seconds"]
            rows.append([done, seconds, answer["tv"]])
            if seconds > limit:
                break
    return rows


def first_time(rows: list[list[float]], goal: float) -> float | None:
    """Seconds at the first checkpoint from which TV stays at ``goal`` or below; None if it does not."""
    above = [i for i, row in enumerate(rows) if row[2] > goal]
    after = above[-1] + 1 if above else 0
    return rows[after][1] if after < len(rows) else None


def name_of(key: str) -> str:
    """Name of the runner of a run "name, iterations, seed"."""
    return key.rsplit(", ", 2)[0]


def best_times(curves: dict[str, list[list[float]]], name: str, goal: float) -> list[float | None]:
    """The shortest time of each seed over the lengths of its runs."""
    by_seed: dict[str, list[float | None]] = {}
    for key, rows in curves.items():
        if name_of(key) == name:
            by_seed.setdefault(key.rsplit(" ", 1)[1], []).append(first_time(rows, goal))
    return [min((t for t in times if t is not None), default=None) for times in by_seed.values()]


def section(curves: dict[str, list[list[float]]]) -> str:
    """Table of times, and how many times as long as ours the mean of a peer takes."""
    rows = []
    mine = {goal: best_times(curves, "ours", goal) for goal in GOALS}
    for name in RUNNERS:
        found = {goal: best_times(curves, name, goal) for goal in GOALS}
        own = [rows_ for key, rows_ in curves.items() if name_of(key) == name]
        if not own:
            continue
        longest, lowest = max(r[-1][1] for r in own), min(r[-1][2] for r in own)
        row = [name, str(len(found[GOALS[0]]))]
        for goal, times in found.items():
            reached = [t for t in times if t is not None]
            row.append(", ".join("-" if t is None else f"{t:.1f}" for t in times))
            base = [t for t in mine[goal] if t is not None]
            if name.startswith("ours") or len(base) < len(mine[goal]) or not base:
                row.append("")
            elif len(reached) == len(times):
                row.append(f"{sum(reached) / len(reached) / (sum(base) / len(base)):.1f}x")
            else:
                row.append(f"more than {longest / (sum(base) / len(base)):.1f}x")
        rows.append([*row, f"{lowest:.3f} after {longest:.0f} s"])
    header = ["library", "seeds"]
    for goal in GOALS:
        header += [f"seconds to TV {goal}, per seed", "over ours"]
    notes = [
        "CPU seconds of training on one core until exact TV stays at or below the number; - if it does not. "
        "Evaluations and compilation are not counted.",
        "Ours: modified detailed balance (`mdb`), which gfnx does not have for grids, with the optimizer `muon`. All "
        "but the defaults: batches of 64, two hidden layers of 128, betas of Adam 0.9 and 0.99, and rates that decay "
        f"linearly over the run, from 6e-3 ({MUON_LR:g} with Muon) to 1e-5 and, for log Z, from 0.1 to 1e-4. Ours "
        "delays the stop of trajectories at first (`delay_stop`, 0.8; 0.4 by tb); the peers explore with epsilon 0.1 "
        "at first. Of runs of several lengths the fastest one counts.",
        "Defaults of gfnx: its baseline on this grid; of torchgfn: its train_hypergrid_simple.py.",
    ]
    figure = f"![Exact TV over seconds of training](figures/{FIGURE.name})"
    return "\n".join([figure, "", report.table([*header, "lowest TV"], rows), "", *(f"* {note}" for note in notes)])


@styled
def draw(curves: dict[str, list[list[float]]]) -> None:
    """Exact TV over CPU seconds, one color per library and setting."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(figsize=(7, 4), layout="constrained")
    colors = dict(zip(RUNNERS, itertools.cycle(plt.rcParams["axes.prop_cycle"].by_key()["color"])))
    labeled: set[str] = set()
    for key, rows in curves.items():
        name = name_of(key)
        _, seconds, tv = zip(*rows, strict=True)
        label = None if name in labeled else name
        labeled.add(name)
        line = "-" if name.startswith("ours") else "--" if name.startswith("gfnx") else ":"
        axes.plot(seconds, tv, line, color=colors[name], label=label, linewidth=1)
    for goal in GOALS:
        axes.axhline(goal, color="0.7", linewidth=0.8, linestyle="--")
    axes.set(xscale="log", yscale="log", xlabel="CPU seconds of training", ylabel="exact total variation")
    axes.legend(fontsize=7)
    figure.savefig(FIGURE, dpi=110)
