"""From an alignment to a consensus tree with support: the posterior of unrooted topologies under K80.

1. Read an alignment of nucleotides: FASTA, NEXUS or PHYLIP. The default is examples/data/seven_birds_simulated.fasta,
   240 sites that were simulated under K80 with kappa = 4 on ((gull,tern),auk),(crane,rail),(heron,stork).
2. Learn to sample topologies in proportion to their marginal likelihood, with branch lengths integrated.
3. Write the sampled trees (NEXUS), the support of each clade (CSV), and the majority-rule consensus (Newick, drawn).

Up to about 20,000 trees, the exact support is shown next to the learned one.

python examples/phylogenetics_consensus.py --quick
python examples/phylogenetics_consensus.py --alignment mine.nex --model jc69 --iterations 20000
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

import agents
import gfn_envs
from agents.evaluation.tree_support import CladeSupport, clade_support, majority_rule, support_of
from agents.export import draw_samples, select, write_samples
from agents.export.trees import MAX_EXACT_TREES, sampled_support
from agents.plots.style import styled
from gfn_envs import exact

ALIGNMENT = Path(__file__).parent / "data" / "seven_birds_simulated.fasta"


@styled
def draw_consensus(labels: list[str], found: CladeSupport, path: Path) -> None:
    """Draw the tree of compatible clades from left to right, with the support of each at its branch."""
    order = np.argsort(-found.members.sum(1), kind="stable")
    clades = [frozenset(range(len(labels))), *(frozenset(np.flatnonzero(found.members[k]).tolist()) for k in order)]
    # Taxa of a clade stay together if they are sorted by membership of the large clades first.
    leaves = sorted(range(len(labels)), key=lambda taxon: ([taxon not in clade for clade in clades], taxon))
    height = {frozenset([taxon]): float(-y) for y, taxon in enumerate(leaves)}
    depth = {clade: sum(clade < other for other in clades) for clade in clades}
    tip = max(depth.values()) + 1
    depth |= dict.fromkeys(height, tip)
    figure = Figure(figsize=(5.5, 0.6 + 0.33 * len(labels)), layout="constrained")
    axes = figure.subplots()
    for clade, support in zip(clades[::-1], [*found.support[order][::-1], None], strict=True):  # the small ones first
        inside = [other for other in height if other < clade]
        children = [child for child in inside if not any(child < other for other in inside)]
        heights = [height[child] for child in children]
        height[clade] = sum(heights) / len(heights)
        axes.plot([depth[clade]] * 2, [min(heights), max(heights)], color="C0")
        for child in children:
            axes.plot([depth[clade], depth[child]], [height[child]] * 2, color="C0")
        if support is not None:
            axes.annotate(f"{support:.2f}", (depth[clade] - 0.5, height[clade]), ha="center", va="bottom", fontsize=8)
    for taxon, label in enumerate(labels):
        axes.annotate(label, (tip + 0.05, height[frozenset([taxon])]), va="center")
    axes.set_axis_off()
    axes.set_xlim(-0.1, tip + 1)
    figure.savefig(path, dpi=110)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--alignment", type=Path, default=ALIGNMENT)
    parser.add_argument("--model", choices=("jc69", "k80"), default="k80")
    parser.add_argument("--kappa", type=float, default=None, help="ratio of transitions and transversions; default 2")
    parser.add_argument("--iterations", type=int, default=5000)
    parser.add_argument("--quick", action="store_true", help="500 iterations")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=Path("runs/phylogenetics"), help="folder of the files")
    options = parser.parse_args()

    dag = gfn_envs.make_dag("GFN/PhyloTree-v0", alignment=options.alignment, score=options.model, kappa=options.kappa)
    print(f"{dag.num_taxa} taxa, {dag.num_terminal_states:,} unrooted trees")
    agent = agents.make_agent("tb", dag, seed=options.seed)
    agents.train(agent, iterations=500 if options.quick else options.iterations, progress=False)

    samples = select(draw_samples(agent, 2000, seed=options.seed), unique=True, sort="samples")
    options.out.mkdir(parents=True, exist_ok=True)
    for name in ("trees.nex", "consensus.contree", "support.clades.csv"):
        write_samples(options.out / name, samples, dag)
    found = sampled_support(samples, dag)
    draw_consensus(list(dag.taxa), majority_rule(found), options.out / "consensus.png")

    print("log p(alignment), learned:", round(dag.log_marginal_likelihood(agent.log_z), 3))
    posterior = None
    if dag.num_terminal_states <= MAX_EXACT_TREES:
        trees, target = dag.terminal_states(), exact.target_distribution(dag)
        posterior = clade_support(dag.clades(trees), target)
        print("log p(alignment), exact:  ", round(dag.log_marginal_likelihood(exact.log_partition(dag)), 3))
        print("total variation (exact):  ", round(agents.evaluate(agent)["tv"], 3))
    print("support  exact  clade")
    for members, support in zip(*majority_rule(found), strict=True):
        known = "  -  " if posterior is None else f"{support_of(members[None], posterior)[0]:.3f}"
        print(f"  {support:.3f}  {known}  {', '.join(np.array(dag.taxa)[members])}")
    print((options.out / "consensus.contree").read_text("utf-8").strip())
    print("written:", ", ".join(sorted(path.name for path in options.out.iterdir())), "in", options.out)


if __name__ == "__main__":
    main()
