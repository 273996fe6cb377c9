"""Selection of the engine of an agent."""

from __future__ import annotations

from agents.engines.engine import Engine, Learner
from agents.engines.torch_engine import TorchEngine
from gfn_envs.enumeration import EnumerationError

#: "auto" leaves environments with more actions, whose states are not listed, to torch, whose softmax is faster then.
AUTO_ACTIONS = 2_000
#: "auto" lists all states of environments with at most this many ...
AUTO_STATES = 500_000
#: ... or, if no formula gives their number so that they must be listed to be counted, this many.
AUTO_LISTED_STATES = 20_000


def make_engine(learner: Learner, name: str = "auto") -> Engine:
    """The engine with that name, or for "auto" the fastest that supports the learner.

    Raises:
        ValueError: the engine does not support the agent, its network or its settings, or is not installed.
    """
    if name == "torch":
        return TorchEngine(learner)
    if name == "numba":
        return _numba_engine(learner)
    if learner.balance is None:
        return TorchEngine(learner)
    try:
        return _numba_engine(learner, automatic=True)
    except ValueError:
        return TorchEngine(learner)


def _numba_engine(learner: Learner, automatic: bool = False) -> Engine:
    """The compiled engine, with tables of all states if there are few enough: at most those of ``AUTO_STATES`` if
    ``automatic``, else as many as can be enumerated."""
    try:
        from agents.engines.numba.engine import NumbaEngine  # Numba is optional, and takes a second to import.
        from agents.engines.numba.stepwise import StepwiseEngine
    except ImportError as error:
        raise ValueError(f"engine 'numba' needs Numba ({error}): pip install numba") from error
    except RuntimeError as error:
        raise ValueError(f"engine 'numba' needs a directory for its code ({error}): set NUMBA_CACHE_DIR") from error
    dag = learner.dag
    limit = AUTO_STATES if dag.declared_num_states else AUTO_LISTED_STATES
    if automatic and not dag.has_at_most(limit):
        if dag.num_actions > AUTO_ACTIONS:
            raise ValueError(f"more than {AUTO_ACTIONS:,} actions")
        return StepwiseEngine(learner)
    try:
        return NumbaEngine(learner)
    except EnumerationError:
        return StepwiseEngine(learner)
