"""The sample configuration and the reference table, made from the schema so that neither can be out of date.

`python -m daemon.config.sample docs/configuration.md` writes both into the documentation again; without a file it
writes the sample to standard output.
"""

from __future__ import annotations

import json
import re
import sys
import textwrap
from collections.abc import Mapping
from pathlib import Path

from daemon.config import generated
from daemon.config.schema import NAME, Key, keys

_STREAM = "readings"
_SHOWN = {
    "version": "1",
    f"streams.{NAME}.sources[].type": "file",
    f"streams.{NAME}.sources[].path": "./readings/*.csv",
    f"streams.{NAME}.interval": "30m",
    f"streams.{NAME}.alerts.series[].match": '"example-*"',
    **{
        f"{where}maintenance[].{key}": value
        for where in (f"streams.{NAME}.", "")
        for key, value in (("series", '"example-*"'), ("start", "2000-01-01T22:00"), ("end", "2000-01-02T02:00"))
    },
    "events.webhook[].url": "null",
    "events.alertmanager[].url": "null",
    "events.syslog[].url": "null",
    "events.mqtt[].url": "null",
    "events.apprise[].url": "null",
    "metrics.remote_write[].url": "null",
}
"""Keys that stand uncommented in the sample, and their values."""

_ITEMS = (
    "sources[].type",
    "series[].match",
    "maintenance[].series",
    *(path for path in _SHOWN if path.endswith("[].url")),
)
"""First keys of list items."""

_HEAD = """\
# Tidegauge's configuration: tidegauge check --config FILE says whether it is right.
# Text stands behind "##", an optional key with its default behind "#". Durations have a unit of s, m, h, d or w.
# Paths are relative to this file's directory.
"""
_WIDTH = 116


def sample(state_dir: Path | None = None, readings: str | None = None) -> str:
    """The commented file that `tidegauge init` writes: every key, the optional ones as comments with their default.

    Args:
        state_dir: Value of that key, uncommented.
        readings: Path of the file source.
    """
    given = {"state_dir": state_dir and str(state_dir), f"streams.{NAME}.sources[].path": readings}
    shown = _SHOWN | {path: json.dumps(value, ensure_ascii=False) for path, value in given.items() if value}
    lines = [_HEAD]
    for key in keys():
        lines += _entry(key, shown)
    return re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).rstrip() + "\n"


def _entry(key: Key, shown: Mapping[str, str]) -> list[str]:
    depth = key.path.count(".")
    first_of_item = key.path.endswith(_ITEMS)
    indent = "  " * (depth + key.path.count("[]."))
    lines = [f"{indent}## {line}" for line in textwrap.wrap(key.meaning, _WIDTH - len(indent) - 3)]
    if first_of_item:
        lines = [line[2:] for line in lines]
        indent = indent[:-2] + "- "
    if key.section:
        lines.append(f"{indent}{key.name}:")
        if key.type == "sections by name":
            lines.append(f"{indent}  {_STREAM}:")
    elif key.path in shown:
        lines.append(f"{indent}{key.name}: {shown[key.path]}")
    else:
        lines.append(f"{indent}# {key.name}: {key.default}")
    return ["", *lines] if depth == 0 else lines


def reference() -> str:
    """The table of all keys, in Markdown."""
    rows = ["| key | type | default | meaning | on reload |", "|---|---|---|---|---|"]
    for key in keys():
        default = "required" if key.required else f"`{key.default}`" if key.default else ""
        cells = [f"`{key.path}`", key.type, default, key.meaning, key.effect]
        rows.append(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |")
    return "\n".join(rows) + "\n"


def documented(page: str) -> str:
    """A page of documentation with reference and sample written again; raises ValueError where a mark is missing."""
    return generated.documented(page, {"reference": reference(), "sample": f"```yaml\n{sample()}```\n"})


if __name__ == "__main__":
    generated.write_again(sys.argv[1:], documented, sample())
