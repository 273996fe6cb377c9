"""The cases of :mod:`benchmarks.defaults`: every registered environment at its default size and at a user's size."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

import gfn_envs
from gfn_envs.arrays import FloatArray, IntArray
from gfn_envs.envs.bayes_net.random_network import sample_network

#: Environments whose published data set fixes the size. Other sizes need your own table, as for Sequence here.
FIXED = ("TFBind8", "PHO4", "QM9Str", "SEHStr")


#: Remarks below the table: reasons why an agent of ours is not ahead, or collapses.
REMARKS = {
    "BitSequence, user": "log R of random strings has a standard deviation of 0.1 nats, so that the ELBO of uniform "
    "sampling is within 0.01 nats of log Z. No agent can be ahead by more.",
    "BitSequence, default": "as above, with 0.09 nats.",
    "FactorGraph, user": "without tempering (`beta=1`), tb keeps to the first one or two of four modes: TV 0.63 after "
    "4 CPU seconds and after 20.",
    "FragmentMolecule, user": "10 seconds are 280 iterations, after which tempering is at beta 0.38 to 0.52. Without "
    "tempering, tb has an ELBO of 23.07 after as long. Seed 0 with and without tempering: 23.80 and 23.85 after 30 CPU "
    "seconds, 24.07 and 24.05 after 60, 24.52 and 24.37 after 120.",
    "BayesNet, user": "after 60 CPU seconds, mdb has a largest error of 0.034 with seed 2, which has 0.163 after 30.",
    "InverseFolding, default": "4 seconds are 4 iterations of 228 steps with 4,560 actions, which says nothing of tb. "
    "After 60, which are 60 iterations up to beta 0.12 to 0.17, it is ahead by 0.4 to 0.9 nats.",
    "Ising, user": "seed 2 of tb keeps to one of two opposite ground states: its ELBO is log 2 below log Z. Without "
    "tempering, all three seeds do.",
    "Ising, default": "tb needs minutes for 100 spins in any order: seed 0 has an ELBO of 69.20 after 50 CPU seconds, "
    "69.16 after 120, as random sampling, and 84.21 after 300, 9,132 iterations. Row by row "
    '(`construction="autoregressive"`), which leaves one trajectory per object, it has 76.06 after 40, at beta 0.72.',
    "Sequence, default": "the reward is constant, so that random sampling is exact.",
}


#: Cells that also have a row after more CPU seconds.
LONG_SECONDS = {
    "FragmentMolecule, user": 60.0,
    "BayesNet, user": 60.0,
    "InverseFolding, default": 60.0,
    "Ising, default": 300.0,
}


class Case(NamedTuple):
    """An environment: at its default size, or at a user's size; after a number of CPU seconds if it is given."""

    env: str
    arguments: dict[str, Any]
    size: str
    seconds: float | None = None

    @property
    def name(self) -> str:
        return f"{self.env}, {self.size}" + ("" if self.seconds is None else f", {self.seconds:g} s")


def network_data(num_nodes: int = 6, rows: int = 500) -> FloatArray:
    """Rows of a random linear-Gaussian network with one edge per node on average."""
    return sample_network(num_nodes, rows, 1.0, np.random.default_rng(0))[1]


def string_rewards() -> dict[str, float]:
    """Rewards of all RNA strings of six letters: log-normal, with a standard deviation of log R of 3 nats."""
    strings = ["".join(letters) for letters in itertools.product("ACGU", repeat=6)]
    return dict(zip(strings, np.exp(np.random.default_rng(0).normal(0, 3, len(strings))).tolist(), strict=True))


def epistasis(num_sites: int = 4) -> Callable[[IntArray], FloatArray]:
    """A fitness of variants with interactions: log R is a sum of N(0, 1) effects of amino acids at each site, and of
    N(0, 0.5) effects of pairs of sites."""
    rng = np.random.default_rng(0)
    single = rng.normal(0, 1, (num_sites, 20))
    pairs = {pair: rng.normal(0, 0.5, (20, 20)) for pair in itertools.combinations(range(num_sites), 2)}

    def fitness(tokens: IntArray) -> FloatArray:
        total = single[np.arange(num_sites), tokens].sum(1)
        for (i, j), effects in pairs.items():
            total = total + effects[tokens[:, i], tokens[:, j]]
        return np.exp(total)

    return fitness


def helix(residues: int = 30) -> list[list[float]]:
    """Distances between the CA atoms of an alpha helix, in angstrom: 1.5 per residue along it, 100 degrees, radius
    2.3."""
    turn = np.radians(100) * np.arange(residues)
    points = np.stack([2.3 * np.cos(turn), 2.3 * np.sin(turn), 1.5 * np.arange(residues)], 1)
    return np.linalg.norm(points[:, None] - points, axis=-1).tolist()


#: Arguments of a user's size.
USER: dict[str, Callable[[], dict[str, Any]]] = {
    "AMP": lambda: {"length": 20, "min_length": 10, "forbidden": "C"},
    "AtomMolecule": lambda: {"max_atoms": 12, "exponent": 8.0},
    "Bag": lambda: {"num_letters": 10, "capacity": 8, "repeats": 4},
    "BayesNet": lambda: {"data": network_data()},
    "BitSequence": lambda: {"n": 64, "word_size": 4},
    "FactorGraph": lambda: {"num_variables": 7},
    "FragmentMolecule": lambda: {"reward": "qed", "exponent": 8.0},
    "GFP": lambda: {"positions": "64-66,200", "max_mutations": 3},
    "Graph": lambda: {"max_nodes": 7, "reward": "cliques"},
    "HyperGrid": lambda: {"ndim": 4, "side": 20, "reward": "easy"},
    "IndependentSet": lambda: {"num_vertices": 40},
    "InverseFolding": lambda: {"distances": helix(), "temperature": 10.0},
    "Ising": lambda: {"side": 4, "sigma": 0.4},
    "MaxCut": lambda: {"num_vertices": 24},
    "Mutation": lambda: {"max_mutations": 4, "reward": epistasis()},
    "Permutation": lambda: {"n": 12},
    "PhyloTree": lambda: {"num_taxa": 8},
    "RNA": lambda: {"length": 30, "target": ["RNA1", "RNA2"]},
    "Sequence": lambda: {"alphabet": "ACGU", "length": 6, "reward": string_rewards()},
    "Set": lambda: {"num_items": 30, "size": 20},
    "TSP": lambda: {"num_cities": 12},
}


def cases() -> list[Case]:
    """Every environment at its default size and, unless its data fix the size, at a user's size."""
    found = []
    for id in gfn_envs.ENVIRONMENTS:
        env = id.removeprefix("GFN/").removesuffix("-v0")
        found.append(Case(env, {}, "default"))
        if env in USER:
            found.append(Case(env, USER[env](), "user"))
    return found


def longer_cases() -> list[Case]:
    """The cells of LONG_SECONDS, with their seconds."""
    return [case._replace(seconds=LONG_SECONDS[case.name]) for case in cases() if case.name in LONG_SECONDS]
