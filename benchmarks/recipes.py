"""Settings and iterations of every agent in :mod:`benchmarks.all_agents`, and notes on the results."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import agents
from benchmarks import report

#: name -> (registered id, arguments)
ENVIRONMENTS: dict[str, tuple[str, dict[str, Any]]] = {
    "hypergrid": ("GFN/HyperGrid-v0", {"ndim": 2, "side": 8}),
    "bag": ("GFN/Bag-v0", {"num_letters": 5, "capacity": 8, "repeats": 4}),
}


@dataclass(frozen=True)
class Recipe:
    """Training of an agent.

    Attributes:
        agent: registered name.
        iterations: training iterations.
        settings: settings that differ from the defaults.
    """

    agent: str
    iterations: int = 2000
    settings: dict[str, Any] = field(default_factory=dict)


def recipe(agent: str, iterations: int, **settings: Any) -> Recipe:
    """Recipe of the balance objectives: batches of 16; exploration and learning rates decay to (almost) zero."""
    common = {
        "hidden": (64, 64),
        "lr": f"5e-3,1e-5,{iterations}",
        "lr_log_z": f"1e-1,1e-3,{iterations}",
        "epsilon": f"0.2,0,{iterations // 2}",
    }
    return Recipe(agent, iterations, report.applicable(agent, common) | settings)


def policy_gradient(agent: str, iterations: int, **settings: Any) -> Recipe:
    """Recipe of the policy gradients: the defaults of Niu et al. 2024, with decaying learning rates."""
    rates = {"lr": f"1e-3,1e-5,{iterations}", "lr_log_z": f"1e-1,1e-3,{iterations}"}
    return Recipe(agent, iterations, rates | {"lr_value": f"5e-3,1e-4,{iterations}"} | settings)


#: The modes of a bag are random, so a network has to memorize them, which takes a wider one.
WIDE = {"hidden": (256, 256), "batch_size": 64, "lr": "3e-3,1e-5,2000"}

#: Iterations of the baselines, which keep their default settings.
BASELINES = {
    "soft-dqn": 500,
    "munchausen-dqn": 500,
    "sac": 600,
    "pcl": 500,
    "ppo": 100,
    "a2c-er": 300,
    "reinforce": 300,
    "mcmc": 6000,
    "random": 500,
    "sb3-ppo": 15,
    "sb3-dqn": 500,
    "sb3-a2c": 300,
}

#: environment -> label -> recipe
RECIPES: dict[str, dict[str, Recipe]] = {
    "hypergrid": {
        **{name: recipe(name, 2000) for name in ("fm", "db", "tb", "vargrad", "subtb", "fldb", "flsubtb", "mdb")},
        **{f"gtb, alpha {alpha}": recipe("gtb", 2000, alpha=alpha) for alpha in (0.0, 0.5, 1.0)},
        "rl-u": policy_gradient("rl-u", 800),
        "rl-b": policy_gradient("rl-b", 600, lamda_backward=0.99),
        "rl-g": policy_gradient("rl-g", 600, lamda_backward=0.99),
        "rl-t": policy_gradient("rl-t", 144),
        **{name: Recipe(name, iterations) for name, iterations in BASELINES.items()},
    },
    "bag": {
        **{name: recipe(name, 2000, **WIDE) for name in ("fm", "db", "tb", "vargrad", "subtb")},
        **{f"gtb, alpha {alpha}": recipe("gtb", 2000, alpha=alpha, **WIDE) for alpha in (0.0, 0.5, 1.0)},
        "rl-u": policy_gradient("rl-u", 800),
        "rl-b": policy_gradient("rl-b", 600, lamda_backward=0.99),
        "rl-g": policy_gradient("rl-g", 600, lamda_backward=0.99, guide="agreement"),
        "rl-t": policy_gradient("rl-t", 144),
        **{name: Recipe(name, iterations) for name, iterations in BASELINES.items()},
        # With the default polyak of 0.25, the target network follows too fast and the values diverge here.
        **{name: Recipe(name, 2000, {"polyak": 0.01}) for name in ("soft-dqn", "munchausen-dqn")},
    },
}


def recipes(environment: str, only: list[str] | None = None) -> dict[str, Recipe]:
    """label -> recipe of every registered agent, or of the agents in ``only``.

    Raises:
        ValueError: ``only`` names an agent that is not registered.
    """
    if unknown := [name for name in only or [] if name not in agents.AGENTS]:
        raise ValueError(f"no agent {', '.join(unknown)} (registered: {', '.join(agents.AGENTS)})")
    found = {}
    for name in agents.AGENTS:
        if not only or name in only:
            documented = {label: r for label, r in RECIPES[environment].items() if r.agent == name}
            found |= documented or {name: Recipe(name)}
    return found


#: Notes below the table of each environment.
NOTES: dict[str, list[str]] = {
    "hypergrid": [
        "The guide of `gtb` depends on the object x, so it is not a Markov backward policy. For alpha > 0 no P_F makes "
        "every residual zero, and the least-squares solution is not R / Z. The three rows show that the distance grows "
        "with alpha; more iterations do not remove it. The paper's choice and the default is alpha 1; its code has 0.5 "
        "or 0.75. alpha 0 is the consistent limit. `freeze_after` is the paper's two-stage method, whose optimum is "
        "exact for every alpha.",
        "`ppo`, `a2c-er`, `reinforce`, `sb3-ppo`, `sb3-dqn` and `sb3-a2c` maximize the reward and `random` does not "
        "learn, so none of them comes close to R / Z. TV of `mcmc` is that of the frequencies of the states that its "
        "chains visited.",
    ],
    "bag": [
        "The modes are a random subset of the bags with a repeated letter, so a network has to memorize them. TV "
        "therefore measures capacity and training time more than the objective.",
        "`soft-dqn` and `munchausen-dqn` diverge here with their default `polyak` of 0.25, because the target network "
        "follows the network too fast. The other baselines have their defaults: smaller batches and fewer iterations "
        "than the objectives.",
    ],
}
