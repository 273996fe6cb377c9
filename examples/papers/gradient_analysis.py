"""Small-batch gradients of TB, DB and SubTB as estimates of the full-batch trajectory-balance gradient.

Madan et al. 2023 (Learning GFlowNets from Partial Episodes) study SubTB(lambda). Its gradient is a biased estimate of
the TB gradient but has a lower variance, so on small batches it may point in a better direction than TB's own gradient.
Here the full batch is exact: every trajectory of a small HyperGrid, weighted by its probability under P_F.

An agent learns by SubTB(0.9) on its own samples. At several points of training, TB, DB and SubTB(lambda) are compared:

  cosine    cosine of the small-batch gradient with the full-batch TB gradient, mean over many batches
  bias      1 - cosine of the objective's own full-batch gradient with that of TB, exact. Only directions are compared,
            because objectives that average over more residuals have smaller gradients
  variance  E |g - E g|^2 / |E g|^2 of the small-batch gradient g, with E g exact

The gradients are those of the parameters that all objectives share: the trunk and the heads of P_F and P_B. The head of
the state flow F is excluded, because TB uses only F(s0). The effect of the residuals of F on the trunk is included. TB
uses log F(s0) as log Z, as SubTB(lambda) does in the limit of infinite lambda. Sampling is not differentiated.
--separate gives each head a separate network, which removes the influence of F completely.

python examples/papers/gradient_analysis.py            about 2 minutes
python examples/papers/gradient_analysis.py --quick    a few seconds
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

import agents
import gfn_envs
from agents.agent import Agent
from agents.log_probs import log_probs
from agents.losses.balance import COMPLETE, EDGES, Balance, balance_loss, select, sub_trajectories
from agents.losses.segments import segment_sum
from agents.plots.style import styled
from agents.policies import StateActionPolicy
from agents.trajectories import Trajectories, concatenate
from gfn_envs.dag import Dag

#: name -> lambda of SubTB. 0 is its limit DB, infinity is TB.
LAMBDAS = {"TB": np.inf, "SubTB(1)": 1.0, "SubTB(0.9)": 0.9, "SubTB(0.8)": 0.8, "SubTB(0.5)": 0.5, "DB": 0.0}
MAX_TRAJECTORIES = 200_000


class Figures(NamedTuple):
    """Metrics of each objective at one point of training, name -> value."""

    cosine: dict[str, float]
    error: dict[str, float]
    """Standard error of the mean cosine."""
    bias: dict[str, float]
    variance: dict[str, float]


def all_trajectories(dag: Dag) -> Trajectories:
    """Every trajectory from s0 to a terminal state.

    Raises:
        ValueError: there are more than MAX_TRAJECTORIES.
    """
    count = np.exp(dag.log_num_paths(dag.terminal_states())).sum()
    if count > MAX_TRAJECTORIES:
        raise ValueError(f"{dag!r} has {count:.3g} trajectories, more than {MAX_TRAJECTORIES:,}: take a smaller grid")
    finished = []
    paths, taken = dag.source(1)[:, None], np.empty((1, 0), dtype=np.int64)
    while len(paths):
        row, children, actions = dag.children(paths[:, -1])
        paths = np.concatenate([paths[row], children[:, None]], axis=1)
        taken = np.concatenate([taken[row], actions[:, None]], axis=1)
        ended = dag.is_terminal(paths[:, -1])
        if ended.any():
            finished.append(packed(dag, paths[ended], taken[ended]))
        paths, taken = paths[~ended], taken[~ended]
    return concatenate(*finished)


def packed(dag: Dag, paths: np.ndarray, taken: np.ndarray) -> Trajectories:
    """Pack trajectories of equal length: states (n, length + 1, state_width) and actions (n, length)."""
    n, length = taken.shape
    undo = dag.backward_action(paths[:, :-1].reshape(n * length, -1), taken.ravel())
    offsets = np.arange(n + 1) * (length + 1)
    return Trajectories(paths.reshape(n * (length + 1), -1), taken.ravel(), undo, offsets, dag.log_reward(paths[:, -1]))


# ---------------------------------------------------------------------- losses and their gradients


def losses(agent: Agent, batch: Trajectories, weights: Tensor | None = None) -> tuple[dict[str, Tensor], Tensor]:
    """The loss of every objective, from one evaluation of the network.

    Args:
        agent: an agent with state flows.
        batch: trajectories.
        weights: weights of the trajectories (n,) with sum 1. None: the current P_F of each; ``batch`` then has to hold
            all trajectories.

    Returns:
        ``(losses, weights)``.
    """
    terms = log_probs(agent.dag, agent.policy, batch)
    assert terms.log_flow is not None
    if weights is None:
        weights = segment_sum(terms.log_pf.detach(), torch.from_numpy(batch.edge_offsets)).exp()
    found = {}
    for name, lamda in LAMBDAS.items():
        pairs = COMPLETE if np.isinf(lamda) else EDGES if lamda == 0 else sub_trajectories(lamda)
        *_, trajectory = select(pairs, batch.offsets)
        # The factor n undoes the mean over n trajectories.
        of_pairs = weights[torch.from_numpy(trajectory)] * len(batch)
        found[name], _ = balance_loss(
            terms.log_pf,
            terms.log_pb,
            terms.log_flow,
            batch.offsets,
            Balance(pairs, flow="network"),
            penalty=lambda residual, of_pairs=of_pairs: of_pairs * residual.square(),
        )
    return found, weights


def gradients(agent: Agent, values: dict[str, Tensor]) -> dict[str, np.ndarray]:
    """Gradient of each loss with respect to the parameters that all objectives share, float64 (p,)."""
    assert isinstance(agent.policy, StateActionPolicy)
    alone = len(agent.policy.networks) > 1
    parameters = [p for network in agent.policy.networks[:2] for p in network.parameters()]
    found = {}
    for name, value in values.items():
        parts = list(torch.autograd.grad(value, parameters, retain_graph=True))
        if not alone:  # The last output of the one network is log F.
            parts[-2:] = parts[-2][:-1], parts[-1][:-1]
        found[name] = torch.cat([part.reshape(-1) for part in parts]).double().numpy()
    return found


def cosine(a: np.ndarray, b: np.ndarray) -> float:
    return float(a @ b / (np.linalg.norm(a) * np.linalg.norm(b)))


def analyze(agent: Agent, every: Trajectories, batch_size: int, batches: int, rng: np.random.Generator) -> Figures:
    """Compare gradients of small batches of the agent's own samples with those of all trajectories."""
    full = gradients(agent, losses(agent, every)[0])
    small: dict[str, list[np.ndarray]] = {name: [] for name in LAMBDAS}
    for _ in range(batches):
        batch = agent.sample_trajectories(batch_size, rng=rng)
        values, _ = losses(agent, batch, torch.full((batch_size,), 1 / batch_size))
        for name, gradient in gradients(agent, values).items():
            small[name].append(gradient)
    cosines = {name: [cosine(g, full["TB"]) for g in small[name]] for name in LAMBDAS}
    return Figures(
        {name: float(np.mean(values)) for name, values in cosines.items()},
        {name: float(np.std(values, ddof=1) / np.sqrt(batches)) for name, values in cosines.items()},
        {name: 1 - cosine(full[name], full["TB"]) for name in LAMBDAS},
        {
            name: float(np.square(np.array(small[name]) - full[name]).sum(1).mean() / np.square(full[name]).sum())
            for name in LAMBDAS
        },
    )


