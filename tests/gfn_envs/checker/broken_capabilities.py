"""DAGs that each break one invariant of the checker: optional capabilities."""

from __future__ import annotations

from typing import Any

import numpy as np

from gfn_envs import PhyloTree, Sequence
from gfn_envs.graph_layout import GraphLayout, NodeActions, PairActions
from tests.gfn_envs.checker.broken_dags import Anything, Grid, Table, at, breaks
from tests.helpers import TableDag


@breaks("active_features", [0, 1, 0])
class ListsAnotherFeature(Grid):
    def active_features(self, states: np.ndarray) -> np.ndarray:
        columns = super().active_features(states)
        return np.where(at(states, [0, 1, 0])[:, None], columns[:, ::-1] - 1, columns)


@breaks("active_features", [2, 0, 0])
class ListsAFeatureTwice(Grid):
    def active_features(self, states: np.ndarray) -> np.ndarray:
        columns = super().active_features(states)
        return np.where(at(states, [2, 0, 0])[:, None], columns[:, :1], columns)


@breaks("active_features", [0, 0, 0])
class ListsFeaturesAsInt32(Grid):
    def active_features(self, states: np.ndarray) -> np.ndarray:
        return super().active_features(states).astype(np.int32)


@breaks("contains", [1, 1, 0])
class ContainsWhatIsBehind(Grid):
    """(1, 1) claims (0, 2), which none of its children claims."""

    def contains(self, states: np.ndarray, objects: np.ndarray) -> np.ndarray:
        return super().contains(states, objects) | (at(states, [1, 1, 0])[:, None] & at(objects, [0, 2, 1]))


@breaks("contains", Anything)
class ContainsNothingOfOneObject(Grid):
    """No state but itself contains (2, 2), which walks end at."""

    def contains(self, states: np.ndarray, objects: np.ndarray) -> np.ndarray:
        return super().contains(states, objects) & (~at(objects, [2, 2, 1]) | at(states, [2, 2, 1])[:, None])


@breaks("contains", [0, 0, 0])
class SourceDoesNotContainAll(Grid):
    def contains(self, states: np.ndarray, objects: np.ndarray) -> np.ndarray:
        return super().contains(states, objects) & (states.any(1)[:, None] | ~at(objects, [2, 0, 1]))


@breaks("contains", [1, 0, 1])
class StoppedStatesContainMore(Grid):
    """The flag is forgotten: a stopped cell claims those above it. The first such state is (1, 0)."""

    def contains(self, states: np.ndarray, objects: np.ndarray) -> np.ndarray:
        going = states * np.array([1, 1, 0], dtype=states.dtype)
        return np.where(
            at(states, [1, 0, 1])[:, None], super().contains(going, objects), super().contains(states, objects)
        )


@breaks("contains", Anything)
class ContainsOnlyTheNextCells(Grid):
    """Far objects are denied; every walk of length 3 meets this."""

    def contains(self, states: np.ndarray, objects: np.ndarray) -> np.ndarray:
        distance = objects[None, :, :2].sum(2) - states[:, None, :2].sum(2)
        return super().contains(states, objects) & ((distance < 3) | (~states.any(1))[:, None])


@breaks("contains", [1])
class EdgeForgotten(Table):
    """1 leads to 4; the table denies it, though it is right on every walk through 3."""

    def contains(self, states: np.ndarray, objects: np.ndarray) -> np.ndarray:
        return super().contains(states, objects) & ~(at(states, [1])[:, None] & at(objects, [4]))


def paths_at(base: type, row: list[int], value: float) -> Any:
    def log_num_paths(self: Any, states: np.ndarray) -> np.ndarray:
        return np.where(at(states, row), value, base.log_num_paths(self, states))

    return type(f"LogNumPaths-{row}-{value}", (base,), {"log_num_paths": log_num_paths})


# State 5 of the table is entered from 2, which has 2 paths, by two edges, and from 3, which has 3 paths: 7.
breaks("log_num_paths", [0, 0, 0])(paths_at(Grid, [0, 0, 0], 1.0))
breaks("log_num_paths", [2, 2, 1])(paths_at(Grid, [2, 2, 1], np.log(7.0)))
breaks("log_num_paths", [2, 2, 1])(paths_at(Grid, [2, 2, 1], np.nan))
breaks("log_num_paths", [5])(paths_at(Table, [5], np.log(6.0)))


