"""The kit: the files that `tidegauge kit` writes, shipped ones and those that are made of the registries."""

from __future__ import annotations

import errno
import json
from collections.abc import Iterator
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path

from adapters.sinks import SINKS
from adapters.source_registry import SOURCES
from daemon.config.json_schema import json_schema
from daemon.config.sample import sample
from models.atomic_file import write_atomically

_MODELINE = "# yaml-language-server: $schema=../tidegauge.schema.json\n"
_SOURCE = """\
# Tidegauge with a source of type {key}; docs/sources.md says what its keys mean.
version: 1
streams:
  readings:
    sources:
      - {sample}
    {beside}
"""
_SINK = """\
# Tidegauge with the sink {key}; docs/events.md says what its keys mean.
version: 1
events:
  {sample}
streams:
  readings:
    sources:
      - {{type: file, path: ./readings/*.csv}}
    interval: 30m
"""


def contents() -> dict[str, bytes]:
    """Every file of the kit by its path within it, in order of these, with `/` between their parts."""
    made = {
        "tidegauge.schema.json": json.dumps(json_schema(), indent=2) + "\n",
        "configurations/tidegauge.yaml": _MODELINE + sample(),
    }
    for key, source in SOURCES.items():
        text = _SOURCE.format(key=key, sample=source.sample, beside="\n    ".join(source.beside))
        made[f"configurations/source-{key}.yaml"] = _MODELINE + text
    for key, sink in SINKS.items():
        made[f"configurations/sink-{key}.yaml"] = _MODELINE + _SINK.format(key=key, sample=sink.sample)
    found = {path: text.encode() for path, text in made.items()}
    found.update(_shipped(files("daemon.kit") / "files", ""))
    return dict(sorted(found.items()))


def _shipped(directory: Traversable, prefix: str) -> Iterator[tuple[str, bytes]]:
    for each in directory.iterdir():
        if each.is_dir():
            yield from _shipped(each, f"{prefix}{each.name}/")
        else:
            yield prefix + each.name, each.read_bytes()


def write_kit(directory: Path, *, force: bool = False) -> list[Path]:
    """Write the kit below a directory, which is made.

    Args:
        directory: Where to.
        force: Replace files that are there and differ; files of other names stay.

    Returns:
        The path of each, in order.

    Raises:
        FileExistsError: Something else is there under one of their names, which `filename` has; nothing was written.
        OSError: One cannot be written.
    """
    wanted = {directory / path: content for path, content in contents().items()}
    for path, content in wanted.items():
        if not force and _differs(path, content):
            raise FileExistsError(errno.EEXIST, "exists and differs", str(path))
    for path, content in wanted.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, [content])
    return list(wanted)


def _differs(path: Path, content: bytes) -> bool:
    """Whether something is there under a name, or one of its directories', that is not what will be there."""
    if path.is_symlink() or path.exists():
        return not path.is_file() or path.read_bytes() != content
    return any(each.exists() and not each.is_dir() for each in path.parents)
