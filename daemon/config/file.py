"""Reading the configuration: a file to `Settings`, every mistake to one line that says where and what to do.

Paths in the file are relative to the file's directory; paths in overrides, which come from the command line, to the
working directory.
"""

from __future__ import annotations

import difflib
import glob
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import orjson
from pydantic import ValidationError
from pydantic_core import ErrorDetails

from daemon.config.changing import pattern
from daemon.config.document import ConfigError, Document, Problem, Where, dotted
from daemon.config.schema import NAME, keys, names_at
from daemon.config.sections import ConflictError
from daemon.config.settings import FormatSettings, Settings
from daemon.config.source_settings import SourceSettings, TlsSettings
from daemon.config.units import format_duration, format_size

__all__ = ["ConfigError", "Problem", "effective", "from_effective", "load"]

_WRONG_TYPE = {
    "int_type": "not a whole number; write digits without quotes",
    "float_type": "not a number; write digits without quotes, with '.' as decimal separator",
    "bool_type": "neither true nor false; write one of the two, without quotes",
    "string_type": "not text; put it in quotes if it is meant as text",
    "path_type": "not a path; put it in quotes if it is meant as one",
    "list_type": "not a list; write one item a line, each after '- '",
    "dict_type": "not a section; write its keys below it, indented",
    "model_type": "not a section; write its keys below it, indented",
}
_BOUNDS = {
    "greater_than_equal": ("ge", "below the least allowed, {0}; set {0} or more"),
    "greater_than": ("gt", "not above {0}; set more than {0}"),
    "less_than_equal": ("le", "above the most allowed, {0}; set {0} or less"),
    "less_than": ("lt", "not below {0}; set less than {0}"),
}

_OTHERS: dict[str, tuple[str, str]] = {
    "stdin": ("", "standard input"),
    "tcp": ("listen", ""),
    "udp": ("listen", ""),
    "unix": ("path", ""),
}
"""The key that says what a source other than a file reads, or the words for it."""


def load(path: Path, overrides: Mapping[str, object] | None = None, *, serving: bool = False) -> Settings:
    """Read and check a configuration file.

    Args:
        path: The file.
        overrides: Values from the command line by dotted key path, such as `{"streams.taxi.interval": "30m"}`;
            they replace what the file says, and complain as `command line: ...`.
        serving: Whether the daemon is to run from it, so that every stream needs a source.

    Returns:
        The settings, every path in them absolute.

    Raises:
        ConfigError: The file cannot be read, or does not describe a possible configuration.
    """
    document = Document(path)
    overridden = {_override(document.data, key, value) for key, value in (overrides or {}).items()}

    def problem(where: Where, text: str) -> Problem:
        if any(where[: len(key)] == key for key in overridden):
            return Problem("command line", None, text)
        return document.problem(where, text)

    version = document.data.get("version")
    if type(version) is not int or version != 1:
        raise ConfigError([problem(("version",), _version(document.data))])
    try:
        settings = Settings.model_validate_json(
            orjson.dumps(document.data, default=str), strict=True, context={"file": True}
        )
    except ValidationError as error:
        found = dict.fromkeys(problem(*_explain(detail, document.data)) for detail in error.errors())
        raise ConfigError(sorted(found, key=lambda each: each.line or 0)) from None
    settings = _absolute(settings, path.absolute().parent)
    if found := dict.fromkeys(problem(where, text) for where, text in _impossible(settings, serving)):
        raise ConfigError(list(found))
    return settings


def effective(settings: Settings) -> dict[str, Any]:
    """The settings with every default filled in, as JSON: what is journaled and what `tidegauge check` prints."""
    return settings.model_dump(mode="json")


def from_effective(config: Mapping[str, Any]) -> Settings:
    """The settings that `effective` wrote.

    Raises:
        pydantic.ValidationError: `config` is not what this version's `effective` writes.
    """
    return Settings.model_validate(dict(config))


