"""A YAML file as plain data that remembers the line of every key, with anything ambiguous refused.

The YAML is that of version 1.2 where the two differ: only `true` and `false` are booleans, `1:30` and `2024-01-01` are
text, `1e-3` is a number. Nothing is ever constructed from a tag. `${NAME}` in a value is that variable of the
environment; what it holds is a value, whatever it looks like, and never a key or a list.
"""

from __future__ import annotations

import math
import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from adapters.text import printable

Where = tuple[str | int, ...]
"""Path of a key: names, and indices of lists."""

_MAX_BYTES = 1 << 20
_MAX_NODES = 100_000
_TAG = "tag:yaml.org,2002:"


@dataclass(frozen=True, slots=True)
class Problem:
    """One mistake; `str` of it is its one line, whatever characters the file has."""

    file: str
    line: int | None
    text: str

    def __str__(self) -> str:
        line = f"{self.file}:{self.line}: {self.text}" if self.line else f"{self.file}: {self.text}"
        return printable(line)


class ConfigError(Exception):
    """The configuration cannot be used; `problems` says why, one line each."""

    def __init__(self, problems: list[Problem]) -> None:
        super().__init__("\n".join(str(problem) for problem in problems))
        self.problems = problems


def dotted(where: Where) -> str:
    """`("streams", "taxi", "sources", 0)` as `streams.taxi.sources[0]`."""
    return "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in where).lstrip(".")


def _text(value: str) -> str:
    if not value.replace("\t", "").isprintable():
        raise ValueError("a character that is not printable")
    return value


def _integer(value: str) -> int:
    if not -(2**63) <= int(value) < 2**63:
        raise ValueError("too large")
    return int(value)


def _number(value: str) -> float:
    if not math.isfinite(float(value)):
        raise ValueError("not finite")
    return float(value)


_SCALARS: dict[str, Callable[[str], Any]] = {
    f"{_TAG}str": _text,
    f"{_TAG}null": lambda _: None,
    f"{_TAG}bool": lambda text: text.lower() == "true",
    f"{_TAG}int": _integer,
    f"{_TAG}float": _number,
}


class _Loader(yaml.SafeLoader):
    """Composes nodes only, and takes for a boolean or a number what YAML 1.2 does."""

    yaml_implicit_resolvers: dict[str, list[Any]] = {}  # noqa: RUF012 - the base class declares it so


for _name, _pattern, _first in (
    ("null", r"(~|null|Null|NULL|)$", ["~", "n", "N", ""]),
    ("bool", r"(true|True|TRUE|false|False|FALSE)$", list("tTfF")),
    ("int", r"[-+]?[0-9]{1,18}$", list("-+0123456789")),
    ("float", r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]{1,3})?$", list("-+0123456789.")),
):
    _Loader.add_implicit_resolver(_TAG + _name, re.compile(_pattern), _first)


_VARIABLE = re.compile(r"(?<!\$)\$\{([A-Za-z_][A-Za-z0-9_]*)(:-[^}]*)?\}")


def _from_environment(found: re.Match[str]) -> str:
    """The value of `${NAME}`, or of `${NAME:-default}` where that is not set or empty."""
    value = os.environ.get(found[1], "")
    return value if value or found[2] is None else found[2][2:]


