"""Names of version 0.1 that its documentation showed. They work for one more release, with a DeprecationWarning.

Once ``MODULES`` and ``NAMES`` are empty, delete this file and every mention of it.
"""

from __future__ import annotations

import importlib
import sys
import warnings
from collections.abc import Callable, Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

#: Module of version 0.1 -> current module.
MODULES = {
    "agents.compare": "agents.runs.compare",
    "agents.guide": "agents.gflownets.guided.guide",
    "agents.likelihood": "agents.log_probs",
    "agents.metrics": "agents.evaluation.metrics",
    "agents.molecule_plot": "agents.plots.molecules",
    "agents.objectives": "agents.losses",
    "agents.replay_schemes": "agents.replay.schemes",
    "agents.state_graph_plot": "agents.plots.state_graph",
    "agents.substructures": "agents.gflownets.guided.substructures",
    "agents.training": "agents.runs.train",
    "agents.transitions": "agents.replay.transitions",
    "agents.zoo": "agents.gflownets",
}

#: Module of version 0.1 -> names that have moved out of it -> their module and name today.
NAMES = {
    "agents.evaluation": {
        "exact_distribution": "agents.evaluation.evaluate:exact_distribution",
        "full_evaluation": "agents.evaluation.full:full_evaluation",
        "is_enumerable": "agents.evaluation.evaluate:is_enumerable",
        "learned_distribution": "agents.evaluation.evaluate:learned_distribution",
    },
    "agents.likelihood": {
        "EdgeTerms": "agents.log_probs:LogProbs",
        "edge_terms": "agents.log_probs:log_probs",
    },
    "agents.objectives": {
        "flow_matching": "agents.losses.flow_matching:flow_matching",
        "penalty": "agents.losses.penalty:penalty",
        "segment_ids": "agents.losses.segments:segment_ids",
        "segment_sum": "agents.losses.segments:segment_sum",
    },
    "agents.replay": {"ReplayBuffer": "agents.replay.objects:ReplayBuffer"},
    "agents.runs": {
        "CHECKPOINT": "agents.runs.directory:CHECKPOINT",
        "CONFIG": "agents.runs.directory:CONFIG",
        "HISTORY": "agents.runs.directory:HISTORY",
        "METRICS": "agents.runs.directory:METRICS",
        "RunError": "agents.runs.errors:RunError",
        "check_same": "agents.runs.directory:check_same",
        "describe": "agents.runs.directory:describe",
        "load_agent": "agents.runs.directory:load_agent",
        "load_checkpoint": "agents.runs.directory:load_checkpoint",
        "read_config": "agents.runs.directory:read_config",
        "read_history": "agents.runs.directory:read_history",
        "read_json": "agents.runs.directory:read_json",
        "save_checkpoint": "agents.runs.directory:save_checkpoint",
        "write_json": "agents.runs.directory:write_json",
    },
}


def old_names(module: str) -> Callable[[str], Any]:
    """``__getattr__`` of a module that NAMES lists."""

    def get(name: str) -> Any:
        path = NAMES[module].get(name)
        if path is None:
            raise AttributeError(f"module {module!r} has no attribute {name!r}")
        home, _, new = path.partition(":")
        warn(f"{module}.{name} is deprecated, use {home}.{new}")
        return getattr(importlib.import_module(home), new)

    return get


def warn(message: str) -> None:
    """A DeprecationWarning at the first line outside of this package and the import system."""
    frame = sys._getframe(1)
    while frame.f_back is not None and frame.f_globals.get("__name__", "").split(".")[0] in ("agents", "importlib"):
        frame = frame.f_back
    registry = frame.f_globals.setdefault("__warningregistry__", {})
    warnings.warn_explicit(
        message,
        DeprecationWarning,
        frame.f_code.co_filename,
        frame.f_lineno,
        frame.f_globals.get("__name__"),
        registry,
    )


class OldModules(MetaPathFinder, Loader):
    """Import the modules in MODULES. An old module has the names of the current one."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        return ModuleSpec(fullname, self) if fullname in MODULES else None

    def create_module(self, spec: ModuleSpec) -> None:
        return None

    def exec_module(self, module: ModuleType) -> None:
        home = MODULES[module.__name__]
        today = importlib.import_module(home)
        warn(f"{module.__name__} is deprecated, use {home}")
        apart = NAMES.get(module.__name__, {})
        held = {name: value for name, value in vars(today).items() if not (name.startswith("__") or name in apart)}
        vars(module).update(held)
        if apart:
            vars(module)["__getattr__"] = old_names(module.__name__)


def install() -> None:
    """Make the old modules importable. Called by :mod:`agents`."""
    if not any(isinstance(finder, OldModules) for finder in sys.meta_path):
        # First: an empty folder of an old module, as an update may leave behind, would be found as a namespace package.
        sys.meta_path.insert(0, OldModules())
