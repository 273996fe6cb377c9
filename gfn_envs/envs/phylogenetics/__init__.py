"""The environment that builds phylogenetic trees, with alignments and parsimony."""
