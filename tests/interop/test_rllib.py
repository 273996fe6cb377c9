"""RLlib on our environments, with its action-masking module."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.helpers import TINY_ARGUMENTS
from tests.interop.conftest import exact_means


@pytest.mark.parametrize("env_id", ["GFN/HyperGrid-v0", "GFN/Bag-v0"])
def test_ppo_learns(env_id: str, run_in_root: Any) -> None:
    kwargs = json.dumps(TINY_ARGUMENTS[env_id][0])
    out = run_in_root("examples/rllib_ppo.py", "--env", env_id, "--env-kwargs", kwargs, "--iterations", "10",
                      "--batch-size", "256")  # fmt: skip
    [(learned, target)] = exact_means(out)
    assert learned > target  # PPO maximizes: it exceeds the mean of an exact sampler.
