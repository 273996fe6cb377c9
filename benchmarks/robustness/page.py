"""The tables of docs/robustness.md."""

from __future__ import annotations

from typing import Any

from benchmarks.report import ROOT, table, write_section

PAGE = ROOT / "docs" / "robustness.md"


def write_page(results: dict[str, Any]) -> None:
    """Write the generated section of the page."""
    rows = [
        [found["title"], f"{found['trials']:,}", _kinds(found["kinds"]), str(found["faults"])]
        for found in results["checks"].values()
    ]
    text = table(["what happens", "trials", "outcomes", "faults"], rows)
    write_section("robustness", f"{text}\n\n{results['machine']}.", PAGE)


def _kinds(kinds: dict[str, int]) -> str:
    """Outcomes and how often they occurred, the most frequent first."""
    ordered = sorted(kinds.items(), key=lambda item: -item[1])
    return "; ".join(f"{kind}: {number:,}" for kind, number in ordered)
