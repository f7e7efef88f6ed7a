"""`tidegauge label`: an operator says what was a fault and what was normal."""

from __future__ import annotations

import math
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer
from rich.table import Table

from daemon.cli.app import Config, Json, app, errors, fail
from daemon.cli.dispatch import act
from daemon.cli.known_state import directory_of, settings_of_state
from daemon.cli.model_commands import serve, served_line
from daemon.cli.selection import choose_stream, epoch
from daemon.config.settings import Settings
from daemon.presentation.console import print_table, say, say_json
from daemon.presentation.words import instant

if TYPE_CHECKING:
    from daemon.engine.messages.events import Event
    from daemon.runtime.durable import DurableEngine
    from daemon.runtime.label_evidence import UnwantedLabel, WantedLabel
    from daemon.store import ModelRecord

label_app = typer.Typer(
    no_args_is_help=True, help="Say what was a fault and what was normal: it moves training and thresholds."
)
app.add_typer(label_app, name="label")

Ids = Annotated[list[str] | None, typer.Argument(help="Events, by id or its beginning; `events list` shows them.")]
Stream = Annotated[str | None, typer.Option(help="Stream of the series; needed when there are several.")]
Series = Annotated[str | None, typer.Option(help="Series of a period, or a pattern such as 'meter-7*'.")]
Since = Annotated[str | None, typer.Option("--from", help="Beginning of the period, such as 2026-03-01T12:30+01:00.")]
Until = Annotated[str | None, typer.Option("--to", help="Its end, itself not meant; default: the newest reading.")]
Note = Annotated[str, typer.Option(help="Why, for people.")]
Undo = Annotated[
    bool, typer.Option("--undo", help="Take such a label back: of these events, or that begins at --from.")
]


@label_app.command("fault")
def label_fault(
    events: Ids = None,
    series: Series = None,
    since: Since = None,
    until: Until = None,
    stream: Stream = None,
    note: Note = "",
    roll_back: Annotated[
        bool, typer.Option("--roll-back", help="Have the model serve that was trained last before the period.")
    ] = False,
    undo: Undo = False,
    config: Config = None,
    as_json: Json = False,
) -> None:
    """It was a fault: leave it out of training; one that raised no alarm doubles the alarms of its series."""
    with errors():
        settings = settings_of_state(config)
        given = _given(settings, events, series, since, until, stream)
        if undo:
            if roll_back or until:
                fail("--undo takes a label back, and neither --roll-back nor --to", 2)
            _take_back_all(settings, "fault", note, given, as_json)
            return
        _label_all(settings, "fault", note, given, roll_back, as_json)


@label_app.command("normal")
def label_normal(
    events: Ids = None,
    series: Series = None,
    since: Since = None,
    until: Until = None,
    stream: Stream = None,
    note: Note = "",
    undo: Undo = False,
    config: Config = None,
    as_json: Json = False,
) -> None:
    """It was normal: train on it, adopt it if it lasts; a false alarm by the model halves those of its series."""
    with errors():
        settings = settings_of_state(config)
        given = _given(settings, events, series, since, until, stream)
        if undo:
            if until:
                fail("--undo takes the label back that begins at --from, and no --to", 2)
            _take_back_all(settings, "normal", note, given, as_json)
            return
        _label_all(settings, "normal", note, given, False, as_json)


