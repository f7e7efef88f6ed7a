"""`tidegauge what-if`: the recorded past under another configuration, beside what happened."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from daemon.cli.app import Config, Json, app, errors, fail, find_config, needs
from daemon.cli.selection import instant_or_ago
from daemon.config.file import load
from daemon.presentation.console import fitted, listed_line, progress, say, say_json

if TYPE_CHECKING:
    from daemon.config.settings import Settings
    from daemon.engine.machine.engine import Engine
    from daemon.engine.messages.events import Event
    from daemon.replay.trace import Tracer
    from daemon.replay.what_if import WhatIf

State = Annotated[Path | None, typer.Option(help="State directory of the recorded past; default: the configuration's.")]
Since = Annotated[
    str | None,
    typer.Option(help="Ask of the time since then: 30d before the newest reading, or 2026-03-01. Default: all of it."),
]
ReportFile = Annotated[
    Path | None, typer.Option(help="Write a report here: FILE.html, with JSON and PNG images beside it.")
]
MOST_SHOWN = 20


@app.command("what-if")
def what_if(
    config: Config = None,
    state: State = None,
    since: Since = None,
    report: ReportFile = None,
    as_json: Json = False,
) -> None:
    """Repeat the journal under another configuration: events gained and lost, alarms a day. Changes nothing."""
    from daemon.replay.what_if import what_if as ask

    with errors():
        settings = load(find_config(config))
        at, ago = instant_or_ago("--since", since)
        if report is not None:
            needs("plotly", "matplotlib")
            if not report.parent.is_dir():
                fail(f"{report}: there is no directory {report.parent}; make it, or write elsewhere")
        watched = _Watched(report is not None)
        with progress("repeating the journal", as_json) as step:
            found = ask(state or settings.state_dir, settings, step, since=at, ago=ago, on_engine=watched.begin)
        if report is not None:
            page = watched.write(report, found, settings)
            if not as_json:
                say(f"report: {page}", err=True)
        if as_json:
            say_json(found.to_json())
        else:
            _say(found)


class _Watched:
    """What was made of the readings of a few series, where a report is wanted."""

    def __init__(self, wanted: bool) -> None:
        self._wanted = wanted
        self._tracers: dict[str, Tracer] = {}

    def begin(self, engine: Engine) -> None:
        """Watch the streams of an engine that is about to take its first entry."""
        from daemon.replay.trace import Tracer

        if self._wanted:
            self._tracers = {name: Tracer(stream) for name, stream in engine.streams.items()}

    def write(self, page: Path, found: WhatIf, settings: Settings) -> Path:
        """Write the report; the path of its page."""
        from daemon.engine.detection.policies import budget_rarity
        from daemon.replay.what_if_report import of_what_if
        from models.report.report_files import write_report

        streams = settings.streams
        thresholds = {name: budget_rarity(streams[name].alerts, streams[name].interval) for name in self._tracers}
        report = of_what_if(found, {name: each.traces() for name, each in self._tracers.items()}, thresholds)
        return write_report(report, page.parent, page.name.removesuffix(".html"))[0]


def _say(found: WhatIf) -> None:
    from daemon.presentation.words import instant, plural
    from daemon.replay.what_if_report import alarms_words

    span = f"{instant(found.since)} to {instant(found.until)}"
    say(f"{span}, {plural(found.entries, 'journal entry')}")
    say(f"events: {len(found.happened)} then, {len(found.imagined)} with this configuration")
    say(alarms_words(found))
    _list("gained", found.gained)
    _list("lost", found.lost)
    for note in found.notes:
        say(f"not changed: {note}", err=True)


def _list(name: str, events: list[Event]) -> None:
    say(f"{name}: {len(events)}")
    for event in events[:MOST_SHOWN]:
        say(fitted(f"  {listed_line(event)}"))
    if len(events) > MOST_SHOWN:
        say(f"  and {len(events) - MOST_SHOWN:,} more; --json has all")
