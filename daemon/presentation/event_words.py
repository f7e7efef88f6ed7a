"""One event in words, for people who ask what was odd and by how much."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from daemon.engine.messages.events import Event
from daemon.presentation.console import numbers
from daemon.presentation.words import REASON_WORDS, instant, plural

MOST_COUNTED = 9  # of rarity, minus log10 of a rate


def event_words(event: Event, revisions: Sequence[Event]) -> Iterator[str]:
    """Lines of at most some 100 columns: whose it is, what was read and expected, how rare that is, and where from.

    Args:
        event: Its newest revision.
        revisions: All that are recorded, oldest first.
    """
    yield f"{event.id}  {event.stream if event.series is None else f'{event.stream}/{event.series}'}, {event.state}"
    for name, text in fact_rows(event, revisions):
        yield f"  {name:10}  {text}"


def fact_rows(event: Event, revisions: Sequence[Event]) -> list[tuple[str, str]]:
    """The same facts, each a name and a text."""
    first = min((each.at for each in revisions), default=event.at)
    told = "notified" if event.notified else "withheld by the stream's budget" if event.withheld else "held back"
    said = f"{plural(len(revisions), 'revision')} from {instant(first)} to {instant(event.at)}, {told}"
    return [*_facts(event), ("told", said)]


def _facts(event: Event) -> Iterator[tuple[str, str]]:
    yield "why", "; ".join(REASON_WORDS[reason] for reason in event.reasons)
    so_far = "" if event.state == "closed" else " so far"
    yield "from, to", f"{instant(event.started_at)}, {instant(event.ended_at)}{so_far}"
    if event.members:
        yield "series", f"{event.members['count']}: {', '.join(event.members['series'])}"
    if event.value is not None:
        yield "value", f"{numbers(event.value)} at {instant(event.value_at)}{_expectation(event)}"
    if event.revised is not None:
        yield "revised", f"the sender had said {numbers(event.revised)} before"
    if event.score and not event.by_rule:
        yield "score", f"{event.score:.2f} times the threshold; {_rarity(event.rarity)}"
    if event.contributions:
        yield "slots", ", ".join(f"{instant(each['at'])} {_share(each)}" for each in event.contributions)
    if event.variables:
        yield "variables", ", ".join(f"{each['variable']} {_share(each)}" for each in event.variables)
    if event.networks:
        yield "networks", ", ".join(f"{each['network']} {_share(each)}" for each in event.networks)


def _rarity(rarity: float) -> str:
    """How often so rare a reading comes; beyond what anybody could have counted no number is given."""
    if rarity > MOST_COUNTED:
        return f"so rare comes less than once in {10**MOST_COUNTED:,} readings"
    return f"so rare comes about once in {10**rarity:,.0f} readings"


def _expectation(event: Event) -> str:
    """What was expected instead, as far as it is known."""
    if event.expected is None:
        return ""
    bounds = ""
    if event.lower is not None and event.upper is not None:
        bounds = f", usual from {numbers(event.lower)} to {numbers(event.upper)}"
    return f"; expected {numbers(event.expected)}{bounds}"


def _share(part: Mapping[str, Any]) -> str:
    return f"{100 * part['share']:.0f} %"