@label_app.command("list")
def label_list(
    config: Config = None,
    state: Annotated[Path | None, typer.Option(help="State directory; default: the configuration's.")] = None,
    stream: Annotated[str | None, typer.Option(help="Only this stream.")] = None,
    series: Annotated[str | None, typer.Option(help="Only this series.")] = None,
    as_json: Json = False,
) -> None:
    """List labels in the order they were given; of those that begin at the same slot the last holds, `none`: none."""
    from daemon.store import open_reader

    with errors():
        directory = directory_of(config, state)
        with open_reader(directory) as reader:
            found = reader.labels(stream, series)
        if as_json:
            say_json([asdict(item) for item in found])
            return
        if not found:
            say("no labels", err=True)
            return
        table = Table("stream", "series", "label", "from", "last slot", "given", "note")
        for item in found:
            times = (instant(at) for at in (item.since, item.until, item.received_at_ms // 1000))
            table.add_row(item.stream, item.series, item.kind, *times, item.note)
        print_table(table)


def _given(
    settings: Settings,
    ids: list[str] | None,
    series: str | None,
    since: str | None,
    until: str | None,
    stream: str | None,
) -> list[dict[str, Any]]:
    """What is labelled: stream, series and period of each."""
    if ids:
        if series or since or until:
            fail("name events, or a period by --series and --from, not both", 2)
        return [_period_of(event) for event in _events(settings, ids, stream)]
    start, end = epoch(since), epoch(until)
    if series is None or start is None:
        fail("what? name events by their ids, or a period by --series, --from and --to", 2)
    if end is not None and end <= start:
        fail(f"--to {until} is not after --from {since}", 2)
    name = choose_stream(settings, stream)
    period = {"stream": name, "since": start, "until": None if end is None else end - 1}
    return [period | {"series": each} for each in _meant(settings, name, series)]


def _meant(settings: Settings, stream: str, series: str) -> list[str]:
    """The series that are named: one, or all there are that a pattern fits."""
    if not set(series) & set("*?"):
        return [series]
    from daemon.cli.series_commands import names_of

    if not (found := names_of(settings.state_dir, stream, series)):
        fail(f"no series of {stream} is called {series!r}; tidegauge series list shows them")
    return found


def _events(settings: Settings, ids: list[str], stream: str | None) -> list[Event]:
    """The events of these ids, whose beginnings must say which."""
    from daemon.store import EventFilter, open_reader

    found = []
    with open_reader(settings.state_dir) as reader:
        for each in ids:
            meant = [event for _, event in reader.events(EventFilter(stream=stream, beginning=each.lower()), limit=2)]
            if len(meant) != 1:
                many = f"more than one event begins with {each!r}; write more of it"
                fail(many if meant else f"there is no event {each!r}; tidegauge events list shows them")
            found.append(meant[0])
    return found


def _period_of(event: Event) -> dict[str, Any]:
    if event.series is None:
        fail(f"event {event.id} is of many series of {event.stream}; label a period of each that was wrong")
    until = event.ended_at if event.state == "closed" else None
    return {"stream": event.stream, "series": event.series, "since": event.started_at, "until": until}


def _label_all(
    settings: Settings,
    kind: Literal["fault", "normal"],
    note: str,
    given: list[dict[str, Any]],
    roll_back: bool,
    as_json: bool,
) -> None:
    """Have the engine learn from each label, then have older models serve where that is wanted."""
    labelled = [_label(settings, kind, note, as_json, each) for each in given]
    since: dict[str, int] = {}
    for each in labelled:
        since[each["stream"]] = min(each["since"], since.get(each["stream"], each["since"]))
    serving = [_roll_back(settings, stream, at, as_json) for stream, at in sorted(since.items())] if roll_back else []
    if as_json:
        say_json(labelled + serving)


def _label(
    settings: Settings, kind: Literal["fault", "normal"], note: str, quiet: bool, period: dict[str, Any]
) -> dict[str, Any]:
    """Have the engine learn from one label, and say so."""
    from daemon.runtime.label_evidence import WantedLabel

    wanted = WantedLabel(kind=kind, note=note, **period)
    found = act(settings.state_dir, "/label", asdict(wanted), lambda durable: _label_here(durable, wanted), quiet)
    if not quiet:
        _say_given(found)
    return found


def _say_given(found: dict[str, Any]) -> None:
    before, now = found["threshold_before"], found["threshold"]
    alarms = f"alarms from rarity {now:.2f} on" + ("" if now == before else f", {before:.2f} before")
    times = f"{instant(found['since'])} to {instant(found['until'])}"
    kind = "no label any more" if found["kind"] == "none" else found["kind"]
    say(f"{found['stream']}/{found['series']}, {times}: {kind}; {alarms}")


def _take_back_all(
    settings: Settings, kind: Literal["fault", "normal"], note: str, given: list[dict[str, Any]], as_json: bool
) -> None:
    """Have the engine be as without each label."""
    from daemon.runtime.label_evidence import UnwantedLabel

    undone = []
    for each in given:
        unwanted = UnwantedLabel(each["stream"], each["series"], each["since"], kind, note)
        here = partial(_take_back_here, unwanted=unwanted)
        undone.append(act(settings.state_dir, "/label/undo", asdict(unwanted), here, as_json))
        if not as_json:
            _say_given(undone[-1])
    if as_json:
        say_json(undone)


def _take_back_here(durable: DurableEngine, unwanted: UnwantedLabel) -> dict[str, Any]:
    from daemon.clock import wall_ms
    from daemon.runtime.label_evidence import take_back

    return take_back(durable, unwanted, wall_ms())


def _label_here(durable: DurableEngine, wanted: WantedLabel) -> dict[str, Any]:
    from daemon.clock import wall_ms
    from daemon.runtime.label_evidence import label

    return label(durable, wanted, wall_ms())


def _roll_back(settings: Settings, stream: str, since: int, quiet: bool) -> dict[str, Any]:
    """Have the model serve that knew nothing of the faults from `since` on: the last promoted one trained before."""
    from daemon.store import open_reader

    with open_reader(settings.state_dir) as reader:
        records = reader.models(stream)
    kept = [r for r in records if r.file is not None and r.status in ("promoted", "rolled_back")]
    before = [r.version for r in kept if _trained_to(r) < since]
    if not before:
        fail(f"labelled; but {stream} has no model left that was trained before {instant(since)}; see model.keep")
    found = serve(settings.state_dir, stream, before[-1], quiet)
    if not quiet:
        say(served_line(found))
    return found


def _trained_to(record: ModelRecord) -> float:
    """Newest instant that a model was trained on; infinite where its manifest does not say."""
    newest = record.manifest.get("trained_to")
    return math.inf if newest is None else float(newest)
