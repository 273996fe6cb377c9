"""Tasks and methods of :mod:`benchmarks.ranking`, each method with the small grid of settings that is searched."""

from __future__ import annotations

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
        high: reward from which distinct sampled objects are counted as modes, if the environment defines none.
    """

    env: str
    arguments: Mapping[str, Any]
    seconds: float
    transitions: int
    exact: bool = True
    high: float | None = None

    @property
    def seeds(self) -> range:
        """The seeds that count."""
        return range(5)


#: In the order in which they run. Seconds: about twice the time in which compiled trajectory balance gets to its
#: plateau, or as far as 6 CPU hours in all allow. Transitions: as many as the uncompiled engine makes in this time.
TASKS: dict[str, Task] = {
    "BayesNet 5": Task("GFN/BayesNet-v0", {"num_nodes": 5}, 4, 60_000),
    "QM9str": Task("GFN/QM9Str-v0", {}, 4, 100_000),
    "TFBind8": Task("GFN/TFBind8-v0", {}, 4, 130_000),
    "Bag": Task("GFN/Bag-v0", {}, 10, 200_000),
    "Ising 4x4": Task("GFN/Ising-v0", {"side": 4, "construction": "autoregressive"}, 4, 200_000),
    "PhyloTree 7": Task("GFN/PhyloTree-v0", {"num_taxa": 7}, 5, 75_000),
    "grid 2-D": Task("GFN/HyperGrid-v0", {"ndim": 2, "side": 64, "reward": "hard"}, 6, 300_000),
    "grid 4-D": Task("GFN/HyperGrid-v0", {"ndim": 4, "side": 20, "reward": "deceptive"}, 8, 400_000),
    "Ising 10x10": Task("GFN/Ising-v0", {"side": 10}, 6, 120_000, exact=False),
    "bits 120": Task("GFN/BitSequence-v0", {}, 6, 60_000, exact=False),
    "AMP": Task("GFN/AMP-v0", {}, 8, 40_000, exact=False, high=0.5),
    "molecules": Task("GFN/FragmentMolecule-v0", {}, 10, 8_000, exact=False, high=0.8),
}


@dataclass(frozen=True)
class Method:
    """A method: an agent with settings, and the candidates that race on a seed of their own.

    Attributes:
        agent: registered name.
        settings: settings that define the method.
        grid: settings of each candidate.
    """

    agent: str
    settings: Mapping[str, Any] = field(default_factory=dict)
    grid: tuple[Mapping[str, Any], ...] = ({},)

    def candidates(self) -> list[dict[str, Any]]:
        """All settings of each candidate."""
        shared = report.applicable(self.agent, {"batch_size": 32}) | dict(self.settings)
        return [shared | dict(candidate) for candidate in self.grid]


RATES = ({"lr": 5e-3}, {"lr": 1e-3})
#: Of balance objectives: exploration too.
EXPLORING = (*RATES, {"lr": 5e-3, "epsilon": 0.05})


def scheme(**settings: Any) -> Method:
    """A variant of trajectory balance."""
    return Method("tb", settings, RATES)


METHODS: dict[str, Method] = {
    **{name: Method(name, {}, EXPLORING) for name in ("fm", "tb", "db", "vargrad", "cb", "subtb", "fldb", "flsubtb")},
    **{name: Method(name, {}, EXPLORING) for name in ("mdb", "gtb", "gafn", "pcl")},
    **{name: Method(name, {}, RATES) for name in ("rl-u", "rl-b", "rl-g", "rl-eb", "rl-ppo")},
    "rl-t": Method("rl-t", {}, ({"trust_region": 1e-2}, {"trust_region": 3e-2})),
    **{name: Method(name, {}, (*RATES, {"lr": 1e-3, "polyak": 0.25})) for name in ("soft-dqn", "munchausen-dqn")},
    "sac": Method("sac", {}, RATES),
    **{name: Method(name) for name in ("mcmc", "random")},
    "tb, uniform P_B": scheme(backward="uniform"),
    "tb, maxent P_B": scheme(backward="maxent"),
    "tb, tlm P_B": scheme(backward="tlm"),
    "tb, pessimistic P_B": scheme(backward="pessimistic"),
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
