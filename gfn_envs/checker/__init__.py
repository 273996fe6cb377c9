"""check_dag: check that an environment is a well-formed DAG, or name the invariant, state and action that break it.

On the command line::

    python -m gfn_envs.checker GFN/HyperGrid-v0 --env.ndim 2 --env.side 4
"""

from gfn_envs.checker.calls import CheckReport, DagError
from gfn_envs.checker.check import check_dag

__all__ = ["CheckReport", "DagError", "check_dag"]
