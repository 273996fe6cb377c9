"""Custom policies: a network, or a class or function that makes one.

class Gru(agents.Policy):
    def __init__(self, dag, backward=False, flow=False): ...

agents.make_agent("tb", dag, policy=Gru)          # gfn train tb ENV --agent.policy mine:Gru
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

from agents.policies.policy import Policy
from gfn_envs import named
from gfn_envs.dag import Dag
from gfn_envs.validation import shown

#: Called with the environment, and with ``backward`` and ``flow`` if it has parameters of these names: whether P_B and
#: state flows are to be learned. Its weights are drawn with the seed of the agent.
PolicyFactory = Callable[..., Policy]


def given_policy(given: Policy | PolicyFactory | str, dag: Dag, backward: bool, flow: bool) -> Policy:
    """The policy that a user gave. Classes and functions are called to make it.

    Args:
        given: a policy, a class or function that makes one, or its ``module:name``.
        dag: the environment.
        backward: whether P_B is to be learned.
        flow: whether state flows are to be learned.

    Raises:
        ImportError, ValueError: a named module cannot be imported, or has no such name.
        TypeError: ``given`` is neither a policy nor makes one, or cannot be called with the environment.
    """
    if isinstance(given, Policy):
        return given
    factory: Any = named.load_callable(given, "policy") if isinstance(given, str) else given
    if not callable(factory):
        raise TypeError(f"policy must be an agents.Policy, or a class or function that makes one, got {shown(given)}")
    name = getattr(factory, "__qualname__", type(factory).__name__)
    signature = inspect.signature(factory)
    wanted = {name: value for name, value in (("backward", backward), ("flow", flow)) if name in signature.parameters}
    try:
        signature.bind(dag, **wanted)
    except TypeError as error:
        raise TypeError(f"policy {name}{signature} cannot be called with the environment alone: {error}") from None
    made = factory(dag, **wanted)
    if not isinstance(made, Policy):
        raise TypeError(f"policy {name} must make an agents.Policy, got {shown(made)}")
    return made
