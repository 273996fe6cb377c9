"""The table of environments, registered with Gymnasium, and their arguments."""

from __future__ import annotations

import ast
import inspect
import re
import types
import typing
from collections.abc import Mapping
from typing import Any, NamedTuple

import gymnasium

from gfn_envs import named, plugins
from gfn_envs.dag import Dag
from gfn_envs.gym.build import check_arguments, is_dag, load_dag_class, make
from gfn_envs.validation import did_you_mean

#: id -> ("module:Class" of the Dag, default keyword arguments). Importing `gfn_envs` registers this table.
ENVIRONMENTS: dict[str, tuple[str, dict[str, Any]]] = {
    "GFN/HyperGrid-v0": ("gfn_envs.envs.hypergrid.hypergrid:HyperGrid", {"ndim": 2, "side": 8}),
    "GFN/BitSequence-v0": ("gfn_envs.envs.assignments.bit_sequence:BitSequence", {"n": 120, "word_size": 8}),
    "GFN/Bag-v0": ("gfn_envs.envs.bag:Bag", {}),
    "GFN/Sequence-v0": ("gfn_envs.envs.strings.sequence:Sequence", {"alphabet": "ACGT", "length": 8}),
    "GFN/TFBind8-v0": ("gfn_envs.envs.strings.tfbind8:TFBind8", {}),
    "GFN/PHO4-v0": ("gfn_envs.envs.strings.pho4:PHO4", {}),
    "GFN/QM9Str-v0": ("gfn_envs.envs.strings.qm9_str:QM9Str", {}),
    "GFN/SEHStr-v0": ("gfn_envs.envs.strings.seh_str:SEHStr", {}),
    "GFN/RNA-v0": ("gfn_envs.envs.strings.rna:RNA", {}),
    "GFN/Mutation-v0": ("gfn_envs.envs.strings.mutation:Mutation", {}),
    "GFN/AMP-v0": ("gfn_envs.envs.proteins.amp:AMP", {}),
    "GFN/GFP-v0": ("gfn_envs.envs.proteins.gfp:GFP", {}),
    "GFN/InverseFolding-v0": ("gfn_envs.envs.proteins.inverse_folding:InverseFolding", {}),
    "GFN/FragmentMolecule-v0": ("gfn_envs.envs.molecules.fragment_molecule:FragmentMolecule", {}),
    "GFN/AtomMolecule-v0": ("gfn_envs.envs.molecules.atom_molecule:AtomMolecule", {}),
    "GFN/Ising-v0": ("gfn_envs.envs.assignments.ising:Ising", {}),
    "GFN/FactorGraph-v0": ("gfn_envs.envs.assignments.factor_graph:FactorGraph", {}),
    "GFN/BayesNet-v0": ("gfn_envs.envs.bayes_net.bayes_net:BayesNet", {}),
    "GFN/Set-v0": ("gfn_envs.envs.sets.set:Set", {}),
    "GFN/Permutation-v0": ("gfn_envs.envs.assignments.permutation:Permutation", {}),
    "GFN/IndependentSet-v0": ("gfn_envs.envs.graphs.independent_set:IndependentSet", {}),
    "GFN/MaxCut-v0": ("gfn_envs.envs.graphs.max_cut:MaxCut", {}),
    "GFN/Graph-v0": ("gfn_envs.envs.graphs.graph:Graph", {}),
    "GFN/TSP-v0": ("gfn_envs.envs.graphs.tsp:TSP", {}),
    "GFN/PhyloTree-v0": ("gfn_envs.envs.phylogenetics.phylo_tree:PhyloTree", {}),
}


