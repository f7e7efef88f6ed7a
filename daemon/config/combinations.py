"""Combinations across sections that cannot work: what is missing or has no effect, two readers of a file or address."""

from __future__ import annotations

import glob
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from adapters.formats.format_registry import FORMATS, LINES
from adapters.sinks.sink_registry import SINKS, address
from adapters.source_kind import STREAM
from adapters.source_registry import SOURCES
from daemon.config.document import Where, dotted
from daemon.config.format_settings import FormatSettings
from daemon.config.model_settings import ModelSettings
from daemon.config.settings import WEEKLY_S, Settings
from daemon.config.sink_settings import FILE_KEYS
from daemon.config.source_settings import SourceSettings
from daemon.config.units import format_duration

_ONE_ONLY = {"stdin": "standard input"}  # what messages call sources of which there can be one


def impossible(settings: Settings, serving: bool) -> Iterator[tuple[Where, str]]:
    """Combinations across sections that cannot work."""
    readers = _Readers(settings.events.file)
    yield from _sinks(settings)
    for name, stream in settings.streams.items():
        root: Where = ("streams", name)
        if serving and not stream.sources:
            yield (*root, "sources"), f"{dotted(root)}.sources is empty, so nothing would be read; add a source"
        yield from _models((*root, "model"), stream.model)
        if stream.holidays and not stream.model.bundle and not (stream.model.calendar and stream.warm_up >= WEEKLY_S):
            where = (*root, "holidays")
            yield (
                where,
                f"{dotted(where)} is set, but the model sees the time of week only with model.calendar: true and a "
                f"warm_up of {format_duration(WEEKLY_S)} or more; set them, or remove the key",
            )
        for index, source in enumerate(stream.sources):
            yield from readers.clashes((*root, "sources", index), source)
            if (extra := SOURCES[source.type].extra) and (said := extra.missing()):
                where = (*root, "sources", index, "type")
                yield where, f"{dotted(where)} is {source.type}, which {said}"
            files: dict[Where, str | None] = {("tls", key): path for key, path in source.tls.model_dump().items()}
            files["ca",] = source.ca
            yield from _missing((*root, "sources", index), files)
            yield from _unreadable((*root, "sources", index, "type"), source, stream.format)
        for index, source in enumerate(stream.sources):
            if SOURCES[source.type].own_lines(source) and stream.format.width > 1:
                where = (*root, "sources", index)
                yield (
                    where,
                    f"{dotted(where)} is of type {source.type}, which gives one value a reading, but format.value "
                    f"names {stream.format.width}; name one",
                )
        if any(source.type == "udp" for source in stream.sources) and stream.format.headed:
            where = (*root, "format", "columns")
            yield where, f"{dotted(where)} is missing, but a datagram has no header line; list the columns, in order"


def _models(root: Where, model: ModelSettings) -> Iterator[tuple[Where, str]]:
    """Models that are not there, or are two, or an own one without its checksum."""
    for key, path in (("bundle", model.bundle), ("torchscript", model.torchscript)):
        where = (*root, key)
        if path and not _is_file(path):
            what = "a bundle's file" if key == "bundle" else "a TorchScript file"
            yield where, f"{dotted(where)} is {path}, but there is no such file; name {what} or remove the key"
    where = (*root, "torchscript")
    if model.torchscript and model.bundle:
        yield where, f"{dotted(where)} is set beside {dotted((*root, 'bundle'))}, but one model serves; remove one"
    if model.torchscript and not model.sha256:
        yield (
            where,
            f"{dotted(where)} is {model.torchscript}, which is code, and nothing says which; if you trust it, set "
            f"{dotted((*root, 'sha256'))} to what sha256sum says of it",
        )
    if model.sha256 and not model.torchscript:
        where = (*root, "sha256")
        yield where, f"{dotted(where)} is set without {dotted((*root, 'torchscript'))}; name the file or remove the key"


def _missing(root: Where, files: Mapping[Where, str | None]) -> Iterator[tuple[Where, str]]:
    """Files of certificates that are not there."""
    for key, path in files.items():
        if path is not None and not _is_file(Path(path)):
            at = (*root, *key)
            yield at, f"{dotted(at)} is {path}, but there is no such file; name a PEM file or remove the key"


def _sinks(settings: Settings) -> Iterator[tuple[Where, str]]:
    """Sinks and stores that are one to their other side, and files of theirs that are not there."""
    for key, kind in SINKS.items():
        if kind.several:
            yield from _others(("events", key), getattr(settings.events, key), kind.name)
        chosen = kind.chosen(getattr(settings.events, key))
        if kind.extra and chosen and (said := kind.extra.missing()):
            yield ("events", key), f"events.{key} {said}"
    yield from _others(("metrics", "remote_write"), settings.metrics.remote_write, address("remote_write"))


def _others(root: Where, items: Sequence[Any], name: Callable[[Any], str]) -> Iterator[tuple[Where, str]]:
    """Of one list of other servers, those that are one, and files that are not there."""
    named: dict[str, str] = {}
    for index, item in enumerate(items):
        where: Where = (*root, index)
        for file in sorted(FILE_KEYS):
            path = getattr(item, file, None)
            if path is not None and not _is_file(Path(path)):
                at = (*where, file)
                yield at, f"{dotted(at)} is {path}, but there is no such file; name a file or remove the key"
        if item.url is None:
            continue
        if other := named.get(name(item)):
            at = (*where, "url")
            yield at, f"{dotted(at)} is that of {other} already; keep one of the two"
        named[name(item)] = dotted(where)


def _unreadable(where: Where, source: SourceSettings, form: FormatSettings) -> Iterator[tuple[Where, str]]:
    """A format or an encoding that sources of this type cannot give."""
    if source.type != "file" and FORMATS[form.type].document:
        yield (
            where,
            (
                f"{dotted(where)} is {source.type}, which gives lines, but {form.type} is read a whole file at a time; "
                f"set type: file, or a format of {', '.join(LINES)}"
            ),
        )
    elif source.type not in ("file", "stdin") and form.encoding not in ("auto", "utf-8"):
        yield (
            where,
            (
                f"{dotted(where)} is {source.type}, whose lines are UTF-8, but format.encoding is {form.encoding}; set "
                "encoding: auto, or type: file"
            ),
        )


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
        key, what = SOURCES[source.type].claims, _ONE_ONLY.get(source.type, f"a source of type {source.type}")
        if key == STREAM:  # what is posted names the stream alone
            key, what = "", f"a source of type {source.type} for stream {where[1]}"
        named = f"{source.type} {getattr(source, key)}" if key else what
        if other := self._others.get(named):
            at, said = (
                ((*where, key), f"{here}.{key} is {getattr(source, key)}") if key else (where, f"{here} is {what}")
            )
            does = "listens there" if key in ("listen", "path") else "is that" if key else "reads it"
            yield at, f"{said}, but {other} {does} already; keep one of the two"
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
