"""The report of a what-if: alarms a day then and imagined, the readings with what was gained and lost, tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from daemon.engine.messages.events import Event
from daemon.presentation.words import REASON_WORDS, instant, plural
from daemon.replay.trace import ReadingTrace as Traced
from daemon.replay.what_if import WhatIf
from models.report.figures import Figure, Report, ReportSection, Table, Trace, instants

MOST_EVENTS = 200  # in a table; the JSON has all


def of_what_if(found: WhatIf, traces: Mapping[str, Sequence[Traced]], thresholds: Mapping[str, float]) -> Report:
    """A report.

    Args:
        found: What came of it.
        traces: Of each stream the series that are shown.
        thresholds: Of each stream the threshold of rarity by its budget.
    """
    lines = [
        f"The journal from {instant(found.since)} to {instant(found.until)} under another configuration, beside what "
        f"happened: {plural(len(found.happened), 'event')} then, {len(found.imagined)} with it; "
        f"{len(found.gained)} gained, {len(found.lost)} lost.",
        alarms_words(found),
        *(f"Not changed: {note}." for note in found.notes),
    ]
    sections = [ReportSection("Alarms a day", [_a_day(found)])]
    for stream, shown in traces.items():
        for each in shown:
            if len(each.at):
                key = f"{len(sections)}"
                sections.append(ReportSection(each.series, _figures(found, stream, each, key, thresholds[stream])))
    sections.append(ReportSection("Gained", [_table(found.gained)]))
    sections.append(ReportSection("Lost", [_table(found.lost)]))
    return Report("What if", lines, sections, found.to_json())


def alarms_words(found: WhatIf) -> str:
    """How many alarms a day there were, and would have been."""
    then, now = (sum(each.notified for each in events) for events in (found.happened, found.imagined))
    days = found.days
    return f"alarms: {then} then, {now} with it; a day {then / days:.3g} and {now / days:.3g}, over {days:.4g} days"


def _a_day(found: WhatIf) -> Figure:
    at, then, now = (np.array(column) for column in zip(*found.alarms(), strict=True))
    days = instants(at)
    middle = instants(at + 43_200)  # bars stand around it
    bars = [Trace("as it happened", middle, then, "bars"), Trace("with the other configuration", days, now, "step")]
    return Figure("alarms", "Alarms a day", "", "events that somebody was told of", bars)


def _figures(found: WhatIf, stream: str, t: Traced, key: str, threshold: float) -> list[Figure]:
    at, scored = instants(t.at), ~np.isnan(t.expected)
    lost, gained = ([e for e in events if e.stream == stream] for events in (found.lost, found.gained))
    different = {e.id for e in gained}
    both = [e for e in found.imagined if e.stream == stream and e.id not in different]
    marks = [
        _begins(t, name, events) for name, events in (("in both", both), ("gained", gained), ("lost", lost)) if events
    ]
    band = Trace("usual", at[scored], t.lower[scored], "band", t.upper[scored])
    readings = [band, Trace("expected", at[scored], t.expected[scored]), Trace("reading", at, t.value), *marks]
    rarity = [Trace("rarity", at[scored], t.rarity[scored])]
    ends = (max(at[0], instants(np.array([found.since]))[0]), at[-1])
    return [
        Figure(f"readings-{key}", "Readings, and where events begin", "", "value", readings, x_range=ends),
        Figure(
            f"rarity-{key}",
            "Rarity under the other configuration",
            "",
            "rarity",
            rarity,
            levels={"its threshold": threshold},
            x_range=ends,
        ),
    ]


def _begins(t: Traced, name: str, events: Sequence[Event]) -> Trace:
    there = np.isin(t.at, [e.started_at for e in events if e.series == t.series])
    return Trace(name, instants(t.at[there]), t.value[there], "points")


def _table(events: Sequence[Event]) -> Table:
    rows: list[list[Any]] = [
        [
            instant(e.started_at).removesuffix(" UTC"),
            instant(e.ended_at).removesuffix(" UTC"),
            e.stream,
            e.series or "(whole stream)",
            ", ".join(REASON_WORDS[reason] for reason in e.reasons),
            None if e.value is None else float(e.value[0]),
            None if not e.score else "rule" if e.by_rule else float(e.score),
            "yes" if e.notified else "held back",
        ]
        for e in events[:MOST_EVENTS]
    ]
    note = f"The first {MOST_EVENTS} of {len(events)}." if len(events) > MOST_EVENTS else ""
    columns = ("from (UTC)", "to (UTC)", "stream", "series", "reasons", "value", "score", "notified")
    return Table("", columns, rows, note, columns.index("value"))
