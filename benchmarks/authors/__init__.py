"""Ours and the code of papers' authors at equal settings: the same exact distance, and how much faster."""
