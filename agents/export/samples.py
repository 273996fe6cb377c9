"""Objects sampled from an agent, with their names and known rewards."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from agents.agent import Agent
from agents.errors import UnsupportedError
from agents.evaluation.estimates import log_pf
from agents.evaluation.evaluate import may_evaluate_rewards
from agents.memory import trajectories_per_part
from agents.trajectories import Trajectories
from gfn_envs.arrays import BoolArray, FloatArray, IntArray, distinct, row_keys
from gfn_envs.border import log_rewards
from gfn_envs.dag import Dag
from gfn_envs.oracle import Oracle
from gfn_envs.reward_errors import BudgetSpent, RewardError

#: Trajectories per batch, and objects per call of the reward.
BATCH = 1000

#: Names of columns that no component of the reward may take.
RESERVED = ("object", "smiles", "reward", "log_reward", "samples", "log_pf")
#: Start of the names of columns of conditions.
CONDITION = "condition."
#: Called with "sample" or "reward", how many were just done, and the total.
Advance = Callable[[str, int, int], object]


@dataclass(frozen=True)
class Samples:
    """Objects sampled from an agent, one per row.

    Attributes:
        states: terminal states (n, state_width).
        names: n names of the objects (``Dag.object_names``).
        log_reward: log R, NaN if it is not known, float64 (n,).
        samples: number of trajectories that ended in the object, int64 (n,).
        columns: more numbers of each object by name, float64 (n,): ``log_pf``, conditions, and components
            of the reward.
    """

    states: IntArray
    names: tuple[str, ...]
    log_reward: FloatArray
    samples: IntArray
    columns: dict[str, FloatArray]

    def __len__(self) -> int:
        return len(self.names)

    def take(self, rows: IntArray) -> Samples:
        """The rows at these positions, in this order."""
        return Samples(
            self.states[rows],
            tuple(self.names[row] for row in rows.tolist()),
            self.log_reward[rows],
            self.samples[rows],
            {name: values[rows] for name, values in self.columns.items()},
        )


def draw_samples(
    agent: Agent,
    n: int,
    seed: int = 0,
    *,
    rewards: str = "auto",
    with_log_pf: bool = False,
    advance: Advance = lambda unit, done, total: None,
) -> Samples:
    """``n`` objects sampled from the agent. The agent and its random stream stay unchanged.

    The reward of each distinct object is evaluated once, after sampling, which evaluates none.

    Args:
        agent: the agent.
        n: number of trajectories, at least 1.
        seed: seed of the samples.
        rewards: "all": evaluate rewards that are not known, within the budget of calls if there is one. "none":
            evaluate and look up none. "auto": "all", or, if ``agent.dag.expensive_reward``, the known rewards alone
            (:func:`known_log_rewards`).
        with_log_pf: also give ``log_pf``, log P_F(tau) of the trajectory that led to the object.
        advance: called after every batch of trajectories, and then of rewards.

    Raises:
        UnsupportedError: ``with_log_pf`` is given and the agent samples without a policy.
        RewardError: a reward fails and ``on_error`` of the environment is "raise".
    """
    dag = agent.dag
    if with_log_pf and not agent.samples_by_policy:
        raise UnsupportedError(f"agent {agent.name!r} samples without a policy, so its samples have no log P_F")
    rng, rows, ratios = np.random.default_rng(seed), [], []
    part = min(BATCH, trajectories_per_part(agent))
    for first in range(0, n, part):
        size = min(part, n - first)
        if with_log_pf:
            batch = agent.sample_trajectories(size, rng=rng, rewards=False)
            ratios.append(log_pf(agent, batch))
            rows.append(batch.terminal_states)
        else:
            rows.append(agent.sample(size, rng=rng))
        advance("sample", size, n)
    states = np.concatenate(rows)
    objects, inverse = distinct(states)
    log_reward, components = _rewards(agent, objects, rewards, advance)
    names = dag.object_names(objects)
    if rewards != "none":
        components |= logged_components(dag, names)
    columns = {column_of(dag, name): values[inverse] for name, values in components.items()} | _conditions(dag, states)
    if with_log_pf:
        columns["log_pf"] = np.concatenate(ratios)
    return Samples(
        states, tuple(names[i] for i in inverse.tolist()), log_reward[inverse], np.ones(n, dtype=np.int64), columns
    )


def column_of(dag: Dag, component: str) -> str:
    """The column of a component of the reward: its name, or "component.NAME" if another column has that name."""
    of_condition = component.startswith(CONDITION) and dag.conditions is None
    return f"component.{component}" if component in RESERVED or of_condition else component


def _conditions(dag: Dag, states: IntArray) -> dict[str, FloatArray]:
    """Columns of the conditions of terminal states (n, state_width); none without conditions."""
    if dag.conditions is None:
        return {}
    numbers = dag.conditions_of(states).T.astype(np.float64)  # type: ignore[attr-defined]
    return {f"{CONDITION}{name}": number for name, number in zip(dag.conditions.names, numbers, strict=True)}


def samples_of(dag: Dag, trajectories: Trajectories) -> Samples:
    """Trajectories, with their log R, as samples."""
    states = trajectories.terminal_states
    objects, inverse = distinct(states)
    names, n = dag.object_names(objects), len(states)
    columns = _conditions(dag, states)
    ones = np.ones(n, dtype=np.int64)
    return Samples(states, tuple(names[i] for i in inverse.tolist()), trajectories.log_reward, ones, columns)


def select(
    samples: Samples,
    *,
    unique: bool = False,
    min_reward: float | None = None,
    exclude: Collection[str] = (),
    sort: str = "none",
    top: int | None = None,
) -> Samples:
    """Some of the samples, in some order.

    Args:
        samples: the samples.
        unique: one row per object, with its number of samples. States of one name are one object; objects with
            conditions are one if the conditions are the same too.
        min_reward: leave out objects with a smaller reward or an unknown one.
        exclude: names of objects to leave out.
        sort: "reward": most reward first, unknown rewards last; "samples": most samples first; "none": as sampled.
        top: at most this many rows.

    Raises:
        ValueError: unknown ``sort``, or ``top`` < 1.
    """
    if sort not in ("reward", "samples", "none"):
        raise ValueError(f"sort must be 'reward', 'samples' or 'none', got {sort!r}")
    if top is not None and top < 1:
        raise ValueError(f"top must be at least 1, got {top}")
    if unique:
        samples = _merged(samples)
    left_out = set(exclude)
    keep = np.array([name not in left_out for name in samples.names], dtype=bool)
    if min_reward is not None:
        keep &= _at_least(samples.log_reward, min_reward)
    samples = samples.take(np.flatnonzero(keep))
    if sort == "reward":
        samples = samples.take(np.argsort(-samples.log_reward, kind="stable"))  # NaN comes last.
    elif sort == "samples":
        samples = samples.take(np.argsort(-samples.samples, kind="stable"))
    return samples if top is None else samples.take(np.arange(min(top, len(samples))))


def _at_least(log_reward: FloatArray, least: float) -> BoolArray:
    """True for each reward that is known and at least ``least``, which may be 0 or less."""
    if least <= 0:
        return ~np.isnan(log_reward)
    return log_reward >= np.log(least) - 1e-12


def _merged(samples: Samples) -> Samples:
    """The first row of each name and condition, with the number of samples of all its rows."""
    first: dict[tuple[str, ...], int] = {}
    conditions = [value for name, value in samples.columns.items() if name.startswith(CONDITION)]
    keys = zip(samples.names, *(value.tolist() for value in conditions), strict=True)
    place = [first.setdefault(key, row) for row, key in enumerate(keys)]
    counts = np.bincount(place, weights=samples.samples, minlength=len(samples)).astype(np.int64)
    return dataclasses.replace(samples, samples=counts).take(np.array(list(first.values()), dtype=np.int64))


def known_log_rewards(agent: Agent, objects: IntArray) -> FloatArray:
    """log R of ``objects`` (n, state_width) if it is known without a call, else NaN, float64 (n,).

    It is known from the agent's replay buffer, or from the log of the environment's oracle.
    """
    log_reward, replay = np.full(len(objects), np.nan), getattr(agent, "replay", None)
    if replay is not None and len(replay):
        stored = dict(zip(row_keys(replay.objects).tolist(), replay.log_reward.tolist(), strict=True))
        keys = row_keys(objects.astype(replay.objects.dtype)).tolist()
        log_reward = np.array([stored.get(key, np.nan) for key in keys])
    dag = agent.dag
    if dag.oracle is not None:
        with without_calls(dag.oracle):
            for row in np.flatnonzero(np.isnan(log_reward)).tolist():
                with contextlib.suppress(BudgetSpent, RewardError):
                    log_reward[row] = log_rewards(dag, objects[row : row + 1])[0]
    return log_reward


@contextlib.contextmanager
def without_calls(oracle: Oracle) -> Iterator[None]:
    """Within this context, the oracle only looks up its log, and raises BudgetSpent instead of calling its function."""
    budget, oracle.budget = oracle.budget, 0
    try:
        yield
    finally:
        oracle.budget = budget


def logged_components(dag: Dag, names: Sequence[str]) -> dict[str, FloatArray]:
    """The components that the environment's oracle has in its log for these objects: name -> float64 (n,)."""
    if dag.oracle is None:
        return {}
    known = {call.name: call.components for call in dag.oracle.log if call.status == "ok" and call.components}
    columns = dict.fromkeys(column for components in known.values() for column in components)
    return {
        column: np.array([known.get(name, {}).get(column, np.nan) for name in names], dtype=np.float64)
        for column in columns
    }


def _rewards(
    agent: Agent, objects: IntArray, rewards: str, advance: Advance
) -> tuple[FloatArray, dict[str, FloatArray]]:
    """log R of distinct objects (n,), NaN if not known, and the components of the rewards that were evaluated."""
    dag, parts = agent.dag, []
    if rewards == "none":
        return np.full(len(objects), np.nan), {}
    if not may_evaluate_rewards(dag, rewards):
        return known_log_rewards(agent, objects), {}
    with_components = dag.has("reward_components")
    for first in range(0, len(objects), BATCH):
        chunk = objects[first : first + BATCH]
        try:
            log_reward = log_rewards(dag, chunk)
        except BudgetSpent:
            log_reward = known_log_rewards(agent, chunk)
        parts.append({"": log_reward, **(dag.reward_components(chunk) if with_components else {})})
        advance("reward", len(chunk), len(objects))
    columns = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    return columns.pop(""), columns
