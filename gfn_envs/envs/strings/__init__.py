"""Environments that build strings over an alphabet, with tabulated or user-defined rewards."""