def register(
    id: str,
    dag: str | type[Dag],
    *,
    max_episode_steps: int | None = None,
    reward_threshold: float | None = None,
    **kwargs: Any,
) -> None:
    """Register a DAG with Gymnasium under ``id``, for gymnasium.make and gymnasium.make_vec.

    Args:
        id: a Gymnasium id such as ``"Mine/Ladder-v0"``.
        dag: the Dag class, or ``"module:Class"``. The class must be importable by name, also from other processes.
        max_episode_steps: as for ``gymnasium.register``. Episodes end by themselves after at most ``dag.max_length``
            steps, a number that depends on the arguments, so the environments of this package declare none.
        reward_threshold: as for ``gymnasium.register``: the mean reward at which the task counts as solved.
        **kwargs: default arguments of the class. They must be JSON-serializable, like Gymnasium's specs.

    Raises:
        TypeError: ``dag`` is not a Dag class, is defined inside a function, or does not have one of the arguments.
    """
    if not isinstance(dag, str):
        if not isinstance(dag, type):
            raise TypeError(f"{id}: expected a subclass of gfn_envs.Dag or 'module:Class', got {dag!r}")
        if "<locals>" in dag.__qualname__:
            raise TypeError(f"{id}: {dag.__qualname__} is defined inside a function: it must be importable by name")
        dag = f"{dag.__module__}:{dag.__qualname__}"
    check_arguments(load_dag_class(dag), kwargs, id)
    gymnasium.register(
        id,
        entry_point="gfn_envs.gym:GFNEnv",
        vector_entry_point="gfn_envs.gym:GFNVectorEnv",
        max_episode_steps=max_episode_steps,
        reward_threshold=reward_threshold,
        kwargs={"dag": dag, **kwargs},
    )


def registered_ids() -> list[str]:
    """The ids of all registered environments, including those that users registered."""
    return [id for id, spec in gymnasium.registry.items() if spec.entry_point == "gfn_envs.gym:GFNEnv"]


def known_ids() -> list[str]:
    """The ids of all registered environments, and of those of installed packages that are registered at first use."""
    return list(dict.fromkeys([*registered_ids(), *plugins.entry_points(plugins.ENVIRONMENTS)]))


def make_dag(id: str, **kwargs: Any) -> Dag:
    """The Dag of an environment, with its default arguments updated by ``kwargs``.

    Arguments that take a function also take its name, ``module:name``. Every environment also takes ``on_error``
    ("raise", "floor", "skip" or a number > 0) for objects whose reward fails; ``expensive_reward=True`` to evaluate
    agents without new rewards (see :class:`gfn_envs.Dag`); and ``conditions``, such as ``"temperature:1,32"`` (see
    :mod:`gfn_envs.conditions`).

    Args:
        id: the id of a registered environment; ``module:id``, as in ``gymnasium.make``, for one that ``module``
            registers; or ``module:Class``, a subclass of Dag that need not be registered.
        **kwargs: arguments of the environment.

    Raises:
        ValueError: the id is unknown. The message names the nearest id.
        TypeError: the environment does not have one of the arguments, or takes no such function. The message names the
            nearest argument.
        ImportError: a named module does not exist or cannot be imported.
    """
    dag, defaults = found(id)
    check_arguments(dag, kwargs, id)
    return make(dag, {**defaults, **kwargs})


def found(id: str) -> tuple[type[Dag], dict[str, Any]]:
    """Class and default arguments of an environment; ``id`` and errors are those of :func:`make_dag`."""
    module, colon, name = id.rpartition(":")
    if colon:
        imported = named.import_named(module, f"environment {id!r}")
        if name not in registered_ids() and hasattr(imported, name.split(".")[0]):
            return load_dag_class(id, f"environment {id!r}"), {}
    elif name not in registered_ids() and name in plugins.entry_points(plugins.ENVIRONMENTS):
        register(name, plugins.load(plugins.ENVIRONMENTS, name))
    if name not in registered_ids():
        classes = [word for word, value in vars(imported).items() if is_dag(value)] if colon else []
        place = f": {module} registers no {name!r}" if colon else ""
        # Names without namespace and version are common, and short ones resemble others more than their own id.
        same = [known for known in known_ids() if known.split("/")[-1].rsplit("-v", 1)[0].lower() == name.lower()]
        hint = did_you_mean(name, [*classes, *known_ids()]) if not same else f"; did you mean {same[0]!r}?"
        raise ValueError(f"unknown environment {id!r}{place}{hint} (registered: {', '.join(known_ids())})")
    arguments = dict(gymnasium.registry[name].kwargs)
    return load_dag_class(arguments.pop("dag")), arguments


def id_of(dag: type[Dag]) -> str | None:
    """The first id under which a class is registered; None if it is not."""
    path = f"{dag.__module__}:{dag.__qualname__}"
    return next((id for id in registered_ids() if gymnasium.registry[id].kwargs["dag"] == path), None)


