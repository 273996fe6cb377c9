"""Environments that design proteins and peptides, with their reward models."""