def _override(data: dict[str, Any], key: str, value: object) -> Where:
    where = tuple(key.split("."))
    for name in where[:-1]:
        inner = data.get(name)
        data[name] = dict(inner) if isinstance(inner, dict) else {}
        data = data[name]
    is_path = any(each.path == pattern(key) and each.type == "path" for each in keys())
    data[where[-1]] = str(Path(str(value)).absolute()) if is_path and value is not None else value
    return where


def _version(data: Mapping[str, Any]) -> str:
    if data.get("version") is None:
        return "version is missing; add version: 1"
    return (
        f"version is {_shown(data['version'])}, but this tidegauge reads version 1; set version: 1 or use its tidegauge"
    )


def _shown(value: Any) -> str:
    """A value for a message: short, one line, text in quotes."""
    text = "empty" if value is None else orjson.dumps(value, default=str).decode()
    return text if len(text) <= 60 else f"{text[:57]}..."


def _explain(detail: ErrorDetails, data: Any) -> tuple[Where, str]:
    """Where an error of pydantic's is, and the line that says it in our words."""
    where: Where = tuple(detail["loc"])
    error = detail.get("ctx", {}).get("error")
    if isinstance(error, ConflictError):
        where = (*where, *error.key.split(".")) if error.key else where
        return where, f"{dotted(where)} {error.text}"
    if detail["type"] == "extra_forbidden":
        return where, f"{dotted(where)} is not a known key; {_did_you_mean(where)}"
    if detail["type"] == "missing":
        return where, f"{dotted(where)} is missing; add {where[-1]}: with at least one stream's name and keys below it"
    for part in where:  # not detail's input, which may be seconds already
        data = data[part]
    return where, f"{dotted(where)} is {_shown(data)}, {_why(detail['type'], detail, data)}"


def _why(kind: str, detail: ErrorDetails, value: Any) -> str:
    """What is wrong with one value, and the remedy."""
    context = detail.get("ctx", {})
    if kind == "value_error":
        return str(context["error"])
    if kind == "literal_error":
        return f"not one of the choices; set {context['expected'].replace(chr(39), '')}"
    if kind in _BOUNDS:
        name, text = _BOUNDS[kind]
        return text.format(_bound(context[name], value))
    if kind in {"too_short", "string_too_short"}:
        return f"too short; it needs at least {context['min_length']}"
    if kind == "string_too_long":
        return f"too long; it may have at most {context['max_length']} characters"
    return _WRONG_TYPE.get(kind, detail["msg"])


def _bound(bound: Any, value: Any) -> str:
    """A limit in the unit of the value that broke it."""
    if not isinstance(value, str):
        return str(bound)
    return format_size(bound) if value.endswith("B") else format_duration(bound)


def _did_you_mean(where: Where) -> str:
    """The remedy for an unknown key: its neighbour in spelling, the section it belongs in, or all there are."""
    name, names = str(where[-1]), names_at(where[:-1])
    close = difflib.get_close_matches(name, names, n=1, cutoff=0.75)
    elsewhere = [key.path for key in keys() if key.name == name]
    if where[0] == "streams" and len(where) > 1:
        elsewhere = [path.replace(NAME, str(where[1])) for path in elsewhere]
    if close or elsewhere:
        return f"did you mean {' or '.join(close or elsewhere)}?"
    return f"remove it, or use one of {', '.join(names)}"


def _absolute(settings: Settings, base: Path) -> Settings:
    """The settings with the file's paths made absolute."""
    config = settings.model_dump()
    config["state_dir"] = base / config["state_dir"]
    if config["events"]["file"]:
        config["events"]["file"] = base / config["events"]["file"]
    if config["http"]["web_config"]:
        config["http"]["web_config"] = base / config["http"]["web_config"]
    for stream in config["streams"].values():
        if stream["model"]["bundle"]:
            stream["model"]["bundle"] = base / stream["model"]["bundle"]
        for source in stream["sources"]:
            for section, key in ((source, "path"), *((source["tls"], key) for key in source["tls"])):
                section[key] = section[key] and str(base / section[key])
    return Settings.model_validate(config)


