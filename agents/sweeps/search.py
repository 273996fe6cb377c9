"""Values chosen by Optuna instead of a grid. The only module that imports optuna."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from agents.sweeps.grid import Axis, Run
from agents.sweeps.record import Record

INSTALL = "--search needs Optuna, which is not installed: pip install 'gfn-envs[search]'"
#: The search ends after this many known proposals in a row: a small space is then exhausted.
REPEATS = 20


@dataclass
class Trial:
    """A trial that is not finished.

    Attributes:
        trial: Optuna's.
        entry: its entry in sweep.json.
        left: seeds whose runs have not ended.
        names: names of its runs.
        failed: why it has no value, if a run failed.
    """

    trial: Any
    entry: dict[str, Any]
    left: set[int]
    names: list[str] = field(default_factory=list)
    failed: str | None = None


Key = tuple[str, tuple[tuple[str, str], ...]]


class Search:
    """The source of a search: each trial is one new combination of values with every seed.

    A trial's value is the mean of a metric over its seeds. A trial with a failed run, or without a number, has none.
    The sampler is TPE (Bergstra et al. 2011). New trials depend on those that ended before them, and so on the order
    in which parallel trials end; with one trial at a time, the same command gives the same trials.

    Args:
        axes: agent -> the axes that it has.
        seeds: the seeds of each trial. The first is also the seed of the sampler.
        trials: number of trials, those of earlier calls included.
        maximize: whether larger values of the metric are better.
        at_once: maximum number of parallel trials.
        metric: function of a run's name: the final value of the metric, or None if it is not a number.
        record: sweep.json, which holds the trials of earlier calls. Those without a value run again.

    Raises:
        ImportError: Optuna is not installed.
    """

    def __init__(
        self,
        axes: Mapping[str, Sequence[Axis]],
        seeds: Sequence[int],
        trials: int,
        maximize: bool,
        at_once: int,
        metric: Callable[[str], float | None],
        record: Record,
    ):
        try:
            import optuna
        except ImportError as error:
            raise ImportError(INSTALL) from error
        optuna.logging.set_verbosity(optuna.logging.ERROR)
        self.axes, self.seeds, self.metric, self.record = axes, tuple(seeds), metric, record
        self.trials, self.at_once, self.total = trials, at_once, trials * len(seeds)
        self.failed_state = optuna.trial.TrialState.FAIL
        self.values: dict[Key, float | None] = {}
        self.open: dict[Key, Trial] = {}
        # Those with a value first: Optuna hands enqueued trials out in order.
        past = sorted(filter(self._possible, record.trials), key=lambda entry: entry["value"] is None)
        sampler = optuna.samplers.TPESampler(seed=seeds[0] + len(past), constant_liar=True)
        self.study = optuna.create_study(direction="maximize" if maximize else "minimize", sampler=sampler)
        for entry in past:
            self.study.enqueue_trial({"agent": entry["agent"], **entry["drawn"]})
            if entry["value"] is not None:
                trial, key, _ = self._draw()
                self.study.tell(trial, entry["value"])
                self.values[key] = entry["value"]
        record.trials = [entry for entry in record.trials if entry not in past or entry["value"] is not None]

    def _possible(self, entry: Mapping[str, Any]) -> bool:
        """True if a trial of an earlier call belongs to this search: to its agents, settings, ranges and seeds."""
        axes = self.axes.get(entry["agent"])
        drawn = entry["drawn"]
        if axes is None or entry["seeds"] != list(self.seeds) or list(drawn) != [axis.key for axis in axes]:
            return False
        return all(_allows(axis, drawn[axis.key]) for axis in axes)

    def _draw(self) -> tuple[Any, Key, dict[str, Any]]:
        """Optuna's next trial, its agent and values as written, and as drawn."""
        trial = self.study.ask()
        agent = trial.suggest_categorical("agent", list(self.axes))
        drawn = {axis.key: _suggest(trial, axis) for axis in self.axes[agent]}
        return trial, (agent, tuple((key, written(value)) for key, value in drawn.items())), drawn

    def ready(self, running: int) -> list[Run]:
        """The runs of new trials, if there is room for any."""
        runs: list[Run] = []
        while len(self.open) < self.at_once and len(self.open) + len(self.values) < self.trials:
            new = self._new_trial()
            if not new:
                break
            runs += new
        return runs

    def _new_trial(self) -> list[Run]:
        for _ in range(REPEATS):
            trial, key, drawn = self._draw()
            if key not in self.open and key not in self.values:
                entry = {"agent": key[0], "drawn": drawn, "seeds": list(self.seeds), "value": None}
                self.record.trials.append(entry)
                runs = [Run(*key, seed) for seed in self.seeds]
                self.open[key] = Trial(trial, entry, set(self.seeds), [run.name for run in runs])
                return runs
            self._tell(trial, self.values.get(key))
        return []

    def ended(self, run: Run, error: str | None) -> None:
        """Tell Optuna the value of a trial once all its runs have ended."""
        key = (run.agent, run.values)
        trial = self.open[key]
        trial.left.discard(run.seed)
        trial.failed = trial.failed or error
        if trial.left:
            return
        values = [self.metric(name) for name in trial.names] if trial.failed is None else [None]
        value = None if None in values else float(np.mean(np.array(values, dtype=np.float64)))
        del self.open[key]
        self.values[key] = trial.entry["value"] = value
        self._tell(trial.trial, value)
        self.record.save()

    def _tell(self, trial: Any, value: float | None) -> None:
        if value is None:
            self.study.tell(trial, state=self.failed_state)
        else:
            self.study.tell(trial, value)


def written(value: Any) -> str:
    """A drawn value on a command line. Numbers of a range have four digits."""
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _suggest(trial: Any, axis: Axis) -> Any:
    if axis.range is None:
        return trial.suggest_categorical(axis.key, list(axis.values))
    suggest = trial.suggest_int if axis.range.integer else trial.suggest_float
    low, high = (int(end) if axis.range.integer else end for end in (axis.range.low, axis.range.high))
    return suggest(axis.key, low, high, log=axis.range.log)


def _allows(axis: Axis, value: Any) -> bool:
    if axis.range is None:
        return value in axis.values
    return isinstance(value, int if axis.range.integer else float) and axis.range.low <= value <= axis.range.high
