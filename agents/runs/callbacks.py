"""Callbacks of training."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from agents.agent import Agent
from gfn_envs import named
from gfn_envs.validation import shown


class Callback:
    """Called by :func:`agents.train`. Override what you need.

    class Enough(agents.Callback):
        "Stop at the first evaluation with a total variation below 0.1."

        def row(self, agent, row):
            self.met = row.get("tv") is not None and row["tv"] < 0.1

        def iteration(self, agent, info):
            return getattr(self, "met", False)

    agents.train(agent, 5000, callbacks=[Enough()])      # gfn train tb ENV --callbacks mine:Enough
    """

    def begin(self, agent: Agent, config: dict[str, Any], directory: Path | None) -> None:
        """The first iteration is done; ``config`` is that of config.json, {} without a run ``directory``."""

    def iteration(self, agent: Agent, info: dict[str, Any]) -> bool | None:
        """An iteration is done; ``info`` is what ``agent.update()`` returned. Return True to end the training: its last
        evaluation and its checkpoint are still made."""

    def row(self, agent: Agent, row: dict[str, Any]) -> dict[str, Any] | None:
        """A row of the history is about to be written. Return further columns of it, or None."""

    def end(self, agent: Agent, final: dict[str, Any]) -> None:
        """The training is done; ``final`` are the metrics of metrics.json."""

    def close(self) -> None:
        """Always called last, also after an error or Ctrl-C."""

    def state_dict(self) -> dict[str, Any]:
        """State that later iterations depend on, saved in checkpoints: numbers, text, tensors, plain containers."""
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore :meth:`state_dict`."""


class OfRows(Callback):
    """A function of the rows of the history, as a callback."""

    def __init__(self, function: Callable[[dict[str, Any]], Any]):
        self.function = function

    def row(self, agent: Agent, row: dict[str, Any]) -> None:
        self.function(row)


def callback_of(given: Any) -> Callback:
    """A callback: one, a class of them, a function of rows, or the ``module:name`` of any.

    Raises:
        ImportError, ValueError: a named module cannot be imported, or has no such name.
        TypeError: it is something else.
    """
    found = named.load(given, "callbacks") if isinstance(given, str) else given
    if isinstance(found, type) and issubclass(found, Callback):
        try:
            return found()
        except TypeError as error:
            raise TypeError(f"callbacks: {found.__qualname__}() cannot be made: {error}; give an object") from error
    if isinstance(found, Callback):
        return found
    if not callable(found):
        raise TypeError(f"callbacks must be agents.Callback objects or functions of a row, got {shown(found)}")
    return OfRows(found)


class Callbacks:
    """Several callbacks, called in order."""

    def __init__(self, given: Sequence[Any]):
        self.all = [callback_of(each) for each in given]
        self.begun = False

    def begin(self, agent: Agent, config: dict[str, Any], directory: Path | None) -> None:
        """Begin all, once."""
        if not self.begun:
            self.begun = True
            for callback in self.all:
                callback.begin(agent, config, directory)

    def iteration(self, agent: Agent, info: dict[str, Any]) -> bool:
        """True if one of them ends the training. All are called."""
        answers = [callback.iteration(agent, info) for callback in self.all]
        return any(answers)

    def row(self, agent: Agent, row: dict[str, Any]) -> dict[str, Any]:
        """The row with the columns of all callbacks.

        Raises:
            ValueError: a column that the row has already.
        """
        for callback in self.all:
            added = callback.row(agent, row) or {}
            if taken := added.keys() & row.keys():
                raise ValueError(f"callback {_name(callback)}: the row has a column {min(taken)!r} already")
            row = {**row, **added}
        return row

    def end(self, agent: Agent, final: dict[str, Any]) -> None:
        """End all."""
        for callback in self.all:
            callback.end(agent, final)

    def close(self) -> None:
        """Close all. The first error is raised when all are closed."""
        errors = []
        for callback in self.all:
            try:
                callback.close()
            except Exception as error:
                errors.append(error)
        if errors:
            raise errors[0]

    def state_dict(self) -> dict[str, dict[str, Any]]:
        """The states by name of the callback, those that have one."""
        return {name: state for name, each in self._named().items() if (state := each.state_dict())}

    def load_state_dict(self, states: dict[str, dict[str, Any]]) -> None:
        """Restore the states of the callbacks that have one."""
        for name, callback in self._named().items():
            if name in states:
                callback.load_state_dict(states[name])

    def _named(self) -> dict[str, Callback]:
        names = [_name(callback) for callback in self.all]
        return {f"{name} {names[:i].count(name)}": self.all[i] for i, name in enumerate(names)}


def _name(callback: Callback) -> str:
    kind = getattr(callback, "function", type(callback))
    return getattr(kind, "__qualname__", type(kind).__qualname__)