# ---------------------------------------------------------------------- over training


@styled
def draw(points: list[int], results: list[Figures], title: str, path: Path) -> None:
    """Plot cosine, bias and variance over training."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(12, 3.6), layout="constrained")
    panels = [("cosine", "cosine with full-batch TB"), ("bias", "bias, 1 - cosine"), ("variance", "relative variance")]
    for axes, (field, label) in zip(figure.subplots(1, 3), panels, strict=True):
        for name in LAMBDAS:
            if field == "bias" and name == "TB":
                continue  # The bias of TB is 0.
            color = f"C{list(LAMBDAS).index(name)}"
            axes.plot(points, [getattr(r, field)[name] for r in results], marker=".", color=color, label=name)
        axes.set_xlabel("iteration of training")
        axes.set_ylabel(label)
        axes.set_xscale("symlog", linthresh=max(points[1], 1))
        if field == "variance":
            axes.set_yscale("log")
    axes.legend(fontsize=7)
    figure.suptitle(title, fontsize=10)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=80)


def verdict(points: list[int], results: list[Figures]) -> str:
    """Mean metrics as text, and whether the paper's claim holds."""
    lines = [f"{'':12}{'cosine':>10}{'bias':>10}{'variance':>12}   closer than TB at"]
    for name in LAMBDAS:
        mean = [float(np.mean([getattr(r, field)[name] for r in results])) for field in ("cosine", "bias", "variance")]
        wins = sum(r.cosine[name] > r.cosine["TB"] for r in results)
        compared = "" if name == "TB" else f"   {wins} of {len(points)} points"
        lines.append(f"{name:12}{mean[0]:10.3f}{mean[1]:10.3f}{mean[2]:12.3g}{compared}")
    best = "SubTB(0.9)"  # The agent's own objective, chosen in advance.
    gain = np.array([r.cosine[best] - r.cosine["TB"] for r in results])
    holds = gain.mean() > 2 * np.sqrt(np.mean([r.error[best] ** 2 + r.error["TB"] ** 2 for r in results]) / len(gain))
    lines += [
        f"verdict: the small-batch gradient of {best} has a mean cosine of {_mean(results, best):.3f} with the "
        f"full-batch TB gradient, that of TB {_mean(results, 'TB'):.3f}:",
        "         the claim that a biased SubTB gradient is the better estimate "
        + ("holds here" if holds else "does not hold here"),
    ]
    return "\n".join(lines)


