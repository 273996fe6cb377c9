"""The look of every figure: colors that color-blind readers tell apart.

The colors are those of Okabe and Ito (2008), "Color Universal Design", without black and yellow. They stay apart on the
dark pages of the documentation, which turn the lightness of pictures around (docs/static/site.css).
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, TypeVar, cast

BLUE, VERMILION, GREEN, PURPLE, ORANGE, SKY = "#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9"
PALETTE = (BLUE, VERMILION, GREEN, PURPLE, ORANGE, SKY)
#: Styles of the first six lines, of the next six, and of the rest.
LINES = ("-", "--", ":")

Draws = TypeVar("Draws", bound=Callable[..., Any])


def settings() -> Any:
    """Settings of Matplotlib, as ``matplotlib.rc_context`` takes them."""
    from matplotlib.rcsetup import cycler

    return {
        "axes.prop_cycle": cycler(color=PALETTE),
        "svg.fonttype": "none",  # Text stays text.
        "svg.hashsalt": "gfn-envs",  # The same figure is the same file.
    }


def styled(draw: Draws) -> Draws:
    """Decorator: ``draw`` makes, and saves, its figure in this style. The user's own settings stay as they are."""

    @functools.wraps(draw)
    def wrapped(*args: Any, **kwargs: Any) -> Any:
        try:
            import matplotlib
        except ImportError:
            return draw(*args, **kwargs)  # It says what to install.
        with matplotlib.rc_context(settings()):
            return draw(*args, **kwargs)

    return cast(Draws, wrapped)
