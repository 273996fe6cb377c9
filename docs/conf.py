"""Settings of the documentation site: ``make docs`` builds it into build/docs, without network."""

import importlib.util
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent), str(HERE.parent / "scripts")]

import check_site  # noqa: E402
import notebooks  # noqa: E402
import site_pages  # noqa: E402

import gfn_envs  # noqa: E402

project = "gfn-envs"
author = "the gfn-envs contributors"
copyright = author
release = gfn_envs.__version__

extensions = ["myst_nb", "sphinx_copybutton"]
exclude_patterns = ["fields/README.md", "generated/notebooks/*"]
myst_enable_extensions = ["dollarmath", "colon_fence", "attrs_inline"]
myst_heading_anchors = 3
# Docstrings have patterns such as N[^P], which are no footnotes.
myst_disable_syntax = ["footnote_ref", "footnote_def", "footnote_inline"]
# Tutorials alone are executed here; tests/docs executes the blocks of the other pages.
nb_execution_mode = "force"
nb_execution_timeout = 120
nb_execution_raise_on_error = True
nb_merge_streams = True
suppress_warnings = ["mystnb.unknown_mime_type"]

html_theme = "furo"
html_title = "gfn-envs"
# Formulas are drawn by one file, which is part of the site: pages need no network.
MATHJAX = Path(importlib.util.find_spec("sphinx-mathjax-offline").origin).parent / "static" / "mathjax"
mathjax_path = "tex-svg-full.js"
html_static_path = ["static", str(MATHJAX / mathjax_path)]
html_css_files = ["site.css"]
html_js_files = [("site.js", {"defer": "defer"})]
html_show_sphinx = False
html_theme_options = {"navigation_with_keys": True}
templates_path: list[str] = []


def setup(app):
    site_pages.write(HERE)
    notebooks.write(HERE)
    app.connect("source-read", notebooks.add_link)
    app.connect("build-finished", check_site.after_build)
