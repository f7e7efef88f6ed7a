"""Open episodes and the event revisions they cause. Python objects exist for anomalies only."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from daemon.engine.detection.decision import Decisions, Scored
from daemon.engine.detection.hysteresis import CHANGED, CLOSED, NOTHING, OPENED, PEAK
from daemon.engine.detection.threshold import threshold_of
from daemon.engine.kernel.slots import NEVER, SlotClock
from daemon.engine.kernel.variables import POWER
from daemon.engine.messages.events import REASONS, RULE_SCORE, Event, Reason, State, event_id
from daemon.engine.table.entries import VALUE_REVISED, Entries, Notes
from daemon.engine.table.series import SeriesTable

Networks = Callable[[int, int], list[tuple[str, float]]]
"""Takes a window's index and its newest slot; names an ensemble's networks with their shares of its error."""

CONTRIBUTIONS = 5  # slots, and variables, named in an event

_OF_RARITY = ("rarity", "threshold", "score", "reconstruction_error")
_OF_READING = ("value", "value_at", "expected", "lower", "upper", "contributions", "variables", "networks")


class Decided(NamedTuple):
    """A chunk of readings that were decided on."""

    entries: Entries
    filled: int  # entries that hold a reading
    decisions: Decisions
    scored: Scored
    slot_errors: npt.NDArray[np.float32] | None  # (K, W) of each window's slots; None where there are no windows
    policies: npt.NDArray[Any]
    hushed: npt.NDArray[np.bool_]  # (E,) whether nobody is to be told at the slot of each entry
    networks: Networks


class Revision(NamedTuple):
    """Another value that was taken for a slot."""

    arrival: int
    row: int
    slot: int
    value: tuple[float, ...]


def revisions_of(notes: Notes, count: int) -> list[Revision]:
    """The revisions among the first `count` notes, in order of arrival."""
    meant = np.flatnonzero(notes.kind[:count] == VALUE_REVISED).tolist()
    whose = [(int(notes.arrival[i]), int(notes.row[i]), int(notes.slot[i])) for i in meant]
    return [Revision(*which, _numbers(notes.value[i])) for which, i in zip(whose, meant, strict=True)]


def named(bits: int) -> tuple[str, ...]:
    """Reasons of a bit set, in the order of `REASONS`."""
    return tuple(reason.word for reason in Reason if bits & reason.bit)


def telling(wanted: bool, ended: list[Event] | None) -> dict[str, Any]:
    """Fields of an event that is to be told: at once, or, where a budget collects what has `ended`, not yet."""
    at_once = wanted and ended is None
    return {"notify": at_once, "notified": at_once, "withheld": wanted and not at_once}


def _numbers(row: npt.NDArray[Any]) -> tuple[float, ...]:
    return tuple(float(v) for v in row)


class Episodes:
    """The open episodes of one stream.

    Attributes:
        open: The event of each, by row.
        past: The last closed one of each row, as long as its readings may be revised.
        keeps_past: Whether they may.
        ended: What was to be told and has ended is added here, where the stream has a budget: then nothing is told
            before its slot is closed. None where it has none.
        opened: Episodes ever opened.
        names: Names of the variables.
    """

    def __init__(self, stream: str, table: SeriesTable, slots: SlotClock) -> None:
        self.stream, self.table, self.slots = stream, table, slots
        self.names: tuple[str, ...] = ()
        self.open: dict[int, Event] = {}
        self.past: dict[int, Event] = {}
        self.keeps_past = False
        self.ended: list[Event] | None = None
        self.opened = 0

    def tell(self, decided: Decided, revisions: Sequence[Revision] = ()) -> list[tuple[int, Event]]:
        """Revisions that a chunk causes, each with the arrival index of its reading."""
        out: list[tuple[int, Event]] = []
        e, decisions, n = decided.entries, decided.decisions, decided.filled
        news = (decisions.code[:n] != NOTHING) | (decisions.regime[:n] != NEVER)
        revised = 0
        for i in np.flatnonzero(news).tolist():
            code, row, arrival = int(decisions.code[i]), int(e.row[i]), int(e.arrival[i])
            while revised < len(revisions) and revisions[revised].arrival < arrival:
                out += self._revise(revisions[revised])
                revised += 1
            adopted = decisions.regime[i] != NEVER
            if code != CLOSED or adopted:
                seen = self._seen(decided, i)
            if code == CLOSED:
                out.append((arrival, self._close(row, int(e.slot[i]), int(decisions.ended[i]))))
            elif code != NOTHING:
                event = self._follow(row, int(e.slot[i]), code, seen, bool(decisions.odd[i]))
                if code != PEAK:
                    out.append((arrival, event))
            if adopted:
                out.append((arrival, self._adopted(row, int(decisions.regime[i]), seen)))
        for revision in revisions[revised:]:
            out += self._revise(revision)
        return out

    def _revise(self, revision: Revision) -> list[tuple[int, Event]]:
        """The event that named a reading which its sender has now revised says so; nothing where none did."""
        arrival, row, slot, value = revision
        for events in (self.open, self.past):
            event = events.get(row)
            if event is not None and event.value_at == self.slots.at(slot) and event.value != value:
                events[row] = replace(
                    event, revision=event.revision + 1, value=value, revised=event.value, notify=False
                )
                return [(arrival, events[row])]
        return []

    def forget(self, row: int) -> None:
        """The series of a row is forgotten; its episode has been ended."""
        self.past.pop(row, None)

    def _follow(self, row: int, slot: int, code: int, seen: dict[str, Any], odd: bool) -> Event:
        """An episode that opens or goes on; `odd`: with the oddest reading so far."""
        if code == OPENED:
            self.opened += 1
            event = self._first(row, slot, "episode", "open", seen)
        else:
            event = self._changed(self.open[row], seen, code == CHANGED, odd)
        self.open[row] = event
        return event

    def _adopted(self, row: int, since: int, seen: dict[str, Any]) -> Event:
        """The event of a new regime that is adopted as normal: one revision, of the reason `drift`."""
        adopted = {"reasons": (Reason.DRIFT.word,), "score": 0.0, "contributions": (), "ended_at": seen["at"]}
        adopted |= telling(not seen["maintenance"], self.ended)
        event = self._first(row, since, "regime", "closed", seen | adopted)
        if self.ended is not None and event.withheld:
            self.ended.append(event)
        return event

    def end(self, row: int, slot: int) -> list[Event]:
        """The closing of a series' open episode, if it has one, because the series is forgotten or it was normal."""
        if row not in self.open:
            return []
        return [self._close(row, slot, int(self.table.arrays.rows["ended"][row]))]

    def _seen(self, decided: Decided, i: int) -> dict[str, Any]:
        """What the slot of entry `i` says, in the fields of an event."""
        e, decisions = decided.entries, decided.decisions
        row, k = int(e.row[i]), int(e.window[i])
        least = threshold_of(self.table.arrays.rows[row], decided.policies)
        at = self.slots.at(int(e.slot[i]))
        seen = {
            "at": at,
            "ended_at": self.slots.at(int(decisions.ended[i])),
            "reasons": named(int(decisions.reasons[i])),
            **telling(bool(decisions.notify[i]), self.ended),
            "maintenance": bool(decided.hushed[i]),
            "rarity": float(decisions.rarity[i]),
            "threshold": least,
            "score": max(float(decisions.rarity[i]) / least, RULE_SCORE),
            "value": _numbers(e.value[i]),
            "value_at": at,
        }
        if k < 0 or decided.slot_errors is None:
            return seen | {"reconstruction_error": 0.0, "expected": None, "lower": None, "upper": None}
        return seen | self._of_networks(decided, i, k)

    def _of_networks(self, decided: Decided, i: int, k: int) -> dict[str, Any]:
        """What the networks say of entry `i`, whose window is the `k`-th."""
        a, scored, slot_errors = self.table.arrays, decided.scored, decided.slot_errors
        assert slot_errors is not None
        row, slot = int(decided.entries.row[i]), int(decided.entries.slot[i])
        middle, origin, scale = scored.expected[k], a.origin[row], a.scale[row]
        expected, around = origin + scale * middle, scale * decided.decisions.around[i]
        return {
            "reconstruction_error": float(scored.rms[k]),
            "expected": _numbers(expected),
            "lower": _numbers(expected - around),
            "upper": _numbers(expected + around),
            "contributions": self._contributions(slot, slot_errors[k]),
            "variables": self._variables(decided.decisions.surprise[i]),
            "networks": tuple({"network": name, "share": share} for name, share in decided.networks(k, slot)),
        }

    def _contributions(self, slot: int, errors: npt.NDArray[np.float32]) -> tuple[dict[str, Any], ...]:
        """The slots of the window that contributed most to its error, greatest first."""
        total = float(errors.sum())
        if total <= 0.0:
            return ()
        order = np.argsort(-errors, kind="stable")[:CONTRIBUTIONS].tolist()
        first = slot - len(errors) + 1
        return tuple(
            {"at": self.slots.at(first + j), "share": float(errors[j]) / total} for j in order if errors[j] > 0
        )

    def _variables(self, surprise: npt.NDArray[np.float64]) -> tuple[dict[str, Any], ...]:
        """The variables that contributed most to the slot's error, greatest first; none where there is only one."""
        if len(surprise) == 1:
            return ()
        weight = (surprise / max(float(surprise.max()), 1e-300)) ** POWER  # as `variables.combine` adds them up
        total = float(weight.sum())
        order = np.argsort(-weight, kind="stable")[:CONTRIBUTIONS].tolist()
        return tuple({"variable": self.names[f], "share": float(weight[f]) / total} for f in order if weight[f] > 0)

    def _first(self, row: int, slot: int, kind: str, state: State, seen: dict[str, Any]) -> Event:
        """The first revision of an event of this kind that begins at `slot`."""
        series, started_at = self.table.names[row], self.slots.at(slot)
        return Event(
            id=event_id(self.stream, series, kind, started_at),
            revision=0,
            stream=self.stream,
            series=series,
            state=state,
            started_at=started_at,
            **seen,
        )

    def _changed(self, event: Event, seen: dict[str, Any], said: bool, odd: bool) -> Event:
        """The episode after one more anomalous slot: the greatest rarity, and the oddest reading."""
        news = {name: seen[name] for name in ("at", "ended_at", "notify", "maintenance")}
        news["notified"] = event.notified or seen["notified"]
        news["withheld"] = event.withheld or seen["withheld"]
        news["reasons"] = tuple(r for r in REASONS if r in event.reasons or r in seen["reasons"])
        if seen["rarity"] >= event.rarity:
            news |= {name: seen[name] for name in _OF_RARITY}
        if odd:
            news |= {name: seen.get(name, ()) for name in _OF_READING}
        return replace(event, **news, revision=event.revision + (1 if said else 0))

    def _close(self, row: int, slot: int, ended: int) -> Event:
        event = self.open.pop(row)
        times: dict[str, Any] = {"at": self.slots.at(slot), "ended_at": self.slots.at(ended)}
        closed = replace(event, revision=event.revision + 1, state="closed", notify=False, **times)
        if self.ended is not None and (closed.withheld or closed.notified):
            self.ended.append(closed)
        if self.keeps_past:
            since = self.slots.at(slot - self.table.window)
            self.past = {other: kept for other, kept in self.past.items() if kept.ended_at >= since} | {row: closed}
        return closed

    def keep_told(self, row: int, told: Event) -> None:
        """An event of the series of a row has been told."""
        for events in (self.open, self.past):
            if row in events and events[row].id == told.id:
                events[row] = told

    def state(self) -> dict[str, Any]:
        """JSON that `restore` continues from."""
        open_episodes = {str(row): event.to_json() for row, event in sorted(self.open.items())}
        past = {str(row): event.to_json() for row, event in sorted(self.past.items())}
        return {"open": open_episodes, "past": past, "opened": self.opened}

    def restore(self, state: dict[str, Any]) -> None:
        """Continue from what `state` returned."""
        self.open = {int(row): Event.from_json(event) for row, event in state["open"].items()}
        self.past = {int(row): Event.from_json(event) for row, event in state["past"].items()}
        self.opened = state["opened"]
