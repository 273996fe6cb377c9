"""Colors of figures: seen apart with each kind of color blindness, on light pages and on dark ones."""

from __future__ import annotations

import itertools
import re
from pathlib import Path

import matplotlib
import numpy as np
import pytest
from matplotlib.colors import to_rgb

from agents.plots.style import PALETTE, styled

CSS = Path(__file__).resolve().parents[3] / "docs" / "static" / "site.css"
#: Color blindness in linear RGB, from Machado et al. 2009, severity 1.
BLINDNESS = {
    "none": np.eye(3),
    "protanopia": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
    "deuteranopia": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.01182, 0.04294, 0.968881]],
    "tritanopia": [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.3039]],
}
LUMINANCE = np.array([0.2126, 0.7152, 0.0722])
#: hue-rotate(180deg) of CSS, the matrix 2 * LUMINANCE - 1 up to rounding of the coefficients.
HALF_TURN = 2 * np.array([0.213, 0.715, 0.072]) - np.eye(3)


def linear(rgb: np.ndarray) -> np.ndarray:
    return np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)


def lab(rgb: np.ndarray) -> np.ndarray:
    """CIELAB of linear RGB."""
    to_xyz = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])
    xyz = to_xyz @ np.clip(rgb, 0, 1) / [0.9505, 1, 1.089]
    f = np.where(xyz > 0.008856, np.cbrt(xyz), 7.787 * xyz + 16 / 116)
    return np.array([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])


def on_dark_pages(rgb: np.ndarray) -> np.ndarray:
    """The filter of docs/static/site.css."""
    inverted = float(re.search(r"filter: invert\(([\d.]+)\) hue-rotate\(180deg\)", CSS.read_text("utf-8"))[1])
    return np.clip(HALF_TURN @ (rgb * (1 - inverted) + (1 - rgb) * inverted), 0, 1)


def contrast(a: np.ndarray, b: np.ndarray) -> float:
    """Ratio of WCAG 2.1."""
    low, high = sorted(float(LUMINANCE @ linear(x)) for x in (a, b))
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("page", ["light", "dark"])
@pytest.mark.parametrize("kind", BLINDNESS)
def test_colors_are_seen_apart(kind: str, page: str) -> None:
    """A difference of 2.3 in CIELAB is just noticeable; these are 12 at least."""
    colors = [np.array(to_rgb(name)) for name in PALETTE]
    seen = [lab(BLINDNESS[kind] @ linear(c if page == "light" else on_dark_pages(c))) for c in colors]
    assert min(np.linalg.norm(a - b) for a, b in itertools.combinations(seen, 2)) > 12
    background = np.ones(3) if page == "light" else on_dark_pages(np.ones(3))
    shown = colors if page == "light" else [on_dark_pages(c) for c in colors]
    assert min(contrast(c, background) for c in shown) > 2.2
    assert min(contrast(c, background) for c in shown[:4]) > 3


def test_text_is_legible_on_dark_pages() -> None:
    black, white = (on_dark_pages(np.full(3, value)) for value in (0.0, 1.0))
    assert contrast(black, white) > 12


def test_the_settings_of_the_user_stay() -> None:
    def colors() -> list[str]:
        return matplotlib.rcParams["axes.prop_cycle"].by_key()["color"]

    before = colors()
    assert styled(colors)() == list(PALETTE)
    assert colors() == before
