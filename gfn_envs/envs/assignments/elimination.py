"""Exact log Z and samples of factor graphs of small treewidth, by elimination of one variable after another."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from gfn_envs.arrays import FloatArray, IntArray
from gfn_envs.envs.assignments.factors import Factor

#: Largest number of entries of a table.
MAX_TABLE = 2**22


class Bucket(NamedTuple):
    """A variable when it is eliminated."""

    variable: int
    others: tuple[int, ...]
    """The variables that share a factor with it by then, which are eliminated later."""
    table: FloatArray
    """Sum of the log potentials with the variable: one axis per variable of ``others``, then its own."""


def eliminate(factors: Sequence[Factor], num_variables: int, num_values: int) -> tuple[list[Bucket], float]:
    """The buckets of all variables, in the order of elimination, and log Z.

    The variable with the fewest neighbors is next, so that chains and trees need tables of two variables only.

    Raises:
        NotImplementedError: a table would have more than ``MAX_TABLE`` entries.
    """
    waiting = [(tuple(factor.variables), np.asarray(factor.table, dtype=np.float64)) for factor in factors]
    left, buckets = set(range(num_variables)), []
    log_z = sum(float(table) for scope, table in waiting if not scope)
    while left:
        near = {v: {u for scope, _ in waiting if v in scope for u in scope} | {v} for v in left}
        variable = min(left, key=lambda v: (len(near[v]), v))
        others = tuple(sorted(near[variable] - {variable}))
        if num_values ** (len(others) + 1) > MAX_TABLE:
            raise NotImplementedError(
                f"elimination needs a table over {len(others) + 1} variables of {num_values} values, more than "
                f"{MAX_TABLE:,} entries"
            )
        scope = (*others, variable)
        table = np.zeros((num_values,) * len(scope))
        for variables, potential in [each for each in waiting if variable in each[0]]:
            order = np.argsort([scope.index(v) for v in variables])
            axes = [scope.index(variables[k]) for k in order]
            shape = [num_values if axis in axes else 1 for axis in range(len(scope))]
            table += potential.transpose(order).reshape(shape)
        waiting = [each for each in waiting if variable not in each[0]]
        buckets.append(Bucket(variable, others, table))
        message = np.logaddexp.reduce(table, axis=-1)
        if others:
            waiting.append((others, message))
        else:
            log_z += float(message)
        left.remove(variable)
    return buckets, log_z


def sample(buckets: Sequence[Bucket], n: int, rng: np.random.Generator) -> IntArray:
    """n independent assignments, int64 (n, D), in proportion to the product of all potentials."""
    values = np.zeros((n, len(buckets)), dtype=np.int64)
    for variable, others, table in reversed(buckets):
        scores = table[tuple(values[:, other] for other in others)] if others else np.tile(table, (n, 1))
        values[:, variable] = (scores + rng.gumbel(size=scores.shape)).argmax(1)
    return values
