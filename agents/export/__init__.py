"""Samples of an agent, and file formats for them."""

from agents.export.formats import suffixes, write_samples
from agents.export.samples import Samples, draw_samples, select

__all__ = ["Samples", "draw_samples", "select", "suffixes", "write_samples"]