@breaks("log_num_paths", [5])
class DoubleEdgesCountedOnce(Table):
    def __init__(self) -> None:
        super().__init__()
        single = np.minimum(self.edge_matrix, 1)
        self.path_counts = np.sum([np.linalg.matrix_power(single, t) for t in range(6)], axis=0)


@breaks("grid_cells", None)
class GridShapeForgotten(Grid):
    def __init__(self) -> None:
        super().__init__()
        self.grid_shape = None


@breaks("grid_cells", None)
class GridCellsForgotten(Table):
    grid_shape = (2,)


@breaks("grid_cells", [2, 1, 1])
class CellOutsideTheGrid(Grid):
    def grid_cells(self, states: np.ndarray) -> np.ndarray:
        return super().grid_cells(states) + at(states, [2, 1, 1])[:, None]


@breaks("grid_cells", [2, 1, 1])
class CellShared(Grid):
    def grid_cells(self, states: np.ndarray) -> np.ndarray:
        return super().grid_cells(states) - at(states, [2, 1, 1])[:, None] * np.array([1, 0])


class Quartet(PhyloTree):
    def __init__(self) -> None:
        super().__init__(num_taxa=4, num_sites=5)


@breaks("clades", Anything)
class CladesAreNumbers(Quartet):
    def clades(self, states: np.ndarray) -> np.ndarray:
        return super().clades(states).astype(np.int64)


@breaks("clades", Anything)
class CladesCross(Quartet):
    def clades(self, states: np.ndarray) -> np.ndarray:
        return np.tile(np.array([[1, 1, 0, 0], [0, 1, 1, 0]], dtype=bool), (len(states), 1, 1))


@breaks("clades", Anything)
class CladesShared(Quartet):
    def clades(self, states: np.ndarray) -> np.ndarray:
        return super().clades(states)[:, :1]


@breaks("can_stop_anywhere", [1, 1, 0])
class StopIsNotEverywhere(Grid):
    """In the middle the walk must go on."""

    def forward_mask(self, states: np.ndarray) -> np.ndarray:
        mask = super().forward_mask(states)
        mask[at(states, [1, 1, 0]), 2] = False
        return mask

    def __init__(self) -> None:
        super().__init__()
        self.declared_num_states, self.declared_num_terminal_states = 17, 8

    def contains(self, states: np.ndarray, objects: np.ndarray) -> np.ndarray:
        raise NotImplementedError


@breaks("can_stop_anywhere", [0, 2, 0])
class StopIsTheFirstAction(Grid):
    """Actions in another order: stop, +x, +y. The last one is illegal if y is 2."""

    def forward_mask(self, states: np.ndarray) -> np.ndarray:
        return np.roll(super().forward_mask(states), 1, axis=1)

    def step(self, states: np.ndarray, actions: np.ndarray) -> np.ndarray:
        return super().step(states, (actions - 1) % 3)

    def backward_action(self, states: np.ndarray, actions: np.ndarray) -> np.ndarray:
        return (actions - 1) % 3

    def forward_action(self, states: np.ndarray, backward_actions: np.ndarray) -> np.ndarray:
        return (backward_actions + 1) % 3


class Stops(TableDag):
    """0 -> 1 by action 0, and each stops by action 1, the last, in a separate state."""

    can_stop_anywhere = True

    def __init__(self, edges: Any = ((0, 0, 1), (0, 1, 2), (1, 1, 3))) -> None:
        super().__init__(list(edges))


@breaks("can_stop_anywhere", [0], 0)
class AnotherActionEnds(Stops):
    def __init__(self) -> None:
        super().__init__([(0, 0, 2), (0, 1, 1)])


@breaks("can_stop_anywhere", [0], 1)
class LastActionGoesOn(Stops):
    def __init__(self) -> None:
        super().__init__([(0, 1, 1), (1, 1, 2)])


@breaks("can_stop_anywhere", [2])
class StopsMeet(Stops):
    def __init__(self) -> None:
        super().__init__([(0, 0, 1), (0, 1, 2), (1, 1, 2)])


