"""`tidegauge replay`: the engine driven from a file, a journal, or a file played against a live daemon."""

from __future__ import annotations

import re
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import orjson
import typer

from daemon.cli.app import Config, Json, Stream, app, errors, fail, needs
from daemon.config.file import load
from daemon.config.settings import Settings
from daemon.engine.events import Event
from daemon.replay.expectations import differences, read_events, write_events
from daemon.showing import event_line, progress

if TYPE_CHECKING:
    from daemon.engine.engine import Engine
    from daemon.replay.tracing import Tracer


def choose_stream(settings: Settings, wanted: str | None) -> str:
    """The stream a command is about."""
    names = list(settings.streams)
    if wanted is None and len(names) == 1:
        return names[0]
    if wanted not in settings.streams:
        fail(f"which stream? --stream is one of {', '.join(names)}", 2)
    return wanted


def _settings(
    file: Path, config: Path | None, stream: str | None, overrides: dict[str, object], infer: bool
) -> tuple[Settings, str]:
    """The settings to replay under: a file's, or defaults; the command line's options on top; always `clock: event`."""
    from daemon.config.file import from_effective
    from daemon.replay.replay import infer_interval
    from daemon.runtime.adapting import make_file_format

    if config is not None:
        name = choose_stream(load(config), stream)
        return load(config, {f"streams.{name}.{k}": v for k, v in ({"clock": "event"} | overrides).items()}), name
    name = stream or re.sub(r"[^A-Za-z0-9_-]", "_", file.stem)[:64]
    values: dict[str, Any] = {"clock": "event"} | {k: v for k, v in overrides.items() if "." not in k}
    for key, value in overrides.items():
        if "." in key:
            section, own = key.split(".")
            values.setdefault(section, {})[own] = value
    if infer:
        # the rest of the options may be right only under the interval there is
        reading = {key: value for key, value in values.items() if key in ("format", "timezone")}
        settings = from_effective({"version": 1, "streams": {name: reading}})
        interval = infer_interval(file, make_file_format(file, settings.streams[name], settings.limits))
        if interval is not None:
            typer.echo(f"interval: {interval} s, inferred from {file.name}", err=True)
            values["interval"] = f"{interval}s"
    return from_effective({"version": 1, "streams": {name: values}}), name


@app.command()
def replay(
    file: Annotated[Path | None, typer.Argument(help="File of readings.")] = None,
    config: Config = None,
    stream: Stream = None,
    interval: Annotated[str | None, typer.Option(help="Time between readings; inferred when not given.")] = None,
    timezone: Annotated[str | None, typer.Option(help="Zone of stamps without one.")] = None,
    warm_up: Annotated[str | None, typer.Option(help="History a series needs.")] = None,
    seed: Annotated[int | None, typer.Option(help="Seed of everything random.")] = None,
    time: Annotated[str | None, typer.Option(help="Column of the time stamp.")] = None,
    value: Annotated[str | None, typer.Option(help="Column of the value.")] = None,
    series: Annotated[str | None, typer.Option(help="Column of the series label.")] = None,
    batch: Annotated[
        int | None, typer.Option(help="Readings a batch; the result does not depend on it.", min=1)
    ] = None,
    state: Annotated[Path | None, typer.Option(help="State directory to go on with, journaled; default: none.")] = None,
    labels: Annotated[Path | None, typer.Option(help="Labelled windows (NAB's format) to score against.")] = None,
    expect: Annotated[Path | None, typer.Option(help="Exit 1 when the events differ from these.")] = None,
    exact: Annotated[bool, typer.Option("--exact", help="With --expect: numbers must be equal.")] = False,
    record: Annotated[Path | None, typer.Option(help="Write the events here.")] = None,
    report: Annotated[
        Path | None, typer.Option(help="Write a report here: FILE.html, with JSON and PNG images beside it.")
    ] = None,
    journal: Annotated[Path | None, typer.Option(help="Repeat the recorded run of this state directory.")] = None,
    to: Annotated[
        str | None,
        typer.Option(help="Play FILE to a live daemon: file:PATH, tcp://HOST:PORT, udp://HOST:PORT or unix://PATH."),
    ] = None,
    ack: Annotated[
        bool, typer.Option("--ack", help="With --to: repeat lines that a source with ack: true has not told of.")
    ] = False,
    speed: Annotated[str, typer.Option(help="With --to: 100x is a hundred times as fast as it happened.")] = "100x",
    as_json: Json = False,
) -> None:
    """Drive the engine with FILE as fast as it goes, and show the events."""
    with errors():
        if journal is not None:
            _replay_journal(journal, as_json)
            return
        if file is None:
            fail("nothing to replay: give a FILE, or --journal DIR", 2)
        if report is not None:
            needs("plotly", "matplotlib")
        options = {
            "interval": interval,
            "timezone": timezone,
            "warm_up": warm_up,
            "seed": seed,
            "format.time": time,
            "format.value": value,
            "format.series": series,
        }
        overrides: dict[str, object] = {key: option for key, option in options.items() if option is not None}
        settings, name = _checked(file, config, stream, overrides, infer=config is None and interval is None)
        if to is not None:
            _play(file, settings, name, to, speed, ack)
            return
        _replay_file(file, settings, name, batch, state, labels, expect, exact, record, report, as_json)


