"""Small instances of every registered environment, and a DAG given by a table of its edges."""

from __future__ import annotations

import dataclasses
import math
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from gymnasium import spaces

import gfn_envs
from gfn_envs import Dag
from gfn_envs.data import registry as datasets
from gfn_envs.envs.hypergrid.rewards import REWARDS
from gfn_envs.graph_layout import GraphLayout, NodeActions
from tests import forks

GRID, BITS, BAG = "GFN/HyperGrid-v0", "GFN/BitSequence-v0", "GFN/Bag-v0"
SEQUENCE, TFBIND8, PHO4 = "GFN/Sequence-v0", "GFN/TFBind8-v0", "GFN/PHO4-v0"
QM9STR, SEHSTR = "GFN/QM9Str-v0", "GFN/SEHStr-v0"
AMP, GFP, INVERSE_FOLDING = "GFN/AMP-v0", "GFN/GFP-v0", "GFN/InverseFolding-v0"
FRAGMENTS, ATOMS = "GFN/FragmentMolecule-v0", "GFN/AtomMolecule-v0"
ISING, FACTOR_GRAPH, BAYES_NET = "GFN/Ising-v0", "GFN/FactorGraph-v0", "GFN/BayesNet-v0"
PHYLO_TREE = "GFN/PhyloTree-v0"
MUTATION, RNA = "GFN/Mutation-v0", "GFN/RNA-v0"
SET, PERMUTATION, GRAPH = "GFN/Set-v0", "GFN/Permutation-v0", "GFN/Graph-v0"
INDEPENDENT_SET, MAX_CUT = "GFN/IndependentSet-v0", "GFN/MaxCut-v0"
TSP = "GFN/TSP-v0"
ORDERS = ("non_autoregressive", "autoregressive")
WAYS = ("append", "prepend_append", "insert", "fill")


def scores(count: int) -> list[float]:
    """Different numbers in [-1, 1], in no particular order."""
    return np.sin(np.arange(count) ** 2 + 1.0).round(3).tolist()


#: Distances between five residues in a ring: with a separation of 2 or more, five contacts.
RING = [[round(6.0 * abs(math.sin(math.pi * (i - j) / 5)), 3) for j in range(5)] for i in range(5)]
TRIANGLE = [row[:3] for row in RING[:3]]

