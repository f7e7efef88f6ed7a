"""`tidegauge describe`: what a file of readings is like."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from adapters.formats.format_registry import LINES, of_suffix
from daemon.cli.app import Json, Series, Time, app, errors, fail
from daemon.cli.selection import given, settings_of
from daemon.config.units import format_duration
from daemon.presentation.console import progress, say, say_json, table_console
from daemon.presentation.words import instant, plural, tally

if TYPE_CHECKING:
    from daemon.describe.description import Description

MOST_SERIES = 10  # printed
_BARS = " ▁▂▃▄▅▆▇█"


@app.command()
def describe(
    file: Annotated[Path, typer.Argument(help="Readings: .csv, .jsonl or .parquet; any other name is read as CSV.")],
    time: Time = None,
    value: Annotated[str | None, typer.Option(help="Column of the value.")] = None,
    series: Series = None,
    delimiter: Annotated[str | None, typer.Option(help="Between a CSV file's columns; default: a comma.")] = None,
    decimal: Annotated[str | None, typer.Option(help="A CSV file's decimal sign: . (default) or a comma.")] = None,
    timezone: Annotated[str, typer.Option(help="Zone of stamps without one.")] = "UTC",
    html: Annotated[Path | None, typer.Option(help="Write a page with box plot and histogram here.")] = None,
    config: Annotated[Path | None, typer.Option(help="Write the suggested configuration here.")] = None,
    as_json: Json = False,
) -> None:
    """Describe a file: statistics, gaps, interval, seasons, and a configuration to begin with."""
    from daemon.describe.description import DescribingError
    from daemon.describe.description import describe as look
    from daemon.describe.description_page import page
    from daemon.describe.suggestion import suggested
    from daemon.intake.construction import make_file_format

    with errors():
        options = given(
            format_time=time,
            format_value=value,
            format_series=series,
            format_delimiter=delimiter,
            format_decimal=decimal,
            timezone=timezone,
        )
        if (kind := of_suffix(file.suffix)) in LINES:
            options["format.type"] = kind
        settings, name = settings_of(None, None, file.stem, options)
        stream = settings.streams[name]
        try:
            with progress(f"reading {file.name}", as_json) as step:
                found = look(file, make_file_format(file, stream, settings.limits), step)
        except DescribingError as error:
            fail(str(error))
        yaml = suggested(found, stream.format, timezone)
        if html is not None:
            html.write_text(page(found, yaml), "utf-8")
        if config is not None:
            config.write_text(yaml, "utf-8")
        if as_json:
            say_json(found.to_json() | {"config": yaml})
        else:
            _print(found, yaml)


def _print(d: Description, yaml: str) -> None:
    """The description in words and tables."""
    from daemon.describe.suggestion import interval_words

    missing = f"{plural(d.missing, 'slot')} in {plural(d.gaps, 'gap')}" if d.gaps else "none"
    seasons = ", ".join(f"{format_duration(s.period_s)} (autocorrelation {s.strength:.2f})" for s in d.seasons)
    say(f"{d.file}\n")
    for name, text in (
        ("readings", f"{d.rows:,}; rejected: {tally(d.rejected)}; repeated: {d.repeated:,}"),
        ("series", _series(d)),
        ("from, to", f"{instant(d.first_at)}, {instant(d.last_at)}"),
        ("interval", interval_words(d)),
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
