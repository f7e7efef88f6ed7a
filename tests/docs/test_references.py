"""What the documentation names is there: files, links, modules."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from daemon.cli.ownership import NAMES
from tests.conftest import ROOT

PAGES = (*sorted((ROOT / "docs").glob("*.md")), *sorted((ROOT / "examples").rglob("*.md")), ROOT / "README.md")
PAGES += (ROOT / "CONTRIBUTING.md",)
NAMED = re.compile(r"(?<![\w/.])((?:daemon|models|adapters|tests|docs|deploy|examples)/[\w/.-]*[\w/])")
LINK = re.compile(r"\]\((?!https?:)([^)#\s]+)")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: f"{page.parent.name}-{page.name}")
def test_files_and_links_are_there(page: Path) -> None:
    """Every path of the tree that a page names exists, and every link between pages leads somewhere."""
    text = page.read_text(encoding="utf-8")
    assert [name for name in NAMED.findall(text) if not (ROOT / name).exists()] == []
    assert [link for link in LINK.findall(text) if not (page.parent / link).exists()] == []


def test_the_map_has_every_package() -> None:
    """docs/architecture.md says of each package with modules what it does; a module's own docstring says the rest."""
    text = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    folders = {path.parent for name in NAMES for path in (ROOT / name).rglob("*.py") if not path.stem.startswith("__")}
    assert len(folders) > 20
    inside = {ROOT / "daemon"}  # the map names its own modules one by one
    assert [str(f.relative_to(ROOT)) for f in folders - inside if f"`{f.relative_to(ROOT)}/`" not in text] == []
    own = [path.relative_to(ROOT) for room in ("adapters", "daemon") for path in (ROOT / room).glob("*.py")]
    assert [str(path) for path in own if path.name != "__init__.py" and f"`{path}`" not in text] == []


def test_every_module_says_what_it_is() -> None:
    """The first line of each module is a heading: a sentence that fits the map."""
    for path in (path for name in NAMES for path in (ROOT / name).rglob("*.py")):
        assert ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))), path


def test_what_the_map_passes_is_there() -> None:
    """Each function or class that the map names behind a file is in that file."""
    text = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    named = re.findall(r"`((?:daemon|models|adapters)/[\w/]+\.py)` `([\w.]+)`", text)
    assert len(named) > 30
    assert [(file, name) for file, name in named if name not in defined(ROOT / file)] == []


def test_what_the_map_names_alone_is_somewhere() -> None:
    """A class, or a method of one, that it names without a file is one of a module's; so is a function before `,`."""
    text = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    everywhere = {name for room in NAMES for path in (ROOT / room).rglob("*.py") for name in defined(path)}
    named = re.findall(r"`([A-Z]\w*[a-z]\w*(?:\.\w+)?)`", text)
    assert len(named) > 30
    assert sorted(set(named) - everywhere) == []


def test_the_map_names_nothing_twice() -> None:
    """What one looks for has one row."""
    text = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    looked_for = re.findall(r"(?m)^\| ([^|]+) \|", text)
    assert sorted({row for row in looked_for if looked_for.count(row) > 1 and row != "---"}) == []


def defined(path: Path) -> set[str]:
    """Functions, classes and methods of a module."""
    found = set()
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            found.add(node.name)
            for inner in node.body if isinstance(node, ast.ClassDef) else ():
                if isinstance(inner, (ast.FunctionDef, ast.AsyncFunctionDef)):
                    found.add(f"{node.name}.{inner.name}")
    return found


def test_the_readme_leads_to_every_page() -> None:
    """No page of docs/ is left out of the README's list."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    assert [page.name for page in (ROOT / "docs").glob("*.md") if f"(docs/{page.name})" not in text] == []