def _checked(
    file: Path, config: Path | None, stream: str | None, overrides: dict[str, object], *, infer: bool
) -> tuple[Settings, str]:
    """`_settings`, with what is wrong with the command line said as such."""
    from pydantic import ValidationError

    try:
        return _settings(file, config, stream, overrides, infer)
    except ValidationError as error:
        for detail in error.errors():
            key = ".".join(str(part) for part in detail["loc"][2:])
            text = f"{key} {detail['msg'].removeprefix('Value error, ')}".strip()
            typer.echo(f"command line: {text}", err=True)
        raise typer.Exit(2) from None


def _replay_file(
    file: Path,
    settings: Settings,
    name: str,
    batch: int | None,
    state: Path | None,
    labels: Path | None,
    expect: Path | None,
    exact: bool,
    record: Path | None,
    page: Path | None,
    as_json: bool,
) -> None:
    from daemon.replay.replay import replay as drive
    from daemon.runtime.durable import DurableEngine
    from daemon.runtime.trainer import InlineTrainer
    from daemon.store import Store

    observed = _Observed(name, page is not None)

    def say(event: Event) -> None:
        if not as_json:
            typer.echo(event_line(event))

    trainer = InlineTrainer()
    with progress(f"replaying {file.name}", as_json) as step:
        if state is None:
            report = drive(
                file, settings, name, trainer, rows=batch, progress=step, on_event=say, on_engine=observed.begin
            )
        else:
            with Store.open(state) as store:
                durable = DurableEngine(store, trainer)
                durable.recover()
                report = drive(
                    file,
                    settings,
                    name,
                    trainer,
                    durable=durable,
                    rows=batch,
                    progress=step,
                    on_event=say,
                    on_engine=observed.begin,
                )
                durable.checkpoint()
    scored = _score(report.events, file, settings.streams[name].timezone, labels)
    if record is not None:
        write_events(record, report.events)
    for warning in report.warnings:
        typer.echo(f"warning: {warning}", err=True)
    summary = {
        "readings": report.readings,
        "rejected": report.rejected,
        "seconds": round(report.seconds, 3),
        "trainings": report.trainings,
        "bytes_per_series": report.bytes_per_series,
        "state_sha256": report.state_sha256,
        **scored,
    }
    if page is not None:
        observed.write(page, file, summary, latest(report.events), settings, labels, as_json)
    if as_json:
        events = [event.to_json() for event in latest(report.events)]
        typer.echo(orjson.dumps(summary | {"warnings": report.warnings, "events": events}).decode())
    else:
        _print_summary(summary, len(latest(report.events)))
    if expect is not None:
        _compare(read_events(expect), report.events, exact)


