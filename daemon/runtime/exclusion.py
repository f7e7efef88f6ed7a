"""An operator takes a period out of all that was learned; `daemon.runtime.past` repeats the past without it."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from fnmatch import fnmatchcase
from typing import Any

from daemon.engine.kernel.slots import NEVER
from daemon.engine.messages.inputs import Excluded
from daemon.engine.table.exclusions import Exclusion
from daemon.presentation.words import instant
from daemon.runtime.durable import DurableEngine
from daemon.runtime.label_evidence import check_bounds
from daemon.runtime.past import Past
from daemon.trainer.trainer import InlineTrainer


@dataclass(frozen=True, slots=True)
class WantedExclusion:
    """What an operator wants.

    Attributes:
        stream: Name of the stream.
        since: Beginning of the period, epoch seconds.
        until: Start of its last slot, or an instant within; None up to the newest reading.
        series: Pattern with * and ? of the series that are meant.
        note: Why, for people.
    """

    stream: str
    since: int
    until: int | None = None
    series: str = "*"
    note: str = ""


def exclude(durable: DurableEngine, wanted: WantedExclusion, now_ms: int) -> dict[str, Any]:
    """Take a period out of all that was learned, through the journal; waits until the past is repeated without it.

    Args:
        durable: The engine with its memory.
        wanted: What is meant.
        now_ms: Wall clock, epoch milliseconds.

    Returns:
        What was wanted, with the period in whole slots; `entry`, the number of its journal entry, and `matched`, how
        many series are meant.

    Raises:
        ValueError: It cannot be done, or is done already; nothing was journaled.
    """
    stream = durable.engine.streams.get(wanted.stream)
    if stream is None:
        raise ValueError(f"there is no stream {wanted.stream!r}")
    check_bounds(wanted.since, wanted.until, wanted.note)
    durable.settle()
    slot, at, greatest = stream.slots.slot, stream.slots.at, stream.schedule.greatest
    first, last = slot(wanted.since), greatest if wanted.until is None else slot(wanted.until)
    if greatest == NEVER or first > greatest:
        raise ValueError(f"{wanted.stream} has not come to that period; what lies ahead is a window of maintenance")
    if last < first:
        raise ValueError("the period ends before it begins")
    if last > greatest:
        raise ValueError(f"the period ends after the newest reading, {instant(at(greatest))}; let it end there")
    matched = sum(fnmatchcase(name, wanted.series) for name in stream.table.row_of)
    if not matched:
        raise ValueError(f"no series of {wanted.stream} is called {wanted.series!r}; tidegauge series list shows them")
    period = Exclusion(wanted.series, first, last)
    if period in stream.table.excluded.periods:
        raise ValueError("that period is taken out already")
    past = Past(durable.store, InlineTrainer())
    past.beginning(wanted.stream, [*stream.table.excluded.periods, period], durable.store.last_seq + 1)
    item = Excluded(wanted.stream, wanted.series, at(first), at(last), wanted.note, now_ms)
    durable.apply([item], {}, now_ms)
    given = asdict(wanted) | {"since": item.since, "until": item.until}
    return given | {"matched": matched, "entry": durable.seq}
