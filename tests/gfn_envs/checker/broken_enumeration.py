"""DAGs that each break one invariant of the checker: counts and enumeration."""

from __future__ import annotations

from typing import Any

import numpy as np

from tests.gfn_envs.checker.broken_dags import Grid, Table, breaks


@breaks("counts")
class StatesMiscounted(Grid):
    def __init__(self) -> None:
        super().__init__()
        self.declared_num_states = 19


@breaks("counts")
class ObjectsMiscounted(Grid):
    def __init__(self) -> None:
        super().__init__()
        self.declared_num_terminal_states = 8


@breaks("counts")
class StatesAreTooManyToEnumerate(Grid):
    def __init__(self) -> None:
        super().__init__()
        self.declared_num_states = 10**12


@breaks("counts")
class LevelMissing(Grid):
    def levels(self) -> Any:
        return iter(list(super().levels())[:-1])


@breaks("counts")
class StateListedTwice(Grid):
    def levels(self) -> Any:
        first, *levels = super().levels()
        return iter([first, *levels[:-1], levels[-1][[0] * len(levels[-1])], first])


@breaks("counts")
class OtherStatesListed(Grid):
    def levels(self) -> Any:
        return (level + 1 for level in super().levels())


@breaks("counts")
class StateIndexReversed(Grid):
    def state_index(self, states: np.ndarray) -> np.ndarray:
        return self.num_states - 1 - super().state_index(states)


@breaks("counts")
class TerminalStateMissing(Grid):
    def terminal_states(self) -> np.ndarray:
        return super().terminal_states()[:-1]


@breaks("counts")
class OtherTerminalStatesListed(Grid):
    def terminal_states(self) -> np.ndarray:
        return super().terminal_states()[[0] * 9]

    def terminal_index(self, states: np.ndarray) -> np.ndarray:
        return np.arange(len(states))


@breaks("counts")
class TerminalIndexReversed(Grid):
    def terminal_index(self, states: np.ndarray) -> np.ndarray:
        return self.num_terminal_states - 1 - super().terminal_index(states)


@breaks("levels", [0])
class LevelsByShortestPath(Table):
    """1, 2 and 3 are all one step from 0, but 2 leads to 3: the first listed edge that goes nowhere is 1 -> 2."""

    def _breadth_first(self, max_states: Any) -> Any:
        return [np.array(level, dtype=np.int16)[:, None] for level in ([0, 1, 2, 3], [4, 5])]


@breaks("levels", [1])
class LevelsMerged(Table):
    def _breadth_first(self, max_states: Any) -> Any:
        first, second, third, *rest = super()._breadth_first(max_states)
        return [first, np.concatenate([second, third]), *rest]
