"""Parts of the documentation that are made from code: written again between the marks that enclose them."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path


def documented(page: str, parts: Mapping[str, str]) -> str:
    """A page of documentation with its generated parts written again.

    Args:
        page: Its text.
        parts: Text of each part by the name in its marks, `<!-- NAME: begin -->` and `<!-- NAME: end -->`.

    Raises:
        ValueError: The page lacks one of the marks.
    """
    for name, text in parts.items():
        begin, end = f"<!-- {name}: begin -->\n", f"<!-- {name}: end -->"
        if page.count(begin) != 1 or page.count(end) != 1:
            raise ValueError(f"the page has no {begin.strip()} ... {end} around the {name}; add both marks")
        page = page[: page.index(begin) + len(begin)] + text + page[page.index(end) :]
    return page


def write_again(pages: Sequence[str], rewrite: Callable[[str], str], text: str) -> None:
    """Write the generated parts of the pages named again; with none named, `text` to standard output."""
    if not pages:
        sys.stdout.write(text)
    for name in pages:
        page = Path(name)
        page.write_text(rewrite(page.read_text(encoding="utf-8")), encoding="utf-8")
