"""Tasks and methods of :mod:`benchmarks.ranking`, each method with the small grid of settings that is searched."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import agents
from benchmarks import report


@dataclass(frozen=True)
class Task:
    """An environment and its budgets.

    Attributes:
        env: registered id.
        arguments: arguments of the environment.
        seconds: CPU seconds of training per run.
        transitions: steps taken or undone, at which methods are compared too.
        exact: judged by exact total variation; otherwise by the ELBO.
    """

    env: str
    arguments: Mapping[str, Any]
    seconds: float
    transitions: int
    exact: bool = True

    @property
    def seeds(self) -> range:
        """Five seeds if a run takes at most two CPU minutes, else three."""
        return range(5 if self.seconds <= 120 else 3)


TASKS: dict[str, Task] = {
    "grid 2-D": Task("GFN/HyperGrid-v0", {"ndim": 2, "side": 64, "reward": "hard"}, 60, 2_000_000),
    "grid 4-D": Task("GFN/HyperGrid-v0", {"ndim": 4, "side": 20, "reward": "deceptive"}, 90, 2_000_000),
    "TFBind8": Task("GFN/TFBind8-v0", {}, 60, 500_000),
    "QM9str": Task("GFN/QM9Str-v0", {}, 60, 300_000),
    "Bag": Task("GFN/Bag-v0", {}, 60, 400_000),
    "BayesNet 5": Task("GFN/BayesNet-v0", {"num_nodes": 5}, 60, 300_000),
    "PhyloTree 7": Task("GFN/PhyloTree-v0", {"num_taxa": 7}, 60, 300_000),
    "Ising 4x4": Task("GFN/Ising-v0", {"side": 4}, 60, 500_000),
    "bits 120": Task("GFN/BitSequence-v0", {}, 120, 500_000, exact=False),
    "AMP": Task("GFN/AMP-v0", {}, 120, 500_000, exact=False),
    "molecules": Task("GFN/FragmentMolecule-v0", {}, 120, 100_000, exact=False),
    "Ising 10x10": Task("GFN/Ising-v0", {"side": 10}, 120, 1_000_000, exact=False),
}


@dataclass(frozen=True)
class Method:
    """A method: an agent with settings, and the grid that is searched on seeds of its own.

    Attributes:
        agent: registered name.
        settings: settings that define the method.
        grid: setting -> values. Every combination is tried.
    """

    agent: str
    settings: Mapping[str, Any] = field(default_factory=dict)
    grid: Mapping[str, tuple[Any, ...]] = field(default_factory=dict)

    def candidates(self) -> list[dict[str, Any]]:
        """Settings of every combination of the grid."""
        shared = report.applicable(self.agent, {"batch_size": 32}) | dict(self.settings)
        combinations = itertools.product(*self.grid.values())
        return [shared | dict(zip(self.grid, values, strict=True)) for values in combinations]


RATES = {"lr": (1e-3, 5e-3)}
#: Searched with RATES by balance objectives: exploration off or on.
EXPLORING = RATES | {"epsilon": (0.0, 0.05)}


def scheme(**settings: Any) -> Method:
    """A variant of trajectory balance."""
    return Method("tb", settings, RATES)


METHODS: dict[str, Method] = {
    **{name: Method(name, {}, EXPLORING) for name in ("fm", "tb", "db", "vargrad", "cb", "subtb", "fldb", "flsubtb")},
    **{name: Method(name, {}, EXPLORING) for name in ("mdb", "gtb", "gafn", "pcl")},
    **{name: Method(name, {}, RATES) for name in ("rl-u", "rl-b", "rl-g", "rl-eb", "rl-ppo")},
    "rl-t": Method("rl-t", {}, {"trust_region": (1e-2, 3e-2)}),
    **{name: Method(name, {}, RATES | {"polyak": (0.01, 0.25)}) for name in ("soft-dqn", "munchausen-dqn")},
    "sac": Method("sac", {}, RATES),
    **{name: Method(name) for name in ("mcmc", "random")},
    "tb, uniform P_B": scheme(backward="uniform"),
    "tb, maxent P_B": scheme(backward="maxent"),
    "tb, tlm P_B": scheme(backward="tlm"),
    "tb, PRT": scheme(replay="prioritized"),
    "tb, replay by loss": scheme(replay="loss"),
    "tb, diverse replay": scheme(replay="diverse", replay_capacity=1000),
    "tb, local search": scheme(local_search=4),
    "tb, teacher": scheme(explorer="teacher"),
    "tb, teacher and replay by loss": scheme(explorer="teacher", replay="loss"),
    "tb, Thompson": scheme(explorer="thompson(members=10)"),
    "tb, noisy": scheme(explorer="noisy"),
    "tb, shifted cosh": scheme(loss="shifted-cosh"),
    "tb, Linex": scheme(loss="linex"),
    "tb, alpha 0.8 to 0.5": scheme(mixing="0.8,0.5,2000"),
    "subtb, alpha 0.8 to 0.5": Method("subtb", {"mixing": "0.8,0.5,2000"}, RATES),
}

#: Agents that are not ranked, because they do not aim at R / Z by default.
NOT_RANKED = {"rtb", "trust-pcl", "ppo", "a2c-er", "reinforce", "sb3-ppo", "sb3-dqn", "sb3-a2c"}


def missing_methods() -> set[str]:
    """Registered agents that are neither ranked nor left out by name."""
    return set(agents.AGENTS) - {method.agent for method in METHODS.values()} - NOT_RANKED
