"""A configuration to begin with, from what a file is like. `tidegauge check` accepts it as it is."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import yaml

from adapters.formats.format_registry import FORMATS, of_suffix
from daemon.config.alert_settings import AlertSettings
from daemon.config.format_settings import FormatSettings
from daemon.config.model_settings import ModelSettings
from daemon.config.settings import StreamSettings
from daemon.config.units import format_duration
from daemon.describe.description import Description

_DEFAULTS = StreamSettings(model=ModelSettings(), alerts=AlertSettings())
_WEEKS = 14 * 86400
REGULAR = 0.5  # share of the steps that one interval has, below which the readings keep none


def interval_words(d: Description) -> str:
    """The interval, and how much of one it is."""
    share = f"{format_duration(d.interval_s)}, {100 * d.regular:.1f} % of the steps between readings"
    if d.jitter_s:
        share += f", up to {format_duration(d.jitter_s)} beside the grid"
    return share if d.regular >= REGULAR else f"{share}: they come at irregular times"


def arrival_words(d: Description) -> str:
    """In which order the rows come, and what that is called in a configuration."""
    return "series by series (arrival: batch)" if d.by_series else "by time (arrival: live)"


def suggested(d: Description, fmt: FormatSettings, timezone: str, stamp: str = "start") -> str:
    """A configuration file for a described file.

    Args:
        d: The description.
        fmt: How the file was read.
        timezone: Zone of its stamps without one.
        stamp: Whether they mark the start or the end of their intervals.

    Returns:
        YAML, each choice with its reason in a comment above all.
    """
    kind = of_suffix(Path(d.file).suffix)
    if kind is not None and FORMATS[kind].document:
        fmt = fmt.model_copy(update={"type": kind})
    stream: dict[str, Any] = {"sources": [{"type": "file", "path": str(Path(d.file).absolute())}]}
    defaults = FormatSettings()
    if own := {k: v for k, v in fmt.model_dump(exclude_defaults=True).items() if v != getattr(defaults, k)}:
        stream["format"] = own
    if timezone != _DEFAULTS.timezone:
        stream["timezone"] = timezone
    reasons = [f"interval: {interval_words(d)}"]
    if d.regular < REGULAR:
        reasons.append("set interval to how often a series should report, and aggregate: mean")
    _written(d, fmt, stamp, stream, reasons)
    stream["interval"] = format_duration(d.interval_s)
    _kind(d, stream, reasons)
    _warm_up(d, stream, reasons)
    _gaps(d, stream, reasons)
    if d.by_series:
        stream["arrival"] = "batch"
        reasons.append("arrival: the rows come series by series, so a slot is complete only when the file has ended")
    name = re.sub(r"[^A-Za-z0-9_-]", "_", Path(d.file).stem)[:64]
    config = {"version": 1, "state_dir": "state", "streams": {name: stream}}
    comments = ["suggested by tidegauge describe; next: tidegauge check --config FILE", *reasons]
    return "".join(f"# {line}\n" for line in comments) + yaml.safe_dump(config, sort_keys=False, width=1000)


def _written(d: Description, fmt: FormatSettings, stamp: str, stream: dict[str, Any], reasons: list[str]) -> None:
    """What is to be said of how the file is written."""
    if fmt.missing:
        said = ", ".join(f"{each:g}" if isinstance(each, float) else each for each in fmt.missing)
        reasons.append(f"format.missing: {said} stands for values that are not there")
    if fmt.quality is not None:
        reasons.append(f"format.quality: {d.estimated:,} readings are estimated or substituted")
    if stamp == "end":
        stream["stamp"] = "end"
        reasons.append("stamp: the stamps mark the end of their intervals, by all that can be seen")


def _kind(d: Description, stream: dict[str, Any], reasons: list[str]) -> None:
    if d.rising:
        stream["kind"] = "counter"
        reasons.append("kind: the values only ever rise, like a counter's; remove it if they are no counter")
    if d.repeated > 0.01 * d.rows:
        stream["aggregate"] = "mean"
        reasons.append(
            f"aggregate: {d.repeated:,} readings are of a slot that already had one; sum or last may fit too"
        )


def _warm_up(d: Description, stream: dict[str, Any], reasons: list[str]) -> None:
    """Two of the longest season, two weeks where the history is long enough, and always room for two windows."""
    least = 2 * _DEFAULTS.model.window * d.interval_s
    span = d.last_at - d.first_at
    wanted = min(max([2 * each.period_s for each in d.seasons], default=0), span // 3)
    warm_up = max(wanted, min(_WEEKS, span // 3), least)
    step = max(d.interval_s, 3600) if 3600 % d.interval_s == 0 else d.interval_s
    warm_up = -(-warm_up // step) * step
    stream["warm_up"] = format_duration(warm_up)
    found = ", ".join(format_duration(each.period_s) for each in d.seasons)
    why = f"seasons found: {found}" if found else "no season was found"
    reasons.append(f"warm_up: {why}; the file spans {span / 86400:.1f} days, two windows take {least / 86400:.1f}")


def _gaps(d: Description, stream: dict[str, Any], reasons: list[str]) -> None:
    """Silence that this file's series keep every month is no event."""
    if d.long_gaps >= 3 and d.long_gaps_per_month > 1:
        stream["gap_after"] = min(max(d.gap_slots_q99 + 1, _DEFAULTS.gap_after), 10_000)
        reasons.append(
            f"gap_after: {d.long_gaps_per_month:.1f} gaps of three slots and more a month; "
            f"99 % have at most {d.gap_slots_q99}"
        )
    silent = stream.get("gap_after", _DEFAULTS.gap_after) * d.interval_s
    if silent >= _DEFAULTS.retire_after:
        stream["retire_after"] = format_duration(2 * silent)
        reasons.append("retire_after: longer than gap_after * interval, as it must be")
