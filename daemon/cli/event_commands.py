"""`tidegauge events`: what was recorded, one event whole, and what is recorded from now on."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from daemon.cli.app import Config, Json, app, errors, fail
from daemon.cli.known_state import directory_of
from daemon.cli.selection import epoch
from daemon.presentation.console import event_line, fitted, listed_line, say, say_json

if TYPE_CHECKING:
    from daemon.engine.messages.events import Event
    from daemon.store import StoreView

events_app = typer.Typer(no_args_is_help=True, help="Recorded events.")
app.add_typer(events_app, name="events")

State = Annotated[Path | None, typer.Option(help="State directory; default: the configuration's.")]
LOOK_EVERY_S = 1.0
SIMILAR = 5  # earlier events shown beside one


@events_app.command("list")
def events_list(
    config: Config = None,
    state: State = None,
    stream: Annotated[str | None, typer.Option(help="Only this stream.")] = None,
    series: Annotated[str | None, typer.Option(help="Only this series.")] = None,
    since: Annotated[str | None, typer.Option(help="Only events that lasted until then or later.")] = None,
    until: Annotated[str | None, typer.Option(help="Only events that began before.")] = None,
    reason: Annotated[str | None, typer.Option(help="Only events with this reason.")] = None,
    revisions: Annotated[bool, typer.Option("--revisions", help="Every revision, not only the latest.")] = False,
    limit: Annotated[int | None, typer.Option(help="The newest so many.", min=1)] = None,
    csv: Annotated[Path | None, typer.Option(help="Write them here, too, a row each.")] = None,
    as_json: Json = False,
) -> None:
    """List recorded events, the oldest first, while the daemon runs or not."""
    from daemon.store import EventFilter, open_reader

    with errors():
        wanted = EventFilter(stream, series, reason, epoch(since), epoch(until), latest_only=not revisions)
        with open_reader(directory_of(config, state)) as reader:
            found = reader.each_event(wanted, limit=limit)
            if csv is not None:
                found = _written(found, csv)
            shown = _print_json(found) if as_json else _print_lines(found, event_line if revisions else listed_line)
            if left_out := sorted(reader.left_out):
                fail(f"damaged and left out: {', '.join(left_out)}; tidegauge state check says more")
        if not shown and not as_json:
            say("no events", err=True)


@app.command("explain")
@events_app.command("show")
def events_show(
    event: Annotated[str, typer.Argument(help="Id of the event, or its first digits as `events list` prints them.")],
    config: Config = None,
    state: State = None,
    as_json: Json = False,
) -> None:
    """Show one event whole: what was odd and by how much, where from, its revisions, and earlier ones like it."""
    from daemon.presentation.event_words import event_words
    from daemon.store import open_reader

    with errors():
        with open_reader(directory_of(config, state)) as reader:
            newest = _chosen(reader, event)
            revisions, similar = reader.revisions(newest.id), _similar(reader, newest)
        if as_json:
            say_json(
                newest.to_json()
                | {"revisions": [each.to_json() for each in revisions], "similar": [each.to_json() for each in similar]}
            )
            return
        for line in event_words(newest, revisions):
            say(fitted(line))
        if similar:
            say("\nearlier ones of this series for a reason of this one")
        for each in similar:
            say(fitted(f"{each.id[:8]}  {listed_line(each)}"))


@events_app.command("follow")
def events_follow(
    config: Config = None,
    state: State = None,
    stream: Annotated[str | None, typer.Option(help="Only this stream.")] = None,
    series: Annotated[str | None, typer.Option(help="Only this series.")] = None,
    reason: Annotated[str | None, typer.Option(help="Only events with this reason.")] = None,
    last: Annotated[int, typer.Option(help="Begin with the newest so many.", min=0)] = 10,
    as_json: Json = False,
) -> None:
    """Print each revision when it is recorded, until Ctrl-C, while the daemon runs or not."""
    from daemon.store import EventFilter, open_reader

    with errors(), contextlib.suppress(KeyboardInterrupt):
        directory, wanted = directory_of(config, state), EventFilter(stream, series, reason, latest_only=False)
        with open_reader(directory) as reader:
            rows = reader.events(wanted, limit=last, newest_first=True)[::-1] if last else []
            seen = reader.last_event_row
        while True:
            for _, event in rows:
                if as_json:
                    say_json(event.to_json())
                else:
                    say(fitted(f"{event.id[:8]}  {event_line(event)}"))
            time.sleep(LOOK_EVERY_S)
            with open_reader(directory) as reader:  # anew each time: a database may have been set aside meanwhile
                newest = reader.last_event_row
                rows = reader.events(wanted, after_row=seen) if newest != seen else []
                seen = newest


def _chosen(reader: StoreView, beginning: str) -> Event:
    """The newest revision of the one event whose id begins so."""
    from daemon.store import EventFilter

    found = [event for _, event in reader.events(EventFilter(beginning=beginning), limit=2)]
    if not found:
        fail(f"no event's id begins with {beginning!r}; tidegauge events list shows them")
    if len(found) > 1:
        fail(f"several events' ids begin with {beginning!r}; give more digits")
    return found[0]


def _similar(reader: StoreView, event: Event) -> list[Event]:
    """Earlier events of the same series with a reason in common, the newest first."""
    from daemon.store import EventFilter

    earlier = EventFilter(event.stream, event.series, until=event.started_at)
    rows = reader.events(earlier, limit=10 * SIMILAR, newest_first=True)
    alike = [each for _, each in rows if each.series == event.series and set(each.reasons) & set(event.reasons)]
    return alike[:SIMILAR]


def _print_lines(found: Iterable[Event], line: Callable[[Event], str]) -> int:
    shown = 0
    for shown, event in enumerate(found, 1):  # noqa: B007 - how many there were
        say(fitted(f"{event.id[:8]}  {line(event)}"))
    return shown


def _print_json(found: Iterable[Event]) -> int:
    """One array, an event at a time: there may be more of them than memory should hold."""
    shown = 0
    for shown, event in enumerate(found, 1):
        typer.echo("[" if shown == 1 else ",", nl=False)
        say_json(event.to_json())
    typer.echo("]" if shown else "[]")
    return shown


def _written(found: Iterable[Event], path: Path) -> Iterator[Event]:
    """The events, all of which a table in a file has by the end."""
    from daemon.presentation.frame import to_frame

    events = list(found)  # the columns depend on all of them
    to_frame(events).to_csv(path, index=False)
    return iter(events)
