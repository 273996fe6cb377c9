"""From measured variants to designs: a model of the measurements, a GFlowNet on all variants, FASTA and CSV files.

1. Read a wild type (FASTA) and measured variants (CSV: mutations such as V39A:D40G, and a score). The default is 480
   simulated measurements of four sites with up to three mutations, of about 29,700 that are possible.
2. Fit a model of scikit-learn to them. It predicts the variants that were not measured; its cross-validated error is
   printed. Variants with a motif of N-glycosylation, N[^P][ST], are excluded.
3. Learn to sample variants in proportion to score^exponent.
4. Write the best distinct samples (designs.fasta and designs.csv), and how often each site has each letter (sites.png).

    python examples/sequences_variants.py                # about a minute
    python examples/sequences_variants.py --quick        # about 20 seconds
    python examples/sequences_variants.py --wild-type mine.fasta --variants mine.csv --positions 12-15,40

The same from the shell, without the picture:

    gfn train tb GFN/Mutation-v0 --env.wild-type mine.fasta --env.reward mine.csv --env.missing ridge \\
      --env.floor 0.01 --env.positions 12-15,40 --env.max-mutations 3 --env.exponent 4 --out runs/variants
    gfn sample runs/variants --num 2000 --unique --sort reward --top 100 --out designs.fasta
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

import agents
import gfn_envs
from agents.export import draw_samples, select, write_samples
from agents.plots.style import styled
from gfn_envs import exact

DATA = Path(__file__).resolve().parent / "data"


def frequencies(dag: gfn_envs.Mutation, objects: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Weighted frequency of each letter at each site, (sites, letters)."""
    table = np.zeros((dag.length, dag.num_letters))
    for site, letters in enumerate(dag.tokens(objects).T):
        np.add.at(table[site], letters, weights)
    return table / weights.sum()


@styled
def draw_sites(dag: gfn_envs.Mutation, tables: dict[str, np.ndarray], path: Path) -> None:
    """Draw tables (sites, letters) as pictures below each other; the letter of the wild type is framed."""
    figure = Figure(figsize=(6.4, 1.0 + len(tables) * (0.6 + 0.28 * dag.length)), layout="constrained")
    for axes, (title, table) in zip(np.atleast_1d(figure.subplots(len(tables), 1)), tables.items(), strict=True):
        picture = axes.imshow(table, vmin=0, vmax=max(map(np.max, tables.values())), cmap="Blues", aspect="auto")
        axes.set_xticks(range(dag.num_letters), dag.letters)
        axes.set_yticks(range(dag.length), (dag.sites + dag.first_position).tolist())
        axes.set_ylabel("position")
        axes.set_title(title, fontsize=10)
        axes.plot(dag.wild_type, range(dag.length), "s", ms=11, mfc="none", mec="C1", ls="none")
        figure.colorbar(picture, ax=axes, label="frequency")
    figure.savefig(path, dpi=110)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--wild-type", default=str(DATA / "wild_type_simulated.fasta"), help="FASTA file or sequence")
    parser.add_argument("--variants", type=Path, default=DATA / "variants_simulated.csv", help="CSV file")
    parser.add_argument("--positions", default="39-41,54", help="positions that may mutate (default: %(default)s)")
    parser.add_argument("--max-mutations", type=int, default=3, help="default: %(default)s")
    parser.add_argument("--model", default="ridge", help="ridge or forest (default: %(default)s)")
    parser.add_argument("--exponent", type=float, default=4.0, help="default: %(default)s")
    parser.add_argument("--iterations", type=int, help="default: 8000, or 2000 with --quick")
    parser.add_argument("--quick", action="store_true", help="2000 iterations, up to 2 mutations")
    parser.add_argument("--seed", type=int, default=0, help="default: %(default)s")
    parser.add_argument("--out", type=Path, default=Path("runs/variants"), help="folder of the files")
    options = parser.parse_args()

    dag = gfn_envs.make_dag(
        "GFN/Mutation-v0",
        wild_type=options.wild_type,
        positions=options.positions,
        max_mutations=min(2, options.max_mutations) if options.quick else options.max_mutations,
        reward=options.variants,
        missing=options.model,
        floor=0.01,
        exponent=options.exponent,
        forbidden="N[^P][ST]",
    )
    print(f"{dag.num_terminal_states:,} variants; {dag.cross_validation}")
    agent = agents.make_agent("tb", dag, seed=options.seed)
    agents.train(agent, options.iterations or (2000 if options.quick else 8000), progress=False)

    drawn = draw_samples(agent, 2000, seed=options.seed)
    tables = {"2,000 samples": frequencies(dag, drawn.states, np.ones(len(drawn)))}
    if dag.has_at_most(100_000):
        print("total variation (exact):", round(agents.evaluate(agent)["tv"], 3))
        tables["exact"] = frequencies(dag, dag.terminal_states(), exact.target_distribution(dag))
    designs = select(drawn, unique=True, sort="reward", top=100)
    options.out.mkdir(parents=True, exist_ok=True)
    for name in ("designs.fasta", "designs.csv"):
        write_samples(options.out / name, designs, dag)
    draw_sites(dag, tables, options.out / "sites.png")
    print("predicted score, mutations of the best designs:")
    for score, mutations in zip(
        np.exp(designs.log_reward[:5] / dag.exponent), dag.mutations(designs.states[:5]), strict=True
    ):
        print(f"  {score:.3f}  {mutations}")
    print("written:", ", ".join(sorted(path.name for path in options.out.iterdir())), "in", options.out)


if __name__ == "__main__":
    main()
