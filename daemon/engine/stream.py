"""One stream's state machine: readings in order of arrival, cut at every slot where something is due."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from daemon.config.settings import StreamSettings
from daemon.detection import calibrating
from daemon.detection.deciding import Decisions, Learned, Scored, decide
from daemon.detection.policies import policies, policy_of
from daemon.detection.statistics import NEVER, Parts, parameters
from daemon.engine import placing
from daemon.engine.aggregating import MODES, Combined, combine, finish
from daemon.engine.episodes import Episodes
from daemon.engine.events import Event
from daemon.engine.inputs import Batch
from daemon.engine.placing import Entries, Rules, Silences
from daemon.engine.series import FREE, WARMING, SeriesTable
from daemon.engine.silence import Silence
from daemon.engine.slots import SlotClock
from daemon.engine.training_port import Trainer
from daemon.learning import joining, reservoir
from daemon.learning.learner import Learner
from daemon.learning.regime import Adoption

CHUNK = 8192  # readings placed and scored at once
CHUNK_NUMBERS = 1 << 21  # numbers in the windows of one chunk
NO_SERIES, UNKNOWN = -1, -2  # rows of labels the table has no room for, and of those it has not seen
NOTHING_DUE = 1 << 40

ENGINE_REJECTIONS = ("duplicate", "too_old", "future", "series_limit", "width")
_VERDICTS = {placing.DUPLICATE: "duplicate", placing.TOO_OLD: "too_old"}

Observer = Callable[[Entries, int, Scored, Decisions], None]
"""Takes a chunk's entries, how many, their scores and decisions: every reading, where events are for anomalies only.
The arrays are used again: what is kept must be copied."""


@dataclass
class Counters:
    """What a stream has counted since its state began."""

    accepted: int = 0
    rejected: dict[str, int] = field(default_factory=dict)
    late: int = 0
    unscored: int = 0
    retired: int = 0
    retired_anomalies: list[int] = field(default_factory=lambda: [0] * 6)

    def reject(self, reason: str, count: int) -> None:
        """Count readings rejected for `reason`."""
        if count:
            self.rejected[reason] = self.rejected.get(reason, 0) + count


class Stream:
    """The state of one stream and what changes it.

    Args:
        name: The stream's name in the configuration.
        settings: Its section of the configuration.
        trainer: Runs its trainings.
    """

    def __init__(self, name: str, settings: StreamSettings, trainer: Trainer) -> None:
        self.name = name
        model, width, p = settings.model, settings.format.width, settings.warm_up_slots
        self.table = SeriesTable(settings.max_series, model.window, width, p, model.scaling == "range")
        self.reservoir = reservoir.reservoir(model.window, width, settings.seed)
        self.slots = SlotClock(settings.interval, settings.timezone, settings.stamp)
        units = model.statistics.model_dump(exclude={"calibration"})
        self.parameters = parameters(p, settings.interval, Parts(**units))
        self.rates = calibrating.rates(settings.interval, model.statistics.calibration)
        self.clock = np.array([NEVER, NEVER, 0], np.int64)
        self.closed = NEVER
        self.greatest = NEVER
        self.next_retiring = NEVER
        self.counters = Counters()
        self.silence = Silence(name, self.table, self.slots.at)
        self.episodes = Episodes(name, self.table, self.slots)
        self.learner = Learner(
            name,
            settings,
            self.table,
            self.reservoir,
            self.slots,
            self.parameters,
            lambda: self.episodes.opened,
            trainer,
        )
        self._chunk = max(32, min(CHUNK, CHUNK_NUMBERS // (model.window * width)))
        self._entries: Entries | None = None
        self.observer: Observer | None = None
        self.configure(settings)

    def configure(self, settings: StreamSettings) -> None:
        """Take over new settings; those that need a new state must be as they were."""
        replan = settings.model.retrain_every != self.learner.settings.model.retrain_every
        self.settings = settings
        self.learner.configure(settings)
        self.policies = policies(settings)
        self.episodes.names = settings.format.names
        for label, row in self.table.row_of.items():
            self.table.arrays.rows["policy"][row] = policy_of(settings.alerts, label)
        self.adoption = Adoption(settings.adopt_slots, max(settings.model.window, 86400 // settings.interval))
        self.retire_after = -(-settings.retire_after // settings.interval)
        self.mode = MODES[settings.aggregate]
        if replan and self.greatest != NEVER:
            self.learner.plan(self._closed_by_now(), anew=True)

    # -- inputs --------------------------------------------------------------------------------------------------

    def step(self, batch: Batch) -> list[Event]:
        """Apply a batch; returns the event revisions it caused, in order."""
        for reason, count in batch.rejected.items():
            self.counters.reject(reason, count)
        if len(batch) and batch.values.shape[1] != self.table.width:
            self.counters.reject("width", len(batch))
            return []
        slots = self.slots.slots(batch.at_ms)
        codes, folds, values = batch.codes, batch.fold_s, batch.values
        if self.settings.clock == "wall":
            ahead = batch.at_ms > batch.received_at_ms + self.settings.future * 1000
            if ahead.any():
                self.counters.reject("future", int(ahead.sum()))
                keep = ~ahead
                slots, codes, folds, values = slots[keep], codes[keep], folds[keep], values[keep]
        return self._run(batch.labels, codes, slots, folds, values)

    def tick(self, now_ms: int) -> list[Event]:
        """Let the wall clock notice silence; streams under `clock: event` do not."""
        if self.settings.clock != "wall" or self.greatest == NEVER:
            return []
        closed = self.slots.slot_of_now(now_ms) - 1 - self.settings.lateness
        events = self._finish_slots(closed) if self.mode else []
        found = self._silences(0)
        count = placing.find_silent(self.table.arrays, self.table.used, self.clock, closed, self._rules(), 0, found, 0)
        return events + [event for _, event in self.silence.take(found, count)]

    def end_warm_up(self) -> tuple[list[Event], int]:
        """Operator's command: train and join at once with what there is; revisions, and how many series joined."""
        if self.greatest == NEVER:
            return [], 0
        events = self._finish_slots(self.greatest) if self.mode else []
        return events, self.learner.end_warm_up(self.greatest)

    # -- readings ------------------------------------------------------------------------------------------------

    def _run(
        self,
        labels: list[str],
        codes: npt.NDArray[np.int32],
        slots: npt.NDArray[np.int64],
        folds: npt.NDArray[np.int32],
        values: npt.NDArray[np.float64],
    ) -> list[Event]:
        """Readings in order, cut before each one that closes a slot where something is due."""
        events: list[Event] = []
        shift = (folds // self.settings.interval).astype(np.int64)
        rows = self._lookup(labels)
        start = 0
        while start < len(slots):
            stop = start + self._cut(rows[codes[start:]], slots[start:], shift[start:])
            if stop == start:
                slot = self._slot_of(int(rows[codes[start]]), int(slots[start]), int(shift[start]))
                closing = max(slot, self.greatest) - 1 - self.settings.lateness
                if self._is_due(closing):
                    events += self._close(closing)
                    rows = self._lookup(labels)
                stop = start + 1
            for at in range(start, stop, self._chunk):
                cut = slice(at, min(at + self._chunk, stop))
                self._admit(labels, codes[cut], rows)
                events += self._take(rows[codes[cut]], slots[cut], shift[cut], values[cut])
            start = stop
        return events

    def _cut(self, rows: npt.NDArray[np.int32], slots: npt.NDArray[np.int64], shift: npt.NDArray[np.int64]) -> int:
        """How many readings may be taken before one might close a due slot; too few does no harm.

        A series that appears among them is due a warm-up later, and the first of all sets when series retire, so
        readings after its first are held to that too. A reading's own slot is not known before it is placed where a
        local hour repeats: there each reading that may close a due slot ends the cut.
        """
        reach = np.maximum(np.maximum.accumulate(slots + shift), self.greatest)
        closing = reach - 1 - self.settings.lateness
        by_now = self._closed_by_now()
        advances = closing > (by_now if shift.any() else np.concatenate([[by_now], closing[:-1]]))
        due = self._next_due()
        dues = np.full(len(slots), NOTHING_DUE if due is None else due)
        ahead = min(self.table.warm_up_slots - 1, self.retire_after)
        fresh = np.where(self._unplaced(rows), slots + ahead, NOTHING_DUE)
        dues[1:] = np.minimum(dues[1:], np.minimum.accumulate(fresh)[:-1])
        crossing = np.flatnonzero(advances & (dues <= closing))
        return int(crossing[0]) if len(crossing) else len(slots)

    def _unplaced(self, rows: npt.NDArray[np.int32]) -> npt.NDArray[np.bool_]:
        """Which readings are of series that have none placed yet, shape (N,)."""
        unplaced: npt.NDArray[np.bool_] = rows == UNKNOWN
        if self.table.used:
            unplaced |= (rows >= 0) & (self.table.rows["last"][np.maximum(rows, 0)] == NEVER)
        return unplaced

    def _closed_by_now(self) -> int:
        """Last slot that the readings so far have closed."""
        return max(self.closed, self.greatest - 1 - self.settings.lateness)

    def _is_due(self, closing: int) -> bool:
        """Whether closing all slots up to `closing` causes something."""
        due = self._next_due()
        return due is not None and due <= closing and closing > self._closed_by_now()

    def _slot_of(self, row: int, slot: int, shift: int) -> int:
        """The slot a reading will take, given that a repeated local hour counts as the second when it is taken."""
        if not shift or row < 0:
            return slot
        a = self.table.arrays
        last = max(int(a.rows["last"][row]), int(a.passed[row]), int(a.pending_slot[row]) - 1)
        return slot + shift if slot <= last else slot

    def _lookup(self, labels: list[str]) -> npt.NDArray[np.int32]:
        """Row of each label, UNKNOWN where it has none yet."""
        get = self.table.row_of.get
        return np.fromiter((get(label, UNKNOWN) for label in labels), np.int32, len(labels))

    def _admit(self, labels: list[str], codes: npt.NDArray[np.int32], rows: npt.NDArray[np.int32]) -> None:
        """Give rows to labels seen for the first time, in order of arrival."""
        unknown = codes[rows[codes] == UNKNOWN]
        if not len(unknown):
            return
        _, first = np.unique(unknown, return_index=True)
        for at in np.sort(first):
            code = int(unknown[at])
            row = rows[code] = self.table.admit(labels[code])
            if row != NO_SERIES:
                self.table.arrays.rows["policy"][row] = policy_of(self.settings.alerts, labels[code])

    def _take(
        self,
        rows: npt.NDArray[np.int32],
        slots: npt.NDArray[np.int64],
        shift: npt.NDArray[np.int64],
        values: npt.NDArray[np.float64],
    ) -> list[Event]:
        """A chunk of readings none of which closes a due slot."""
        known = rows != NO_SERIES
        if not known.all():
            self.counters.reject("series_limit", int((~known).sum()))
            rows, slots, shift, values = rows[known], slots[known], shift[known], values[known]
        if not len(rows):
            return []
        if self.next_retiring == NEVER:
            self.next_retiring = int(slots[0]) + self.retire_after
        if not self.mode:
            events = self._place(rows, slots, shift, values.copy())
            self.greatest = max(self.greatest, int(self.clock[placing.GREATEST_SLOT]))
            return events
        out = self._combined(len(rows))
        a, lateness = self.table.arrays, self.settings.lateness
        count, taken, self.greatest = combine(
            a, self.table.used, self.mode, lateness, self.greatest, rows, slots, shift, values, out
        )
        self.counters.accepted += taken
        return self._place_combined(out, count)

    def _combined(self, readings: int) -> Combined:
        n = readings + self.table.used
        return Combined(
            np.empty(n, np.int32), np.empty(n, np.int64), np.empty((n, self.table.width)), np.empty(n, np.bool_)
        )

    def _finish_slots(self, closed: int) -> list[Event]:
        """Pass on aggregated slots up to `closed`."""
        out = self._combined(0)
        count = finish(self.table.arrays, self.table.used, self.mode, closed, out, 0)
        return self._place_combined(out, count)

    def _place_combined(self, out: Combined, count: int) -> list[Event]:
        events: list[Event] = []
        for start in range(0, count, self._chunk):
            cut = slice(start, min(start + self._chunk, count))
            shift = np.zeros(cut.stop - cut.start, np.int64)
            events += self._place(out.row[cut], out.slot[cut], shift, out.value[cut], out.finished[cut])
        return events

    def _rules(self) -> Rules:
        s = self.settings
        return Rules(s.gap_after, s.lateness, s.kind == "counter")

    def _silences(self, readings: int) -> Silences:
        return Silences.room(2 * readings + self.table.used)

    def _buffers(self) -> Entries:
        """Room for one chunk's entries, kept between chunks."""
        if self._entries is None:
            self._entries = Entries.room(self._chunk, self.table.window, self.table.width)
        return self._entries

    def _place(
        self,
        rows: npt.NDArray[np.int32],
        slots: npt.NDArray[np.int64],
        shift: npt.NDArray[np.int64],
        values: npt.NDArray[np.float64],
        finished: npt.NDArray[np.bool_] | None = None,
    ) -> list[Event]:
        """Place, score and decide on a chunk; `values` may be changed, `finished` readings are counted already."""
        a, e = self.table.arrays, self._buffers()
        verdicts = np.empty(len(rows), np.int8)
        found = self._silences(len(rows))
        entries, windows, silent = placing.place(
            a,
            self.table.used,
            self.clock,
            self._rules(),
            rows,
            slots,
            shift,
            values,
            verdicts,
            e,
            found,
        )
        self._count(verdicts if finished is None else verdicts[~finished])
        scores = self._score(e, entries, windows)
        return self._decide(e, entries, scores, self.silence.take(found, silent))

    def _count(self, verdicts: npt.NDArray[np.int8]) -> None:
        counts = np.bincount(verdicts, minlength=5)
        for verdict, reason in _VERDICTS.items():
            self.counters.reject(reason, int(counts[verdict]))
        self.counters.late += int(counts[placing.LATE])
        self.counters.accepted += int(counts[placing.NEW] + counts[placing.LATE] + counts[placing.BASELINE])

    def _score(self, e: Entries, entries: int, windows: int) -> tuple[Any, npt.NDArray[np.int64]]:
        """Scores of the chunk's windows (None when there are none), and the local hour of each."""
        if not windows:
            return None, np.zeros(0, np.int64)
        slots = e.slot[:entries][e.window[:entries] >= 0]
        return self.learner.serving.score(e.x[:windows], e.observed[:windows], slots), self.slots.hours(slots)

    def _decide(
        self, e: Entries, entries: int, scored: tuple[Any, npt.NDArray[np.int64]], silences: list[tuple[int, Event]]
    ) -> list[Event]:
        scores, hours = scored
        width = self.table.width
        if scores is None:
            none = np.zeros((0, width), np.float32)
            columns = Scored(none, np.zeros(0, np.float32), none)
        else:
            columns = Scored(scores.newest, scores.rms, scores.expected)
        out = Decisions.room(entries, width)
        to = Learned(
            self.adoption,
            self.learner.sample_rate,
            self.reservoir,
            self.learner.drift.errors,
            self.learner.serving.scale,
        )
        self.counters.unscored += decide(
            self.table.arrays, self.parameters, self.rates, self.policies, e, entries, columns, hours, to, out
        )
        if (out.regime[:entries] != NEVER).any():
            self.learner.ask()
        if self.observer is not None:
            self.observer(e, entries, columns, out)
        errors = None if scores is None else scores.slot_error

        def networks(k: int, slot: int) -> list[tuple[str, float]]:
            return self.learner.serving.networks(e.x[k : k + 1], e.observed[k : k + 1], slot)

        said = self.episodes.take(e, entries, out, columns, errors, self.policies, networks)
        merged = [(arrival, 0, event) for arrival, event in silences] + [(arrival, 1, event) for arrival, event in said]
        return [event for _, _, event in sorted(merged, key=lambda item: item[:2])]

    # -- schedule ------------------------------------------------------------------------------------------------

    def _next_due(self) -> int | None:
        """The next slot whose closing causes something."""
        rows = self.table.rows
        warming = (rows["status"] == WARMING) & (rows["last"] != NEVER)
        dues = [int(rows["due"][warming].min())] if bool(warming.any()) else []
        if self.mode:  # a first slot being collected will be placed
            first = self.table.arrays.pending_slot[: len(rows)][(rows["status"] == WARMING) & (rows["last"] == NEVER)]
            dues += [int(first.min()) + self.table.warm_up_slots - 1] if len(first) else []
        learning = self.learner.due(self.closed)
        if learning is not None:
            dues.append(learning)
        if self.next_retiring != NEVER:
            dues.append(self.next_retiring)
        return min(dues, default=None)

    def _close(self, upto: int) -> list[Event]:
        """Do everything that is due up to slot `upto`, slot by slot."""
        events: list[Event] = self._finish_slots(upto) if self.mode else []
        self.closed = self._closed_by_now()
        while (due := self._next_due()) is not None and due <= upto:
            slot = max(due, self.closed + 1)
            if slot > upto:
                break
            self.closed = slot
            joining.queue(self.table, joining.mature(self.table, slot, upto))
            self.learner.act(slot, upto)
            if slot >= self.next_retiring:
                events += self._retire(slot)
        self.closed = upto
        return events

    def _retire(self, slot: int) -> list[Event]:
        """Forget series that have been silent for `retire_after`."""
        rows = self.table.rows
        self.next_retiring = slot + max(1, 86400 // self.settings.interval)
        last = np.maximum(rows["last"], self.table.arrays.pending_slot[: len(rows)])
        old = np.flatnonzero((rows["status"] != FREE) & (last != NEVER) & (last + self.retire_after <= slot))
        events: list[Event] = []
        for row in old.tolist():
            if rows["silent"][row]:
                events += self.silence.back(row, slot)
            events += self.episodes.end(row, slot)
            counts = self.counters.retired_anomalies
            self.counters.retired_anomalies = [c + int(n) for c, n in zip(counts, rows["anomalies"][row], strict=True)]
            self.counters.retired += 1
            reservoir.forget(self.reservoir, row)
            self.learner.drift.forget(row)
            self.table.retire(row)
        return events

    # -- state ---------------------------------------------------------------------------------------------------

    def state(self) -> tuple[dict[str, Any], dict[str, npt.NDArray[Any]]]:
        """JSON and arrays that `restore` continues from."""
        series_meta, series = self.table.state()
        learner_meta, learner = self.learner.state()
        meta = {
            "series": series_meta,
            "learner": learner_meta,
            "silence": self.silence.state(),
            "episodes": self.episodes.state(),
            "counters": vars(self.counters),
            "closed": self.closed,
            "greatest": self.greatest,
            "next_retiring": self.next_retiring,
        }
        arrays = {f"series/{n}": array for n, array in series.items()}
        arrays |= {f"learner/{n}": array for n, array in learner.items()}
        arrays |= {f"reservoir/{n}": array for n, array in reservoir.state(self.reservoir).items()}
        arrays |= {f"rates/{n}": array for n, array in calibrating.state(self.rates).items()}
        return meta, arrays | {"clock": self.clock}

    def restore(self, meta: dict[str, Any], arrays: dict[str, npt.NDArray[Any]]) -> None:
        """Continue from what `state` returned. Raises ValueError when it does not fit the settings."""

        def part(name: str) -> dict[str, npt.NDArray[Any]]:
            return {n.removeprefix(f"{name}/"): array for n, array in arrays.items() if n.startswith(f"{name}/")}

        self.table.restore(meta["series"], part("series"))
        reservoir.restore(self.reservoir, part("reservoir"))
        calibrating.restore(self.rates, part("rates"))
        self.clock[:] = arrays["clock"]
        self.silence.restore(meta["silence"])
        self.episodes.restore(meta["episodes"])
        self.counters = Counters(**meta["counters"])
        self.closed, self.greatest = meta["closed"], meta["greatest"]
        self.next_retiring = meta["next_retiring"]
        self.learner.restore(meta["learner"], part("learner"))
