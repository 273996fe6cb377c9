"""Every GFlowNet agent and scheme on twelve tasks, at equal transitions and at equal CPU seconds, ranked.

A cell is one run: a task, a method, a candidate of its grid and a seed. Candidates race on one seed that is not used
otherwise: each has half of the seconds, and ends halfway if an earlier one was better there. The best one then runs
with the seeds that count. One run is measured at shares of its seconds and of its transitions, so no run is made twice
for the two budgets. Each finished cell is one line of benchmarks/results/ranking.jsonl, so that several processes can
work at once and nothing is run twice; the order is task by task, and seed by seed within a task. The measure is exact
total variation on tasks that can be enumerated, and the ELBO elsewhere; ``--report`` writes docs/ranking.md with
interquartile means (Agarwal et al. 2021).

examples:
  python -m benchmarks.ranking --list                           the cells that are missing, and the CPU hours they take
  python -m benchmarks.ranking --quick --task Bag --method tb   a look at a cell; nothing is written
  python -m benchmarks.ranking --task Bag --method tb           the cells of a task and a method
  python -m benchmarks.ranking --part 0/2                       every other pair of task and method, beside --part 1/2
  python -m benchmarks.ranking --report
"""

from __future__ import annotations

import argparse
import functools
import json
import time
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

import agents
import gfn_envs
from agents.agent import Agent
from agents.errors import UnsupportedError
from agents.evaluation import estimates
from agents.evaluation.evaluate import evaluate, metrics_of_samples
from agents.evaluation.full import known_target_metrics
from benchmarks import ranking_figures, ranking_page, report
from benchmarks.ranking_methods import METHODS, TASKS, Task

PATH = report.RESULTS / "ranking.jsonl"
#: Seed on which candidates of the grids are compared.
TUNING_SEED = 1000
#: Share of the seconds that a candidate has on the tuning seed, and where it ends if an earlier one was better.
TUNING, HALFWAY = 0.5, 0.25
#: Shares of the seconds and of the transitions at which a run is measured.
SHARES = {"seconds": (0.125, 0.25, 0.5, 1.0), "transitions": (0.25, 1.0)}
#: Trajectories per measurement of a task that cannot be enumerated.
SAMPLES = 500
#: A run that is slow to reach the transitions of its task ends at this multiple of the seconds.
LONGEST = 2.0
#: CPU seconds per cell that are not training, on average: construction and evaluations.
OVERHEAD = 2.5


class Cell(NamedTuple):
    """A run."""

    task: str
    method: str
    candidate: int
    seed: int


def rows(path: Path = PATH) -> list[dict[str, Any]]:
    """Finished cells. A last line that was cut off by an interruption is left out."""
    lines = path.read_text("utf-8").splitlines() if path.exists() else []
    found = []
    for line in lines:
        try:
            found.append(json.loads(line))
        except json.JSONDecodeError:
            continue
    return found


def cell_of(row: dict[str, Any]) -> Cell:
    """The cell of a finished run."""
    return Cell(*(row[name] for name in Cell._fields))


def best_candidate(done: list[dict[str, Any]], task: str, method: str) -> int | None:
    """The candidate with the best last value on the tuning seed; None while one is missing.

    A run that failed, or ended halfway because an earlier one was better, counts as worst.
    """
    tuned = {r["candidate"]: r for r in done if cell_of(r)[:2] == (task, method) and r["seed"] == TUNING_SEED}
    count = len(METHODS[method].candidates())
    if count == 1:
        return 0
    if len(tuned) < count:
        return None
    return max(tuned, key=lambda c: ranking_page.score_at(tuned[c], "seconds", TUNING))


def missing(done: list[dict[str, Any]]) -> Iterator[Cell]:
    """Cells that can run now, task by task: those on the tuning seed, then the best candidates, seed by seed."""
    finished = {cell_of(row) for row in done}
    impossible = {(r["task"], r["method"]) for r in done if r.get("unsupported")}
    for task in TASKS:
        methods = [method for method in METHODS if (task, method) not in impossible]
        best = {method: best_candidate(done, task, method) for method in methods}
        for method in (m for m in methods if best[m] is None):
            yield from _left(
                (Cell(task, method, c, TUNING_SEED) for c in range(len(METHODS[method].candidates()))), finished
            )
        for seed in TASKS[task].seeds:
            yield from _left((Cell(task, m, c, seed) for m, c in best.items() if c is not None), finished)


