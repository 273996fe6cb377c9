"""Reports: one self-contained HTML file on one or several runs."""

from agents.report.write import write_report

__all__ = ["write_report"]
