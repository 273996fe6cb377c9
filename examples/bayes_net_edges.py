"""From a CSV file to probabilities of edges: the posterior over Bayesian networks, learned and exact.

    python examples/bayes_net_edges.py                      # about a minute
    python examples/bayes_net_edges.py --quick              # about 20 seconds
    python examples/bayes_net_edges.py --data mine.csv --truth none

The data are 120 simulated measurements of six proteins, three of them incomplete; signaling_graph.csv has the graph
that simulated them, a part of a signaling network of human T cells. The program writes edges.csv, with the probability
of each edge, path and membership in a Markov blanket, and edges.png. Up to 6 columns, all of them are compared with
exact ones; up to 12 columns, those of edges.
"""

from __future__ import annotations

import argparse
import csv
from pathlib import Path

import agents
import gfn_envs
from agents.evaluation.graph_posterior import expected_shd, graph_posterior, read_graph
from agents.plots.graph_posterior import graph_posterior_figure

DATA = Path(__file__).resolve().parent / "data"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=DATA / "signaling.csv", help="CSV file (default: %(default)s)")
    parser.add_argument("--truth", default=str(DATA / "signaling_graph.csv"), help="edges from,to of a graph, or none")
    parser.add_argument("--out", type=Path, default=Path("."), help="folder (default: the working directory)")
    parser.add_argument("--iterations", type=int, help="default: 8000, or 3000 with --quick")
    parser.add_argument("--seed", type=int, default=0, help="default: %(default)s")
    parser.add_argument("--quick", action="store_true", help="3000 iterations")
    options = parser.parse_args()
    iterations = options.iterations or (3000 if options.quick else 8000)

    # The kind of the columns chooses the score: BGe for numbers, BDeu for labels.
    dag = gfn_envs.make_dag("GFN/BayesNet-v0", data=options.data, missing="drop")
    agent = agents.make_agent(
        "mdb",
        dag,
        seed=options.seed,
        batch_size=32,
        hidden=(256, 256),
        backward="uniform",
        delay_stop=0,
        epsilon=(0.5, 0.1, max(1, iterations // 2)),
        lr=(1e-3, 3e-5, iterations),
        # The target is R^beta. By default, beta rises as fast as the policy follows, which takes about 5000 iterations
        # here.
        beta=f"0.03,1,{max(1, iterations // 2)},exponential" if options.quick else None,
    )
    agents.train(agent, iterations, eval_every=0)

    posterior = graph_posterior(agent, 10_000)
    for relation in posterior.exact:
        error = posterior.largest_error(relation)
        print(f"{relation}: largest difference from the exact probability {error:.3f}")
    if options.truth != "none":
        truth = read_graph(Path(options.truth), dag.names)
        print(f"expected structural Hamming distance: {expected_shd(posterior.learned['edge'], truth):.2f}")
    else:
        truth = None
    for each in posterior.classes:
        print(f"{each.probability:.3f}  {each.graph}")

    options.out.mkdir(parents=True, exist_ok=True)
    rows = posterior.rows()
    with (options.out / "edges.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    graph_posterior_figure(posterior, truth, options.out / "edges.png")
    print(f"saved {options.out / 'edges.csv'} and {options.out / 'edges.png'}")


if __name__ == "__main__":
    main()
