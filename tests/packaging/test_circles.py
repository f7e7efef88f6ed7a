"""No circle among modules: what a module imports can be read without it."""

from __future__ import annotations

import ast
import re
from collections.abc import Mapping, Set

import grimp
import pytest

from daemon.cli.ownership import NAMES
from tests.conftest import ROOT

Imports = Mapping[str, Set[str]]


def circles(imports: Imports) -> list[list[str]]:
    """Groups of modules that reach each other, in order of their names; a module that imports itself is one, too.

    Args:
        imports: What each module imports; every module is a key.
    """
    reached = {module: _reached(imports, module) for module in imports}
    groups = {frozenset(other for other in reached[m] if m in reached[other]) for m in imports if m in reached[m]}
    return sorted(sorted(group) for group in groups)


def _reached(imports: Imports, start: str) -> set[str]:
    """All modules that `start` comes to by one import or more."""
    found: set[str] = set()
    waiting = [start]
    while waiting:
        new = imports[waiting.pop()] - found
        found |= new
        waiting += new
    return found


@pytest.mark.parametrize(
    ("imports", "expected"),
    [
        ({"a": {"b"}, "b": {"c"}, "c": set()}, []),
        ({"a": {"b"}, "b": {"a"}, "c": {"a"}}, [["a", "b"]]),
        ({"a": {"b"}, "b": {"c"}, "c": {"a"}, "d": {"e"}, "e": {"d"}}, [["a", "b", "c"], ["d", "e"]]),
        ({"a": {"a"}}, [["a"]]),
    ],
)
def test_circles_are_found(imports: Imports, expected: list[list[str]]) -> None:
    """Circles of one, two and more modules are told apart, and a module that only leads to one is not in it."""
    assert circles(imports) == expected


def imports_of_the_product() -> dict[str, Set[str]]:
    """What each module of the three packages imports: at the top, inside functions, for types, and by name.

    `module:function` in a text, as `pkgutil.resolve_name` takes it in the registries, counts as an import.
    """
    graph = grimp.build_graph(*NAMES, exclude_type_checking_imports=False, cache_dir=None)
    return {
        module: graph.find_modules_directly_imported_by(module) | (_named_in(module) & graph.modules)
        for module in graph.modules
    }


def _named_in(module: str) -> set[str]:
    path = ROOT / module.replace(".", "/")
    file = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
    texts = (node.value for node in ast.walk(ast.parse(file.read_bytes())) if isinstance(node, ast.Constant))
    return {text.partition(":")[0] for text in texts if isinstance(text, str) and ":" in text}


def test_imports_of_every_kind_count() -> None:
    """The graph has what is imported where it is used, what is imported for types alone, and what a registry names."""
    imports = imports_of_the_product()
    assert len(imports) > 250
    assert "daemon.clock" in imports["daemon.cli.label_commands"]
    assert "adapters.base" in imports["adapters.source_kind"]
    assert "adapters.formats.csv" in imports["adapters.formats.format_registry"]


def test_no_modules_import_each_other_in_a_circle() -> None:
    """Among all modules of the three packages there is no circle."""
    assert circles(imports_of_the_product()) == []


def test_the_commands_are_gathered_above_the_application() -> None:
    """cli/main.py imports every module of commands; cli/app.py, which all of them import, comes to none of them."""
    imports = imports_of_the_product()
    commands = {name for name in imports if re.fullmatch(r"daemon\.cli\.\w+_commands?", name)}
    assert len(commands) > 5
    assert commands <= imports["daemon.cli.main"]
    assert not commands & _reached(imports, "daemon.cli.app")
