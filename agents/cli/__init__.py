"""The command line ``gfn``."""
