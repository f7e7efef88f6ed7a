"""`tidegauge describe`: what a file of readings is like."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table

from adapters.formats.format_registry import LINES, of_suffix
from daemon.cli.app import Json, Series, Time, app, errors, fail
from daemon.cli.selection import given, settings_of
from daemon.config.units import format_duration
from daemon.presentation.console import progress, say, say_json, table_console
from daemon.presentation.words import instant, plural, tally

if TYPE_CHECKING:
    from daemon.config.settings import StreamSettings
    from daemon.describe.description import Description

MOST_SERIES = 10  # printed
_BARS = " ▁▂▃▄▅▆▇█"


@app.command()
def describe(
    file: Annotated[
        Path, typer.Argument(help="Readings: CSV, JSON lines, Parquet, NEM12 or Green Button; its content tells.")
    ],
    time: Time = None,
    value: Annotated[str | None, typer.Option(help="Column of the value.")] = None,
    series: Series = None,
    delimiter: Annotated[
        str | None, typer.Option(help="Between a CSV file's columns; default: as the file has it.")
    ] = None,
    decimal: Annotated[
        str | None, typer.Option(help="A CSV file's decimal sign, . or a comma; default: as it has it.")
    ] = None,
    timezone: Annotated[str, typer.Option(help="Zone of stamps without one.")] = "UTC",
    html: Annotated[Path | None, typer.Option(help="Write a page with box plot and histogram here.")] = None,
    config: Annotated[Path | None, typer.Option(help="Write the suggested configuration here.")] = None,
    as_json: Json = False,
) -> None:
    """Describe a file: statistics, gaps, interval, seasons, and a configuration to begin with.

    Beside --time, --value, --series, --delimiter or --decimal nothing is looked for: what is not given is its default
    of docs/configuration.md.
    """
    from daemon.describe.description_page import page
    from daemon.describe.file_layout import clock_beside, layout_of
    from daemon.describe.suggestion import suggested

    with errors():
        options = given(
            format_time=time,
            format_value=value,
            format_series=series,
            format_delimiter=delimiter,
            format_decimal=decimal,
            timezone=timezone,
        )
        settings_of(None, None, file.stem, dict(options))  # options that cannot be are told before the file is read
        named = any(key.startswith("format.") for key in options)
        found, stream = _best(file, [options] if named else [layout_of(file, timezone) | options, options], as_json)
        yaml = suggested(found, stream.format, timezone, stream.stamp)
        if named and (clock := clock_beside(file, timezone, stream.format.time, found.interval_s)):
            say(f"the stamps have no time of day, and column {clock!r} looks like one: leave --time out", err=True)
        if html is not None:
            html.write_text(page(found, yaml), "utf-8")
        if config is not None:
            config.write_text(yaml, "utf-8")
        if as_json:
            say_json(found.to_json() | {"config": yaml})
        else:
            _print(found, yaml)


def _best(file: Path, candidates: Sequence[Mapping[str, Any]], as_json: bool) -> tuple[Description, StreamSettings]:
    """What a file is like under the first of some options that read it, or else under those that read most of it."""
    from daemon.describe.description import DescribingError
    from daemon.intake.refusals import SERIOUS, share_refused

    best: tuple[Description, StreamSettings] | None = None
    failed: DescribingError | None = None
    for options in candidates:
        try:
            found, stream = _look(file, dict(options), as_json)
            if found.sentinels:
                missing = [*options.get("format.missing", []), *found.sentinels]
                found, stream = _look(file, {**options, "format.missing": missing}, as_json)
        except DescribingError as error:
            failed = failed or error
            continue
        if best is None or found.rows > best[0].rows:
            best = found, stream
        if share_refused(found.rejected, found.rows) <= SERIOUS:
            break
    if best is None:
        fail(str(failed))
    return best


def _look(file: Path, options: dict[str, Any], as_json: bool) -> tuple[Description, StreamSettings]:
    """What a file is like under some options, and the stream's settings that these are."""
    from daemon.describe.description import describe as look
    from daemon.intake.construction import make_file_format

    if "format.type" not in options and (kind := of_suffix(file.suffix)) in LINES:
        options["format.type"] = kind
    settings, name = settings_of(None, None, file.stem, options)
    stream = settings.streams[name]
    with progress(f"reading {file.name}", as_json) as step:
        return look(file, make_file_format(file, stream, settings.limits), stream.format, step), stream


def _print(d: Description, yaml: str) -> None:
    """The description in words and tables."""
    from daemon.describe.suggestion import arrival_words, interval_words
    from daemon.intake.refusals import SERIOUS, share_refused

    missing = f"{plural(d.missing, 'slot')} in {plural(d.gaps, 'gap')}" if d.gaps else "none"
    seasons = ", ".join(f"{format_duration(s.period_s)} (autocorrelation {s.strength:.2f})" for s in d.seasons)
    first, later = (d.refused, "") if share_refused(d.rejected, d.rows) > SERIOUS else ("", d.refused)
    if first:
        say(f"{first}\n")
    say(f"{d.file}\n")
    for name, text in (
        ("readings", f"{d.rows:,}; rejected: {tally(d.rejected)}; repeated: {d.repeated:,}"),
        *([("refused", later)] if later else []),
        ("series", _series(d)),
        ("from, to", f"{instant(d.first_at)}, {instant(d.last_at)}"),
        ("interval", interval_words(d)),
        ("arrival", arrival_words(d)),
        ("missing", missing),
        ("seasons", seasons or "none found"),
    ):
        say(f"{name:10}  {text}")
    v = d.values
    say("")
    names = ("count", "mean", "std", "min", "q25", "median", "q75", "max")
    table = Table("", "value")
    for name in names:
        each = getattr(v, name)
        table.add_row(name, f"{each:,}" if name == "count" else f"{each:.6f}")
    table_console().print(table)
    most = max(v.bins)
    bars = "".join(_BARS[-(-n * (len(_BARS) - 1) // most)] for n in v.bins)
    say(f"{v.min:g} {bars} {v.max:g}")
    for gap in d.longest_gaps:
        say(f"gap of {plural(gap.slots, 'slot')}: {gap.series}, {instant(gap.after)} to {instant(gap.before)}")
    say(f"\n{yaml}", nl=False)


def _series(d: Description) -> str:
    """Their number, and the readings of the first ones."""
    shown = ", ".join(f"{name} {n:,}" for name, n in list(d.series.items())[:MOST_SERIES])
    return f"{len(d.series):,}: {shown}{', ...' if len(d.series) > MOST_SERIES else ''}"
