"""The report of a replay: readings, what was expected, errors, rarity against the threshold, events."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from daemon.engine.messages.events import Event
from daemon.presentation.words import REASON_WORDS, instant, plural
from daemon.replay.trace import ReadingTrace as Traced
from models.report.figures import Figure, Report, ReportSection, Table, Trace, instants, within

MOST_EVENTS = 200  # in the table; the JSON has all


def of_replay(
    file: Path,
    summary: dict[str, Any],
    traces: Sequence[Traced],
    events: Sequence[Event],
    windows: Sequence[tuple[float, float]],
    threshold: float,
) -> Report:
    """A report.

    Args:
        file: What was replayed.
        summary: What `replay --json` prints of it.
        traces: The series that are shown.
        events: The last revision of every event.
        windows: Labelled windows, epoch seconds.
        threshold: Of rarity, by the stream's budget.
    """
    lines = [
        f"{summary['readings']:,} readings of {file.name} through the engine, as the daemon would have taken them: "
        f"{plural(len(events), 'event')}.",
        "Expected is the network's guess of a reading before it saw it; the band is what is usual around it. Rarity is "
        "minus log10 of how often so rare a value occurs; above the threshold, which follows from the budget of false "
        "alarms, a reading is anomalous.",
    ]
    if "windows" in summary:
        lines.append(
            f"{summary['windows_found']} of {summary['windows']} labelled windows were found; "
            f"outside them {plural(summary['false_episodes'], 'false episode')}."
        )
    sections = [
        ReportSection(t.series, _figures(t, i, [e for e in events if e.series == t.series], windows, threshold))
        for i, t in enumerate(traces)
    ]
    sections.append(ReportSection("Events", [_events(events)]))
    data = {"summary": summary, "threshold": threshold, "events": [event.to_json() for event in events]}
    return Report(f"Replay of {file.name}", lines, sections, data)


def _figures(
    t: Traced, index: int, events: Sequence[Event], windows: Sequence[tuple[float, float]], threshold: float
) -> list[Figure]:
    at = instants(t.at)
    spans = [(instants(np.array([a]))[0], instants(np.array([b]))[0]) for a, b in within(windows, t.at)]
    marks = np.isin(t.at, [e.started_at for e in events])
    said = Trace("an event begins", at[marks], t.value[marks], "points")
    scored = ~np.isnan(t.expected)
    band = Trace("usual", at[scored], t.lower[scored], "band", t.upper[scored])
    readings = [band, Trace("expected", at[scored], t.expected[scored]), Trace("reading", at, t.value), said]
    found = [
        Figure(f"readings-{index}", "Readings and what was expected", "", "value", readings),
        Figure(
            f"error-{index}",
            "Reconstruction error",
            "",
            "share of the warm-up's range",
            [Trace("error of the newest reading", at[scored], t.error[scored])],
        ),
        Figure(
            f"rarity-{index}",
            "Rarity against the threshold",
            "",
            "rarity",
            [Trace("rarity", at[scored], t.rarity[scored])],
            levels={"threshold": threshold},
        ),
    ]
    return [replace(figure, spans=spans, span_name="labelled window", x_range=(at[0], at[-1])) for figure in found]


def _events(events: Sequence[Event]) -> Table:
    several = len({e.series for e in events}) > 1
    rows = [
        [
            instant(e.started_at).removesuffix(" UTC"),
            instant(e.ended_at).removesuffix(" UTC"),
            *([e.series or "(whole stream)"] if several else []),
            ", ".join(REASON_WORDS[reason] for reason in e.reasons),
            None if e.value is None else float(e.value[0]),
            None if e.expected is None else float(e.expected[0]),
            None if not e.score else "rule" if e.by_rule else float(e.score),
            "yes" if e.notified else "held back",
        ]
        for e in events[:MOST_EVENTS]
    ]
    note = f"The first {MOST_EVENTS} of {len(events)}." if len(events) > MOST_EVENTS else ""
    series = ("series",) if several else ()
    columns = ("from (UTC)", "to (UTC)", *series, "reasons", "value", "expected", "score", "notified")
    words = columns.index("value")
    return Table("", columns, rows, note or "Value and expected are those of the oddest reading.", words)
