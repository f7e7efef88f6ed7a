"""What the documentation names is there: files, links, modules."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.conftest import ROOT

PAGES = (*sorted((ROOT / "docs").glob("*.md")), ROOT / "README.md")
NAMED = re.compile(r"(?<![\w/.])((?:daemon|models|adapters|tests|docs|deploy)/[\w/.-]*[\w/])")
LINK = re.compile(r"\]\((?!https?:)([^)#\s]+)")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_files_and_links_are_there(page: Path) -> None:
    """Every path of the tree that a page names exists, and every link between pages leads somewhere."""
    text = page.read_text(encoding="utf-8")
    assert [name for name in NAMED.findall(text) if not (ROOT / name).exists()] == []
    assert [link for link in LINK.findall(text) if not (page.parent / link).exists()] == []


def test_the_map_has_every_module() -> None:
    """docs/architecture.md says of each module of the daemon what it is for."""
    text = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    modules = [path for path in (ROOT / "daemon").rglob("*.py") if not path.name.startswith("__")]
    assert len(modules) > 100
    assert [str(path.relative_to(ROOT)) for path in modules if f"`{path.name}`" not in text] == []


def test_the_readme_leads_to_every_page() -> None:
    """No page of docs/ is left out of the README's list."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    assert [page.name for page in (ROOT / "docs").glob("*.md") if f"(docs/{page.name})" not in text] == []
