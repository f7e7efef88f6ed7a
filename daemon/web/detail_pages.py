"""The pages of one series and of one event. The words are chosen here, the markup is in the templates beside."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlencode

import numpy as np

from daemon.presentation.event_words import fact_rows
from daemon.presentation.words import instant
from daemon.web.chart import draw
from daemon.web.frame_values import filled
from daemon.web.page import band, event_item, evidence, numbers, series_item, when
from daemon.web.records import Told

SPANS = (
    ("2d", 2 * 86400, "2 days"),
    ("2w", 14 * 86400, "2 weeks"),
    ("2m", 61 * 86400, "2 months"),
    ("1y", 366 * 86400, "a year"),
)
"""Ranges to choose from: name in links, seconds, words."""
SPAN_OF = {name: seconds for name, seconds, _ in SPANS}
WIDE, NARROW = 960, 440
_SHOWN = ("why", "slots", "variables", "networks")  # what of an event's facts is shown otherwise


def series_page(row: Mapping[str, Any], course: Mapping[str, Any], span: str, interval_s: int) -> str:
    """The page of one series.

    Args:
        row: As `summary.rows_of` has it.
        course: As `api_answers.course` gives it.
        span: Name of the range, one of `SPAN_OF`.
        interval_s: Length of a slot.
    """
    item = series_item(row)
    name = {"stream": row["stream"], "series": row["series"]}
    seconds = SPAN_OF[span]
    newest = (row["last_reading_at"] or 0) + interval_s
    until = course["until"]

    def link(**more: Any) -> str:
        return "series?" + urlencode(name | {"span": span} | more)

    at_newest = until >= newest
    links = [
        {"text": words, "here": each == span, "link": link(span=each, **({} if at_newest else {"until": until}))}
        for each, _, words in SPANS
    ]
    title = f"{row['series']}: readings, usual range and score from {instant(course['since'])} to {instant(until)}"
    drawn = len(course["at"]) > 0
    return filled(
        "series.html",
        series=row["series"],
        stream=row["stream"],
        row=item,
        now=_now(row, item),
        spans=links,
        earlier=link(until=until - seconds // 2),
        later="" if at_newest else link(until=min(until + seconds // 2, newest)),
        newest=link(),
        wide=draw(course, WIDE, title) if drawn else "",
        narrow=draw(course, NARROW, title) if drawn else "",
        caption=_caption(course),
        events=[event_item(event) for event in course["events"]],
        labels=[_label(label) for label in course["labels"]],
        facts=_series_facts(row, item),
        query=urlencode(name | {"since": course["since"], "until": until}),
    )


def _now(row: Mapping[str, Any], item: Mapping[str, Any]) -> str:
    """The newest reading in words."""
    if row["value"] is None:
        return "No reading so far."
    said = f"Read {item['value']} at {item['last']}"
    if row["expected"] is not None:
        said += f"; expected {item['expected']}, usually {item['band']}"
    return said + "."


def _caption(course: Mapping[str, Any]) -> str:
    step = int(course["step_s"])
    hours, minutes = divmod(step // 60, 60)
    words = " ".join(
        part
        for part in (
            f"{hours} h" if hours else "",
            f"{minutes} min" if minutes else "",
            "" if step >= 60 else f"{step} s",
        )
        if part
    )
    more = f", of {course['variables'][0]}" if len(course["variables"]) > 1 else ""
    return f"{instant(course['since'])} to {instant(course['until'])}, a point each {words}{more}."


def _series_facts(row: Mapping[str, Any], item: Mapping[str, Any]) -> list[tuple[str, str]]:
    facts = [("last reading", item["last"]), ("reading", item["value"])]
    if row["expected"] is not None:
        facts += [("expected", item["expected"]), ("usual range", item["band"])]
    if row["score"] is not None:
        facts.append(("score", f"{row['score']:.2f}, an alarm from 1"))
    if row["ready_at"]:
        facts.append(("warm-up", f"{row['warm_up'] * 100:.0f} %, ready about {instant(row['ready_at'])}"))
    facts.append(("open reasons", ", ".join(row["reasons"]) or "none"))
    return facts


def event_page(told: Told, course: Mapping[str, Any] | None, before: Mapping[str, Any] | None, writable: bool) -> str:
    """The page of one event.

    Args:
        told: The event, and what is known beside.
        course: Of its series around it; None for an event of the whole stream, and where the series is gone.
        before: Of its series before it, as far back as there is.
        writable: Whether labels are taken.
    """
    event = told.event.to_json()
    item = event_item(event)
    name = {"stream": event["stream"], "series": event["series"]}
    drawn = course is not None and len(course["at"]) > 0
    title = f"{item['series']} around {instant(event['started_at'])}"
    link = ""
    if course is not None:
        link = "series?" + urlencode(name | {"span": "2d", "until": course["until"]})
    return filled(
        "event.html",
        id=event["id"],
        writable=writable and event["series"] is not None,
        since=event["started_at"],
        until=event["ended_at"],
        labelled=told.labels[-1].kind if told.labels else "",
        label_since=told.labels[-1].since if told.labels else 0,
        series=item["series"],
        stream=event["stream"],
        link=link,
        open=item["open"],
        when=item["when"],
        sentence=_sentence(event, before),
        reasons=item["reasons"],
        wide=draw(course, WIDE, title) if drawn and course is not None else "",
        narrow=draw(course, NARROW, title) if drawn and course is not None else "",
        caption=_caption(course) if course is not None else "",
        shares=_shares(event),
        facts=[row for row in fact_rows(told.event, told.revisions) if row[0] not in _SHOWN],
        labels=[_label(vars_of(label)) for label in told.labels],
        similar=[event_item(each.to_json()) for each in told.similar],
    )


def vars_of(label: Any) -> dict[str, Any]:
    """What of a label is shown."""
    return {"kind": label.kind, "since": label.since, "until": label.until, "note": label.note}


def _sentence(event: Mapping[str, Any], before: Mapping[str, Any] | None) -> str:
    """What happened, as one would say it."""
    if event["value"] is None:
        return f"{when(event)[:1].upper()}{when(event)[1:]}.{evidence(event)}"
    at = event["value_at"] or event["at"]
    said = f"Read {numbers(event['value'])} at {instant(at)}"
    if event["expected"] is not None:
        said += f", expected {numbers(event['expected'])}"
        if event["lower"] is not None:
            said += f" (usually {band(event['lower'], event['upper'])})"
    return f"{said}{_compared(event, before)}."


def _compared(event: Mapping[str, Any], before: Mapping[str, Any] | None) -> str:
    """Whether it is the highest or lowest reading of the time before, as far as that is kept."""
    if before is None or not len(before["at"]):
        return ""
    value, at = event["value"][0], np.asarray(before["at"], np.int64)
    ended = at + before["step_s"] <= event["started_at"]  # the last point may have a part of the event itself
    high, low = (np.asarray(before[name], np.float64)[ended, 0] for name in ("high", "low"))
    days = (event["started_at"] - int(before["at"][0])) // 86400
    if days < 1 or not len(high):
        return ""
    words = f"in {days} days" if days > 1 else "in a day"
    if value > np.nanmax(high):
        return f"; the highest {words}"
    return f"; the lowest {words}" if value < np.nanmin(low) else ""


def _shares(event: Mapping[str, Any]) -> list[dict[str, Any]]:
    """What contributed: slots, variables and networks, each with its share."""
    kinds: Sequence[tuple[str, str, str]] = (
        ("contributions", "at", "Slots"),
        ("variables", "variable", "Variables"),
        ("networks", "network", "Networks"),
    )
    return [
        {
            "name": title,
            "rows": [
                {
                    "name": instant(each[key]) if key == "at" else str(each[key]),
                    "share": round(float(each["share"]), 4),
                    "words": f"{100 * each['share']:.0f} %",
                }
                for each in event[kind]
                if each["share"] >= 0.005
            ],
        }
        for kind, key, title in kinds
        if event[kind]
    ]


def _label(label: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "kind": label["kind"],
        "note": label["note"],
        "when": f"{instant(label['since'])} to {instant(label['until'])}",
    }
