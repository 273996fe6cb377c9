"""Environments that build a set, one item at a time."""
