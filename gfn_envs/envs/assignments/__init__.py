"""Environments that give values to variables: bit sequences, Ising models and factor graphs."""
