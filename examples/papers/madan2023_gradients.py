"""Gradients of sub-batches, with a table of logits and flows (Madan et al. 2023, section 4.1.1, figures 3, 4 and A.5).

A tabular GFlowNet learns by SubTB(0.8) on the hard 8 x 8 grid with Adam at 0.007. At several points of training, 1,024
trajectories are sampled. The gradient of each, with respect to the logits of P_F and P_B of all states, is averaged
over sub-batches of 1 to 512 trajectories. Two cosines are averaged over sub-batches:

  self    with the gradient of all 1,024 by the same objective: the steeper it falls with the size, the more variance
  TB      with the TB gradient of all 1,024, whose expectation is that of the KL divergence: the smaller, the more bias

"SubTB, true flows" takes Z P_F(s), computed exactly, instead of the learned log F(s), as in figure A.5. Batches of
training have 16 trajectories, which the paper leaves open. The same question with a shared network, and the exact
gradient of all trajectories, is in gradient_analysis.py.

python -m examples.papers.madan2023_gradients            writes docs/papers/madan2023_gradients.md (about a minute)
python examples/papers/madan2023_gradients.py --quick    a few seconds, only printed
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

import agents
import gfn_envs
from agents.agent import Agent
from agents.losses.balance import COMPLETE, EDGES, Balance, Pairs, balance_loss, sub_trajectories
from agents.plots.style import styled
from agents.policies.policy import Heads, Policy
from agents.trajectories import Trajectories
from gfn_envs import exact
from gfn_envs.arrays import FloatArray, IntArray
from gfn_envs.dag import Dag

ROOT = Path(__file__).resolve().parents[2]
LAMBDA, RATE, TRAJECTORIES = 0.8, 7e-3, 1024
#: objective -> pairs of states.
OBJECTIVES: dict[str, Pairs] = {
    "TB": COMPLETE,
    "SubTB": sub_trajectories(LAMBDA),
    "DB": EDGES,
    "SubTB, true flows": sub_trajectories(LAMBDA),
}
POINTS = (100, 300, 1000, 3000)
SIZES = tuple(2**k for k in range(10))
#: Sizes of sub-batches in the table.
SHOWN = (1, 16, 256)


class Table(Policy):
    """Independent logits of both policies, and log flows, of every state; all 0 at first."""

    learns_backward = learns_flow = True

    def __init__(self, dag: Dag):
        super().__init__()
        self.inputs = dag.state_index
        sizes = {"forward": dag.num_actions, "backward": dag.num_backward_actions, "flow": 1}
        parameters = {f"{name}_table": torch.zeros(dag.num_states, size) for name, size in sizes.items()}
        self.parameters_of = nn.ParameterDict(parameters)

    @property
    def tables(self) -> dict[str, Tensor]:
        """The tables "forward", "backward" and "flow"."""
        return {name.removesuffix("_table"): table for name, table in self.parameters_of.items()}

    def forward(self, states: IntArray) -> Heads:
        row = self.read(states)
        tables = self.tables
        return Heads(tables["forward"][row], tables["backward"][row], tables["flow"][row].squeeze(1))

    def head(self, head: str) -> Callable[[IntArray], Tensor]:
        return lambda states: self.tables[head][self.read(states)]


def log_visits(agent: Agent) -> FloatArray:
    """log of the probability that P_F visits each state, (num_states,)."""
    dag = agent.dag
    with np.errstate(divide="ignore"):
        return np.log(exact.state_probabilities(dag, exact.edge_probabilities(dag, agent.probabilities)))


def per_trajectory(agent: Agent, batch: Trajectories, pairs: Pairs, true_flows: bool = False) -> FloatArray:
    """Gradient of the loss of each trajectory with respect to all logits, float64 (n, d)."""
    dag, n = agent.dag, len(batch)
    found = agent.log_probs(batch)
    index = dag.state_index(batch.states)
    assert found.log_flow is not None
    log_flow = found.log_flow.detach().double()
    if true_flows:
        exactly = torch.from_numpy(log_visits(agent)[index]) + log_flow[0]  # log Z is the learned log F(s0).
        inner = torch.ones(len(index), dtype=torch.bool)
        inner[batch.last] = False
        log_flow = torch.where(inner, exactly, log_flow)
    edges = [values.detach().double().requires_grad_() for values in (found.log_pf, found.log_pb)]
    loss, _ = balance_loss(*edges, log_flow, batch.offsets, Balance(pairs, flow="network"))
    # The loss is a mean over trajectories, and each edge belongs to one of them.
    slopes = [n * slope.numpy() for slope in torch.autograd.grad(loss, edges)]
    trajectory = np.repeat(np.arange(n), batch.lengths)
    parts = []
    for slope, states, actions, mask, head in (
        (slopes[0], batch.sources, batch.actions, dag.forward_mask, "forward"),
        (slopes[1], batch.targets, batch.backward_actions, dag.backward_mask, "backward"),
    ):
        with torch.inference_mode():
            logits = agent.policy.logits(head)(batch.states[states]).astype(np.float64)
        scores = np.where(mask(batch.states[states]), logits, -np.inf)
        p = np.exp(scores - np.logaddexp.reduce(scores, axis=1, keepdims=True))
        onto = -slope[:, None] * p
        onto[np.arange(len(onto)), actions] += slope
        gradient = np.zeros((n, dag.num_states, p.shape[1]))
        np.add.at(gradient, (trajectory, index[states]), onto)
        parts.append(gradient.reshape(n, -1))
    return np.concatenate(parts, axis=1)


def similarity(gradients: FloatArray, reference: FloatArray) -> FloatArray:
    """Mean cosine with ``reference`` (d,) of the mean gradients of sub-batches of each of SIZES, (10,)."""
    found = []
    for size in SIZES:
        means = gradients[: len(gradients) // size * size].reshape(-1, size, gradients.shape[1]).mean(1)
        lengths = np.linalg.norm(means, axis=1) * np.linalg.norm(reference)
        # A gradient of 0 points nowhere.
        found.append(float(np.divide(means @ reference, lengths, where=lengths > 0, out=np.zeros(len(means))).mean()))
    return np.array(found)


def analyze(agent: Agent, rng: np.random.Generator, trajectories: int = TRAJECTORIES) -> dict[str, FloatArray]:
    """Objective -> cosines "self" and "TB" of each size, (2, 10)."""
    batch = agent.sample_trajectories(trajectories, rng=rng)
    each = {name: per_trajectory(agent, batch, pairs, "true" in name) for name, pairs in OBJECTIVES.items()}
    full = each["TB"].mean(0)
    return {name: np.stack([similarity(g, g.mean(0)), similarity(g, full)]) for name, g in each.items()}


def run(
    seed: int, points: Sequence[int], side: int = 8, trajectories: int = TRAJECTORIES
) -> list[dict[str, FloatArray]]:
    """:func:`analyze` at each of ``points`` of one run."""
    dag = gfn_envs.make_dag("GFN/HyperGrid-v0", ndim=2, side=side, reward="hard")
    settings = {"lamda": LAMBDA, "lr": RATE, "batch_size": 16, "delay_stop": 0, "track_log_z": False, "engine": "torch"}
    agent = agents.make_agent("subtb", dag, seed=seed, policy=Table, **settings)
    found = []
    for point in points:
        while agent.iteration < point:
            agent.update()
        found.append(analyze(agent, np.random.default_rng([seed, point]), trajectories))
    return found


# ---------------------------------------------------------------------- the page


def table(results: list[list[dict[str, FloatArray]]], points: Sequence[int]) -> str:
    """Cosines of each point and objective, mean and standard error over seeds, as Markdown."""
    heads = [f"{which}, {size}" for which in ("self", "TB") for size in SHOWN]
    lines = [["iteration", "objective", *heads], ["---"] * (2 + len(heads))]
    for i, point in enumerate(points):
        for name in OBJECTIVES:
            values = np.array([[seed[i][name][w, SIZES.index(s)] for w in (0, 1) for s in SHOWN] for seed in results])
            lines.append([f"{point:,}", name, *map(cell, values.T)])
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def cell(values: FloatArray) -> str:
    error = f" ± {values.std(ddof=1) / np.sqrt(len(values)):.2g}" if len(values) > 1 else ""
    return f"{values.mean():.3f}{error}"


def verdicts(results: list[list[dict[str, FloatArray]]], points: Sequence[int]) -> list[str]:
    """Verdicts on the claims of section 4.1.1, over points, seeds and sizes below the full batch."""
    values = np.array([[[seed[i][name] for name in OBJECTIVES] for i in range(len(points))] for seed in results])
    mean = values.mean(0)  # points, objectives, self or TB, sizes
    tb, subtb, db = (list(OBJECTIVES).index(name) for name in ("TB", "SubTB", "DB"))
    total = len(points) * len(SIZES)
    ordered = (mean[:, db, 0] > mean[:, subtb, 0]) & (mean[:, subtb, 0] > mean[:, tb, 0])
    closer = mean[:, subtb, 1] > mean[:, tb, 1]
    by_point = ", ".join(f"{closer[i].sum()} of {len(SIZES)} at {point:,}" for i, point in enumerate(points))
    between = (mean[:, db, 1] < mean[:, subtb, 1]) & (mean[:, subtb, 1] < mean[:, tb, 1])
    return [
        f"The variance of SubTB is between those of DB and TB: at {ordered.sum()} of {total} points and sizes.",
        f"SubTB's sub-batches are closer to the full TB gradient than TB's own: {by_point} sizes, by iteration.",
        f"SubTB is strictly between DB and TB in the cosine with full TB: at {between.sum()} of {total}.",
    ]


@styled
def draw(results: list[list[dict[str, FloatArray]]], points: Sequence[int], path: Path) -> None:
    """Both cosines over the size of sub-batches, one column per point."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(3 * len(points), 5.5), layout="constrained")
    for row, panels in enumerate(figure.subplots(2, len(points), sharey=True)):
        for i, axes in enumerate(panels):
            for name in OBJECTIVES:
                curve = np.mean([seed[i][name][row] for seed in results], axis=0)
                axes.plot(SIZES, curve, marker=".", label=name)
            axes.set_xscale("log", base=2)
            axes.set_title(f"iteration {points[i]:,}, cosine with {('own', 'TB')[row]} full batch", fontsize=8)
    axes.legend(fontsize=7)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=80)