class Document:
    """One file's data.

    Attributes:
        data: What the file holds: dictionaries, lists, text, numbers, booleans and None.
        lines: The line of each key and list item.

    Raises:
        ConfigError: The file cannot be read, is not YAML, or says a thing twice.
    """

    def __init__(self, path: Path) -> None:
        self.name = str(path)
        self.lines: dict[Where, int] = {}
        self._problems: list[Problem] = []
        self._nodes = 0
        node = self._compose(path)
        if not isinstance(node, yaml.MappingNode):
            line = node.start_mark.line + 1 if node else None
            raise ConfigError([Problem(self.name, line, "there are no keys here; start with version: 1 and streams:")])
        self.data: dict[str, Any] = self._mapping(node, (), ())
        if self._problems:
            raise ConfigError(self._problems)

    def problem(self, where: Where, text: str) -> Problem:
        """The problem at a key, or at the nearest key above it that the file has."""
        lines = (self.lines[where[:n]] for n in range(len(where), 0, -1) if where[:n] in self.lines)
        return Problem(self.name, next(lines, None), text)

    def _compose(self, path: Path) -> yaml.Node | None:
        line: int | None = None
        try:
            with path.open("rb") as file:
                raw = file.read(_MAX_BYTES + 1)
            if len(raw) > _MAX_BYTES:
                raise ConfigError([Problem(self.name, None, "the file is over 1 MiB; it is not a configuration")])
            node: yaml.Node | None = yaml.compose(raw.decode("utf-8-sig"), Loader=_Loader)
            return node
        except FileNotFoundError:
            text = "there is no such file; write one with tidegauge init, or name another with --config"
        except OSError as error:
            text = f"the file cannot be read ({error.strerror}); name a readable file with --config"
        except UnicodeDecodeError as error:
            line = error.object.count(b"\n", 0, error.start) + 1
            text = "this line is not UTF-8; save the file as UTF-8"
        except RecursionError:
            text = "the file is nested too deeply; it is not a configuration"
        except yaml.MarkedYAMLError as error:
            mark = error.problem_mark or error.context_mark
            line = mark.line + 1 if mark else None
            column = f" at column {mark.column + 1}" if mark else ""
            globbed = "alias" in f"{error.context} {error.problem}"
            remedy = "put a value that starts with * in quotes" if globbed else "check indentation, quotes and colons"
            text = f"this is not YAML{column}: {error.problem or error.context}; {remedy}"
        except yaml.YAMLError as error:
            text = f"this is not YAML: {str(error).splitlines()[0]}; remove that character"
        raise ConfigError([Problem(self.name, line, text)])

    def _plain(self, node: yaml.Node, where: Where, above: tuple[int, ...]) -> Any:
        self._nodes += 1
        if self._nodes > _MAX_NODES:
            text = f"the file holds more than {_MAX_NODES:,} values; it is not a configuration"
            raise ConfigError([Problem(self.name, node.start_mark.line + 1, text)])
        if id(node) in above:
            raise ConfigError([self.problem(where, f"{dotted(where)} contains itself; write it out")])
        above = (*above, id(node))
        if isinstance(node, yaml.MappingNode) and node.tag == f"{_TAG}map":
            return self._mapping(node, where, above)
        if isinstance(node, yaml.SequenceNode) and node.tag == f"{_TAG}seq":
            items = enumerate(node.value)
            return [self._plain(self._at(item, (*where, i)), (*where, i), above) for i, item in items]
        if isinstance(node, yaml.ScalarNode) and node.tag in _SCALARS:
            try:
                return self._scalar(node, where)
            except ValueError:
                text = (
                    f"{dotted(where)} is {node.value!a:.60}, which is no text or number that can be used; write another"
                )
                self._problems.append(self.problem(where, text))
                return None
        text = f"{dotted(where)} has the tag {node.tag.replace(_TAG, '!!')}, which is not allowed here; remove the tag"
        self._problems.append(self.problem(where, text))
        return None

    def _scalar(self, node: yaml.ScalarNode, where: Where) -> Any:
        """A text, number or boolean, with the variables of the environment that it names; raises ValueError."""
        if "$" not in node.value:
            return _SCALARS[node.tag](node.value)
        missing = [name for name, default in _VARIABLE.findall(node.value) if name not in os.environ and not default]
        if missing:
            remedy = "set it, give a default as ${NAME:-default}, or write $${ for the characters themselves"
            text = f"{dotted(where)} names ${{{missing[0]}}}, which is not set in the environment; {remedy}"
            self._problems.append(self.problem(where, text))
            return None
        value = _VARIABLE.sub(_from_environment, node.value).replace("$${", "${")
        plain = node.style is None  # without quotes, what comes out may be a number
        loader: Any = _Loader("")
        tag = loader.resolve(yaml.ScalarNode, value, (True, False)) if plain else node.tag
        return _SCALARS[tag](value)

    def _mapping(self, node: yaml.MappingNode, where: Where, above: tuple[int, ...]) -> dict[str, Any]:
        found: dict[str, Any] = {}
        first: dict[str, int] = {}
        for key_node, value_node in node.value:
            if not isinstance(key_node, yaml.ScalarNode) or not key_node.value.isprintable():
                text = f"{dotted(where) or 'the file'} has a key that is no text; write each key as one word"
                self._problems.append(Problem(self.name, key_node.start_mark.line + 1, text))
                continue
            key, line = str(key_node.value), key_node.start_mark.line + 1
            here = (*where, key)
            if key in found:
                text = f"{dotted(here)} is set here and in line {first[key]}; keep one of the two"
                self._problems.append(Problem(self.name, line, text))
                continue
            self.lines[here] = first[key] = line
            found[key] = self._plain(value_node, here, above)
        return found

    def _at(self, node: yaml.Node, where: Where) -> yaml.Node:
        self.lines[where] = node.start_mark.line + 1
        return node
