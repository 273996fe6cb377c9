"""RLlib on our environments, with its action-masking module."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.helpers import TINY_ARGUMENTS


@pytest.mark.parametrize("env_id", ["GFN/HyperGrid-v0", "GFN/Bag-v0"])
def test_ppo_learns(env_id: str, run_in_root: Any) -> None:
    kwargs = json.dumps(TINY_ARGUMENTS[env_id][0])
    out = run_in_root("examples/rllib_ppo.py", "--env", env_id, "--env-kwargs", kwargs, "--iterations", "10",
                      "--batch-size", "256")  # fmt: skip
    words = out.split("exact mean reward ")[1].split(";")
    learned, target = float(words[0]), float(words[1].split("has ")[1].split(",")[0])
    assert learned > target  # PPO maximizes: it exceeds the mean of an exact sampler.