def main(arguments: Sequence[str] | None = None) -> None:
    made = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument("--seeds", type=int, default=3)
    made.add_argument("--quick", action="store_true", help="one seed, few iterations, a 4 x 4 grid; only printed")
    made.add_argument("--docs", type=Path, default=ROOT / "docs/papers", metavar="DIR")
    options = made.parse_args(arguments)
    torch.set_num_threads(1)
    points = (10, 30) if options.quick else POINTS
    seeds = 1 if options.quick else options.seeds
    results = [run(seed, points, *((4, 512) if options.quick else ())) for seed in range(seeds)]
    text = "\n\n".join([
        "# Madan et al. 2023: gradients of sub-batches",
        "Written by `python -m examples.papers.madan2023_gradients`; do not edit by hand. Hard 8 x 8 grid, tables, "
        f"SubTB({LAMBDA}), Adam at {RATE}, {TRAJECTORIES:,} trajectories; {seeds} seeds, mean ± standard error. "
        "Columns: mean cosine of sub-batches of that size with the full batch of the same objective (self), and of TB.",
        table(results, points),
        "\n".join(f"* {line}" for line in verdicts(results, points)),
        "![Cosines over the size of sub-batches](figures/madan2023-gradients.png)",
    ])  # fmt: skip
    print(text)
    if not options.quick:
        draw(results, points, options.docs / "figures" / "madan2023-gradients.png")
        (options.docs / "madan2023_gradients.md").write_text(text + "\n", "utf-8")


if __name__ == "__main__":
    main()