#: id -> arguments of instances that are small enough to enumerate, and large enough to be interesting.
SMALL_ARGUMENTS: dict[str, list[dict[str, Any]]] = {
    GRID: [
        {"ndim": 1, "side": 2},
        {"ndim": 1, "side": 9},
        {"ndim": 2, "side": 2},
        {"ndim": 3, "side": 4},
        {"ndim": 4, "side": 3},
        {"ndim": 2, "side": 5, "ends_at_border": True},
        *({"ndim": 2, "side": 8, "reward": reward} for reward in REWARDS),
        *({"ndim": 2, "side": 11, "reward": reward} for reward in REWARDS),
    ],
    BITS: [
        {"n": 8, "word_size": word_size, "construction": construction, "num_modes": num_modes}
        for construction in ("autoregressive", "non_autoregressive")
        for word_size, num_modes in ((1, 5), (2, 3), (4, 1), (8, 4))
    ],
    BAG: [
        {"num_letters": 2, "capacity": 1, "repeats": 1},
        {"num_letters": 3, "capacity": 4, "repeats": 3},
        {"num_letters": 3, "capacity": 4, "repeats": 4},
        {"num_letters": 5, "capacity": 6, "repeats": 3, "rewards": (7.0, 2.0, 0.5)},
    ],
    SEQUENCE: [
        *({"alphabet": "AB", "length": 4, "construction": way, "reward": list(range(1, 17))} for way in WAYS),
        *({"alphabet": "ACG", "length": 3, "construction": way, "mode_fraction": 0.2} for way in WAYS),
        *({"alphabet": "ACG", "length": 3, "construction": way, "min_length": 1} for way in WAYS[:3]),
        *({"alphabet": "AB", "length": 4, "construction": way, "min_length": 2} for way in WAYS[:3]),
        {"alphabet": ["one", "two"], "length": 1, "construction": "insert", "min_length": 1},
        {"alphabet": "AB", "length": 3, "reward": scores(12), "floor": 0.5, "min_length": 2, "mode_fraction": 0.3},
    ],
    TFBIND8: [{"construction": way, "length": 3, "table": scores(64)} for way in WAYS],
    PHO4: [{"construction": way, "length": 3, "table": scores(64)} for way in WAYS],
    QM9STR: [{"construction": way, "length": 2, "table": scores(121)} for way in WAYS],
    SEHSTR: [{"construction": way, "length": 2, "table": scores(324)} for way in WAYS],
    RNA: [
        {"target": "GGGAAACCC", "length": 3},
        {"target": "GGGAAACCC", "length": 2, "min_length": 1, "fixed": "[CG]."},
    ],
    MUTATION: [
        {"wild_type": "ABC", "alphabet": "ABC", "max_mutations": 2, "reward": {"A1B": 2.0, "wt": 0.5}, "missing": 1.0},
        {"wild_type": "ABCA", "alphabet": "ABC", "forbidden": "CC", "required": "B", "positions": "1-3"},
    ],
    AMP: [
        *({"construction": way, "length": 2} for way in WAYS[:3]),
        {"length": 2, "min_length": 2, "exponent": 1.0},
    ],
    GFP: [
        *({"construction": way, "wild_type": "SK", "table": scores(400)} for way in WAYS),
        {"max_mutations": 1, "wild_type": "SK", "table": scores(400)},
        {"max_mutations": 2, "wild_type": "GG", "table": scores(400)},
    ],
    INVERSE_FOLDING: [
        {"distances": RING, "alphabet": "CKL", "min_separation": 2},
        {"distances": RING, "alphabet": "CKL", "min_separation": 2, "composition": 0.7, "construction": "append"},
        {"distances": TRIANGLE, "alphabet": "ACDE", "min_separation": 1, "temperature": 3.0, "native": "CAD"},
        {"distances": TRIANGLE, "alphabet": "CKL", "construction": "substitute", "start": "CKL", "steps": 2},
    ],
    FRAGMENTS: [
        {"blocks": ["*C", "*c1cc(*)cc(*)c1", "*CO*"], "max_blocks": 3},
        {"blocks": ["*C(*)*", "*CC*"], "max_blocks": 4, "min_blocks": 1, "reward": {"qed": 2.0, "sa": 1.0}},
        {"blocks": ["*F", "*NC(*)=O"], "max_blocks": 4, "reward": "similarity", "target": "CC(=O)NC"},
    ],
    ATOMS: [{"max_atoms": 3, "elements": "C,O", "min_atoms": 2}, {"max_atoms": 2, "forbidden_bonds": None}],
    ISING: [
        *({"side": 2, "sigma": 0.3, "construction": order} for order in ORDERS),
        {"side": 3, "sigma": -0.2, "construction": "autoregressive"},
    ],
    FACTOR_GRAPH: [
        *({"graph": "chain", "num_variables": 4, "num_values": 3, "construction": order} for order in ORDERS),
        *({"graph": "permuted_chain", "num_variables": 4, "num_values": 2, "construction": order} for order in ORDERS),
        {"graph": "factor_graph_1", "num_variables": 5, "num_values": 2, "seed": 3},
        *({"graph": "factor_graph_2", "num_variables": 6, "num_values": 2, "construction": order} for order in ORDERS),
        {"graph": [([1], [0.5, -1.0]), ([2, 0], [[0.0, 1.0], [2.0, 0.25]])], "num_variables": 3, "num_values": 2},
    ],
    SET: [{"num_items": 5, "size": 2}, {"num_items": 3, "size": 2, "energies": [0.5, -1.0, 2.0], "temperature": 0.5}],
    PERMUTATION: [
        *({"n": 3, "construction": order, "temperature": 2.0} for order in ORDERS),
        {"n": 3, "reward": [[0.0, 1.0, -0.5], [0.25, 0.0, 2.0], [-1.0, 0.0, 0.0]]},
    ],
    INDEPENDENT_SET: [
        {"num_vertices": 5},
        {"num_vertices": 4, "edge_probability": 0.5, "maximal": False},
        {"graph": {"nodes": [["a", 2.0], ["b", 1.0], ["c", 1.0]], "edges": [["a", "b", 1.0], ["b", "c", 1.0]]}},
    ],
    MAX_CUT: [{"num_vertices": 4}, {"graph": [["a", "b", 2.5], ["b", "c", -1.0]], "temperature": 0.5}],
    GRAPH: [{"max_nodes": 3, "reward": "neighbors"}, {"max_nodes": 4, "num_colors": 1, "reward": "cliques"}],
    TSP: [{"num_cities": 4}, {"num_cities": 5, "temperature": 0.5}],
    PHYLO_TREE: [
        {"num_taxa": 3},
        {"num_taxa": 4, "num_sites": 20, "mutation_probability": 0.5, "temperature": 1.0, "constant": 30.0},
        {"num_taxa": 5},
        {"num_taxa": 5, "rooted": False},
        {"num_taxa": 4, "num_sites": 20, "score": "k80", "kappa": 3.0},
        {"alignment": {"ape": "ACGT-", "bee": "acctN", "cat": "RCTAA", "d e": "GCTAA"}},
    ],
    BAYES_NET: [
        {"num_nodes": 2, "num_samples": 20},
        {"num_nodes": 3, "score": "linear_gaussian", "score_kwargs": {"noise_variance": 0.5}, "prior": "fair"},
        {"num_nodes": 4, "num_samples": 10},
        {"num_nodes": 4, "num_samples": 10, "max_parents": 1},
        {"num_nodes": 3, "score": "bdeu", "num_samples": 20},
        {"data": {"a": [0.0, 1.5, 2.0, -1.0], "b": [1.0, 1.0, 2.5, 0.0], "c": [3.0, 2.0, 1.0, 1.0]}},
    ],
}

