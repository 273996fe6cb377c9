"""The figures in docs/cluster.md, from the results of :mod:`benchmarks.cluster`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from agents.plots.style import styled
from benchmarks.report import table


def sweep_text(found: dict[str, Any]) -> str:
    """The part of the page on the sweep of 24 runs."""
    per_run = (found["sweep"] * found["cores"] - found["training"]) / found["runs"]
    rows = [
        [f"`gfn train` {found['runs']} times in one process", f"{found['serial']:.0f}", "1"],
        [f"`gfn sweep`, one run per core ({found['cores']})", f"{found['sweep']:.0f}", f"{found['times']:.2f}"],
    ]
    head = (
        f"{found['runs']} runs of {found['iterations']:,} iterations. Both times include the start of Python; the time "
        f"of the sweep includes the start of Ray. {found['same']} of {found['runs']} histories are equal bit for bit."
    )
    tail = (
        f"In addition to its iterations, a run of the sweep takes {per_run:.1f} s of a core for evaluations, files, "
        f"and its share of the start. One `gfn train` of such a run from a shell takes {found['one']:.1f} s."
    )
    return "\n\n".join([head, table(["", "seconds", "times as fast"], rows), tail])


def calls_text(calls: dict[str, Any], plans: dict[str, Any], numbers: Sequence[int]) -> str:
    """The part of the page on calls of an oracle, by number of workers."""
    driver, whole = plans["driver"]["cost"], plans["machine"]["cost"]
    seconds, empty = calls["seconds"], calls["empty"]
    rows = []
    for number in numbers:
        real, low, high = calls["real"].get(str(number)), plans["machine"][str(number)], plans["driver"][str(number)]
        rows.append(
            [
                f"{number:,}",
                f"{number / seconds:,.0f}",
                f"{low['rate']:,.1f} to {high['rate']:,.1f}",
                "" if real is None else f"{real:,.1f}",
                f"{100 * high['scheduler']:.1f} to {100 * low['scheduler']:.1f}%",
            ]
        )
    head = (
        f"Without other load, a call takes {1e3 * calls['latency']:.1f} ms in addition to the reward, and "
        f"{1e3 * driver:.2f} ms of processor time of the scheduler, the process that makes the calls. With an empty "
        f"reward, one worker completes {empty['1']:,.0f} calls per second and two workers {empty['2']:,.0f}: "
        f"{1e3 * whole:.2f} ms per call, on {calls['cores']} cores shared with the workers."
    )
    tail = (
        f"An oracle of {seconds:g} s; each worker has one call at a time. The scheduler saturates at "
        f"{seconds / whole:,.0f} workers if all processes share this machine, and at {seconds / driver:,.0f} if the "
        f"workers are on other machines. Simulated: durations are uniform within a tenth of the mean. Measured: calls "
        f"that sleep, one process per worker up to {calls['processes']} workers, and {calls['per_process']} workers "
        f"per process above."
    )
    header = ["workers", "ideal calls/s", "simulated calls/s", "measured calls/s", "scheduler busy"]
    return "\n\n".join([head, table(header, rows), tail])


@styled
def draw(calls: dict[str, Any], plans: dict[str, Any], numbers: Sequence[int], path: Path) -> None:
    """Calls per second by number of workers."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(5.5, 3.6), layout="constrained")
    axes = figure.add_subplot()
    axes.plot(numbers, [n / calls["seconds"] for n in numbers], color="0.6", lw=1, label="ideal")
    for name, label in (("driver", "simulated, workers elsewhere"), ("machine", "simulated, cost on this machine")):
        axes.plot(numbers, [plans[name][str(n)]["rate"] for n in numbers], marker=".", label=label)
    axes.plot([int(n) for n in calls["real"]], list(calls["real"].values()), "kx", label="measured on Ray")
    title = f"An oracle of {calls['seconds']:g} s"
    axes.set(xscale="log", yscale="log", xlabel="workers", ylabel="calls per second", title=title)
    axes.legend(frameon=False)
    axes.grid(alpha=0.3)
    figure.savefig(path, dpi=120)
