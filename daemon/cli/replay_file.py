"""`tidegauge replay FILE`: the engine driven from a file, and what is made of what it said."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from daemon.cli.app import fail
from daemon.cli.label_windows import Windows, windows_of
from daemon.config.settings import Settings
from daemon.engine.messages.events import Event, latest
from daemon.presentation.console import event_line, progress, say, say_json
from daemon.presentation.words import plural, tally
from daemon.replay.expectations import differences, read_events, write_events

if TYPE_CHECKING:
    from daemon.engine.machine.engine import Engine
    from daemon.replay.replay import ReplayReport
    from daemon.replay.trace import ReadingTrace, Tracer


@dataclass(frozen=True, slots=True)
class WantedReplay:
    """What is to be made of a replay.

    Attributes:
        labels: Labelled windows to score its events against.
        expect: Events that it must raise.
        exact: Whether their numbers must be equal, too.
        record: Where its events are written.
        report: Where a report is written.
        csv: Where the readings are written, with what was made of them.
        as_json: Whether one JSON object is printed instead of lines.
    """

    labels: Path | None
    expect: Path | None
    exact: bool
    record: Path | None
    report: Path | None
    csv: Path | None
    as_json: bool


def replay_file(
    file: Path, settings: Settings, name: str, wanted: WantedReplay, *, rows: int | None, state: Path | None
) -> None:
    """Drive a stream with a file and show what came of it.

    Args:
        file: Its readings.
        settings: The configuration.
        name: The stream.
        wanted: What is made of it; what that needs is looked for before anything runs.
        rows: Readings in a batch; None: those of a chunk.
        state: State directory to go on with; None: a new engine in memory.
    """
    _must_be_writable(wanted)
    expected = read_events(wanted.expect) if wanted.expect is not None else None
    windows = windows_of(wanted.labels, file, settings.streams[name].timezone)
    observed = _Observed(name, wanted.report is not None or wanted.csv is not None)
    report = _drive(file, settings, name, observed, rows, state, wanted.as_json)
    if not report.offered:
        from daemon.intake.construction import make_file_format
        from daemon.replay.unread import unread

        fail(
            unread(
                file, make_file_format(file, settings.streams[name], settings.limits), report.rejected, report.refusal
            )
        )
    if wanted.record is not None:
        write_events(wanted.record, report.events)
    if wanted.csv is not None:
        observed.write_readings(wanted.csv)
    last = latest(report.events)
    summary = _summary(report, last, windows)
    if wanted.report is not None:
        paths = observed.write(wanted.report, file, summary, last, settings, windows or [])
        if not wanted.as_json:
            say(f"report: {paths[0]}", err=True)
    _say(summary, report.warnings, last, wanted.as_json)
    if expected is not None:
        _compare(expected, report.events, wanted.exact)


def _must_be_writable(wanted: WantedReplay) -> None:
    for path in (wanted.record, wanted.report, wanted.csv):
        if path is not None and not path.parent.is_dir():
            fail(f"{path}: there is no directory {path.parent}; make it, or write elsewhere")


def _drive(
    file: Path, settings: Settings, name: str, observed: _Observed, rows: int | None, state: Path | None, quiet: bool
) -> ReplayReport:
    """Replay, on a state directory where one is given, and print events as they are raised."""
    from daemon.replay.replay import replay
    from daemon.runtime.durable import DurableEngine
    from daemon.store import Store
    from daemon.trainer.trainer import InlineTrainer

    def tell(event: Event) -> None:
        if not quiet:
            say(event_line(event))

    trainer = InlineTrainer()
    with progress(f"replaying {file.name}", quiet) as step:
        run = partial(
            replay, file, settings, name, trainer, rows=rows, progress=step, on_event=tell, on_engine=observed.begin
        )
        if state is None:
            return run()
        with Store.open(state) as store:
            durable = DurableEngine(store, trainer)
            durable.recover()
            report = run(durable=durable)
            durable.checkpoint()
            return report


class _Observed:
    """What was made of each reading, collected while a replay runs; nothing where it is not wanted."""

    def __init__(self, stream: str, wanted: bool) -> None:
        self._stream, self._wanted = stream, wanted
        self._tracer: Tracer | None = None

    def begin(self, engine: Engine) -> None:
        """Watch the stream of an engine that is about to take its first reading."""
        from daemon.replay.trace import Tracer

        if self._wanted:
            self._tracer = Tracer(engine.streams[self._stream])

    def write(
        self,
        page: Path,
        file: Path,
        summary: dict[str, Any],
        events: Sequence[Event],
        settings: Settings,
        windows: Windows,
    ) -> list[Path]:
        """Write the report; its files, the page first."""
        from daemon.engine.detection.policies import budget_rarity
        from daemon.replay.replay_report import of_replay
        from models.report.report_files import write_report

        stream = settings.streams[self._stream]
        rarity = budget_rarity(stream.alerts, stream.interval)
        report = of_replay(file, summary, self._traces(), events, windows, rarity)
        return write_report(report, page.parent, page.name.removesuffix(".html"))

    def write_readings(self, path: Path) -> None:
        """Write the readings as CSV."""
        from daemon.replay.trace import to_frame

        to_frame(self._traces()).to_csv(path, index=False)

    def _traces(self) -> list[ReadingTrace]:
        return self._tracer.traces() if self._tracer is not None else []


def _summary(report: ReplayReport, events: Sequence[Event], windows: Windows | None) -> dict[str, Any]:
    """The figures of a replay; with labels how many windows were found, by events of reason model or novelty.

    Labelled windows before the first reading and after the last one do not count.
    """
    figures = {
        "readings": report.readings,
        "rejected": report.rejected,
        "repeated": report.repeated,
        "seconds": round(report.seconds, 3),
        "trainings": report.trainings,
        "bytes_per_series": report.bytes_per_series,
        "state_sha256": report.state_sha256,
    }
    if windows is None:
        return figures
    from models.evaluation import match_events

    spans = [(e.started_at, e.ended_at) for e in events if {"model", "novelty"} & set(e.reasons)]
    inside = [(start, end) for start, end in windows if start <= report.last_at and end >= report.first_at]
    match = match_events(inside, spans)
    scored = {"windows": len(inside), "windows_found": match.windows_found, "false_episodes": match.false_episodes}
    return figures | scored


def _say(summary: dict[str, Any], warnings: Sequence[str], events: Sequence[Event], as_json: bool) -> None:
    for warning in warnings:
        say(f"warning: {warning}", err=True)
    if as_json:
        shown = [event.to_json() for event in events]
        say_json(summary | {"warnings": warnings, "events": shown})
        return
    readings, seconds = plural(summary["readings"], "reading"), summary["seconds"]
    rejected = tally(summary["rejected"])
    again = f"; {summary['repeated']:,} repeated" if summary["repeated"] else ""
    say(f"{readings} in {seconds:.1f} s; rejected: {rejected}{again}; {plural(len(events), 'event')}")
    if "windows" in summary:
        found = f"{summary['windows_found']} of {plural(summary['windows'], 'labelled window')} found"
        say(f"{found}, {plural(summary['false_episodes'], 'false episode')}")


def _compare(expected: list[Event], found: Sequence[Event], exact: bool) -> None:
    lines = differences(expected, found, exact)
    for line in lines:
        say(line, err=True)
    if lines:
        fail("the events are not the recorded ones (- missing, + new, ~ changed)")
    say(f"all {len(expected)} recorded revisions came again", err=True)
