"""The environment that learns the structure of Bayesian networks, with its scores and input tables."""
