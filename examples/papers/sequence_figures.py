"""Metrics of protein sequences that several scripts share."""

from __future__ import annotations

from typing import Any

import numpy as np

import agents
from agents.evaluation import metrics
from gfn_envs import InverseFolding
from gfn_envs.envs.strings.edit_distance import diversity
from gfn_envs.envs.strings.sequence import Sequence

#: Number of best sequences that are evaluated, as in Madan et al. 2023 (section 5) and ``agents.full_evaluation``.
BEST = 100


def top_sequences(agent: agents.Agent, num_samples: int) -> dict[str, Any]:
    """Metrics of the 100 best distinct sequences among ``num_samples`` samples.

    ``top_100_value``: mean value of the reward model, before the exponent. ``top_100_levenshtein``: mean pairwise
    distance. None if fewer than 100 samples are distinct.
    """
    dag = agent.dag
    assert isinstance(dag, Sequence)
    objects = agent.sample(num_samples, rng=np.random.default_rng(0))
    best, rewards = metrics.best_objects(objects, np.exp(dag.log_reward(objects)))
    if len(best) < BEST:
        return {"top_100_value": None, "top_100_levenshtein": None}
    return {
        "top_100_value": float((rewards[:BEST] ** (1 / dag.exponent)).mean()),
        "top_100_levenshtein": diversity(dag.to_text(best[:BEST])),
    }


def energies(agent: agents.Agent, num_samples: int) -> dict[str, Any]:
    """Energies of ``num_samples`` samples, and of the native sequence.

    ``mean_energy``, ``lowest_energy``, ``native_energy``; and ``native_identity``, the share of residues equal to those
    of the native sequence. The last two are None if there is no native sequence in the alphabet.
    """
    dag = agent.dag
    assert isinstance(dag, InverseFolding)
    objects = agent.sample(num_samples, rng=np.random.default_rng(0))
    energy, found = dag.energy(dag.whole_tokens(objects)), {"native_energy": None, "native_identity": None}
    if dag.native is not None and set(dag.native) <= set(dag.letters):
        found = {
            "native_energy": dag.native_energy,
            "native_identity": float((dag.whole_tokens(objects) == dag.native_tokens).mean()),
        }
    return {"mean_energy": float(energy.mean()), "lowest_energy": float(energy.min()), **found}
