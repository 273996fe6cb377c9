"""A small DAG whose objects differ in the number of their trajectories."""

from tests.helpers import UNEVEN_EDGES, TableDag

UNEVEN = TableDag(UNEVEN_EDGES)
