"""Modules of version 0.1 that the documentation named: they still work and say what to use instead."""

from __future__ import annotations

import importlib
import sys

import pytest


@pytest.mark.parametrize(
    ("old", "new", "name"),
    [
        ("faces", "gfn_envs.gym", "GFNVectorEnv"),
        ("sequence", "gfn_envs.envs.strings.sequence", "Sequence"),
        ("diversity", "gfn_envs.envs.strings.edit_distance", "diversity"),
        ("datasets", "gfn_envs.data.registry", "fetch"),
    ],
)
def test_old_modules_warn_and_work(old: str, new: str, name: str) -> None:
    sys.modules.pop(f"gfn_envs.{old}", None)
    with pytest.warns(DeprecationWarning, match=f"gfn_envs.{old} is deprecated, use {new}"):
        module = importlib.import_module(f"gfn_envs.{old}")
    assert getattr(module, name) is getattr(importlib.import_module(new), name)
