"""Settings shared by all tests."""

import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

from tests.helpers import DEFAULTS_NEED, SMALL_ARGUMENTS, TINY_ARGUMENTS, missing_data

settings.register_profile("suite", derandomize=True, deadline=None)
settings.load_profile("suite")


#: What `make test-fast` leaves out beside tests marked slow: they start processes, compile, or train. Each entry is the
#: beginning of a test's id.
SLOW = (
    "tests/docs/",
    "tests/agents/cli/",
    "tests/agents/engines/test_numba.py",
    "tests/agents/runs/test_runs.py",
)


def pytest_configure(config: pytest.Config) -> None:
    # Some tests run in directories of their own, from which a relative path would lead elsewhere.
    if mirror := os.environ.get("GFN_ENVS_DATA"):
        os.environ["GFN_ENVS_DATA"] = str(Path(mirror).absolute())
    config.addinivalue_line("markers", "data(*names): needs these data sets, and is skipped if they are not available")
    config.addinivalue_line("markers", "slow: left out by `make test-fast`")


def is_repetition(params: dict[str, Any]) -> bool:
    """Whether a test runs on a further small instance of an environment, not on its first one."""
    env_id, kwargs = params.get("env_id", ""), params.get("kwargs")
    return kwargs in SMALL_ARGUMENTS.get(env_id, [])[1:] and kwargs not in TINY_ARGUMENTS.get(env_id, [])


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark slow tests. Skip tests whose data are not available, and say what to set."""
    for item in items:
        params = item.callspec.params if hasattr(item, "callspec") else {}
        if item.nodeid.startswith(SLOW) or is_repetition(params):
            item.add_marker(pytest.mark.slow)
        needed = [name for mark in item.iter_markers("data") for name in mark.args]
        # Property tests draw arguments of their own.
        if "kwargs" not in params and not getattr(item.obj, "is_hypothesis_test", False):
            needed += DEFAULTS_NEED.get(params.get("env_id", ""), [])
        if reason := missing_data(needed):
            item.add_marker(pytest.mark.skip(reason=reason))
