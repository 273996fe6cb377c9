"""Rewards that raise or return invalid values. They must raise one clear line or be counted, and leave the agent
intact."""

from __future__ import annotations

import dataclasses
import logging
import random
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

import agents
import gfn_envs
from agents.errors import UnsupportedError
from benchmarks.robustness.outcome import Outcome, Outcomes, one_line
from benchmarks.robustness.small_runs import leaves
from gfn_envs.border import reward_record
from gfn_envs.reward_errors import RewardError, RewardShapeError

UPDATES = 4
SETTINGS = {
    "hidden": (8,),
    "width": 8,
    "layers": 1,
    "heads": 2,
    "batch_size": 6,
    "epochs": 1,
    "minibatches": 2,
    "num_steps": 8,
    "gradient_steps": 1,
}


def _raise(error: BaseException) -> Any:
    raise error


class Unfinished:
    """An object that is not a number, with a name of two lines."""

    def __repr__(self) -> str:
        return "<unfinished\nobject>"


#: Invalid rewards of one object.
VALUES: dict[str, Callable[[], Any]] = {
    "raises": lambda: _raise(RuntimeError("no licence")),
    "raises with two lines": lambda: _raise(OSError("first line\nsecond line")),
    "raises without a message": lambda: _raise(KeyError()),
    "raises an assertion": lambda: _raise(AssertionError()),
    "NaN": lambda: float("nan"),
    "inf": lambda: float("inf"),
    "-inf": lambda: float("-inf"),
    "negative": lambda: -1.0,
    "zero": lambda: 0.0,
    "None": lambda: None,
    "text": lambda: "high",
    "a number as text": lambda: "1.5",
    "complex": lambda: 1.0 + 2.0j,
    "a list": lambda: [1.0, 2.0],
    "a dict": lambda: {"reward": 1.0},
    "an object": Unfinished,
    "a huge integer": lambda: 10**400,
    "a generator": lambda: (x for x in [1.0]),
}
#: Invalid rewards of a batch.
BATCHES: dict[str, Callable[[np.ndarray], Any]] = {
    "one too many": lambda good: np.append(good, 1.0),
    "a column": lambda good: good[:, None],
    "a scalar": lambda good: 1.0,
    "an array of one": lambda good: np.ones((len(good), 1, 1)),
    "nothing": lambda good: None,
    "no rewards": lambda good: good[:0],
    "complex rewards": lambda good: good + 1j,
    "texts": lambda good: np.array([f"{value}" for value in good]),
    "a mapping": lambda good: dict(enumerate(good)),
    "a generator of rewards": lambda good: (value for value in good),
    "dates": lambda good: np.zeros(len(good), dtype="datetime64[s]"),
    "records": lambda good: np.zeros(len(good), dtype=[("a", float)]),
}


class BadReward:
    """A reward of rows of integers, which is bad for a part of the objects once it is switched on.

    Attributes:
        on: whether it is bad.
        met: whether it was bad at least once.
    """

    def __init__(self, kind: str, share: int):
        self.kind, self.share, self.on, self.met = kind, share, False, False

    def is_bad(self, row: Any) -> bool:
        """True if an object is one of those with a bad reward."""
        bad = self.on and sum(int(x) * (k + 1) for k, x in enumerate(np.ravel(row))) % self.share == 0
        self.met |= bad
        return bad

    def of_rows(self, rows: np.ndarray, *_: Any) -> Any:
        """Rewards of a batch."""
        good = 1.0 + rows.sum(1)
        bad = [k for k in range(len(rows)) if self.is_bad(rows[k])]
        if not bad:
            return good
        if self.kind in BATCHES:
            return BATCHES[self.kind](good)
        return [VALUES[self.kind]() if k in bad else value for k, value in enumerate(good.tolist())]

    def of_molecule(self, mol: Any) -> Any:
        """Reward of one molecule."""
        bad = self.is_bad([mol.GetNumAtoms()])
        return VALUES[self.kind]() if bad else 1.0 + mol.GetNumAtoms()

    def of_nodes(self, nodes: np.ndarray, parents: np.ndarray) -> Any:
        """Local scores of a Bayesian network."""
        return self.of_rows(np.c_[nodes, parents])


class OwnDag(gfn_envs.Bag):
    """A user's environment with the log reward of a BadReward."""

    bad: BadReward

    def log_reward(self, states: Any) -> Any:
        found = self.bad.of_rows(states)
        return found if self.bad.on and isinstance(found, list) else np.log(found) if not self.bad.on else found


