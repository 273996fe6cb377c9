"""Engines: torch for everything, numba for small networks on environments that can be enumerated."""
