"""Kinds of the outputs for people: names, texts, labels, images, molecules and distances."""

from __future__ import annotations

from typing import Any

import numpy as np

from gfn_envs.arrays import IntArray
from gfn_envs.border import kind_text
from gfn_envs.checker.calls import DagError, terminal_of
from gfn_envs.dag import Dag


def check_outputs(dag: Dag, states: IntArray) -> None:
    """Names, texts, images of a few ``states`` (n, state_width), labels of actions; distances and molecules if any."""
    # Texts may use SMILES, and names may use texts.
    if dag.has("molecules"):
        _expect("molecules", len(dag.molecules(states)) == len(states), "one molecule per state", states)
        _expect("to_smiles", len(dag.to_smiles(states)) == len(states), "one text per state", states)
    dag.render_text(states[0])
    _expect("object_names", len(dag.object_names(states)) == len(states), f"one text per state, {len(states)}", states)
    for action in range(min(dag.num_actions, 1000)):
        dag.action_label(action)
    image: Any = dag.render_image(states[0])
    is_image = isinstance(image, np.ndarray) and image.dtype == np.uint8 and image.ndim == 3 and image.shape[2] == 3
    _expect("render_image", is_image, f"a uint8 array (H, W, 3), got {kind_text(image)}", states)
    objects = states[terminal_of(dag, states)]
    if len(objects) and dag.has("mol_blocks"):
        _expect("mol_blocks", len(dag.mol_blocks(objects)) == len(objects), "one text per state", objects)
    if len(objects) and dag.has("distance"):
        table = dag.distance(objects, objects[:2])
        shape = (len(objects), len(objects[:2]))
        is_table = table.shape == shape and table.dtype == np.float64
        _expect("distance", is_table, f"float64 of shape {shape}, got {kind_text(table)}", objects)
        _expect("distance", bool((table >= 0).all()), "finite and >= 0", objects)


def _expect(name: str, good: bool, what: str, states: IntArray) -> None:
    if not good:
        raise DagError(name, f"must be {what}", states[0])
