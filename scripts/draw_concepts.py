"""Draw docs/figures/concepts.png: how data flows from an environment through an agent to its evaluation.

python scripts/draw_concepts.py
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import matplotlib

matplotlib.use("Agg")

from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.patches import FancyBboxPatch

OUT = Path(__file__).resolve().parents[1] / "docs" / "figures" / "concepts.png"

BLUE, ORANGE, GREEN, GRAY, INK = "#2b6cb0", "#c05621", "#2f855a", "#718096", "#1a202c"
FILL = {BLUE: "#ebf4ff", ORANGE: "#fffaf0", GREEN: "#f0fff4", GRAY: "#f7fafc"}


class Box(NamedTuple):
    """A box by its center and size, in inches."""

    x: float
    y: float
    width: float
    height: float

    @property
    def left(self) -> tuple[float, float]:
        return self.x - self.width / 2, self.y

    @property
    def right(self) -> tuple[float, float]:
        return self.x + self.width / 2, self.y

    def top(self, shift: float = 0.0) -> tuple[float, float]:
        """Middle of the upper edge, moved by ``shift``."""
        return self.x + shift, self.y + self.height / 2

    def bottom(self, shift: float = 0.0) -> tuple[float, float]:
        """Middle of the lower edge, moved by ``shift``."""
        return self.x + shift, self.y - self.height / 2


def draw_box(axes: Axes, box: Box, color: str, title: str, *lines: str, mono: bool = False) -> None:
    """A rounded box with a title and smaller lines below it."""
    corner = box.x - box.width / 2, box.y - box.height / 2
    style = "round,pad=0,rounding_size=0.09"
    axes.add_patch(
        FancyBboxPatch(corner, box.width, box.height, style, facecolor=FILL[color], edgecolor=color, lw=1.4, zorder=3)
    )
    top = box.y + 0.115 * len(lines)
    family = "DejaVu Sans Mono" if mono else "DejaVu Sans"
    axes.text(
        box.x, top, title, ha="center", va="center", size=11.5, weight="bold", color=color, family=family, zorder=4
    )
    for i, line in enumerate(lines):
        axes.text(box.x, top - 0.25 * (i + 1), line, ha="center", va="center", size=9, color=INK, zorder=4)


def draw_frame(axes: Axes, box: Box, color: str, label: str, note: str, indent: float = 0.18) -> None:
    """A large frame, named at its upper edge, ``indent`` from the left."""
    corner = box.x - box.width / 2, box.y - box.height / 2
    style = "round,pad=0,rounding_size=0.16"
    axes.add_patch(
        FancyBboxPatch(corner, box.width, box.height, style, facecolor="white", edgecolor=color, lw=1.2, ls="--")
    )
    x, y = corner[0] + indent, corner[1] + box.height - 0.22
    name = axes.text(x, y, label, ha="left", va="center", size=12, weight="bold", color=color)
    axes.annotate(
        f"  {note}", xy=(1, 0.5), xycoords=name, ha="left", va="center", size=9, color=GRAY, annotation_clip=False
    )


def draw_arrow(
    axes: Axes,
    start: tuple[float, float],
    end: tuple[float, float],
    label: str = "",
    *,
    shift: tuple[float, float] = (0.0, 0.13),
    align: str = "center",
    color: str = INK,
) -> None:
    """An arrow with a label at its middle, moved by ``shift``."""
    axes.annotate(
        "",
        xy=end,
        xytext=start,
        arrowprops={"arrowstyle": "-|>", "lw": 1.4, "color": color, "shrinkA": 1, "shrinkB": 1},
    )
    x, y = (start[0] + end[0]) / 2 + shift[0], (start[1] + end[1]) / 2 + shift[1]
    axes.text(x, y, label, ha=align, va="center", size=8.5, color=color, style="italic", zorder=5)


def main() -> None:
    figure = plt.figure(figsize=(12, 7.4), dpi=150)
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set_xlim(0, 12)
    axes.set_ylim(0, 7.4)
    axes.axis("off")

    draw_frame(axes, Box(6, 6.02, 11.6, 2.3), BLUE, "gfn_envs", "environments: NumPy and Gymnasium only")
    dag = Box(2.05, 5.8, 2.9, 1.3)
    gym = Box(6.15, 5.57, 4.2, 1.06)
    exact = Box(10.25, 5.8, 2.5, 1.3)
    draw_box(
        axes, dag, BLUE, "Dag", "states, actions, parents, masks", r"terminal states $x$, reward $R(x)$", mono=True
    )
    draw_frame(axes, gym, GRAY, "", "Gymnasium environments on the same core", indent=0.05)
    draw_box(axes, Box(5.15, 5.43, 1.9, 0.6), GRAY, "GFNEnv", "one episode", mono=True)
    draw_box(axes, Box(7.15, 5.43, 1.9, 0.6), GRAY, "GFNVectorEnv", "many episodes", mono=True)
    draw_box(axes, exact, BLUE, "exact", "all states, level by level", r"target $R(x)\,/\,Z$", mono=True)
    draw_arrow(axes, (dag.right[0], 6.28), (exact.left[0], 6.28), "enumeration")
    draw_arrow(axes, (dag.right[0], gym.y), gym.left, color=GRAY)

    agents = Box(6, 2.42, 11.6, 4.5)
    engine = Box(4.85, 3.1, 8.7, 1.9)
    rollout, log_probs, balance = Box(1.85, 2.93, 2.1, 1.1), Box(4.85, 2.93, 2.2, 1.1), Box(7.8, 2.93, 2.1, 1.1)
    replay, policy, evaluation = Box(1.2, 0.95, 1.4, 1.0), Box(5.5, 0.95, 6.2, 1.0), Box(10.5, 0.95, 1.95, 1.2)
    draw_frame(axes, agents, ORANGE, "agents", "training and evaluation: PyTorch, Numba", indent=2.6)
    draw_frame(axes, engine, ORANGE, "engine", "samples trajectories and takes gradient steps", indent=2.3)
    draw_box(axes, rollout, ORANGE, "rollout", r"$s_0 \to s_1 \to \cdots \to x$", r"actions from $P_F$")
    draw_box(
        axes, log_probs, ORANGE, "log-probabilities", r"$\log P_F,\ \log P_B$ of transitions", r"$\log F$ of states"
    )
    draw_box(axes, balance, ORANGE, "balance", r"residuals $u_i - u_j$", "on pairs of states")
    draw_box(axes, policy, ORANGE, "policy", r"networks of $P_F$, $P_B$ and $\log F$; one number $\log Z$")
    draw_box(axes, replay, GRAY, "replay", "buffer of", "objects")
    draw_box(axes, evaluation, GREEN, "evaluation", "exact if states", "can be listed,", "else sampled")

    draw_arrow(axes, dag.bottom(0.3), (dag.x + 0.3, rollout.top()[1]), "transitions", shift=(-0.1, 0.25), align="right")
    draw_arrow(axes, rollout.right, log_probs.left, "trajectories")
    draw_arrow(axes, log_probs.right, balance.left, r"$u$")
    draw_arrow(axes, (2.65, policy.top()[1]), (2.65, rollout.bottom()[1]), r"$P_F$", shift=(0.1, 0.0), align="left")
    draw_arrow(axes, (log_probs.x, policy.top()[1]), log_probs.bottom())
    draw_arrow(axes, balance.bottom(), (balance.x, policy.top()[1]), "gradient step", shift=(0.1, -0.12), align="left")
    draw_arrow(
        axes,
        (1.0, rollout.bottom()[1]),
        (1.0, replay.top()[1]),
        "objects",
        shift=(-0.06, -0.12),
        align="right",
        color=GRAY,
    )
    draw_arrow(
        axes,
        (1.4, replay.top()[1]),
        (1.4, rollout.bottom()[1]),
        r"$P_B$",
        shift=(0.06, -0.12),
        align="left",
        color=GRAY,
    )
    draw_arrow(axes, policy.right, evaluation.left, r"$P_F$")
    draw_arrow(axes, (evaluation.x, exact.bottom()[1]), evaluation.top(), "target", shift=(0.1, 0.0), align="left")
    figure.savefig(OUT)
    print(f"wrote {OUT}")


if __name__ == "__main__":
    main()
