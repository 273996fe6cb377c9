"""Construction of an environment from the keyword arguments of gymnasium.make."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from typing import Any, TypeGuard

from gymnasium.vector import AutoresetMode

from gfn_envs import named
from gfn_envs.conditions import conditioned
from gfn_envs.dag import Dag
from gfn_envs.gym.stepper import METADATA, Stepper
from gfn_envs.reward_errors import checked_on_error
from gfn_envs.text_files import file_error
from gfn_envs.validation import did_you_mean, shown

#: Arguments of GFNEnv and GFNVectorEnv that are passed on to Stepper; all others are arguments of the Dag.
ENV_ARGUMENTS = tuple(inspect.signature(Stepper).parameters)[1:]

#: Arguments of every environment, which its class need not take: attributes of every Dag, and conditions.
SHARED = ("on_error", "expensive_reward", "conditions")


def load_dag_class(path: str, where: str = "environment") -> type[Dag]:
    """The Dag class named by ``"module:Class"``.

    Args:
        path: the name.
        where: start of messages.

    Raises:
        ImportError: the module does not exist or cannot be imported.
        ValueError: the module has no such class.
        TypeError: the class is not a subclass of Dag.
    """
    target = named.load(path, where)
    if not is_dag(target):
        raise TypeError(f"{where}: {path} is not a subclass of gfn_envs.Dag")
    return target


def is_dag(value: Any) -> TypeGuard[type[Dag]]:
    """True for subclasses of Dag."""
    return isinstance(value, type) and issubclass(value, Dag)


def check_arguments(dag_class: type[Dag], kwargs: Mapping[str, Any], where: str, others: Sequence[str] = ()) -> None:
    """Check that ``dag_class`` has every argument in ``kwargs``. Every class has those of SHARED (see :func:`make`).

    Args:
        dag_class: the class.
        kwargs: arguments of the class.
        where: start of the message.
        others: further arguments that the message lists.

    Raises:
        TypeError: the class does not have one of them. The message names the nearest argument and lists all.
    """
    parameters = inspect.signature(dag_class).parameters
    if any(p.kind is inspect.Parameter.VAR_KEYWORD for p in parameters.values()):
        return
    if unknown := [name for name in kwargs if name not in parameters and name not in SHARED]:
        known = [*parameters, *(name for name in SHARED if name not in parameters), *others]
        # The end of the message is Python's own: TorchRL retries without an argument if it finds these words.
        raise TypeError(
            f"{where}: unknown argument {', '.join(unknown)}{did_you_mean(unknown[0], known)} "
            f"(allowed: {', '.join(known)}; unexpected keyword argument {unknown[0]!r})"
        )


def make(dag_class: type[Dag], kwargs: Mapping[str, Any]) -> Dag:
    """A Dag with these arguments. Those of SHARED become attributes of the Dag if its class does not take them;
    with ``conditions`` it is a :class:`gfn_envs.conditions.Conditioned`.

    Functions can be given by name, ``module:name``, where the class takes them.

    ``dag.arguments`` holds them if they differ from what the Dag has by itself, so that saved runs have them too.

    Raises:
        ValueError: ``on_error`` is not one of the values of :attr:`gfn_envs.Dag.on_error`, ``conditions`` are unknown
            or do not apply, or a named module does not have the function.
        TypeError: ``expensive_reward`` is not a bool, or a named function takes other arguments.
        ImportError: a named module does not exist or cannot be imported.
        OSError: a file cannot be read. The message names the argument.
    """
    parameters = inspect.signature(dag_class).parameters
    shared = {name: kwargs[name] for name in SHARED if name in kwargs and name not in parameters}
    own = {name: value for name, value in kwargs.items() if name not in shared}
    conditions = shared.pop("conditions", None)
    try:
        dag = dag_class(**named.with_callables(dag_class, own, dag_class.__name__))
    except OSError as error:
        raise file_error(error, dag_class.__name__, own) from error
    if "on_error" in shared:
        shared["on_error"] = checked_on_error(shared["on_error"], dag.reward_floor, dag_class.__name__)
    if not isinstance(shared.get("expensive_reward", False), bool):
        given = shared["expensive_reward"]
        raise TypeError(f"{dag_class.__name__}: expensive_reward must be True or False, got {shown(given)}")
    changed = {name: value for name, value in shared.items() if value != getattr(dag, name)}
    for name, value in changed.items():
        setattr(dag, name, value)
    if changed:
        dag.arguments = {**dag.arguments, **changed}
    if conditions is None:
        return dag
    try:
        return conditioned(dag, conditions)
    except (TypeError, ValueError) as error:
        raise type(error)(f"{dag_class.__name__}: {error}") from None


def build(dag: str | Dag, kwargs: Mapping[str, Any]) -> Stepper:
    """The Stepper of an environment.

    Args:
        dag: a Dag, or ``"module:Class"``.
        kwargs: arguments of Stepper and of the Dag class.

    Raises:
        TypeError: neither has one of the arguments, or arguments of a Dag class are given with a Dag instance.
    """
    own = {name: value for name, value in kwargs.items() if name in ENV_ARGUMENTS}
    others = {name: value for name, value in kwargs.items() if name not in ENV_ARGUMENTS}
    if isinstance(dag, Dag):
        if others:
            raise TypeError(f"unknown arguments {sorted(others)} with a Dag instance")
        return Stepper(dag, **own)
    dag_class = load_dag_class(dag)
    check_arguments(dag_class, others, dag_class.__name__, [*ENV_ARGUMENTS, "render_mode"])
    return Stepper(make(dag_class, others), **own)


def checked_render_mode(render_mode: str | None) -> str | None:
    """``render_mode``.

    Raises:
        ValueError: the environments do not have this mode. (Gymnasium would only warn.)
    """
    if render_mode not in (None, *METADATA["render_modes"]):
        raise ValueError(f"render_mode must be one of {METADATA['render_modes']} or None, got {render_mode!r}")
    return render_mode


def checked_autoreset_mode(given: Any) -> AutoresetMode:
    """A member of AutoresetMode, or the one with that value.

    Raises:
        ValueError: the mode is unknown.
    """
    try:
        return AutoresetMode(given)
    except ValueError:
        allowed = ", ".join(repr(mode.value) for mode in AutoresetMode)
        message = (
            f"autoreset_mode must be one of {allowed}, or a member of gymnasium.vector.AutoresetMode, got {given!r}"
        )
        raise ValueError(message) from None
