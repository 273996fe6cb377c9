"""Rewards that are functions of the user, for environments whose other rewards have a temperature."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from gfn_envs.dag import Dag
from gfn_envs.oracle import Oracle
from gfn_envs.validation import checked_reward_function


def callable_reward(reward: Any, dag: Dag, temperature: float, what: str) -> Callable[[Any], Any]:
    """``reward`` as the reward of ``dag``; an oracle serves it. ``what`` says of what it is a function.

    Raises:
        TypeError: it is not a function of one argument.
        ValueError: ``temperature`` is not 1: the function decides the spread of its values itself.
    """
    where = type(dag).__name__
    if temperature != 1:
        raise ValueError(f"{where}: temperature must be 1 with a callable reward, got {temperature:g}")
    if isinstance(reward, Oracle):
        reward.serve(dag)
    return checked_reward_function(reward, where, what)
