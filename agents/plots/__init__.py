"""Figures of agents, runs and state graphs."""

from agents.plots.figures import comparison, learned_against_target, training_curves

__all__ = ["comparison", "learned_against_target", "training_curves"]