class _Observed:
    """What a report of the replay needs, collected while it runs; nothing where none is wanted."""

    def __init__(self, stream: str, wanted: bool) -> None:
        self._stream, self._wanted = stream, wanted
        self._tracer: Tracer | None = None

    def begin(self, engine: Engine) -> None:
        """Watch the stream of an engine that is about to take its first reading."""
        from daemon.replay.tracing import Tracer

        if self._wanted:
            self._tracer = Tracer(engine.streams[self._stream])

    def write(
        self,
        page: Path,
        file: Path,
        summary: dict[str, Any],
        events: Sequence[Event],
        settings: Settings,
        labels: Path | None,
        quiet: bool,
    ) -> None:
        """Write the report."""
        from daemon.detection.policies import threshold
        from daemon.replay.report import of_replay
        from models.evaluation import read_windows
        from models.report.writing import write_report

        stream = settings.streams[self._stream]
        windows = read_windows(labels, str(file), stream.timezone) if labels is not None else []
        rarity = threshold(stream.alerts, stream.interval)
        traces = self._tracer.traces() if self._tracer is not None else []
        report = of_replay(file, summary, traces, events, windows, rarity)
        paths = write_report(report, page.parent, page.name.removesuffix(".html"))
        if not quiet:
            typer.echo(f"report: {paths[0]}", err=True)


def latest(events: Sequence[Event]) -> list[Event]:
    """The last revision of each event, in the order of their beginnings; `notify` when any revision was said."""
    from dataclasses import replace as changed

    last: dict[str, Event] = {}
    for event in events:
        said = event.notify or (event.id in last and last[event.id].notify)
        last[event.id] = changed(event, notify=said)
    return list(last.values())


def _score(events: Sequence[Event], file: Path, timezone: str, labels: Path | None) -> dict[str, Any]:
    """Windows found and false episodes, over events of reason model or novelty."""
    if labels is None:
        return {}
    from models.evaluation import match_events, read_windows

    try:
        windows = read_windows(labels, str(file), timezone)
    except ValueError as error:
        fail(str(error))
    spans = [(e.started_at, e.ended_at) for e in latest(events) if {"model", "novelty"} & set(e.reasons)]
    match = match_events(windows, spans)
    return {"windows": len(windows), "windows_found": match.windows_found, "false_episodes": match.false_episodes}


def _print_summary(summary: dict[str, Any], events: int) -> None:
    rejected = ", ".join(f"{n} {reason}" for reason, n in sorted(summary["rejected"].items())) or "none"
    typer.echo(f"{summary['readings']} readings in {summary['seconds']:.1f} s; rejected: {rejected}; {events} events")
    if "windows" in summary:
        typer.echo(
            f"{summary['windows_found']} of {summary['windows']} labelled windows found, "
            f"{summary['false_episodes']} false episodes"
        )


def _compare(expected: list[Event], found: Sequence[Event], exact: bool) -> None:
    lines = differences(expected, found, exact)
    for line in lines:
        typer.echo(line, err=True)
    if lines:
        fail("the events are not the recorded ones (- missing, + new, ~ changed)")
    typer.echo(f"all {len(expected)} recorded revisions came again", err=True)


def _replay_journal(directory: Path, as_json: bool) -> None:
    """Repeat a recorded run and hold its events against those recorded."""
    from daemon.replay.rerun import rerun

    with progress("repeating the journal", as_json) as step:
        result = rerun(directory, step)
    lines = differences(result.recorded, result.events, exact=True)
    if as_json:
        facts = {"entries": result.entries, "state_sha256": result.state_sha256, "events": len(result.events)}
        typer.echo(orjson.dumps(facts | {"equal": not lines}).decode())
    else:
        typer.echo(
            f"{result.entries} journal entries, {len(result.events)} event revisions, state {result.state_sha256}"
        )
    for line in lines:
        typer.echo(line, err=True)
    if lines:
        fail("the repeated run raised other events than those recorded (- missing, + new, ~ changed)")


def _play(file: Path, settings: Settings, name: str, to: str, speed: str, ack: bool) -> None:
    from daemon.replay.playback import header_line, play, speed_of
    from daemon.replay.targets import open_target
    from daemon.runtime.adapting import make_format

    factor = speed_of(speed)
    if factor is None:
        fail(f"--speed {speed}: write a number and an x, such as 100x", 2)
    header = header_line(file, make_format(settings.streams[name], settings.limits))
    try:
        target = open_target(to, ack=ack, header=header)
    except ValueError as error:
        fail(f"--to {error}", 2)
    except OSError as error:
        fail(f"{to}: {error.strerror or error}")
    with closing(target), progress(f"playing {file.name}") as step:
        lines = play(file, settings, name, target, factor, step)
    typer.echo(f"{lines} lines sent to {to}")
