"""Settings shared by all tests."""

import os
from pathlib import Path

import pytest
from hypothesis import settings

from tests.helpers import DEFAULTS_NEED, missing_data

settings.register_profile("suite", derandomize=True, deadline=None)
settings.load_profile("suite")


def pytest_configure(config: pytest.Config) -> None:
    # Some tests run in directories of their own, from which a relative path would lead elsewhere.
    if mirror := os.environ.get("GFN_ENVS_DATA"):
        os.environ["GFN_ENVS_DATA"] = str(Path(mirror).absolute())
    config.addinivalue_line("markers", "data(*names): needs these data sets, and is skipped where they are not at hand")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip, saying what to set, what needs data that is not there: marked tests, and those of default environments."""
    for item in items:
        needed = [name for mark in item.iter_markers("data") for name in mark.args]
        params = item.callspec.params if hasattr(item, "callspec") else {}
        # Property tests draw arguments of their own.
        if "kwargs" not in params and not getattr(item.obj, "is_hypothesis_test", False):
            needed += DEFAULTS_NEED.get(params.get("env_id", ""), [])
        if reason := missing_data(needed):
            item.add_marker(pytest.mark.skip(reason=reason))