#: One instance for each kind of dynamics, with short episodes.
TINY_ARGUMENTS: dict[str, list[dict[str, Any]]] = {
    GRID: [{"ndim": 2, "side": 4}],
    BITS: [
        {"n": 8, "word_size": 2, "construction": "autoregressive", "num_modes": 2},
        {"n": 8, "word_size": 2, "construction": "non_autoregressive", "num_modes": 2},
    ],
    BAG: [{"num_letters": 3, "capacity": 4, "repeats": 2}],
    SEQUENCE: [
        *({"alphabet": "ACG", "length": 3, "construction": way} for way in WAYS),
        {"alphabet": "AB", "length": 3, "construction": "prepend_append", "min_length": 1},
    ],
    TFBIND8: [{"length": 3, "table": scores(64)}],
    PHO4: [{"length": 3, "table": scores(64)}],
    QM9STR: [{"length": 2, "table": scores(121)}],
    SEHSTR: [{"length": 2, "table": scores(324)}],
    RNA: [{"target": "GGGAAACCC", "length": 2}],
    MUTATION: [{"wild_type": "BAC", "alphabet": "ABC", "max_mutations": 2}],
    AMP: [{"length": 1}],
    GFP: [{"max_mutations": 1, "wild_type": "SK", "table": scores(400)}],
    INVERSE_FOLDING: [{"distances": TRIANGLE, "alphabet": "CKL", "min_separation": 1, "temperature": 5.0}],
    FRAGMENTS: [{"blocks": ["*C", "*c1ccc(*)cc1", "*CO*"], "max_blocks": 3}],
    ATOMS: [{"max_atoms": 3, "elements": "C,O"}],
    ISING: [{"side": 2, "sigma": 0.3}],
    FACTOR_GRAPH: [{"graph": "permuted_chain", "num_variables": 3, "num_values": 3, "construction": "autoregressive"}],
    BAYES_NET: [{"num_nodes": 3, "num_samples": 5}],
    PHYLO_TREE: [{"num_taxa": 4}],
    SET: [{"num_items": 4, "size": 2}],
    PERMUTATION: [{"n": 3, "construction": "non_autoregressive"}],
    INDEPENDENT_SET: [{"num_vertices": 4}],
    MAX_CUT: [{"num_vertices": 4}],
    GRAPH: [{"max_nodes": 2}],
    TSP: [{"num_cities": 4}],
}


#: Data sets that the default configuration of an environment reads, and that do not come with the package.
DEFAULTS_NEED: dict[str, list[str]] = {
    QM9STR: ["qm9str"],
    SEHSTR: ["sehstr-model"],
    INVERSE_FOLDING: ["gfp-distances"],
    PHO4: ["pho4"],
}


