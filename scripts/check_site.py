"""Check the built site: links, anchors, pictures, headings, alternative texts, and that nothing needs a network.

    python scripts/check_site.py build/docs

docs/conf.py does it after every build, so `make docs` fails if anything is wrong.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from bs4 import BeautifulSoup, Tag

#: Attributes that the browser loads: these must be files of the site.
LOADED = {"img": "src", "script": "src", "link": "href", "source": "src", "iframe": "src", "video": "src"}


def check(site: Path) -> tuple[list[str], dict[str, int]]:
    """Errors of the pages below ``site``, one line each, and the numbers of checked items."""
    soups = {path: BeautifulSoup(path.read_text("utf-8"), "html.parser") for path in sorted(site.rglob("*.html"))}
    anchors = {path: {str(tag["id"]) for tag in soup.select("[id]")} for path, soup in soups.items()}
    wrong, links, pictures = [], 0, 0
    for path, soup in soups.items():
        found = [*page_links(path, soup)]
        links, pictures = links + len(found), pictures + len(soup.find_all("img"))
        page = path.relative_to(site)
        wrong += [f"{page}: {text}" for target in found if (text := broken(path, target, anchors))]
        wrong += [f"{page}: {text}" for text in [*from_elsewhere(soup), *unheard(soup)]]
    return wrong, {"pages": len(soups), "links": links, "pictures": pictures}


def page_links(path: Path, soup: BeautifulSoup) -> Iterator[str]:
    """Targets of a page that are in the site: links, and files that the browser loads."""
    for tag in soup.find_all(["a", *LOADED]):
        target = str(tag.get(LOADED.get(tag.name, "href")) or "")
        if target and not urlsplit(target).scheme and not target.startswith("//"):
            yield target


def broken(path: Path, target: str, anchors: dict[Path, set[str]]) -> str | None:
    """The error of a link, or None."""
    parts = urlsplit(target)
    file = (path.parent / unquote(parts.path)).resolve() if parts.path else path
    if not file.is_file():
        return f"broken link {target}"
    if parts.fragment and file in anchors and unquote(parts.fragment) not in anchors[file]:
        return f"broken anchor {target}"
    return None


def from_elsewhere(soup: BeautifulSoup) -> Iterator[str]:
    """Files that the browser would load from the network."""
    for tag in soup.find_all(list(LOADED)):
        address = str(tag.get(LOADED[tag.name]) or "")
        # Links such as rel="canonical" load nothing.
        loads = tag.name != "link" or {"stylesheet", "icon", "preload"} & set(tag.get("rel") or ())
        if loads and re.match(r"(?:https?:)?//", address):
            yield f"{address} comes from the network"


def unheard(soup: BeautifulSoup) -> Iterator[str]:
    """Errors for screen readers: not exactly one title, skipped levels of headings, pictures or links without text."""
    article = soup.find("article") or soup
    levels = [int(tag.name[1]) for tag in article.find_all(re.compile("^h[1-6]$"))]
    if levels.count(1) != 1 and not soup.find(id="search-results"):
        yield f"{levels.count(1)} titles"
    if any(after > before + 1 for before, after in pairwise(levels)):
        yield f"a level of headings is left out: {levels}"
    for tag in soup.find_all("img"):
        if len(str(tag.get("alt") or "")) < 3 or str(tag["alt"]).endswith((".png", ".gif", ".svg")):
            yield f"picture {tag.get('src')} has no text"
    for tag in article.find_all("a", href=True):
        if not named(tag):
            yield f"link {tag['href']} has no text"


def named(tag: Tag) -> bool:
    """If a link has a text, a picture or a label."""
    return bool(tag.get_text(strip=True) or tag.find("img") or tag.get("aria-label") or tag.get("title"))


def after_build(app: Any, error: Exception | None) -> None:
    """Hook of Sphinx. Raises ExtensionError if anything is wrong with a site that was built."""
    from sphinx.errors import ExtensionError

    if error is None and app.builder.name == "html":
        wrong, numbers = check(Path(app.outdir).resolve())
        print(", ".join(f"{value:,} {key}" for key, value in numbers.items()) + f", {len(wrong)} wrong")
        if wrong:
            raise ExtensionError("\n".join(["the site:", *wrong]))


if __name__ == "__main__":
    problems, counts = check(Path(sys.argv[1]).resolve())
    print("\n".join([*problems, f"{counts}, {len(problems)} wrong"]))
    sys.exit(bool(problems))