# ---------------------------------------------------------------------- arguments as text


class Parameter(NamedTuple):
    """An argument of an environment.

    Attributes:
        annotation: its type; Any if the class does not annotate it.
        default: its default value; ``inspect.Parameter.empty`` if there is none.
        help: its description in the docstring of the class, on one line; ``""`` if there is none.
    """

    annotation: Any
    default: Any
    help: str


#: Arguments that every environment has.
SHARED = {
    "on_error": Parameter(
        str | float,
        "raise",
        'Objects whose reward fails: "raise"; "floor", the lowest level of the reward; a number > 0, '
        'their reward; "skip", they are not learned from.',
    ),
    "expensive_reward": Parameter(
        bool, False, "Evaluate rewards for training only: evaluations use no new rewards unless you ask for them."
    ),
    "conditions": Parameter(
        str | None,
        None,
        "Learn a family of targets with one agent: temperature:1,32 (a range of reward exponents), preferences:qed,sa "
        "(weights of objectives), focus:qed,sa, or your own as module:name.",
    ),
}


def environment_parameters(id: str) -> dict[str, Parameter]:
    """The arguments of an environment by name. The arguments of every environment come last.

    Raises:
        ValueError, TypeError, ImportError: the environment is unknown; see :func:`make_dag`.
    """
    dag, defaults = found(id)
    hints = named.annotations_of(dag.__init__)
    doc = inspect.getdoc(dag) or ""
    own = {
        name: Parameter(hints.get(name, Any), defaults.get(name, parameter.default), _help(doc, name))
        for name, parameter in inspect.signature(dag).parameters.items()
        if parameter.kind not in (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    }
    shared = {
        name: parameter._replace(default=_class_default(dag, name, parameter.default))
        for name, parameter in SHARED.items()
        if name not in own
    }
    return {**own, **shared}


def _class_default(dag: type[Dag], name: str, otherwise: Any) -> Any:
    """The attribute of a class, unless it is a property, whose value an instance decides."""
    value = getattr(dag, name)
    return value if isinstance(value, str | float | bool) else otherwise


def environment_summary(id: str) -> str:
    """The first line of the docstring of a registered environment."""
    return (inspect.getdoc(found(id)[0]) or "").split("\n")[0]


def _help(doc: str, name: str) -> str:
    """The description of argument ``name``: its item in the Arguments section of ``doc``."""
    match = re.search(rf"\* [^:\n]*``{name}``[^:\n]*: (.*?)(?=\n\s*\* ``|\n\s*\n|\Z)", doc, flags=re.DOTALL)
    return " ".join(match.group(1).split()) if match else ""


def parse_value(text: str, annotation: Any = Any) -> Any:
    """The value of an argument that was given as text, on a command line for example.

    ``int``, ``float``, ``bool`` and ``str`` are read as such. Anything else is read as a Python literal if possible,
    else as text. If ``annotation`` allows text but no numbers, numbers remain text.

    Args:
        text: the text.
        annotation: type of the argument.

    Raises:
        ValueError: the text is not a value of this type.
    """
    if annotation is str:
        return text
    if annotation in (int, float):
        try:
            return annotation(text)
        except ValueError:
            kind = "an integer" if annotation is int else "a number"
            raise ValueError(f"expected {kind}, got {text!r}") from None
    if annotation is bool:
        if text.lower() not in ("true", "false"):
            raise ValueError(f"expected True or False, got {text!r}")
        return text.lower() == "true"
    try:
        value = ast.literal_eval(text)
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        value = text
    kinds = _alternatives(annotation)
    if kinds == {Mapping, type(None)} and not (value is None or _is_keywords(value)):
        raise ValueError(f"expected None or {{'name': value}}, got {text!r}")
    if str in kinds and not kinds & {int, float} and isinstance(value, int | float | complex):
        return text
    return value


def _alternatives(annotation: Any) -> set[Any]:
    """The members of a union, without their type parameters."""
    is_union = typing.get_origin(annotation) in (typing.Union, types.UnionType)
    kinds = typing.get_args(annotation) if is_union else (annotation,)
    return {typing.get_origin(kind) or kind for kind in kinds}


def _is_keywords(value: Any) -> bool:
    return isinstance(value, dict) and all(isinstance(key, str) for key in value)