def missing_data(names: Sequence[str]) -> str:
    """The reason why tests that need these data sets cannot run; empty if they can."""
    missing = [name for name in names if name not in datasets.DATASETS or not datasets.is_available(name)]
    if not missing:
        return ""
    return (
        f"DATA MISSING: {', '.join(missing)}. What `gfn data list` names can be had with `gfn data fetch all`, or set "
        f"{datasets.MIRROR} to a directory with the files"
    )


def _cases(arguments: dict[str, list[dict[str, Any]]]) -> list[Any]:
    return [
        pytest.param(env_id, kwargs, id=f"{env_id.split('/')[1]}-{'-'.join(map(str, kwargs.values()))}"[:80])
        for env_id in gfn_envs.registered_ids()
        for kwargs in arguments.get(env_id, [])
    ]


SMALL = _cases(SMALL_ARGUMENTS)
TINY = _cases(TINY_ARGUMENTS)
IDS = gfn_envs.registered_ids()

_dags: dict[str, Dag] = {}


def small_dag(env_id: str, kwargs: dict[str, Any]) -> Dag:
    """A Dag of SMALL, built once: Dags are pure."""
    key = f"{env_id} {kwargs}"
    if key not in _dags:
        _dags[key] = gfn_envs.make_dag(env_id, **kwargs)
    return _dags[key]


def all_states(dag: Dag) -> np.ndarray:
    return np.concatenate(list(dag.levels()))


