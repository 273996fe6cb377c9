"""Conditions: numbers c that set the reward R(x|c) of a Dag, so that one sampler learns a family of targets.

Conditions      the interface: names and ranges of the numbers, how they are drawn, log R(x|c)
Temperature     R(x)^beta
Preferences     weights of several objectives
Focus           a direction in the space of several objectives
Instances       your own numbers and function, such as the edges of a graph
Conditioned     a Dag whose rows hold a state and a condition; made by `conditioned(dag, conditions)`
"""

from gfn_envs.conditions.conditions import Conditions
from gfn_envs.conditions.focus import Focus
from gfn_envs.conditions.instances import Instances
from gfn_envs.conditions.preferences import Preferences
from gfn_envs.conditions.rows import Conditioned, conditioned
from gfn_envs.conditions.temperature import Temperature
from gfn_envs.conditions.text import read_conditions

__all__ = [
    "Conditioned",
    "Conditions",
    "Focus",
    "Instances",
    "Preferences",
    "Temperature",
    "conditioned",
    "read_conditions",
]
