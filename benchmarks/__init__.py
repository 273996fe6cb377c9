"""Benchmarks. Each is a command with ``--help``, such as ``python -m benchmarks.environments``."""
