"""HyperGrid: the benchmark grid of the GFlowNet literature, and its named rewards."""
