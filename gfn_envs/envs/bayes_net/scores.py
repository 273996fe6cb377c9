"""Scores of Bayesian networks: sums of local scores log p(column j | columns of its parents)."""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from gfn_envs.arrays import BoolArray, FloatArray, IntArray, log_factorials
from gfn_envs.envs.bayes_net.bitmask_graphs import unpack
from gfn_envs.envs.bayes_net.data_table import MAX_LEVELS, Table
from gfn_envs.envs.bayes_net.discrete_scores import BDeu
from gfn_envs.envs.bayes_net.families import LocalScore
from gfn_envs.envs.bayes_net.gaussian_scores import BGe, GaussianBIC, LinearGaussian
from gfn_envs.validation import as_given, first_non_number, one_of, parameters, shown

#: Largest number of cached local scores. The cache is emptied when it would exceed this.
MAX_CACHED = 2**20

SCORES: dict[str, Callable[..., LocalScore]] = {
    "bge": BGe,
    "linear_gaussian": LinearGaussian,
    "gaussian_bic": GaussianBIC,
    "bdeu": BDeu,
}


def local_score(score: str | LocalScore, kwargs: Mapping[str, Any] | None, table: Table, where: str) -> LocalScore:
    """The local score for the arguments ``score`` and ``score_kwargs`` of :class:`gfn_envs.BayesNet`.

    Warns:
        UserWarning: a Gaussian score is given by name, and a column has few whole numbers.

    Raises:
        ValueError: the name or a parameter is unknown; a parameter is out of range; parameters are given with a
            callable; or the score does not fit the kind of the data. The message names the column.
    """
    given = parameters("score_kwargs", kwargs, where)
    if callable(score):
        if given:
            raise ValueError(f"{where}: score_kwargs must be None if score is a callable, got {given}")
        return score
    if not isinstance(score, str) or score not in ("auto", *SCORES):
        raise ValueError(f"{where}: score must be one of {('auto', *SCORES)}, or a callable, got {shown(score)}")
    if by_kind := score == "auto":
        score = _score_for(table, where)
    if score == "bdeu":
        _check_discrete(table, where)
    elif not by_kind:
        _check_numbers(table, score, where)
    allowed = list(inspect.signature(SCORES[score]).parameters)[1:]
    if unknown := sorted(set(given) - set(allowed)):
        raise ValueError(f"{where}: score {score!r} has no parameters {unknown}; allowed: {allowed}")
    return SCORES[score](table.values, **given)


def _score_for(table: Table, where: str) -> str:
    """ "bdeu" for discrete columns and "bge" for continuous ones."""
    discrete = table.is_discrete
    if discrete.any() and not discrete.all():
        few, many = table.names[int(np.argmax(discrete))], table.names[int(np.argmin(discrete))]
        raise ValueError(
            f"{where}: column {few!r} is discrete ({_values(table, few)}) and column {many!r} is continuous "
            f"({_values(table, many)}), and no score takes both: make all columns discrete, leave some out, or take "
            "discrete numbers as Gaussian with score='bge'"
        )
    return "bdeu" if discrete.all() else "bge"


def _check_discrete(table: Table, where: str) -> None:
    """Raise ValueError if a column has too many values for a discrete one."""
    for name, labels, column in zip(table.names, table.labels, table.values.T, strict=True):
        levels = len(np.unique(column))
        fractions = labels is None and bool((column != np.round(column)).any())
        if (fractions and levels > MAX_LEVELS) or levels > max(2, len(column) / 2):
            raise ValueError(
                f"{where}: score 'bdeu' is for discrete columns, but column {name!r} has {_values(table, name)} in "
                f"{len(column)} rows: make it discrete, leave it out, or use score 'bge' or 'gaussian_bic'"
            )


