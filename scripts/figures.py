"""Make every picture of README.md and docs: `make figures`.

    python scripts/figures.py                    # all, about an hour; those from stored results take seconds
    python scripts/figures.py concepts molecules # some
    python scripts/figures.py --minutes 1        # those of at most a minute each
    python scripts/figures.py --list             # names, commands and costs

The pictures of the tutorials are made by `make docs`. PICTURES is also the page "Gallery" of the site.
"""

from __future__ import annotations

import argparse
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


@dataclass(frozen=True)
class Pictures:
    """One command and the pictures that it makes."""

    files: str
    """Pattern of the pictures, below the repository."""
    command: str
    """The command, run in the repository. {out} is a folder that is removed afterwards."""
    minutes: float
    """CPU minutes."""
    what: str
    """What the pictures show."""
    made: str | None = None
    """The file that becomes the picture; None: the command writes the pictures themselves."""
    stored: bool = False
    """Whether the command draws results stored in the repository, and measures only missing ones."""

    def paths(self) -> list[Path]:
        """The existing pictures."""
        return sorted(ROOT.glob(self.files))


F, P = "docs/figures", "docs/papers/figures"
#: Name -> pictures, in the order of the gallery.
PICTURES: dict[str, Pictures] = {
    "demo": Pictures(
        "docs/demo.png",
        "make demo",
        1.5,
        "the distribution that make demo learns, beside its target",
        made="runs/demo/figures/learned_against_target.png",
    ),
    "concepts": Pictures(
        f"{F}/concepts.png",
        "python scripts/draw_concepts.py",
        0.1,
        "the flow of data from an environment through an agent to its evaluation",
    ),
    "curves": Pictures(
        "docs/curves/*.svg",
        "python scripts/draw_curves.py",
        0.3,
        "every agent on the standard grid",
        stored=True,
    ),
    "animations": Pictures(
        "docs/animations/*.gif",
        "python scripts/draw_environments.py",
        20,
        "a random and a trained policy in every environment",
    ),
    "sequences": Pictures(
        f"{F}/sequences.png",
        "python examples/sequences_variants.py --quick --out {out}",
        0.3,
        "letters at the sites of designed variants",
        made="{out}/sites.png",
    ),
    "bayes_net": Pictures(
        f"{F}/bayes_net_edges.png",
        "python examples/bayes_net_edges.py --out {out}",
        0.8,
        "probabilities of edges, paths and Markov blankets",
        made="{out}/edges.png",
    ),
    "phylogenetics": Pictures(
        f"{F}/phylogenetics.png",
        "python examples/phylogenetics_consensus.py --out {out}",
        0.2,
        "a consensus tree with the support of its clades",
        made="{out}/consensus.png",
    ),
    "molecules": Pictures(
        f"{F}/molecules.png",
        "python examples/molecules_from_a_library.py --quick --out {out}/best",
        0.5,
        "the best molecules from blocks of 50 drugs",
        made="{out}/best.png",
    ),
    "combinatorial": Pictures(
        f"{F}/combinatorial.png",
        "python examples/max_cut.py --quick --out {out}",
        0.2,
        "the best cut of a graph, and the distribution of cuts",
        made="{out}/solutions.png",
    ),
    "replay": Pictures(
        f"{F}/replay_bag.png",
        "python -m benchmarks.replay",
        0.1,
        "replay schemes on Bag",
        stored=True,
    ),
    "forward_looking": Pictures(
        f"{F}/forward_looking.png",
        "python -m benchmarks.forward_looking",
        0.1,
        "forward-looking objectives beside the others",
        stored=True,
    ),
    "cluster": Pictures(
        f"{F}/cluster.png",
        "python -m benchmarks.cluster --only plan",
        0.3,
        "calls per second by number of workers",
        stored=True,
    ),
    "time_to_quality": Pictures(
        f"{F}/time_to_quality.png",
        "python -m benchmarks.peers --report",
        0.1,
        "exact total variation over seconds of training, beside gfnx and torchgfn",
        stored=True,
    ),
    "cost_curves": Pictures(
        f"{F}/cost_curves.png",
        "python -m benchmarks.cost_curves --report",
        0.1,
        "milliseconds per iteration over sizes",
        stored=True,
    ),
    "ranking": Pictures(
        f"{F}/ranking*.png",
        "python -m benchmarks.ranking --report",
        0.1,
        "interquartile means of every method, and the best ones over CPU seconds",
        stored=True,
    ),
    "gradient_analysis": Pictures(
        f"{F}/gradient_analysis.png",
        f"python examples/papers/gradient_analysis.py --out {F}/gradient_analysis.png",
        2.0,
        "cosine, bias and variance of gradients over training",
    ),
    "shen2023": Pictures(
        f"{P}/shen2023_*.png",
        "python -m examples.papers.shen2023 --figures",
        0.1,
        "rows of Shen et al. 2023 over rounds",
        stored=True,
    ),
    "madan2023": Pictures(
        f"{P}/madan2023_*.png",
        "python -m examples.papers.madan2023 --figures",
        0.1,
        "rows of Madan et al. 2023 over rounds",
        stored=True,
    ),
    "madan2023_gradients": Pictures(
        f"{P}/madan2023-gradients.png",
        "python -m examples.papers.madan2023_gradients",
        1.5,
        "cosines of sub-batches of Madan et al. 2023",
    ),
    "niu2024": Pictures(
        f"{P}/niu2024_*.png",
        "python -m examples.papers.niu2024 --figures",
        0.1,
        "rows of Niu et al. 2024 over rounds",
        stored=True,
    ),
    "shen2023_evaluation": Pictures(
        f"{P}/shen2023-evaluation-*.png",
        "python -m examples.papers.shen2023_evaluation",
        6.5,
        "metrics of Shen et al. 2023 over training, and objects never visited",
    ),
}


def make(pictures: Pictures) -> None:
    """Run a command, and put its picture in place. Raises CalledProcessError if it fails."""
    with tempfile.TemporaryDirectory() as out:
        words = shlex.split(pictures.command.format(out=out))
        subprocess.run([sys.executable if words[0] == "python" else words[0], *words[1:]], cwd=ROOT, check=True)
        if pictures.made is not None:
            shutil.copyfile(ROOT / pictures.made.format(out=out), ROOT / pictures.files)


def table(names: Sequence[str]) -> str:
    """Names, CPU minutes and commands."""
    rows = (f"{name:20} {PICTURES[name].minutes:5.1f} min  {PICTURES[name].command}" for name in names)
    return "\n".join(rows)


def main(arguments: Sequence[str] | None = None) -> None:
    """Make the named pictures, or all."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(PICTURES)} (default: all)")
    parser.add_argument("--minutes", type=float, default=float("inf"), help="omit pictures that take longer")
    parser.add_argument("--list", action="store_true", help="print names, commands and costs")
    options = parser.parse_args(arguments)
    if unknown := [name for name in options.names if name not in PICTURES]:
        parser.error(f"no pictures {', '.join(unknown)}; allowed: {', '.join(PICTURES)}")
    names = [name for name in options.names or PICTURES if PICTURES[name].minutes <= options.minutes]
    if options.list:
        print(table(names))
        return
    for name in names:
        print(f"{name}: {PICTURES[name].command}", flush=True)
        make(PICTURES[name])


if __name__ == "__main__":
    main()