def run_python(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Another Python, in which the same gfn_envs is imported."""
    return _run(sys.executable, *arguments)


def run_fork(*arguments: str) -> subprocess.CompletedProcess[str]:
    """The same, started quickly as a fork of a process that has imported the packages."""
    return _run(forks.python(), *arguments)


def _run(*command: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(Path(gfn_envs.__file__).parents[1])}
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=False)


def agent_cases() -> list[Any]:
    """(name, env_id, kwargs): every agent on three kinds of dynamics, and tb on every one.

    An agent knows a Dag through its contract alone, so that its pairs with all the others would repeat these.
    """
    import agents

    ways = [case for case in TINY if case.values[0] in (GRID, BAYES_NET) or "prepend_append-1" in case.id]
    assert len(ways) == 3
    names = [name for name in sorted(agents.AGENTS) if name != "tb"]
    pairs = [(name, case) for name in names for case in ways] + [("tb", case) for case in TINY]
    return [pytest.param(name, *case.values, id=f"{name}-{case.id}") for name, case in pairs]


#: Settings with which an iteration is short, where the defaults make it long.
QUICK: dict[str, dict[str, Any]] = {
    "ppo": {"epochs": 1, "minibatches": 2},
    "rl-ppo": {"epochs": 1, "minibatches": 2},
    "sb3-ppo": {"num_steps": 8},
    "sb3-dqn": {"gradient_steps": 1},
}


def agent_or_skip(name: str, dag: Dag, **settings: Any) -> Any:
    """An agent with those of ``settings`` that it has; the test is skipped if the agent does not support ``dag``."""
    import agents
    from agents.errors import UnsupportedError

    known = ("seed", "policy", *(field.name for field in dataclasses.fields(agents.AGENTS[name].config_class)))
    used = {setting: value for setting, value in settings.items() if setting in known}
    try:
        return agents.make_agent(name, dag, **{**QUICK.get(name, {}), **used})
    except UnsupportedError as error:
        pytest.skip(str(error))


class TableDag(Dag):
    """A DAG listed edge by edge: states are 0, 1, 2, ...; 0 is the source, and states without children are terminal.

    Backward action b of a state undoes the b-th of the listed edges that lead to it.

    Args:
        edges: (parent, action, child) triples.
        max_length: the longest path; found by search where it is None (then the edges must have no cycle).
    """

    def __init__(self, edges: Sequence[tuple[int, int, int]], max_length: int | None = None):
        size = 1 + max(max(parent, child) for parent, _, child in edges)
        into = [[edge for edge in edges if edge[2] == state] for state in range(size)]
        self.num_actions = 1 + max(action for _, action, _ in edges)
        self.num_backward_actions = max(map(len, into))
        self.state_width, self.state_dtype = 1, np.dtype(np.int16)
        self.num_features = size
        self.observation_space = spaces.MultiDiscrete([size])
        self.child = np.full((size, self.num_actions), -1)
        self.back = np.full((size, self.num_actions), -1)
        self.parent = np.full((size, self.num_backward_actions), -1)
        self.forth = np.full((size, self.num_backward_actions), -1)
        for state, incoming in enumerate(into):
            for b, (parent, action, _) in enumerate(incoming):
                self.child[parent, action], self.back[parent, action] = state, b
                self.parent[state, b], self.forth[state, b] = parent, action
        self.max_length = self._longest(0) if max_length is None else max_length
        self.log_rewards = np.linspace(-1.0, 1.0, size)
        self.num_tokens, self.num_positions = size, 1
        on_node = [NodeActions(count, np.arange(count)) for count in (self.num_actions, self.num_backward_actions)]
        self.graph_layout = GraphLayout(1, size + 1, 1, *on_node)
        # Paths of each length, from powers of the matrix of edges: right where there are cycles too.
        self.edge_matrix = np.zeros((size, size), dtype=np.int64)
        np.add.at(self.edge_matrix, tuple(np.array(edges)[:, [0, 2]].T), 1)
        powers = [np.linalg.matrix_power(self.edge_matrix, t) for t in range(max(self.max_length, size) + 1)]
        self.path_counts = np.sum(powers, axis=0)

    def _longest(self, state: int) -> int:
        return max((1 + self._longest(child) for child in self.child[state] if child >= 0), default=0)

    def source(self, n: int) -> np.ndarray:
        return np.zeros((n, 1), dtype=np.int16)

    def is_terminal(self, states: np.ndarray) -> np.ndarray:
        return (self.child < 0).all(1)[states[:, 0]]

    def forward_mask(self, states: np.ndarray) -> np.ndarray:
        return self.child[states[:, 0]] >= 0

    def backward_mask(self, states: np.ndarray) -> np.ndarray:
        return self.parent[states[:, 0]] >= 0

    def step(self, states: np.ndarray, actions: np.ndarray) -> np.ndarray:
        return self.child[states[:, 0], actions][:, None].astype(np.int16)

    def undo(self, states: np.ndarray, backward_actions: np.ndarray) -> np.ndarray:
        return self.parent[states[:, 0], backward_actions][:, None].astype(np.int16)

    def backward_action(self, states: np.ndarray, actions: np.ndarray) -> np.ndarray:
        return self.back[states[:, 0], actions]

    def forward_action(self, states: np.ndarray, backward_actions: np.ndarray) -> np.ndarray:
        return self.forth[states[:, 0], backward_actions]

    def log_reward(self, states: np.ndarray) -> np.ndarray:
        return self.log_rewards[states[:, 0]]

    def mode_index(self, states: np.ndarray) -> np.ndarray:
        return states[:, 0].astype(np.int64)

    def partial_log_reward(self, states: np.ndarray) -> np.ndarray:
        return np.where(states[:, 0] == 0, 0.0, self.log_rewards[states[:, 0]])

    def contains(self, states: np.ndarray, objects: np.ndarray) -> np.ndarray:
        return self.path_counts[states[:, :1], objects[None, :, 0]] > 0

    def log_num_paths(self, states: np.ndarray) -> np.ndarray:
        with np.errstate(divide="ignore"):
            return np.log(self.path_counts[0, states[:, 0]])

    def tokens(self, states: np.ndarray) -> np.ndarray:
        return states.astype(np.int64)

    def labelled_graphs(self, states: np.ndarray) -> np.ndarray:
        return 1 + states.astype(np.int64)[:, :, None]

    def encode(self, states: np.ndarray) -> np.ndarray:
        return np.eye(self.num_features, dtype=np.float32)[states[:, 0]]

    def observe(self, states: np.ndarray) -> np.ndarray:
        return states.astype(np.int64)

    def render_image(self, state: np.ndarray, path: np.ndarray | None = None) -> np.ndarray:
        return np.full((8, 8, 3), state[0], dtype=np.uint8)


#: State 3 is reached by paths of length 1, 2 and 3, and two edges lead from 2 to 5.
UNEVEN_EDGES = [
    (0, 0, 1),
    (0, 1, 2),
    (0, 2, 3),
    (1, 0, 2),
    (1, 1, 4),
    (2, 0, 3),
    (2, 1, 5),
    (2, 2, 5),
    (3, 0, 4),
    (3, 1, 5),
]
