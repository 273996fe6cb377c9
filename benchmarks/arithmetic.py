"""Worst relative error of each score and closed form against mpmath: python -m benchmarks.arithmetic"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from itertools import combinations, product
from typing import Any

import mpmath as mp
import numpy as np

import gfn_envs
from agents.evaluation import correlations, metrics
from gfn_envs import exact
from gfn_envs.enumeration import state_graph
from gfn_envs.envs.bayes_net.scores import BGe, LinearGaussian

mp.mp.dps = 80
Pairs = Iterable[tuple[float, Any]]


def rng() -> np.random.Generator:
    return np.random.default_rng(0)


def big(values: Any) -> list[Any]:
    return [mp.mpf(float(v)) for v in values]


def log_sum(values: Any) -> Any:
    return mp.log(mp.fsum(mp.exp(v) for v in big(values)))


# ---------------------------------------------------------------------- environments


def tables() -> Iterator[np.ndarray]:
    """Ordinary columns; far from 0; nearly dependent; dependent; of very different scales."""
    z = rng().normal(size=(40, 3))
    z[:, 1] += z[:, 0]
    yield from (z, z + 1e6, z + 1.7e12, z * [1e-8, 1, 1e8])
    yield np.c_[z[:, :2], z[:, 0] + 1e-9 * z[:, 2]]
    yield np.c_[1e7 * z[:, :2], 1e7 * (z[:, 0] - z[:, 1])]


def families(d: int) -> list[tuple[int, tuple[int, ...]]]:
    return [(j, ps) for j in range(d) for p in range(d) for ps in combinations([k for k in range(d) if k != j], p)]


def local(score: Any, node: int, parents: tuple[int, ...], d: int) -> float:
    return float(score(np.array([node]), np.isin(np.arange(d), parents)[None])[0])


def determinant(matrix: Any, index: tuple[int, ...]) -> Any:
    return mp.det(mp.matrix([[matrix[a, b] for b in index] for a in index])) if index else mp.mpf(1)


def bge() -> Pairs:
    for data in tables():
        n, d = data.shape
        x, score = mp.matrix(data.tolist()), BGe(data, center=False)
        m = [mp.fsum(x[:, j]) / n for j in range(d)]
        centered = mp.matrix(n, d)
        for i, j in product(range(n), range(d)):
            centered[i, j] = x[i, j] - m[j]
        R = centered.T * centered + mp.eye(d) / 2 + mp.mpf(n) / (n + 1) * mp.matrix(m) * mp.matrix(m).T
        for j, ps in families(d):
            f, constant = score._freedom[len(ps)], score._constant[len(ps)]
            dets = mp.log(determinant(R, ps)), mp.log(determinant(R, (*ps, j)))
            yield local(score, j, ps, d), mp.mpf(constant) + f / 2 * dets[0] - (f + 1) / 2 * dets[1]


def linear_gaussian() -> Pairs:
    for data in tables():
        n, d = data.shape
        if np.abs(data).max() > 1e3:
            continue
        x, score = mp.matrix(data.tolist()), LinearGaussian(data)
        gram, v = x.T * x, mp.mpf(score.variance)
        for j, ps in families(d):
            ridge = gram + v * mp.eye(d)
            for k in range(d):
                ridge[j, k] = gram[j, k]
            det = determinant(ridge, ps)
            misfit = determinant(ridge, (*ps, j)) / det / v
            expected = -(n * mp.log(2 * mp.pi * v) + mp.log(det) - len(ps) * mp.log(v) + misfit) / 2
            yield local(score, j, ps, d), expected


def ising() -> Pairs:
    for side, sigma in product((2, 3, 4), (-20.0, -5.0, -1.0, -0.3, 0.0, 0.2203, 1.0, 5.0, 20.0)):
        spins = 1 - 2 * (np.arange(2 ** (side * side))[:, None] >> np.arange(side * side) & 1).reshape(-1, side, side)
        bonds = (spins * (np.roll(spins, 1, 1) + np.roll(spins, 1, 2))).sum((1, 2))
        counts = zip(*np.unique(bonds, return_counts=True), strict=True)
        total = mp.fsum(int(c) * mp.exp(2 * mp.mpf(sigma) * int(b)) for b, c in counts)
        yield gfn_envs.make_dag("GFN/Ising-v0", side=side, sigma=sigma).log_partition(), mp.log(total)


def hypergrid() -> Pairs:
    """log Z of factorized corner rewards: side^D R0 + R1 (cells above 0.25)^D + R2 (cells in the ring)^D."""
    parameters = ((0.1, 0.5, 2.0), (1e-4, 1.0, 3.0), (1e-300, 1e-9, 1e9))
    for ndim, side, (R0, R1, R2) in product((1, 2, 4), (8, 11), parameters):
        twenty = [10 * abs(2 * x - (side - 1)) for x in range(side)]
        far = sum(a > 5 * (side - 1) for a in twenty)
        ring = sum(6 * (side - 1) < a < 8 * (side - 1) for a in twenty)
        kwargs = {"R0": R0, "R1": R1, "R2": R2}
        dag = gfn_envs.make_dag("GFN/HyperGrid-v0", ndim=ndim, side=side, reward_kwargs=kwargs)
        Z = side**ndim * mp.mpf(R0) + far**ndim * mp.mpf(R1) + ring**ndim * mp.mpf(R2)
        yield exact.log_partition(dag), mp.log(Z)


def bits() -> Pairs:
    """One mode of n bits: Z = (1 + exp(-beta / n))^n."""
    for beta in (0.1, 3.0, 50.0, 1000.0):
        dag = gfn_envs.make_dag("GFN/BitSequence-v0", n=8, word_size=2, num_modes=1, beta=beta)
        yield exact.log_partition(dag), 8 * mp.log1p(mp.exp(-mp.mpf(beta) / 8))


def factor_graph() -> Pairs:
    for scale in (1.0, 100.0, 3000.0):
        pair = scale * rng().normal(size=(4, 4))
        graph = [((i, i + 1), pair) for i in range(4)]
        dag = gfn_envs.make_dag("GFN/FactorGraph-v0", graph=graph, num_variables=5, num_values=4)
        row = mp.matrix([[mp.exp(v) for v in big(r)] for r in pair])
        yield exact.log_partition(dag), mp.log(mp.fsum(row**4))


def counts() -> Pairs:
    """Declared numbers of states and objects against enumeration."""
    for name, kwargs in (
        ("Bag", {"num_letters": 4, "capacity": 6, "repeats": 4}), ("BayesNet", {"num_nodes": 4}),
        ("PhyloTree", {"num_taxa": 5}), ("HyperGrid", {"ndim": 3, "side": 4}), ("Ising", {"side": 2}),
        ("FragmentMolecule", {"max_blocks": 3}),
    ):  # fmt: skip
        dag = gfn_envs.make_dag(f"GFN/{name}-v0", **kwargs)
        listed = dag._enumerated()
        yield dag.num_states, mp.mpf(len(listed.states))
        yield dag.num_terminal_states, mp.mpf(len(listed.terminal))


# ---------------------------------------------------------------------- exact.py and metrics


def log_sums() -> Pairs:
    for span, offset in product((0.0, 10.0, 700.0, 5000.0), (0.0, -5000.0, 1e6)):
        values = offset + rng().uniform(0, span, 2000)
        yield exact.log_sum_exp(values), log_sum(values)
        yield float(metrics.log_mean_exp(values[None])[0]), log_sum(values) - mp.log(2000)


def flows() -> Pairs:
    for span in (1.0, 700.0, 3000.0):
        rewards, grid = rng().uniform(-span, 0, 64), gfn_envs.make_dag("GFN/HyperGrid-v0", ndim=2, side=8)
        grid.log_reward = lambda states, rewards=rewards: rewards[states[:, :2] @ [8, 1]]
        graph, log_pb, flow = state_graph(grid), exact.uniform_log_pb(grid), [mp.mpf(0)] * 128
        for place, value in zip(graph.terminal, exact.log_rewards(grid), strict=True):
            flow[place] = mp.exp(mp.mpf(float(value)))
        for e in range(len(graph.source) - 1, -1, -1):
            flow[graph.source[e]] += flow[graph.target[e]] * mp.exp(mp.mpf(float(log_pb[e])))
        inner = np.setdiff1d(np.arange(128), graph.terminal)
        for found in (exact.log_flows(grid), exact.soft_values(grid)):
            yield from ((found[i], mp.log(flow[i])) for i in inner)


def distance(name: str) -> Callable[[], Pairs]:
    def pairs() -> Pairs:
        generator = rng()
        p = generator.exponential(size=100)
        near = [p * (1 + 10.0**-k * generator.normal(size=100)) for k in (2, 4, 6)]
        for other in [generator.exponential(size=100), *near]:
            a, b = p / p.sum(), other / other.sum()
            x, y = big(a), big(b)
            x, y = [v / mp.fsum(x) for v in x], [v / mp.fsum(y) for v in y]
            kl = lambda u, v: mp.fsum(s * mp.log(s / t) for s, t in zip(u, v, strict=True))  # noqa: E731
            middle = [(s + t) / 2 for s, t in zip(x, y, strict=True)]
            yield {
                "tv": lambda: (exact.total_variation(a, b), mp.fsum(abs(s - t) for s, t in zip(x, y, strict=True)) / 2),  # noqa: B023
                "jsd": lambda: (exact.jensen_shannon(a, b), (kl(x, middle) + kl(y, middle)) / 2),  # noqa: B023
                "kl": lambda: (exact.kl_divergence(a, b), kl(x, y)),  # noqa: B023
            }[name]()  # fmt: skip

    return pairs


def pearson() -> Pairs:
    for offset, scale in ((0.0, 1.0), (-700.0, 1.0), (1e4, 1e-2)):
        a = rng().normal(size=100)
        b = offset + scale * (a + rng().exponential(size=100))
        x, y = big(a), big(b)
        x, y = [v - mp.fsum(x) / 100 for v in x], [v - mp.fsum(y) / 100 for v in y]
        yield correlations.correlations(a, b)[0], mp.fdot(x, y) / mp.sqrt(mp.fdot(x, x) * mp.fdot(y, y))


ROWS: dict[str, Callable[[], Pairs]] = {
    "BGe local score": bge, "linear Gaussian local score": linear_gaussian, "Ising log Z": ising,
    "HyperGrid log Z": hypergrid, "BitSequence log Z": bits, "FactorGraph log Z": factor_graph,
    "numbers of states and objects": counts, "log-sum-exp, log-mean-exp": log_sums, "flows, soft values": flows,
    "total variation": distance("tv"), "Jensen-Shannon": distance("jsd"), "KL": distance("kl"), "Pearson": pearson,
}  # fmt: skip


def worst(pairs: Pairs) -> float:
    """Largest relative error; absolute if the right value is 0."""
    errors = [float(abs(mp.mpf(float(found)) - right) / (abs(right) or 1)) for found, right in pairs]
    return math.nan if any(map(math.isnan, errors)) else max(errors)


if __name__ == "__main__":
    for name, pairs in ROWS.items():
        print(f"{name:32s} {worst(pairs()):.1e}", flush=True)