def _own(bad: BadReward, on_error: Any) -> Any:
    dag = OwnDag(num_letters=3, capacity=4, repeats=2)
    dag.bad, dag.on_error = bad, on_error
    return dag


#: Environments whose reward a user writes.
ENVIRONMENTS: dict[str, Callable[[BadReward, Any], Any]] = {
    "HyperGrid": lambda bad, e: gfn_envs.make_dag("GFN/HyperGrid-v0", side=4, reward=bad.of_rows, on_error=e),
    "Sequence": lambda bad, e: gfn_envs.make_dag(
        "GFN/Sequence-v0", alphabet="ACG", length=3, reward=bad.of_rows, on_error=e
    ),
    "FragmentMolecule": lambda bad, e: gfn_envs.make_dag(
        "GFN/FragmentMolecule-v0",
        blocks=["*C", "*c1ccc(*)cc1", "*CO*"],
        max_blocks=3,
        reward=bad.of_molecule,
        on_error=e,
    ),
    "BayesNet": lambda bad, e: gfn_envs.make_dag("GFN/BayesNet-v0", num_nodes=3, score=bad.of_nodes, on_error=e),
    "a Dag of one's own": _own,
}


def trials(count: int, work: Path) -> Outcomes:
    """``count`` pairs of an agent and an environment with a reward that turns bad."""
    rng = random.Random(0)
    warnings.simplefilter("ignore")
    logging.getLogger("gfn_envs").setLevel(logging.ERROR)
    done = 0
    while done < count:
        environment, name = rng.choice(list(ENVIRONMENTS)), rng.choice(list(agents.AGENTS))
        kinds = [*VALUES, *([] if environment == "FragmentMolecule" else BATCHES)]
        if environment == "BayesNet":  # Its scores are logarithms.
            kinds = [kind for kind in kinds if kind not in ("zero", "negative")]
        bad = BadReward(rng.choice(kinds), rng.choice([1, 2, 3]))
        on_error = rng.choice(["raise", "raise", "skip", 0.5])
        if on_error == "skip" and name.startswith("sb3"):
            continue  # refused: Stable-Baselines3 leaves no trajectories out
        where = f"{name} on {environment}, {bad.kind} for 1 in {bad.share}, on_error={on_error!r}"
        try:
            agent = _agent(name, ENVIRONMENTS[environment](bad, on_error))
        except UnsupportedError:
            continue
        outcome = _outcome(agent, bad, where)
        if outcome is not None:
            done += 1
            yield outcome


def _agent(name: str, dag: Any) -> Any:
    known = {field.name for field in dataclasses.fields(agents.AGENTS[name].config_class)}
    return agents.make_agent(name, dag, **{key: value for key, value in SETTINGS.items() if key in known})


def _outcome(agent: Any, bad: BadReward, where: str) -> Outcome | None:
    """The outcome of updates with a bad reward; None if no object with a bad reward was sampled."""
    agent.update()
    bad.on = True
    for _ in range(UPDATES):
        before = leaves(agent.state_dict())
        try:
            info = agent.update()
        except Exception as error:
            return _after_error(agent, bad, before, error, where)
        if bad.met:
            break
    else:
        return None
    if not np.isfinite(info["loss"]):
        return Outcome("SILENT", f"{where}: the loss is {info['loss']}")
    if reward_record(agent.dag).failed:
        return Outcome("counted; training uses the other objects or the floor")
    return Outcome("SILENT", f"{where}: nothing was raised or counted")


def _says_all(error: ValueError, environment: str, of_an_object: bool) -> bool:
    """True if an error names the environment; and the object and the number of the call, if one reward is bad."""
    text = str(error)
    single = of_an_object and isinstance(error, RewardError) and not isinstance(error, RewardShapeError)
    return environment in text and (not single or ("object" in text and "(call " in text))


def _after_error(agent: Any, bad: BadReward, before: dict[str, Any], error: Exception, where: str) -> Outcome:
    text = str(error)
    if not isinstance(error, ValueError):
        return Outcome("another exception", f"{where}: {type(error).__name__}: {text}")
    if not one_line(error) or not _says_all(error, type(agent.dag).__name__, bad.kind in VALUES):
        return Outcome("an unclear error", f"{where}: {type(error).__name__}: {text!r}")
    changed = [key for key, value in leaves(agent.state_dict()).items() if before.get(key, value) != value]
    if changed:
        return Outcome("the agent has changed", f"{where}: {changed[:4]}")
    bad.on = False
    if not np.isfinite(agent.update()["loss"]):
        return Outcome("the agent cannot continue", where)
    return Outcome("one clear error, agent unchanged")
