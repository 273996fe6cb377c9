"""Training runs: the loop, run directories, logs and comparisons."""
