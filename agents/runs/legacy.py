"""Runs saved by version 0.1, with today's names.

In version 0.1 every agent had the same settings; settings that did not apply had to keep their defaults. Environments
were in other modules.
"""

from __future__ import annotations

import dataclasses
from typing import Any

from agents.registry import AGENTS
from agents.replay.saved import environment_signature
from gfn_envs.dag import Dag

#: Defaults in version 0.1 of settings that some agents no longer have.
DEFAULTS = {
    "network": "mlp",
    "hidden": [256, 256],
    "width": 64,
    "layers": 3,
    "heads": 8,
    "shared": True,
    "form": "sa",
    "backward": "uniform",
    "lr": "0.001",
    "lr_log_z": "0.1",
    "init_log_z": 0.0,
    "loss": "squared",
    "clamp_loss": None,
    "epsilon": "0.0",
    "temperature": "1.0",
    "replay": "none",
    "replay_batch_size": 16,
    "replay_capacity": 100000,
    "replay_mix": "alternate",
    "local_search": 0,
    "search_fraction": 0.5,
    "search_accept": "greedy",
    "max_grad_norm": None,
    "compiled": False,
}
#: Values of newer settings that reproduce the behavior of version 0.1.
NEWER = {"beta": "1.0", "track_log_z": False, "delay_stop": "0.0"}
#: Values of newer arguments of environments that reproduce the behavior of version 0.1.
NEWER_ARGUMENTS = {"GFN/BayesNet-v0": {"missing": "raise", "separator": "auto", "decimal": "auto"}}
#: Agents whose default of ``backward`` was "learned", among those that no longer have the setting.
LEARNED_BACKWARD = ("gtb", "rl-b", "rl-g")


def present_settings(agent: str, saved: dict[str, Any]) -> dict[str, Any]:
    """The settings of a run, with today's names.

    ``compiled`` becomes ``engine``. Settings that the agent no longer has are dropped if they hold their old default.
    Other values stay, so that :func:`agents.registry.make_agent` raises an error that names them.

    Args:
        agent: name of the agent. The settings of unknown agents are returned as they are.
        saved: the settings in config.json.
    """
    if agent not in AGENTS:
        return saved
    allowed = {field.name for field in dataclasses.fields(AGENTS[agent].config_class)}
    settings = dict(saved)
    if "engine" in allowed and "engine" not in settings:
        settings["engine"] = "numba" if settings.pop("compiled", False) else "torch"
    settings |= {name: value for name, value in NEWER.items() if name in allowed and name not in settings}
    if "beta" in allowed and "beta" not in saved and getattr(AGENTS[agent].config_class, "lr_log_z", "") is None:
        # These agents have a log Z apart from log F(s0) only since then.
        settings = {name: value for name, value in settings.items() if (name, value) != ("lr_log_z", "0.1")}
    defaults = DEFAULTS | ({"backward": "learned"} if agent in LEARNED_BACKWARD else {})
    unused = [name for name in defaults if name not in allowed]
    return {name: value for name, value in settings.items() if not (name in unused and value == defaults[name])}


def present_arguments(env: str, saved: dict[str, Any]) -> dict[str, Any]:
    """The arguments of a run's environment, with newer ones added.

    BGe had a prior mean of 0 for data that are not centered.
    """
    newer: dict[str, Any] = {name: value for name, value in NEWER_ARGUMENTS.get(env, {}).items() if name not in saved}
    if env == "GFN/BayesNet-v0" and newer and saved.get("score") == "bge":
        newer["score_kwargs"] = {**(saved.get("score_kwargs") or {}), "center": False}
    return {**saved, **newer}


def present_state(state: dict[str, Any], dag: Dag, same_environment: bool = False) -> dict[str, Any]:
    """The state of an agent, with the environment that its replay buffers name under its current module.

    Args:
        state: saved :meth:`agents.agent.Agent.state_dict`.
        dag: the environment of the run.
        same_environment: whether its arguments are known to be the same, however they are written.
    """
    kind = type(dag)
    own = environment_signature(dag)

    def present(value: Any) -> Any:
        return {key: renamed(key, element) for key, element in value.items()} if isinstance(value, dict) else value

    def renamed(key: Any, value: Any) -> Any:
        if key != "environment" or not isinstance(value, str):
            return present(value)
        if same_environment and _sizes(value) == _sizes(own):
            return own
        path, space, arguments = value.partition(" ")
        module, _, name = path.rpartition(".")
        same = name == kind.__qualname__ and {module.split(".")[0], kind.__module__.split(".")[0]} == {"gfn_envs"}
        return f"{kind.__module__}.{name}{space}{arguments}" if same else value

    return present(state)


def _sizes(signature: str) -> str:
    """The end of a buffer's signature, with width and dtype of the states."""
    return signature[signature.rindex(" state_width=") :] if " state_width=" in signature else ""
