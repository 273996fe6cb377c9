"""Reports: one HTML file on one or several runs, which needs no network."""

from agents.report.write import write_report

__all__ = ["write_report"]
