"""Our library compared with gfnx and torchgfn in one run: ``python -m benchmarks.peers --help``."""
