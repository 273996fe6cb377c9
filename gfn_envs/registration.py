"""The table of environments, on Gymnasium's own registry."""

from __future__ import annotations

import difflib
import importlib
import inspect
from collections.abc import Sequence
from typing import Any

import gymnasium

from gfn_envs.dag import Dag

#: id -> (module:class of the Dag, default keyword arguments). `gfn_envs` registers this table when it is imported.
ENVIRONMENTS: dict[str, tuple[str, dict[str, Any]]] = {
    "GFN/HyperGrid-v0": ("gfn_envs.envs.hypergrid.hypergrid:HyperGrid", {"ndim": 2, "side": 8}),
    "GFN/BitSequence-v0": ("gfn_envs.envs.assignments.bit_sequence:BitSequence", {"n": 120, "word_size": 8}),
    "GFN/Bag-v0": ("gfn_envs.envs.bag:Bag", {}),
    "GFN/Sequence-v0": ("gfn_envs.envs.strings.sequence:Sequence", {"alphabet": "ACGT", "length": 8}),
    "GFN/TFBind8-v0": ("gfn_envs.envs.strings.tfbind8:TFBind8", {}),
    "GFN/PHO4-v0": ("gfn_envs.envs.strings.pho4:PHO4", {}),
    "GFN/QM9Str-v0": ("gfn_envs.envs.strings.qm9_str:QM9Str", {}),
    "GFN/SEHStr-v0": ("gfn_envs.envs.strings.seh_str:SEHStr", {}),
    "GFN/AMP-v0": ("gfn_envs.envs.proteins.amp:AMP", {}),
    "GFN/GFP-v0": ("gfn_envs.envs.proteins.gfp:GFP", {}),
    "GFN/InverseFolding-v0": ("gfn_envs.envs.proteins.inverse_folding:InverseFolding", {}),
    "GFN/FragmentMolecule-v0": ("gfn_envs.envs.molecules.fragment_molecule:FragmentMolecule", {}),
    "GFN/Ising-v0": ("gfn_envs.envs.assignments.ising:Ising", {}),
    "GFN/FactorGraph-v0": ("gfn_envs.envs.assignments.factor_graph:FactorGraph", {}),
    "GFN/BayesNet-v0": ("gfn_envs.envs.bayes_net.bayes_net:BayesNet", {}),
    "GFN/PhyloTree-v0": ("gfn_envs.envs.phylogenetics.phylo_tree:PhyloTree", {}),
}


def register(id: str, dag: str | type[Dag], **kwargs: Any) -> None:
    """Register a DAG with Gymnasium under ``id``, single and vector face alike.

    Args:
        id: a Gymnasium id such as ``"Mine/Ladder-v0"``.
        dag: the Dag class, or ``"module:Class"``. A class must be importable by name from other processes.
        **kwargs: default arguments of the class; JSON-safe, as Gymnasium's specs are.

    Raises:
        TypeError: ``dag`` is not a Dag, or an argument the class does not have.
    """
    if not isinstance(dag, str):
        if not isinstance(dag, type):
            raise TypeError(f"{id}: expected a subclass of gfn_envs.Dag or 'module:Class', got {dag!r}")
        if "<locals>" in dag.__qualname__:
            raise TypeError(f"{id}: {dag.__qualname__} is made inside a function: it must be importable by name")
        dag = f"{dag.__module__}:{dag.__qualname__}"
    check_arguments(load_dag_class(dag), kwargs, id)
    gymnasium.register(
        id,
        entry_point="gfn_envs.gym:GFNEnv",
        vector_entry_point="gfn_envs.gym:GFNVectorEnv",
        kwargs={"dag": dag, **kwargs},
    )


def registered_ids() -> list[str]:
    """The ids of every registered environment of this library, the user's own included."""
    return [id for id, spec in gymnasium.registry.items() if spec.entry_point == "gfn_envs.gym:GFNEnv"]


def make_dag(id: str, **kwargs: Any) -> Dag:
    """The core alone of a registered environment: its defaults, updated by ``kwargs``.

    Raises:
        ValueError: an id that is not registered here, naming the nearest one.
        TypeError: an argument the environment does not have, naming those it has.
    """
    if id not in registered_ids():
        near = difflib.get_close_matches(id, registered_ids(), n=1, cutoff=0.3)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        raise ValueError(f"unknown environment {id!r}{hint} (registered: {', '.join(registered_ids())})")
    spec = dict(gymnasium.registry[id].kwargs)
    dag_class = load_dag_class(spec.pop("dag"))
    check_arguments(dag_class, kwargs, id)
    return dag_class(**{**spec, **kwargs})


def load_dag_class(path: str) -> type[Dag]:
    """The class behind ``"module:Class"``."""
    module, _, name = path.partition(":")
    target: Any = importlib.import_module(module)
    for part in name.split("."):
        target = getattr(target, part)
    if not (isinstance(target, type) and issubclass(target, Dag)):
        raise TypeError(f"{path} is not a subclass of gfn_envs.Dag")
    return target


def check_arguments(dag_class: type[Dag], kwargs: dict[str, Any], where: str, others: Sequence[str] = ()) -> None:
    """TypeError where ``dag_class`` does not take one of ``kwargs``; ``others`` are allowed too, but not among them."""
    parameters = inspect.signature(dag_class).parameters
    if any(p.kind is inspect.Parameter.VAR_KEYWORD for p in parameters.values()):
        return
    if unknown := [name for name in kwargs if name not in parameters]:
        # Python's own words at the end: TorchRL offers an argument, and takes it back only where it reads them.
        raise TypeError(
            f"{where}: unknown argument {', '.join(unknown)}; allowed: {', '.join([*parameters, *others])} "
            f"(unexpected keyword argument {unknown[0]!r})"
        )
