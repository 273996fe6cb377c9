"""Environments that build molecules from fragments, with the scores that reward them."""