def _left(cells: Iterator[Cell], finished: set[Cell]) -> Iterator[Cell]:
    return (cell for cell in cells if cell not in finished)


def hours(done: list[dict[str, Any]]) -> tuple[int, float]:
    """Number of cells that are missing, with those that wait for the choice of a candidate, and their CPU hours."""
    finished = {cell_of(row) for row in done}
    impossible = {(r["task"], r["method"]) for r in done if r.get("unsupported")}
    cells, seconds = 0, 0.0
    for name, task in TASKS.items():
        for label, method in METHODS.items():
            if (name, label) in impossible:
                continue
            own = [cell.seed for cell in finished if cell[:2] == (name, label)]
            tuned, count = own.count(TUNING_SEED), len(method.candidates())
            races = count - tuned if count > 1 else 0
            runs = len(task.seeds) - (len(own) - tuned)
            cells += races + runs
            seconds += races * (TUNING * task.seconds + OVERHEAD) + runs * (task.seconds + OVERHEAD)
    return cells, seconds / 3600


# ---------------------------------------------------------------------- running


@functools.lru_cache(maxsize=1)
def environment(task: str) -> gfn_envs.Dag:
    """The environment of a task; the last one is kept, with its enumerated states."""
    return gfn_envs.make_dag(TASKS[task].env, **TASKS[task].arguments)


@functools.lru_cache(maxsize=1)
def warmed_up(task: str, method: str) -> None:
    """One iteration of a method on a task, so that no cell is charged for compilation."""
    agent = METHODS[method].agent
    agents.make_agent(agent, environment(task), seed=0, **METHODS[method].candidates()[0]).update()


def measured(agent: Agent, task: Task) -> dict[str, Any]:
    """Metrics of an agent now: tv, or elbo, modes and, if the target is known, eubo and log_z_error."""
    if task.exact:
        found = evaluate(agent, num_samples=2)
        return {"tv": found["tv"] if found["tv"] is not None else found["empirical_tv"]}
    drawn = estimates.samples(agent, SAMPLES, np.random.default_rng(0))
    found = metrics_of_samples(agent, drawn)
    modes = found["modes_found"]
    if task.high is not None:
        modes = len(np.unique(drawn.objects[drawn.log_reward >= np.log(task.high)], axis=0))
    known = known_target_metrics(agent, SAMPLES, found["elbo"], np.random.default_rng(0))
    return {"elbo": found["elbo"], "modes": modes, "sampled_mean_reward": found["sampled_mean_reward"]} | known


def run(cell: Cell, scale: float = 1.0, rivals: list[dict[str, Any]] | None = None) -> dict[str, Any]:
    """The row of a cell. ``scale`` shortens its budgets; ``rivals`` are rows of earlier candidates on its seed."""
    task, method = TASKS[cell.task], METHODS[cell.method]
    settings = method.candidates()[cell.candidate]
    row: dict[str, Any] = {**cell._asdict(), "settings": settings}
    try:
        warmed_up(cell.task, cell.method)
        agent = agents.make_agent(method.agent, environment(cell.task), seed=cell.seed, **settings)
    except (UnsupportedError, TypeError) as error:
        return row | {"unsupported": str(error)}
    row["engine"] = agent.engine.name if hasattr(agent, "engine") else None
    tuning = cell.seed == TUNING_SEED
    shares = {"seconds": (HALFWAY, TUNING)} if tuning else SHARES
    wanted = {budget: list(of) for budget, of in shares.items()}
    limits = {"seconds": task.seconds * scale, "transitions": task.transitions * scale}
    spent: dict[str, Any] = {"seconds": 0.0, "transitions": 0}
    points: list[dict[str, Any]] = []
    try:
        while any(wanted.values()) and (wanted["seconds"] or spent["seconds"] < LONGEST * limits["seconds"]):
            start = time.process_time()
            spent["transitions"] += agent.update()["transitions"]
            spent["seconds"] += time.process_time() - start
            for budget, of in wanted.items():
                while of and spent[budget] >= of[0] * limits[budget]:
                    points.append({"of": budget, "share": of.pop(0), **spent, **measured(agent, task)})
                    if tuning and is_behind(row | {"points": points}, rivals or []):
                        row["behind"] = True
                        of.clear()
    except FloatingPointError as error:
        row["failed"] = str(error)
    if wanted.get("transitions") and "failed" not in row:  # Too slow: what it reached instead.
        points.append({"of": "transitions", "share": None, **spent, **measured(agent, task)})
    return row | {"iterations": agent.iteration, **spent, "points": points}


