"""From a graph file to its best cuts: sample cuts, or independent sets, in proportion to exp(value / temperature).

1. Read an undirected graph: a list of edges ("u v" or "u v weight" per line), GraphML, GML or GEXF. The default is
   examples/data/florentine_families.edgelist, marriages between 15 families of Renaissance Florence.
2. Learn. The value of a cut is the weight of the edges between its two sides; that of an independent set is the weight
   of its vertices.
3. Write solutions.csv (value, times sampled, exact probability), best.graphml (the best solution as the attribute
   "selected" of its vertices) and solutions.png.

Graphs of up to about 20 vertices are compared with the exact distribution.

python examples/max_cut.py --quick
python examples/max_cut.py mine.graphml --problem independent-set --temperature 0.5 --iterations 20000
"""

from __future__ import annotations

import argparse
import csv
from pathlib import Path
from typing import Any

import networkx
import numpy as np
from matplotlib.figure import Figure

import agents
import gfn_envs
from agents.plots.style import styled
from gfn_envs import exact

GRAPH = Path(__file__).parent / "data" / "florentine_families.edgelist"
PROBLEMS = {"max-cut": "GFN/MaxCut-v0", "independent-set": "GFN/IndependentSet-v0"}


@styled
def draw(graph: Any, values: np.ndarray, learned: np.ndarray, target: np.ndarray | None, path: Path) -> None:
    """The best solution, and the distribution of values: sampled, and exact if it is known."""
    figure = Figure(figsize=(10, 4.2), layout="constrained")
    left, right = figure.subplots(1, 2)
    place = networkx.spring_layout(graph, seed=3)
    selected = dict(graph.nodes(data="selected"))
    for u, v in graph.edges:
        color, width = ("C3", 1.8) if selected[u] != selected[v] else ("0.8", 1.0)
        left.plot(*zip(place[u], place[v], strict=True), color=color, linewidth=width, zorder=1)
    for node, (x, y) in place.items():
        left.scatter(x, y, s=160, color="C0" if selected[node] else "C1", edgecolor="white", zorder=2)
        left.annotate(node, (x, y), (0, 9), textcoords="offset points", ha="center", fontsize=7)
    left.set_axis_off()
    left.set_title("best solution: blue vertices are selected", fontsize=10)
    levels = np.unique(values[learned > 0])
    for weights, label, shift in ((learned, "sampled", -0.2), (target, "exact", 0.2)):
        if weights is not None:
            right.bar(levels + shift, [weights[values == level].sum() for level in levels], 0.4, label=label)
    right.set(xlabel="value", ylabel="probability")
    right.legend()
    figure.savefig(path, dpi=100)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("graph", nargs="?", default=str(GRAPH), help="file of the graph")
    parser.add_argument("--problem", choices=PROBLEMS, default="max-cut")
    parser.add_argument("--temperature", type=float, default=1.0, help="lower: more weight on the best solutions")
    parser.add_argument("--iterations", type=int, default=10_000)
    parser.add_argument("--samples", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=Path("runs/max_cut"), help="directory of the output files")
    parser.add_argument("--quick", action="store_true", help="3000 iterations")
    arguments = parser.parse_args()

    dag: Any = gfn_envs.make_dag(PROBLEMS[arguments.problem], graph=arguments.graph, temperature=arguments.temperature)
    agent = agents.make_agent("tb", dag, seed=arguments.seed)
    agents.train(agent, 3000 if arguments.quick else arguments.iterations, eval_every=0, progress=False)
    objects, times = np.unique(agent.sample(arguments.samples), axis=0, return_counts=True)
    listed = dag.has_at_most(2**21)
    target = None
    if listed:  # all solutions stand in the table, sampled or not
        print(f"exact total variation from R(x) / Z: {agents.evaluate(agent)['tv']:.3f}")
        sampled, objects = objects, dag.terminal_states()
        times, counts = np.zeros(len(objects), dtype=int), times
        times[dag.terminal_index(sampled)] = counts
        target = exact.target_distribution(dag)
    values = (dag.log_reward(objects) * dag.temperature).round(9)
    found = np.flatnonzero(times)
    best = found[values[found].argmax()]
    print(f"best of {arguments.samples} samples: {values[best]:g}, {dag.object_names(objects[best : best + 1])[0]}")
    if listed:
        optimal = values == values.max()
        print(
            f"optimum: {values.max():g}, with {optimal.sum()} solutions; sampled of these: {(times[optimal] > 0).sum()}"
        )

    arguments.out.mkdir(parents=True, exist_ok=True)
    graph = dag.to_networkx(objects[best])
    networkx.write_graphml(graph, arguments.out / "best.graphml")
    order = found[np.lexsort((-times[found], -values[found]))]
    with open(arguments.out / "solutions.csv", "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["solution", "value", "times_sampled", "exact_probability"])
        for i, name in zip(order, dag.object_names(objects[order]), strict=True):
            writer.writerow([name, f"{values[i]:g}", times[i], "" if target is None else f"{target[i]:.6g}"])
    draw(graph, values, times / times.sum(), target, arguments.out / "solutions.png")
    print(f"wrote solutions.csv, best.graphml and solutions.png to {arguments.out}")


if __name__ == "__main__":
    main()