@breaks("tokens", [2, 1, 0])
class TokensShared(Grid):
    """(1, 2) has the tokens of (2, 1), which is found after it."""

    def tokens(self, states: np.ndarray) -> np.ndarray:
        return np.where(at(states, [1, 2, 0])[:, None], [2, 1], super().tokens(states))


@breaks("tokens")
class TokensNotCounted(Grid):
    def __init__(self) -> None:
        super().__init__()
        self.num_tokens = None


@breaks("tokens")
class TokensDeclaredAlone(Grid):
    def tokens(self, states: np.ndarray) -> np.ndarray:
        raise NotImplementedError


@breaks("token_order")
class TokensOrderedTwice(Grid):
    token_order = np.array([0, 0])


@breaks("token_order", [2, 0, 0])
class TokensWithGaps(Grid):
    """A coordinate of 2 would be an empty position."""

    token_order = np.array([0, 1])


@breaks("token_order", Anything, 0)
class TokensMoved(Sequence):
    """Prepending moves all letters."""

    token_order = np.arange(3)  # type: ignore[assignment]

    def __init__(self) -> None:
        super().__init__("AB", 3, construction="prepend_append")


@breaks("exact_log_z")
class LogZOfAnotherReward(Grid):
    def exact_log_z(self) -> float:
        return 1.0


@breaks("sample_target", Anything)
class TargetDrawsAnyState(Grid):
    """Draws are states, but s0 is not an object."""

    def sample_target(self, n: int, rng: np.random.Generator) -> np.ndarray:
        return self.source(n)


@breaks("sample_target")
class TargetDrawsOthers(Grid):
    def sample_target(self, n: int, rng: np.random.Generator) -> np.ndarray:
        return np.zeros((n, 2), dtype=self.state_dtype)


class Pairs(Grid):
    """A node for each coordinate, labeled by it, and an absent node; all present nodes are related."""

    def __init__(self, forward: list[int] | None = None) -> None:
        super().__init__()
        places = PairActions(np.array([0, 4] if forward is None else forward)), NodeActions(1, np.arange(2))
        self.graph_layout = GraphLayout(3, 4, 2, *places)

    def labelled_graphs(self, states: np.ndarray) -> np.ndarray:
        graphs = np.zeros((len(states), 3, 3), dtype=np.int64)
        graphs[:, :2, :2] = 1
        graphs[:, [0, 1], [0, 1]] = states[:, :2] + 1
        return graphs


@breaks("labelled_graphs", [2, 1, 0])
class GraphsShared(Pairs):
    def labelled_graphs(self, states: np.ndarray) -> np.ndarray:
        return super().labelled_graphs(np.where(at(states, [1, 2, 0])[:, None], [2, 1, 0], states))


@breaks("labelled_graphs", [1, 1, 0])
class AbsentNodeRelated(Pairs):
    def labelled_graphs(self, states: np.ndarray) -> np.ndarray:
        graphs = super().labelled_graphs(states)
        graphs[:, 0, 2] = at(states, [1, 1, 0])
        return graphs


@breaks("labelled_graphs", [1, 1, 0])
class RelationUnknown(Pairs):
    def labelled_graphs(self, states: np.ndarray) -> np.ndarray:
        graphs = super().labelled_graphs(states)
        graphs[:, 0, 1] += at(states, [1, 1, 0])
        return graphs


@breaks("labelled_graphs")
class ActionsShareAPlace(Pairs):
    def __init__(self) -> None:
        super().__init__([4, 4])


@breaks("labelled_graphs")
class ActionsOfNoPair(Pairs):
    def __init__(self) -> None:
        super().__init__([0, 9])


@breaks("labelled_graphs")
class MorePlacesThanActions(Pairs):
    def __init__(self) -> None:
        super().__init__([0, 1, 2, 3])


@breaks("labelled_graphs")
class GraphsWithoutLayout(Pairs):
    def __init__(self) -> None:
        super().__init__()
        self.graph_layout = None


@breaks("labelled_graphs")
class LayoutAlone(Pairs):
    def labelled_graphs(self, states: np.ndarray) -> np.ndarray:
        raise NotImplementedError
