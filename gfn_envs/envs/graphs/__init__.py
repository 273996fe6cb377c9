"""Environments whose objects are graphs, or sets of vertices of a graph."""
