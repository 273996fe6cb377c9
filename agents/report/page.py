"""From the contents of a report to HTML. The only module that imports jinja2 and plotly."""

from __future__ import annotations

import base64
import functools
import gzip
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from agents.report.charts import Chart

HERE = Path(__file__).parent


def check_installed() -> Any:
    """The module jinja2. Raises ImportError, with the extra to install, if it or plotly is missing."""
    try:
        import jinja2
        import plotly.offline  # noqa: F401
    except ImportError:
        raise ImportError('reports need jinja2 and plotly: pip install "gfn-envs[report]"') from None
    return jinja2


def page(
    title: str, sections: Sequence[dict[str, Any]], curves: Sequence[Chart], comparison: dict[str, Any] | None
) -> str:
    """The HTML of a report. Text from runs is escaped, and the page may load nothing and send nothing.

    Raises:
        ImportError: jinja2 or plotly is not installed.
    """
    jinja2 = check_installed()
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(HERE),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["chart_json"] = chart_json
    return environment.get_template("report.html").render(
        title=title,
        sections=sections,
        curves=curves,
        comparison=comparison,
        style=(HERE / "report.css").read_text("utf-8"),
        script=(HERE / "report.js").read_text("utf-8"),
        plotly=compressed_plotly(),
    )


def chart_json(chart: Chart) -> str:
    """A chart as JSON that cannot end the script element which holds it."""
    import markupsafe

    text = json.dumps(chart.spec, separators=(",", ":"), allow_nan=False)
    return markupsafe.Markup(text.replace("<", "\\u003c"))


@functools.cache
def compressed_plotly() -> str:
    """plotly.js as base64 of gzip: two fifths of its size. Browsers since 2023 can decompress it."""
    from plotly.offline import get_plotlyjs

    return base64.b64encode(gzip.compress(get_plotlyjs().encode(), mtime=0)).decode()
