"""`tidegauge series`: which series there are, and how one is doing."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table

from daemon.cli.app import Config, Json, app, errors, fail
from daemon.cli.known_state import directory_of
from daemon.presentation.console import fitted, listed_line, numbers, print_table, say, say_json
from daemon.presentation.words import instant, plural

if TYPE_CHECKING:
    from daemon.metrics.snapshot import StreamSnapshot
    from daemon.store import StoreView

series_app = typer.Typer(no_args_is_help=True, help="The series there are, as the newest checkpoint knows them.")
app.add_typer(series_app, name="series")

State = Annotated[Path | None, typer.Option(help="State directory; default: the configuration's.")]
Stream = Annotated[str | None, typer.Option(help="Only this stream.")]
EVENTS = 5
"""Events shown beside a series."""


@series_app.command("list")
def series_list(
    pattern: Annotated[str, typer.Argument(help="Which: a name, or a pattern such as 'meter-7*'.")] = "*",
    stream: Stream = None,
    limit: Annotated[int, typer.Option(help="The worst so many.", min=1)] = 100,
    config: Config = None,
    state: State = None,
    as_json: Json = False,
) -> None:
    """List series, the greatest score first, while the daemon runs or not."""
    from daemon.store import open_reader

    with errors():
        directory = directory_of(config, state)
        with open_reader(directory) as reader:
            rows = _rows(reader, stream, pattern)
        if as_json:
            say_json(rows[:limit])
            return
        if not rows:
            say("no series", err=True)
            return
        table = Table("stream", "series", "status", "score", "value", "expected", "last reading")
        for row in rows[:limit]:
            words = (_status(row), "" if row["score"] is None else f"{row['score']:.2f}")
            values = ("" if row[name] is None else numbers(tuple(row[name])) for name in ("value", "expected"))
            table.add_row(row["stream"], row["series"], *words, *values, instant(row["last_reading_at"]))
        print_table(table)
        _say_as_of(directory)
        if len(rows) > limit:
            say(f"and {len(rows) - limit:,} more; --limit shows them", err=True)


@series_app.command("show")
def series_show(
    name: Annotated[str, typer.Argument(help="The series.")],
    stream: Stream = None,
    config: Config = None,
    state: State = None,
    as_json: Json = False,
) -> None:
    """Show one series: how it is doing, its labels and its newest events."""
    from dataclasses import asdict

    from daemon.store import EventFilter, open_reader

    with errors():
        directory = directory_of(config, state)
        with open_reader(directory) as reader:
            found = [row for row in _rows(reader, stream, "*") if row["series"] == name]
            if not found:
                fail(f"there is no series {name!r}; tidegauge series list shows them")
            if len(found) > 1:
                fail(f"which stream? {name} is in {', '.join(row['stream'] for row in found)}; give --stream", 2)
            (row,) = found
            wanted = EventFilter(row["stream"], name)
            events = [event for _, event in reader.events(wanted, limit=EVENTS, newest_first=True)]
            labels = reader.labels(row["stream"], name)
        if as_json:
            shown = {"labels": [asdict(each) for each in labels], "events": [each.to_json() for each in events]}
            say_json(row | shown)
            return
        say(f"{row['stream']}/{row['series']}, {_status(row)}")
        _say_as_of(directory)
        for title, text in _facts(row):
            say(f"  {title:12}  {text}")
        for label in labels:
            say(
                f"  {'label':12}  {label.kind}, {instant(label.since)} to {instant(label.until)}  {label.note}".rstrip()
            )
        say(f"\n{plural(len(events), 'event')}, the newest first" if events else "\nno events")
        for event in events:
            say(fitted(f"{event.id[:8]}  {listed_line(event)}"))


def _say_as_of(directory: Path) -> None:
    """Say that there may be something newer, where a daemon runs."""
    from daemon.web.control_client import CommandRefusedError, NoDaemonError, status

    with contextlib.suppress(NoDaemonError, CommandRefusedError):
        status(directory)
        say("a daemon runs: this is what its newest checkpoint knows; its page has what came since", err=True)


def names_of(directory: Path, stream: str, pattern: str) -> list[str]:
    """The series of a stream whose name fits a pattern, as the newest checkpoint knows them."""
    from daemon.store import open_reader

    with open_reader(directory) as reader:
        return sorted(row["series"] for row in _rows(reader, stream, pattern))


def _rows(reader: StoreView, stream: str | None, pattern: str) -> list[dict[str, Any]]:
    """The series that fit, the greatest score first."""
    from daemon.web.summary import snapshot_rows

    found = [row for row in snapshot_rows(_newest(reader), stream) if fnmatchcase(row["series"], pattern)]
    return sorted(found, key=lambda row: -(row["score"] or 0.0))


def _newest(reader: StoreView) -> Mapping[str, StreamSnapshot]:
    """The streams as the newest checkpoint has them; ends with a line where there is none yet."""
    from adapters.base import REJECTIONS
    from daemon.metrics.snapshot import snapshots
    from daemon.runtime.recovery import states
    from daemon.trainer.trainer import InlineTrainer

    newest = next(states(reader, InlineTrainer()), None)
    if newest is None:
        fail("there is no checkpoint yet: a daemon writes one every checkpoint.every, and at its end; see its page")
    return snapshots(newest.engine, REJECTIONS, lambda name: None)


def _status(row: Mapping[str, Any]) -> str:
    return f"{row['status']}, silent" if row["silent"] else str(row["status"])


def _facts(row: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Title and text of each fact that there is."""
    found = [("last reading", instant(row["last_reading_at"]))]
    if row["value"] is not None:
        found.append(("value", numbers(tuple(row["value"]))))
    if row["expected"] is not None:
        bounds = f", usual from {numbers(tuple(row['lower']))} to {numbers(tuple(row['upper']))}"
        found.append(("expected", numbers(tuple(row["expected"])) + bounds))
    if row["score"] is not None:
        found.append(("score", f"{row['score']:.2f} times the threshold of {row['threshold']:.2f}"))
    if row["ready_at"]:
        found.append(
            ("ready", f"about {instant(row['ready_at'])}, {100 * row['warm_up']:.0f} % of its warm-up is over")
        )
    return found
