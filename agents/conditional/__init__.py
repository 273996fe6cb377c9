"""Agents that learn P_F(.|s, c) for all conditions c at once (:mod:`gfn_envs.conditions`).

agent.py        Conditional, a mixin for agent classes; `conditional(TB)` makes the conditional class
settings.py     its settings
log_z.py        log Z(c)
film.py         networks that the condition modulates, instead of being one more input
fixed.py        a policy at one condition
evaluation.py   exact metrics per condition
"""

from agents.conditional.agent import Conditional, conditional
from agents.conditional.evaluation import conditional_metrics

__all__ = ["Conditional", "conditional", "conditional_metrics"]
