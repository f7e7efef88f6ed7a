"""Names in the product code: each means one thing, and modules are nouns that work as headings."""

from __future__ import annotations

import ast
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

from daemon.cli.ownership import NAMES
from tests.conftest import ROOT

NOUNS = {"training", "embedding", "ring"}
"""Nouns that end like participles: an event of the lifecycle, a part of a network, and what goes round."""


def modules() -> Iterator[Path]:
    """Every module of the product but the `__init__` and `__main__` of its packages."""
    for name in NAMES:
        yield from (path for path in (ROOT / name).rglob("*.py") if not path.stem.startswith("__"))


def test_no_two_modules_have_one_name() -> None:
    """A module is named by its stem in talk, logs and docs; so that stem is one module's."""
    found = defaultdict(list)
    for path in modules():
        found[path.stem].append(str(path.relative_to(ROOT)))
    assert {name: paths for name, paths in found.items() if len(paths) > 1} == {}


def test_no_two_classes_have_one_name() -> None:
    """Nor do two public classes, whatever package they are in."""
    found = defaultdict(list)
    for path in modules():
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                found[node.name].append(str(path.relative_to(ROOT)))
    assert {name: paths for name, paths in found.items() if len(paths) > 1} == {}


def test_modules_are_nouns() -> None:
    """No module is a participle: `decision` is a heading, `deciding` a sentence cut short."""
    assert [str(path) for path in modules() if path.stem.endswith("ing") and path.stem not in NOUNS] == []