def _impossible(settings: Settings, serving: bool) -> Iterator[tuple[Where, str]]:
    """Combinations across sections that cannot work."""
    readers = _Readers(settings.events.file)
    for name, stream in settings.streams.items():
        root: Where = ("streams", name)
        if serving and not stream.sources:
            yield (*root, "sources"), f"{dotted(root)}.sources is empty, so nothing would be read; add a source"
        bundle = stream.model.bundle
        if bundle and not _is_file(bundle):
            where = (*root, "model", "bundle")
            yield (
                where,
                f"{dotted(where)} is {bundle}, but there is no such file; name a bundle (.pt) or remove the key",
            )
        for index, source in enumerate(stream.sources):
            yield from readers.clashes((*root, "sources", index), source)
            yield from _missing((*root, "sources", index, "tls"), source.tls)
        if any(source.type == "udp" for source in stream.sources) and _headed(stream.format):
            where = (*root, "format", "columns")
            yield where, f"{dotted(where)} is missing, but a datagram has no header line; list the columns, in order"


def _missing(where: Where, tls: TlsSettings) -> Iterator[tuple[Where, str]]:
    """Files of certificates that are not there."""
    for key, path in tls.model_dump().items():
        if path is not None and not _is_file(Path(path)):
            at = (*where, key)
            yield at, f"{dotted(at)} is {path}, but there is no such file; name a PEM file or remove the key"


def _headed(form: FormatSettings) -> bool:
    return form.type == "csv" and form.columns is None


class _Readers:
    """Which source reads what, over all streams.

    Args:
        log: The file that events are written to.
    """

    def __init__(self, log: Path | None) -> None:
        self._log = log
        self._files: dict[Path, str] = {}
        self._others: dict[str, str] = {}

    def clashes(self, where: Where, source: SourceSettings) -> Iterator[tuple[Where, str]]:
        """What makes a source impossible beside those seen before."""
        here = dotted(where)
        if source.type == "file" and source.path is not None:
            yield from self._file((*where, "path"), here, source.path)
            return
        key, what = _OTHERS[source.type]
        named = f"{source.type} {getattr(source, key)}" if key else what
        if other := self._others.get(named):
            at, said = (
                ((*where, key), f"{here}.{key} is {getattr(source, key)}") if key else (where, f"{here} is {what}")
            )
            yield at, f"{said}, but {other} {'listens there' if key else 'reads it'} already; keep one of the two"
        elif not (source.listen or "").endswith(":0"):
            self._others[named] = here

    def _file(self, where: Where, here: str, path: str) -> Iterator[tuple[Where, str]]:
        if self._log and _matches(self._log, path):
            yield where, f"{here}.path is {path}, but events.file is written there; move events.file elsewhere"
        if other := next((user for taken, user in self._files.items() if _overlap(taken, path)), None):
            yield where, f"{here}.path is {path}, but {other} reads it already; keep one of the two"
        self._files.setdefault(Path(path), here)


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:  # a name too long, a directory that may not be searched
        return False


def _matches(path: Path, pattern: str) -> bool:
    try:
        one, two = path.resolve(), Path(pattern).resolve()
    except (OSError, RuntimeError):  # a loop of links
        return str(path) == pattern
    return one == two or one.match(str(two))


def _overlap(one: Path, two: str) -> bool:
    """Whether two tailed paths or globs have a file in common: by their text, or among the files there are now."""
    if _matches(one, two) or _matches(Path(two), str(one)):
        return True
    if not (glob.has_magic(str(one)) or glob.has_magic(two)):
        return False
    # Path.glob refuses absolute patterns
    found = [set(glob.glob(pattern, recursive=True)) for pattern in (str(one), two)]  # noqa: PTH207
    return not found[0].isdisjoint(found[1])
