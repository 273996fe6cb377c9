"""check_dag: prove that an environment is a well-formed DAG, or name the invariant, state and action that break it.

On the command line::

    python -m gfn_envs.checker GFN/HyperGrid-v0 ndim=2 side=4
"""

from gfn_envs.checker.calls import CheckReport, DagError
from gfn_envs.checker.check import check_dag
from gfn_envs.checker.command import main, parse_arguments

__all__ = ["CheckReport", "DagError", "check_dag", "main", "parse_arguments"]
