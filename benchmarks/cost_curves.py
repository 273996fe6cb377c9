"""Milliseconds per iteration of trajectory balance over batch, dimensions, side, length, width and processes.

Trajectories on grids are about as long as those of a trained policy: half of the longest. Each number is the best of
three blocks. The curves over processes need an idle machine with two cores; the others need one core.

    python -m benchmarks.cost_curves                       all curves (about four minutes)
    python -m benchmarks.cost_curves --only dimensions
    python -m benchmarks.cost_curves --report              the figure and the page from stored results

Results are merged into benchmarks/results/cost_curves.json; the figure and the section of docs/results.md are drawn
from it.
"""

from __future__ import annotations

import argparse
import time
from typing import Any

import agents
import gfn_envs
from agents.plots.style import styled
from benchmarks import report
from benchmarks.threads import Workers, busy

PATH = report.RESULTS / "cost_curves.json"
FIGURE = report.ROOT / "docs" / "figures" / "cost_curves.png"
LONG = {"delay_stop": 1.0, "lr": 1e-6}

#: Curve -> values. Everything else is as in the middle of this range: 4-D side 20, batch 16, hidden layers of 256.
CURVES: dict[str, list[int]] = {
    "batch": [16, 64, 256, 1024, 4096],
    "dimensions": [2, 4, 6, 8, 10],
    "side": [8, 16, 32, 64],
    "length": [32, 64, 120, 240],
    "width": [64, 128, 256, 512, 1024],
}
BATCHES = [16, 64, 128, 256, 512]
#: Curves over the batch: name -> (processes of the training, other busy processes).
SHARED: dict[str, tuple[int, int]] = {
    "1 process": (1, 0),
    "2 processes": (2, 0),
    "1 process, beside a busy one": (1, 1),
    "2 processes, beside a busy one": (2, 1),
}


def case(curve: str, value: int) -> tuple[Any, dict[str, Any]]:
    """The environment and the settings of a point."""
    if curve == "length":
        return gfn_envs.make_dag("GFN/BitSequence-v0", n=value), {"lr": 1e-6}
    grid = {"ndim": 4, "side": 20, "reward": "easy"}
    if curve == "dimensions":
        grid |= {"ndim": value, "side": 8}
    if curve == "side":
        grid |= {"side": value}
    settings = {
        **LONG,
        "batch_size": value if curve == "batch" else 16,
        "hidden": (value,) * 2 if curve == "width" else (256, 256),
    }
    return gfn_envs.make_dag("GFN/HyperGrid-v0", **grid), settings


def point(curve: str, value: int, seconds: float = 0.4) -> dict[str, Any]:
    """Milliseconds per iteration, mean length and engine."""
    dag, settings = case(curve, value)
    agent = agents.make_agent("tb", dag, seed=0, **settings)
    for _ in range(2):
        agent.update()
    best, transitions, count = float("inf"), 0, 0
    for _ in range(3):
        done, start = 0, time.perf_counter()
        while (elapsed := time.perf_counter() - start) < seconds or done < 2:
            transitions += agent.update()["transitions"]
            done += 1
        best, count = min(best, elapsed / done), count + done
    length = transitions / count / agent.config.batch_size
    return {"ms": 1e3 * best, "length": length, "engine": agent.engine.name}


def shared(batch: int, seconds: float = 0.4) -> dict[str, float]:
    """Milliseconds per iteration in each of the situations of :data:`SHARED`."""
    trainings = {size: Workers("auto", batch, size=size) for size in (1, 2)}
    iterations = max(2, round(seconds * 1000 / trainings[1].block(5)))
    times: dict[str, list[float]] = {name: [] for name in SHARED}
    for _ in range(3):
        for name, (size, others) in SHARED.items():
            with busy(others):
                times[name].append(trainings[size].block(iterations))
    for training in trainings.values():
        training.close()
    return {name: min(values) for name, values in times.items()}


@styled
def draw(results: dict[str, Any]) -> None:
    """All curves in one figure."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    names = [*CURVES, "processes"]
    figure, grid = plt.subplots(2, 3, figsize=(10, 5.6), layout="constrained")
    for name, axes in zip(names, grid.flat, strict=True):
        found = results.get(name, {})
        curves = (
            {label: {b: found[b][label] for b in found} for label in SHARED}
            if name == "processes"
            else {engine: {v: r["ms"] for v, r in found.items() if r["engine"] == engine} for engine in ENGINES}
        )
        for label, curve in curves.items():
            if curve:
                axes.plot([int(v) for v in curve], list(curve.values()), "o-", markersize=3, label=label)
        axes.set(xscale="log", yscale="log", xlabel=LABELS[name], ylabel="ms per iteration")
        ticks = BATCHES if name == "processes" else CURVES[name]
        axes.set_xticks(ticks, list(map(str, ticks)))
        axes.minorticks_off()
        axes.grid(alpha=0.3)
        if found:
            axes.legend(fontsize=7)
    figure.savefig(FIGURE, dpi=110)
    plt.close(figure)


ENGINES = ("numba", "torch")
LABELS = {
    "batch": "batch (4-D side 20)",
    "dimensions": "dimensions (side 8, batch 16)",
    "side": "side (4-D, batch 16)",
    "length": "bits (8 at a time, batch 16)",
    "width": "hidden width (4-D side 20, batch 16)",
    "processes": "batch (4-D side 20)",
}


def section(results: dict[str, Any]) -> str:
    """The section of docs/results.md."""
    rows = []
    for name in CURVES:
        found = results.get(name, {})
        cells = [
            f"{value}: {r['ms']:.3g}" + " (torch)" * (r["engine"] == "torch") + f" at {r['length']:.0f}"
            for value, r in found.items()
        ]
        rows.append([LABELS[name], "; ".join(cells)])
    for label in SHARED:
        found = results.get("processes", {})
        rows.append([f"batch, {label}", "; ".join(f"{batch}: {r[label]:.3g}" for batch, r in found.items())])
    return "\n".join(
        [
            "## Cost of an iteration",
            "",
            "`python -m benchmarks.cost_curves`: milliseconds per iteration of `tb` with two hidden layers of 256 and "
            "otherwise default settings, at the mean length of the trajectories. On grids the length is half of the "
            "longest, about that of a trained policy. The compiled engine was chosen for environments of up to 500,000 "
            "states; larger ones had the engine torch, which is now chosen for fewer of them (`benchmarks.engines`).",
            "",
            f"![Milliseconds per iteration over six sizes](figures/{FIGURE.name})",
            "",
            report.table(["over", "value: milliseconds at mean length"], rows),
            "",
            f"* Measured on {results['machine']}.",
        ]
    )


def main() -> None:
    names = [*CURVES, "processes"]
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.cost_curves",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--only", choices=names, help="one curve")
    parser.add_argument("--value", type=int, help="one value of it")
    parser.add_argument("--report", action="store_true", help="draw and write from stored results")
    options = parser.parse_args()
    results = report.load(PATH)
    for name in names:
        if options.report or options.only not in (None, name):
            continue
        for value in CURVES.get(name, BATCHES):
            if options.value not in (None, value):
                continue
            found = shared(value) if name == "processes" else point(name, value)
            results.setdefault(name, {})[str(value)] = found
            results["machine"] = report.machine()
            print(name, value, found, flush=True)
            report.save(PATH, results)
    for name in names:
        order = map(str, CURVES.get(name, BATCHES))
        results[name] = {value: results[name][value] for value in order if value in results.get(name, {})}
    draw(results)
    report.write_section("cost-curves", section(results))


if __name__ == "__main__":
    main()
