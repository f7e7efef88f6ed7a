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


ROOMS_OF_PLACES = ("adapters/", "daemon/intake/", "daemon/service/", "daemon/store/", "daemon/web/")


def functions(path: Path) -> set[str]:
    """Names of a module's functions and methods."""
    tree = ast.walk(ast.parse(path.read_text(encoding="utf-8")))
    return {node.name.strip("_") for node in tree if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))}


def identifiers(path: Path) -> set[str]:
    """Names that a module gives to functions, classes, arguments and variables; those of fields are a state's, too."""
    found = functions(path)
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ClassDef):
            found.add(node.name.lower().strip("_"))
        elif isinstance(node, ast.arg):
            found.add(node.arg.lower())
        elif isinstance(node, ast.Name):
            found.add(node.id.lower().strip("_"))
    return found


def test_a_place_is_where_chunks_come_from() -> None:
    """A file, a connection, a topic: only rooms that deal with sources speak of places. Readings get slots."""
    wrong = [
        str(path.relative_to(ROOT))
        for path in modules()
        if identifiers(path) & {"place", "places", "placed", "placement"}
        and not str(path.relative_to(ROOT)).startswith(ROOMS_OF_PLACES)
    ]
    assert wrong == []


def test_words_that_meant_too_much_are_gone() -> None:
    """No function is called `take`; a scale is that of a series' values, and the other one is an `error_scale`."""
    for path in modules():
        assert "take" not in functions(path), path
    assert [path.stem for path in modules() if "scale" in path.stem] == ["error_scale"]
