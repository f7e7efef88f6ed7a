"""`tidegauge replay`: the engine driven from a file, a journal, or a file played against a live daemon."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import Annotated, Any

import typer

from daemon.cli.app import Config, Json, Series, Stream, Time, Timezone, app, errors, fail, needs
from daemon.cli.replay_file import WantedReplay, replay_file
from daemon.cli.selection import given, settings_of
from daemon.config.file import load
from daemon.config.settings import Settings
from daemon.presentation.console import progress, say, say_json
from daemon.replay.expectations import differences

File = Annotated[Path | None, typer.Argument(help="File of readings.")]
Interval = Annotated[str | None, typer.Option(help="Time between readings; inferred when not given.")]
WarmUp = Annotated[str | None, typer.Option(help="History a series needs.")]
Seed = Annotated[int | None, typer.Option(help="Seed of everything random.")]
Value = Annotated[str | None, typer.Option(help="Column of the value.")]
Rows = Annotated[int | None, typer.Option(help="Readings a batch; the result does not depend on it.", min=1)]
State = Annotated[Path | None, typer.Option(help="State directory to go on with, journaled; default: none.")]
Labels = Annotated[Path | None, typer.Option(help="Labelled windows (NAB's format) to score against.")]
Expect = Annotated[Path | None, typer.Option(help="Exit 1 when the events differ from these.")]
Exact = Annotated[bool, typer.Option("--exact", help="With --expect: numbers must be equal.")]
Record = Annotated[Path | None, typer.Option(help="Write the events here.")]
ReportFile = Annotated[
    Path | None, typer.Option(help="Write a report here: FILE.html, with JSON and PNG images beside it.")
]
Csv = Annotated[
    Path | None, typer.Option(help="Write the readings of the first 8 series here, with what was made of each.")
]
Journal = Annotated[Path | None, typer.Option(help="Repeat the recorded run of this state directory.")]
Target = Annotated[
    str | None,
    typer.Option(help="Play FILE to a live daemon: file:PATH, tcp://HOST:PORT, udp://HOST:PORT or unix://PATH."),
]
Ack = Annotated[
    bool, typer.Option("--ack", help="With --to: repeat lines that a source with ack: true has not told of.")
]
Speed = Annotated[str, typer.Option(help="With --to: 100x is a hundred times as fast as it happened.")]


@app.command()
def replay(
    file: File = None,
    config: Config = None,
    stream: Stream = None,
    interval: Interval = None,
    timezone: Timezone = None,
    warm_up: WarmUp = None,
    seed: Seed = None,
    time: Time = None,
    value: Value = None,
    series: Series = None,
    batch: Rows = None,
    state: State = None,
    labels: Labels = None,
    expect: Expect = None,
    exact: Exact = False,
    record: Record = None,
    report: ReportFile = None,
    csv: Csv = None,
    journal: Journal = None,
    to: Target = None,
    ack: Ack = False,
    speed: Speed = "100x",
    as_json: Json = False,
) -> None:
    """Drive the engine with FILE as fast as it goes, and show the events."""
    with errors():
        made: dict[str, object] = {
            "--state": state,
            "--labels": labels,
            "--expect": expect,
            "--record": record,
            "--report": report,
            "--csv": csv,
        }
        if journal is not None:
            _alone("--journal", made | {"FILE": file, "--to": to})
            if config is not None:
                load(config)  # an own model in the journal runs only where it is named there
            _replay_journal(journal, as_json)
            return
        if file is None:
            fail("nothing to replay: give a FILE, or --journal DIR", 2)
        wanted = WantedReplay(labels, expect, exact, record, report, csv, as_json)
        _check(wanted)
        columns = {"format_time": time, "format_value": value, "format_series": series}
        options = given(interval=interval, timezone=timezone, warm_up=warm_up, seed=seed, **columns)
        settings, name = _settings(file, config, stream, options)
        if to is not None:
            _alone("--to", made)
            _play(file, settings, name, to, speed, ack, as_json)
        else:
            replay_file(file, settings, name, wanted, rows=batch, state=state)


def _alone(option: str, others: dict[str, object]) -> None:
    """End with a line where an option stands beside others that it would leave unused."""
    if beside := [name for name, value in others.items() if value is not None]:
        fail(f"{option} goes without {', '.join(beside)}; give one or the other", 2)


def _check(wanted: WantedReplay) -> None:
    """End with a line where what is wanted of a replay cannot be had, before any work that would be lost."""
    if wanted.exact and wanted.expect is None:
        fail("--exact goes with --expect, the events to hold these against", 2)
    if wanted.report is not None:
        needs("plotly", "matplotlib")


def _settings(file: Path, config: Path | None, stream: str | None, options: dict[str, Any]) -> tuple[Settings, str]:
    """The settings to replay under, always with `clock: event`; the interval is the file's where nothing says it."""
    from daemon.intake.construction import make_file_format
    from daemon.replay.replay import infer_interval

    if config is None and "interval" not in options:
        # the rest of the options may be right only under the interval there is
        reading = {key: value for key, value in options.items() if key.startswith("format.") or key == "timezone"}
        settings, name = settings_of(None, stream, file.stem, reading)
        interval = infer_interval(file, make_file_format(file, settings.streams[name], settings.limits))
        if interval is not None:
            say(f"interval: {interval} s, inferred from {file.name}", err=True)
            options = {"interval": f"{interval}s"} | options
    return settings_of(config, stream, file.stem, {"clock": "event"} | options)


def _replay_journal(directory: Path, as_json: bool) -> None:
    """Repeat a recorded run and hold its events against those recorded."""
    from daemon.replay.rerun import rerun

    with progress("repeating the journal", as_json) as step:
        result = rerun(directory, step)
    lines = differences(result.recorded, result.events, exact=True)
    if as_json:
        facts = {"entries": result.entries, "state_sha256": result.state_sha256, "events": len(result.events)}
        say_json(facts | {"equal": not lines})
    else:
        say(f"{result.entries} journal entries, {len(result.events)} event revisions, state {result.state_sha256}")
    for line in lines:
        say(line, err=True)
    if lines:
        fail("the repeated run raised other events than those recorded (- missing, + new, ~ changed)")


def _play(file: Path, settings: Settings, name: str, to: str, speed: str, ack: bool, as_json: bool) -> None:
    """Send a file to a live daemon."""
    from daemon.intake.construction import make_format
    from daemon.replay.playback import header_line, play, speed_of
    from daemon.replay.targets import open_target

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
    with closing(target), progress(f"playing {file.name}", as_json) as step:
        lines = play(file, settings, name, target, factor, step)
    if as_json:
        say_json({"lines": lines, "to": to})
    else:
        say(f"{lines} lines sent to {to}")
