"""Figures of agents, runs, molecules and state graphs."""

from agents.plots.figures import comparison, learned_against_target, training_curves
from agents.plots.molecules import molecule_grid

__all__ = ["comparison", "learned_against_target", "molecule_grid", "training_curves"]