def _mean(results: list[Figures], name: str) -> float:
    return float(np.mean([r.cosine[name] for r in results]))


def main(options: argparse.Namespace) -> None:
    dag = gfn_envs.make_dag("GFN/HyperGrid-v0", ndim=options.ndim, side=options.side, reward=options.reward)
    every = all_trajectories(dag)
    print(f"{dag!r}: {len(every):,} trajectories, batches of {options.batch_size}")
    agent = agents.make_agent(
        "subtb",
        dag,
        seed=options.seed,
        hidden=(64, 64),
        lr=1e-3,
        batch_size=16,
        shared=not options.separate,
        delay_stop=0,
    )
    rng = np.random.default_rng([options.seed, 1])
    iterations, batches = (60, 20) if options.quick else (options.iterations, options.batches)
    points = [0] + [max(1, iterations // 2**k) for k in range(2 if options.quick else 7, -1, -1)]
    results = []
    with tqdm(total=iterations, unit="it") as bar:
        for point in points:
            while agent.iteration < point:
                agent.update()
                bar.update()
            results.append(analyze(agent, every, options.batch_size, batches, rng))
            bar.write(f"iteration {point}: cosine " + ", ".join(f"{k} {v:.3f}" for k, v in results[-1].cosine.items()))
    draw(points, results, f"{dag!r}, batches of {options.batch_size}, {batches} at each point", options.out)
    print(f"means over the points {points}")
    print(verdict(points, results))
    print(f"figure: {options.out}")


def parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument("--ndim", type=int, default=2)
    made.add_argument("--side", type=int, default=8)
    made.add_argument("--reward", default="standard")
    made.add_argument("--batch-size", type=int, default=16, help="size of the small batches")
    made.add_argument("--batches", type=int, default=200, help="small batches at each point")
    made.add_argument("--iterations", type=int, default=1600, help="training iterations")
    made.add_argument("--separate", action="store_true", help="a separate network for each head")
    made.add_argument("--seed", type=int, default=0)
    made.add_argument("--quick", action="store_true", help="few iterations and batches")
    made.add_argument("--out", type=Path, default=Path("runs/gradient_analysis.png"), help="file of the figure")
    return made


if __name__ == "__main__":
    main(parser().parse_args())
