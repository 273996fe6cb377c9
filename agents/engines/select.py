"""Selection of the engine of an agent."""

from __future__ import annotations

from agents.engines.engine import Engine, Learner
from agents.engines.torch_engine import TorchEngine

#: "auto" takes the numba engine on environments of at most this many states ...
AUTO_STATES = 500_000
#: ... or, if no formula gives their number so that they must be listed to be counted, this many.
AUTO_LISTED_STATES = 20_000


def make_engine(learner: Learner, name: str = "auto") -> Engine:
    """The engine with that name, or for "auto" the fastest that supports the learner.

    Raises:
        ValueError: the engine does not support the agent, its network or its settings, or is not installed.
        EnumerationError: "numba" for an environment that is too large to enumerate.
    """
    if name == "torch":
        return TorchEngine(learner)
    if name == "numba":
        return _numba_engine(learner)
    dag = learner.dag
    limit = AUTO_STATES if dag.declared_num_states else AUTO_LISTED_STATES
    if learner.balance is None or not dag.has_at_most(limit):
        return TorchEngine(learner)
    try:
        return _numba_engine(learner)
    except ValueError:
        return TorchEngine(learner)


def _numba_engine(learner: Learner) -> Engine:
    try:
        from agents.engines.numba.engine import NumbaEngine  # Numba is optional, and takes a second to import.
    except ImportError as error:
        raise ValueError(f"engine 'numba' needs Numba ({error}): pip install numba") from error
    except RuntimeError as error:
        raise ValueError(f"engine 'numba' needs a directory for its code ({error}): set NUMBA_CACHE_DIR") from error
    return NumbaEngine(learner)
