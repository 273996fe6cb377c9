"""What is compared: a method of the authors' code and ours, with equal settings as far as both have them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

GRID: dict[str, Any] = {"ndim": 2, "side": 16, "reward": "niu"}
#: Of our agents on the grid. On-policy, as all of the authors' methods there.
ON_GRID: dict[str, Any] = {"batch_size": 32, "hidden": (64, 64), "lr": 1e-3, "track_log_z": False}
THEIRS_ON_GRID: dict[str, Any] = {"side": 16, "batch": 32, "hidden": 64, "layers": 2, "lr": 1e-3}

#: Of our agents on QM9str, and of the two repositories whose trainer is that of Shen et al. 2023.
ON_STRINGS: dict[str, Any] = {
    "batch_size": 32,
    "hidden": (128, 128),
    "shared": False,
    "activation": "leaky_relu",
    "lr": 1e-3,
    "lr_log_z": 1e-2,
    "init_log_z": 5.0,
    "track_log_z": False,
    "max_grad_norm": 10.0,
    "clamp_loss": 5000.0,
    "replay": "prioritized",
    "replay_batch_size": 32,
}
THEIRS_ON_STRINGS: dict[str, Any] = {
    "sa_or_ssr": "sa",
    "sa_hid_dim": 128,
    "sa_n_layers": 2,
    "lr_policy": 1e-3,
    "lr_z": 1e-2,
    "beta": 5,
}


@dataclass(frozen=True)
class Comparison:
    """A method of a repository, and ours.

    Attributes:
        repository: owner/name, the folder of the checkout.
        commit: of the checkout that was run.
        worker: script in ``workers`` that trains it.
        theirs: settings of the worker.
        env, arguments: our environment.
        agent, settings: our agent.
        iterations: of both.
        departures: what is not equal.
    """

    repository: str
    commit: str
    worker: str
    theirs: Mapping[str, Any]
    env: str
    arguments: Mapping[str, Any]
    agent: str
    settings: Mapping[str, Any]
    iterations: int
    departures: str


def _sub_eb(loss: str, agent: str, settings: Mapping[str, Any], departures: str) -> Comparison:
    theirs = THEIRS_ON_GRID | {"loss": loss, "lr_log_z": 0.1, "lr_value": 5e-3}
    ours = ON_GRID | {"lr_log_z": 0.1} | settings
    repository, commit = "niupuhua1234/Sub-EB", "ec2982f"
    return Comparison(repository, commit, "sub_eb.py", theirs, "GFN/HyperGrid-v0", GRID, agent, ours, 500, departures)


VALUES: dict[str, Any] = {"value_hidden": (64, 64), "lr_value": 5e-3, "lamda": 0.99}
LOG_Z = "their log Z is trained on the squared sum of costs, ours on its mean"

COMPARISONS: dict[str, Comparison] = {
    "trajectory balance": _sub_eb("TB", "tb", {"backward": "uniform", "delay_stop": 0.0, "replay": "none"}, "none"),
    "RL-U": _sub_eb("RL", "rl-u", VALUES, f"{LOG_Z}; their values fit returns with lambda 0.9, ours with 0.99"),
    "Sub-EB": _sub_eb("RLEval", "rl-eb", VALUES | {"eval_lamda": 0.9}, LOG_Z),
    "Ent-PPO": Comparison(
        "GFNOrg/torchgfn",
        "f39bfc96",
        "torchgfn_ppo.py",
        THEIRS_ON_GRID
        | {"lr_value": 1e-3 / 3, "lamda": 0.7, "epochs": 4, "value_epochs": 4, "value_splits": 1, "max_grad_norm": 1.0},
        "GFN/HyperGrid-v0",
        GRID,
        "rl-ppo",
        ON_GRID
        | {"value_hidden": (64, 64), "lr_value": 1e-3 / 3, "lamda": 0.7, "epochs": 4, "minibatches": 1}
        | {"max_grad_norm": 1.0, "clip": 0.2, "lr_log_z": 0.1},
        300,
        "their V(s0) estimates log Z; ours is a parameter, and V(s) the remaining cost; our advantages are centered",
    ),
    "TB with PRT": Comparison(
        "dbsxodud-11/ls_gfn",
        "2a32037",
        "strings.py",
        THEIRS_ON_STRINGS | {"folder": ".", "model": "tb"},
        "GFN/QM9Str-v0",
        {},
        "tb",
        ON_STRINGS | {"epsilon": 0.1},
        120,
        "they clip the gradients of P_F and P_B apart, ours together, with log Z",
    ),
    "adaptive teacher": Comparison(
        "alstn12088/adaptive-teacher",
        "8cfcb22",
        "strings.py",
        THEIRS_ON_STRINGS | {"folder": "discovery", "model": "teacher"},
        "GFN/QM9Str-v0",
        {},
        "tb",
        ON_STRINGS
        | {"epsilon": 0.01, "backward": "uniform", "replay_capacity": 1000}
        | {"explorer": "teacher(weight=19, mixing=0.5)"},
        100,
        "one batch in three is their teacher's, one in two ours; their teacher has a log Z and five times the rate",
    ),
}
