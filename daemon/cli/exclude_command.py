"""`tidegauge exclude`: a period taken out of all that was learned."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from daemon.cli.app import Config, Json, app, errors, fail
from daemon.cli.dispatch import act
from daemon.cli.known_state import settings_of_state
from daemon.cli.selection import choose_stream, epoch
from daemon.presentation.console import fitted, say, say_json
from daemon.presentation.words import instant, plural

if TYPE_CHECKING:
    from daemon.runtime.durable import DurableEngine
    from daemon.runtime.exclusion import WantedExclusion

Stream = Annotated[str | None, typer.Option(help="Stream that is meant; needed when there are several.")]
Series = Annotated[str, typer.Option(help="Series that are meant: a name, or a pattern such as 'meter-7*'.")]
Since = Annotated[str | None, typer.Option("--from", help="Beginning of the period, such as 2026-03-01T12:30+01:00.")]
Until = Annotated[str | None, typer.Option("--to", help="Its end, itself not meant; default: the newest reading.")]
Note = Annotated[str, typer.Option(help="Why, for people.")]
Listing = Annotated[bool, typer.Option("--list", help="List what is taken out, and take out nothing.")]


@app.command()
def exclude(
    series: Series = "*",
    since: Since = None,
    until: Until = None,
    stream: Stream = None,
    note: Note = "",
    listing: Listing = False,
    config: Config = None,
    as_json: Json = False,
) -> None:
    """Take a period out of all that was learned: go back to before it, and repeat the journal without it.

    A daemon that runs does it itself, without a restart; it reads on when it is done.
    """
    with errors():
        settings = settings_of_state(config)
        if listing:
            _list(settings.state_dir, stream, as_json)
            return
        start, end = epoch(since), epoch(until)
        if start is None:
            fail("which period? give --from, and --to where it has ended", 2)
        if end is not None and end <= start:
            fail(f"--to {until} is not after --from {since}", 2)
        from daemon.runtime.exclusion import WantedExclusion

        name = choose_stream(settings, stream)
        wanted = WantedExclusion(name, start, None if end is None else end - 1, series, note)
        found = act(settings.state_dir, "/exclude", asdict(wanted), lambda durable: _here(durable, wanted), as_json)
        if as_json:
            say_json(found)
            return
        meant = f"{found['stream']}/{found['series']}, {instant(found['since'])} to {instant(found['until'])}"
        say(f"{meant}: nothing of it is learned any more, of {plural(found['matched'], 'series')}")
        say(f"the journal was repeated without it; this is its entry {found['entry']}")


def _here(durable: DurableEngine, wanted: WantedExclusion) -> dict[str, Any]:
    from daemon.clock import wall_ms
    from daemon.runtime.exclusion import exclude as take_out

    return take_out(durable, wanted, wall_ms())


def _list(directory: Path, stream: str | None, as_json: bool) -> None:
    from daemon.store import open_reader

    with open_reader(directory) as reader:
        found = [asdict(item) | {"entry": seq} for seq, item in reader.excluded(stream)]
    if as_json:
        say_json(found)
        return
    if not found:
        say("nothing is taken out", err=True)
    for each in found:
        note = f"  {each['note']}" if each["note"] else ""
        span = f"{instant(each['since'])} to {instant(each['until'])}"
        say(fitted(f"{each['entry']}  {each['stream']}/{each['series']}  {span}{note}"))
