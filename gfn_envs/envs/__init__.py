"""Environments, one folder per family; each environment and its reward live together."""