def _check_numbers(table: Table, score: str, where: str) -> None:
    """Raise ValueError if a column has labels, and warn if one has few whole numbers."""
    for name, labels, is_discrete in zip(table.names, table.labels, table.is_discrete, strict=True):
        if labels is not None:
            raise ValueError(
                f"{where}: score {score!r} is for numbers, but column {name!r} has {_values(table, name)}: use score "
                "'bdeu' or leave it out"
            )
        if is_discrete:
            warnings.warn(
                f"{where}: score {score!r} takes column {name!r} ({_values(table, name)}) as Gaussian; score 'bdeu' is "
                "for discrete columns",
                stacklevel=4,
            )


def _values(table: Table, name: str) -> str:
    """The values of a column, such as ``the values 0, 1`` or ``100 different values``."""
    column = table.names.index(name)
    labels, levels = table.labels[column], np.unique(table.values[:, column])
    if len(levels) > 4:
        return f"{len(levels)} different {'values' if labels is None else 'labels'}"
    texts = [f"{level:g}" for level in levels] if labels is None else list(map(repr, labels))
    return f"the {'values' if labels is None else 'labels'} {', '.join(texts)}"


class CachedScores:
    """A cache of local scores of nodes and parent sets.

    Args:
        score: the local score.
        num_nodes: number of nodes d.
        where: prefix of error messages.
    """

    def __init__(self, score: LocalScore, num_nodes: int, where: str):
        self.score, self.num_nodes, self.where = score, num_nodes, where
        self._keys, self._values = np.empty(0, dtype=np.int64), np.empty(0)

    def __call__(self, parents: IntArray) -> FloatArray:
        """Local scores float64 (n, d) of the parent sets of each node, given as masks int64 (n, d).

        Raises:
            ValueError: a score is non-finite; the message names the node and its parents.
        """
        keys = (parents * self.num_nodes + np.arange(self.num_nodes)).ravel()
        place, known = self._find(keys)
        if not known.all():
            new = np.unique(keys[~known])
            if len(self._keys) + len(new) > MAX_CACHED:
                self._keys, self._values, new = self._keys[:0], self._values[:0], np.unique(keys)
            self._add(new)
            place, known = self._find(keys)
        return self._values[place].reshape(parents.shape)

    def _find(self, keys: IntArray) -> tuple[IntArray, BoolArray]:
        if not len(self._keys):
            return np.zeros(len(keys), dtype=np.int64), np.zeros(len(keys), dtype=bool)
        place = np.minimum(np.searchsorted(self._keys, keys), len(self._keys) - 1)
        return place, self._keys[place] == keys

    def _add(self, keys: IntArray) -> None:
        masks, nodes = np.divmod(keys, self.num_nodes)
        parents = unpack(masks, self.num_nodes)
        given = as_given(self.score(nodes, parents))
        if given.shape != keys.shape:
            raise ValueError(f"{self.where}: local scores must have shape {keys.shape}, got {given.shape}")
        bad = first_non_number(given)
        values = np.full(given.shape, np.nan) if bad is not None else given.astype(np.float64)
        if not np.isfinite(values).all():
            bad = int(np.argmin(np.isfinite(values))) if bad is None else bad
            text = str(given[bad]) if given.dtype.kind == "f" else shown(given[bad])
            raise ValueError(
                f"{self.where}: the local score of node {nodes[bad]} with parents "
                f"{np.flatnonzero(parents[bad]).tolist()} must be finite, got {text}"
            )
        keys, values = np.concatenate([self._keys, keys]), np.concatenate([self._values, values])
        order = np.argsort(keys, kind="stable")
        self._keys, self._values = keys[order], values[order]


# ---------------------------------------------------------------------- priors


def log_prior(name: str, num_nodes: int) -> FloatArray:
    """log prior of a node with p = 0..d - 1 parents, relative to no parents, float64 (d,).

    "uniform": 0. "fair": -log C(d - 1, p), which gives each size of a parent set the same total probability (Eggeling
    et al. 2019).

    Raises:
        ValueError: the name is unknown.
    """
    one_of("prior", name, ("uniform", "fair"), "BayesNet")
    logs = log_factorials(num_nodes - 1)
    return np.zeros(num_nodes) if name == "uniform" else logs + logs[::-1] - logs[-1]