def is_behind(row: dict[str, Any], rivals: list[dict[str, Any]]) -> bool:
    """True if another candidate was better halfway."""
    own = ranking_page.score_at(row, "seconds", HALFWAY)
    return any(ranking_page.score_at(rival, "seconds", HALFWAY) > own for rival in rivals)


def append(row: dict[str, Any], path: Path) -> None:
    """Add a line in one write, so that lines of several processes do not mix."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a", encoding="utf-8") as file:
        file.write(json.dumps(row, default=_plain) + "\n")


def _plain(value: Any) -> Any:
    return value.tolist() if isinstance(value, np.ndarray | np.generic) else str(value)


def work(path: Path, wanted: Any, quick: bool, limit: int | None) -> int:
    """Run missing cells that are ``wanted``, at most ``limit``; returns their number."""
    number = 0
    while limit is None or number < limit:
        cell = next((cell for cell in missing(rows(path)) if wanted(cell)), None)
        if cell is None:
            return number
        rivals = [row for row in rows(path) if cell_of(row)[:2] == cell[:2] and row["seed"] == TUNING_SEED]
        try:
            row = run(cell, 0.02 if quick else 1.0, rivals)
        except Exception as error:  # A cell that raises must not end the other three thousand.
            traceback.print_exc()
            row = cell._asdict() | {"failed": f"{type(error).__name__}: {error}"}
        number += 1
        last = row["points"][-1] if row.get("points") else row.get("unsupported") or row.get("failed")
        print(f"{cell.task}, {cell.method}, candidate {cell.candidate}, seed {cell.seed}: {last}", flush=True)
        if quick:
            return number
        append(row, path)
    return number


def main() -> None:
    """Run missing cells, list them, or write the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--task", choices=TASKS, action="append", help="only this task; may be repeated")
    parser.add_argument("--method", choices=METHODS, action="append", help="only this method; may be repeated")
    parser.add_argument("--part", default="0/1", help="i/n: every n-th pair of a task and a method, from the i-th")
    parser.add_argument("--cells", type=int, help="stop after this many cells")
    parser.add_argument(
        "--quick", action="store_true", help="one cell with a fiftieth of its budget; nothing is written"
    )
    parser.add_argument("--list", action="store_true", help="count missing cells and their CPU hours")
    parser.add_argument("--report", action="store_true", help="write the page from the cells that are there")
    parser.add_argument("--results", type=Path, default=PATH, help="file of the rows")
    parser.add_argument("--page", type=Path, default=report.ROOT / "docs" / "ranking.md", help="page of --report")
    given = parser.parse_args()
    if given.list:
        cells, cpu_hours = hours(rows(given.results))
        print(f"{cells} cells are missing: about {cpu_hours:.0f} CPU hours")
    elif given.report:
        done = rows(given.results)
        given.page.write_text(ranking_page.page(done), "utf-8")
        figures = given.page.parent / "figures"
        figures.mkdir(exist_ok=True)
        ranking_figures.draw_ranks(done, figures / "ranking.png")
        ranking_figures.draw_curves(done, figures / "ranking_curves.png")
    else:
        index, count = map(int, given.part.split("/"))
        pairs = {pair: i for i, pair in enumerate((t, m) for t in TASKS for m in METHODS)}

        def wanted(cell: Cell) -> bool:
            chosen = cell.task in (given.task or TASKS) and cell.method in (given.method or METHODS)
            return chosen and pairs[cell[:2]] % count == index

        work(given.results, wanted, given.quick, given.cells)


if __name__ == "__main__":
    main()
