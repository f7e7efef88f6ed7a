"""One stream's state machine: readings in order of arrival, cut at every slot where something is due.

What may close a slot is `Awaiting`: it stops where the outcome of a training is due, and goes on when it is sent that.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from daemon.config.settings import StreamSettings
from daemon.engine.detection.policies import policy_of
from daemon.engine.detection.threshold import threshold_of
from daemon.engine.kernel import calibration
from daemon.engine.kernel.parameters import Parts, parameters
from daemon.engine.kernel.slots import NEVER, SlotClock
from daemon.engine.learning import admission, reservoir
from daemon.engine.learning.learner import Learner
from daemon.engine.learning.operator_labels import Labels
from daemon.engine.learning.subject import Subject
from daemon.engine.machine.added_windows import AddedWindow
from daemon.engine.machine.allowance import Allowance
from daemon.engine.machine.arrivals import Arrivals, Coded
from daemon.engine.machine.assessment import Assessment
from daemon.engine.machine.corroboration import Corroboration, reach_of
from daemon.engine.machine.counters import Counters
from daemon.engine.machine.episodes import Episodes
from daemon.engine.machine.held_readings import HeldReadings
from daemon.engine.machine.maintenance import Maintenance
from daemon.engine.machine.meters import Meters
from daemon.engine.machine.reception import Reception
from daemon.engine.machine.schedule import Schedule
from daemon.engine.machine.silence import Silence
from daemon.engine.messages.events import Event
from daemon.engine.messages.inputs import Batch, Excluded, Labelled, Maintained
from daemon.engine.messages.training_port import Awaiting, Trainer
from daemon.engine.table import overdue
from daemon.engine.table.exclusions import Exclusion
from daemon.engine.table.phases import Phases
from daemon.engine.table.series import FREE, NO_PHASE, UNKNOWN, SeriesTable

ANY_LEAD = 1 << 42
"""Slots by which a reading may move the stream where all are corroborated."""


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
        ranged, counter = model.scaling == "range", settings.kind == "counter"
        self.table = SeriesTable(settings.max_series, model.window, width, p, ranged, counter)
        self.reservoir = reservoir.reservoir(model.window, width, settings.seed)
        self.slots = SlotClock(settings.interval, settings.timezone, settings.stamp, settings.holidays)
        units = model.statistics.model_dump(exclude={"calibration"})
        fixed = parameters(p, settings.interval, Parts(**units))
        self.counters = Counters()
        self.maintenance = Maintenance(self.table, self.slots)
        self.silence = Silence(name, self.table, self.slots.at, self.maintenance)
        self.meters = Meters(name, self.table, self.slots, self.maintenance)
        self.episodes = episodes = Episodes(name, self.table, self.slots)
        subject = Subject(name, self.table, self.reservoir, self.slots)
        self.learner = Learner(subject, settings, fixed, lambda: episodes.opened, trainer)
        self.schedule = Schedule(self.table, self.learner, self.maintenance)
        self.arrivals = Arrivals(self.table, self.silence, self.slots)
        self.held = HeldReadings(name, width, self.slots)
        self.corroboration = Corroboration(self.table, reach_of(p, settings.interval))
        self.scoring = Assessment(
            settings, self.table, self.slots, fixed, self.learner, self.episodes, self.maintenance
        )
        self.reception = Reception(
            self.table, self.slots, self.schedule, self.arrivals, self.scoring, self.meters, self.counters
        )
        self.allowance = Allowance(self.table, self.maintenance, self.episodes, self.silence, self.meters)
        self.labels = Labels(self.table, self.reservoir, self.slots)
        self.configure(settings)

    def configure(self, settings: StreamSettings) -> None:
        """Take over new settings; those that need a new state must be as they were."""
        replan = settings.model.retrain_every != self.learner.settings.model.retrain_every
        self.settings = settings
        self.slots.set_holidays(settings.holidays)
        self.learner.configure(settings)
        self.maintenance.configure(settings)
        self.schedule.configure(settings)
        self.arrivals.configure(settings)
        self.reception.configure(settings)
        self.scoring.configure(settings)
        self.allowance.configure(settings)
        self.episodes.names = settings.format.names
        self.episodes.keeps_past = settings.revisions == "take"
        for series, row in self.table.row_of.items():
            self.table.arrays.rows["policy"][row] = policy_of(settings.alerts, series)
        if replan and self.schedule.greatest != NEVER:
            self.learner.plan(self.schedule.closed_by_now(), anew=True)

    # -- inputs --------------------------------------------------------------------------------------------------

    def step(self, batch: Batch) -> Awaiting[list[Event]]:
        """Apply a batch; returns the event revisions it caused, in order."""
        self.table.expected |= batch.owners
        events = yield from self._apply(batch)
        if not len(self.held):  # else they may come into the table when the delivery ends
            self.table.expected.clear()
        return events

    def _apply(self, batch: Batch) -> Awaiting[list[Event]]:
        for reason, count in batch.rejected.items():
            self.counters.reject(reason, count)
        if len(batch) and batch.values.shape[1] != self.table.width:
            self.counters.reject("width", len(batch))
            return []
        batch = self.reception.sift(batch)
        if self.settings.arrival == "batch":
            return (yield from self._hold(batch))
        before = (yield from self.end_delivery()) if len(self.held) else []  # it was `batch` until now
        return before + (yield from self._run(self._coded(batch)))

    def _coded(self, batch: Batch) -> Coded:
        """Readings with the slots in which they lie; `Reception.in_phase` gives them those that they have."""
        n = len(batch)
        quality = np.zeros(n, np.int8) if batch.quality is None else batch.quality
        phases = Phases(self.slots.slots(batch.at_ms), np.full(n, NO_PHASE, np.int32), np.zeros(n, np.int8))
        shift = (batch.fold_s // self.settings.interval).astype(np.int64)
        return Coded(batch.series, batch.codes, batch.at_ms, shift, batch.values, quality, phases)

    # -- deliveries ------------------------------------------------------------------------------------------------

    def end_delivery(self) -> Awaiting[list[Event]]:
        """Take up the delivery that has ended, and close its slots; nothing under `arrival: live`.

        Silence that was put off, because too many series were missing at once, is so no longer where the delivery goes
        beyond: what it has of the slots before is taken up first. Stamps that nothing corroborates are taken up last,
        and close nothing.
        """
        readings = self._coded(self.held.release(self._last_slots()))
        reach = self.held.end()
        within, taken = int(np.searchsorted(readings.slots, reach, side="right")), 0
        events: list[Event] = []
        if (held := self.arrivals.held_silence(reach)) is not None:
            taken = int(np.searchsorted(readings.slots, held, side="right"))
            events += yield from self._take_up(readings.part(0, taken))
            events += self.arrivals.find_silent(held, waiting=False)
        events += yield from self._take_up(readings.part(taken, within))
        events += yield from self._take_up(self._near(readings.part(within, len(readings)), reach), closing=False)
        if reach != NEVER:
            events += yield from self._move_watermark(max(reach, self.schedule.greatest))
        self.table.expected.clear()
        return events

    def _near(self, readings: Coded, reach: int) -> Coded:
        """Those of readings beyond what is corroborated that are taken in any case; the others are of the future."""
        near = int(np.searchsorted(readings.slots, reach + self.corroboration.reach, side="right"))
        self.counters.reject("future", len(readings) - near)
        return readings.part(0, near)

    def _hold(self, batch: Batch) -> Awaiting[list[Event]]:
        """Keep readings until their delivery ends; what there is no room for is taken up, and closes no slot."""
        events: list[Event] = []
        while len(batch := self.held.add(batch)):
            readings = self._coded(self.held.release(self._last_slots()))
            within = int(np.searchsorted(readings.slots, self.held.reach, side="right"))
            near = self._near(readings.part(within, len(readings)), self.held.reach)
            events += yield from self._take_up(readings.part(0, within), closing=False)
            events += yield from self._take_up(near, closing=False)
        return events

    def _last_slots(self) -> dict[str, int]:
        """Greatest slot of each series."""
        last = np.maximum(self.table.rows["last"], self.table.arrays.passed[: self.table.used]).tolist()
        return {series: last[row] for series, row in self.table.row_of.items()}

    def _take_up(self, readings: Coded, closing: bool = True) -> Awaiting[list[Event]]:
        """Corroborated readings in the order of slots: each closes the slots before it; or, not `closing`, none."""
        events: list[Event] = []
        self.corroboration.begun |= len(readings) > 0
        if closing and len(readings):
            self.schedule.begin(int(readings.slots[0]))
        rows, start, lead = self.table.lookup(readings.series), 0, ANY_LEAD if closing else 0
        while start < len(readings):
            ahead = self.reception.in_phase(readings.part(start, start + self.arrivals.size), rows)
            count = len(ahead)
            if closing:
                count = self.schedule.cut(rows[ahead.codes], ahead.slots, ahead.shift, leaping=True)
            if not count:
                events += yield from self._close_due(self.schedule.closed_by(int(ahead.slots[0])))
                rows, count = self.table.lookup(readings.series), 1
            events += self.reception.take_in(ahead.part(0, count), rows, lead)
            start += count
        return events

    def _move_watermark(self, reach: int) -> Awaiting[list[Event]]:
        """All slots up to `reach`, less the lateness, are complete."""
        closed = reach - self.settings.lateness
        self.schedule.begin(reach)
        self.schedule.greatest = self.arrivals.clock[overdue.GREATEST_SLOT] = reach
        events = (yield from self._close(closed)) if closed > self.schedule.closed else []
        events += self.reception.finish_slots(closed) + self.arrivals.find_silent(closed)
        return events + self._tell_owed(closed)

    def _tell_owed(self, slot: int) -> list[Event]:
        """What was not told before, and is now that all slots up to `slot` are closed."""
        return self.silence.tell_owed(slot) + self.allowance.close(slot)

    def tick(self, now_ms: int) -> list[Event]:
        """Let the wall clock notice silence; streams under `clock: event` do not."""
        if self.settings.clock != "wall" or self.settings.arrival == "batch" or self.schedule.greatest == NEVER:
            return []
        closed = self.slots.slot_of_now(now_ms) - 1 - self.settings.lateness
        return self.reception.finish_slots(closed) + self.arrivals.find_silent(closed) + self._tell_owed(closed)

    def end_warm_up(self) -> Awaiting[tuple[list[Event], int]]:
        """Operator's command: train and join at once with what there is; revisions, and how many series joined."""
        events = yield from self.end_delivery()
        greatest = self.schedule.greatest
        if greatest == NEVER:
            return events, 0
        events += self.reception.finish_slots(greatest)
        return events, (yield from self.learner.end_warm_up(greatest))

    def label(self, item: Labelled) -> list[Event]:
        """Learn from an operator's label, which `check_label` has passed; the closing of an episode called normal.

        A state that is rebuilt from a part of its journal may not know the series: there the label says nothing.
        """
        row = self.table.row_of.get(item.series)
        if row is None:
            return []
        if item.kind != "none":
            self.counters.labels[item.kind] += 1
        if item.true_alarms:
            calibration.take_back(self.scoring.rates, self.slots.slot(item.since), item.true_alarms)
        episode = self.episodes.open.get(row)
        opened = None if episode is None else self.slots.slot(episode.started_at)
        self.labels.learn(item, row, opened, self.scoring.adoption.day)
        self.learner.ask("label")
        return [] if self.table.rows["episode"][row] else self.episodes.end(row, self.schedule.greatest)

    def exclude(self, item: Excluded) -> None:
        """Learn nothing from a period from now on; what was learned of it before stays."""
        self.table.excluded.add(self.exclusion(item))

    def maintain(self, item: Maintained) -> None:
        """Have another maintenance window from the readings to come on, or one less."""
        at = 0 if self.schedule.greatest == NEVER else self.slots.at(self.schedule.greatest)
        self.maintenance.put(AddedWindow(item.window, item.note), item.dropped, at)

    def exclusion(self, item: Excluded) -> Exclusion:
        """The slots that are meant."""
        return Exclusion(item.series, self.slots.slot(item.since), self.slots.slot(item.until))

    def check_label(self, series: str, since: int, until: int) -> None:
        """Whether a period of a series can be labelled; raises as `Labels.check`."""
        self.labels.check(series, since, until)

    def threshold_of(self, series: str) -> float:
        """Rarity from which a series that there is alarms."""
        return threshold_of(self.table.arrays.rows[self.table.row_of[series]], self.scoring.policies)

    # -- readings ------------------------------------------------------------------------------------------------

    def _run(self, readings: Coded) -> Awaiting[list[Event]]:
        """Readings in order, cut before each one that closes a slot where something is due, or is ahead."""
        events: list[Event] = []
        rows, start = self.table.lookup(readings.series), 0
        while start < len(readings):
            ahead, count = self.reception.in_phase(readings.part(start, start + self.arrivals.size), rows), 0
            if self.corroboration.begun:
                count = self.schedule.cut(rows[ahead.codes], ahead.slots, ahead.shift)
            if count:
                events += self._take_known(ahead.part(0, count), rows)
            else:
                said, count = yield from self._step_to(ahead.part(0, 1))
                events += said
                rows = self.table.lookup(readings.series)
            start += count
        return events

    def _step_to(self, reading: Coded) -> Awaiting[tuple[list[Event], int]]:
        """One reading that closes due slots, or is ahead of the stream; how many were dealt with.

        It was not when the stream has come further because of it: then it is looked at again.
        """
        series = reading.series[int(reading.codes[0])]
        row = self.table.row_of.get(series, UNKNOWN)
        slot = self.schedule.slot_of(row, int(reading.slots[0]), int(reading.shift[0]))
        greatest = self.schedule.greatest
        if not self.corroboration.begun:
            return (yield from self._begin(reading, series, slot))
        if slot <= greatest + self.schedule.lead:
            closed = yield from self._close_due(self.schedule.closed_by(slot))
            return closed + self._take_known(reading), 1
        moved_to = self.corroboration.believe(series, slot, greatest)
        if moved_to is not None:
            return (yield from self._advance(moved_to)), 0
        if self.corroboration.is_far(series, slot, greatest):
            self.counters.reject("future", 1)
            return [], 1
        return self.reception.take_in(reading), 1

    def _begin(self, reading: Coded, series: str, slot: int) -> Awaiting[tuple[list[Event], int]]:
        """One of the first readings of all, until two agree where the stream is; returns what `_step_to` does."""
        greatest, claims = self.schedule.greatest, self.corroboration
        if greatest == NEVER:
            claims.first = (series, slot)
            advanced = yield from self._advance(slot)
            return advanced + self.reception.take_in(reading), 1
        if claims.begins(series, slot):
            self.schedule.greatest = self.arrivals.clock[overdue.GREATEST_SLOT] = min(slot, greatest)
            return [], 0
        if slot == greatest:
            return self.reception.take_in(reading), 1
        moved_to = claims.believe(series, slot, greatest)
        if moved_to is None:
            self.counters.reject("future", 1)
            return [], 1
        if moved_to < greatest:
            self._begin_again()
        return (yield from self._advance(moved_to)), 0

    def _begin_again(self) -> None:
        """All readings so far were of the future."""
        for row in np.flatnonzero(self.table.rows["status"] != FREE).tolist():
            self.table.retire(row)
        self.counters.reject("future", self.counters.accepted)
        self.counters.accepted = 0
        self.allowance.begin()
        self.schedule.greatest = self.schedule.closed = self.schedule.next_retiring = NEVER
        self.arrivals.clock[: overdue.COUNTER_RESETS] = NEVER

    def _close_due(self, closing: int) -> Awaiting[list[Event]]:
        return (yield from self._close(closing)) if self.schedule.is_due(closing) else []

    def _advance(self, slot: int) -> Awaiting[list[Event]]:
        """The stream has come to a slot, as several readings say."""
        closing = self.schedule.closed_by(slot)
        events = yield from self._close_due(closing)
        self.schedule.begin(slot)
        self.schedule.greatest = slot
        if self.reception.aggregates:
            return events + self.reception.finish_slots(closing)
        return events + self.arrivals.advance(slot, closing)

    def _take_known(self, readings: Coded, rows: npt.NDArray[np.int32] | None = None) -> list[Event]:
        """Readings from where the stream is: they speak against those ahead of it."""
        if self.corroboration:
            heard = {readings.series[code] for code in np.unique(readings.codes).tolist()}
            self.corroboration.contradict(heard, self.schedule.greatest)
        return self.reception.take_in(readings, rows)

    def _close(self, upto: int) -> Awaiting[list[Event]]:
        """Do everything that is due up to slot `upto`, slot by slot."""
        events = self.reception.finish_slots(upto)
        for slot in self.schedule.close(upto):
            admission.queue(self.table, admission.mature(self.table, slot, upto))
            yield from self.learner.act(slot, upto)
            events += self.silence.tell_owed(slot)
            retiring = self.schedule.retiring(slot)
            for row in retiring.tolist():
                events += self._retire(row, slot)
            reservoir.forget(self.reservoir, retiring)
            self.labels.forget(retiring)
        return events + self.allowance.close(upto)

    def _retire(self, row: int, slot: int) -> list[Event]:
        """Forget a series at `slot`."""
        record = self.table.rows[row]
        events = self.silence.back(row, slot) if record["silent"] else []
        events += self.episodes.end(row, slot)
        self.counters.retire(record["anomalies"])
        self.learner.drift.forget(row)
        self.meters.forget(row)
        self.episodes.forget(row)
        self.table.retire(row)
        return events

    # -- state ---------------------------------------------------------------------------------------------------

    def state(self) -> tuple[dict[str, Any], dict[str, npt.NDArray[Any]]]:
        """JSON and arrays that `restore` continues from."""
        series_meta, series = self.table.state()
        learner_meta, learner = self.learner.state()
        held_meta, held = self.held.state()
        meta = {
            "series": series_meta,
            "learner": learner_meta,
            "held": held_meta,
            "silence": self.silence.state(),
            "episodes": self.episodes.state(),
            "meters": self.meters.state(),
            "labels": self.labels.state(),
            "allowance": self.allowance.state(),
            "counters": vars(self.counters),
            "closed": self.schedule.closed,
            "greatest": self.schedule.greatest,
            "next_retiring": self.schedule.next_retiring,
            "corroboration": self.corroboration.state(),
        }
        if excluded := self.table.excluded.state():
            meta["excluded"] = excluded
        if added := self.maintenance.added.state():
            meta["maintenance"] = added
        arrays = {f"series/{n}": array for n, array in series.items()}
        arrays |= {f"learner/{n}": array for n, array in learner.items()}
        arrays |= {f"held/{n}": array for n, array in held.items()}
        arrays |= {f"reservoir/{n}": array for n, array in reservoir.state(self.reservoir).items()}
        arrays |= {f"rates/{n}": array for n, array in calibration.state(self.scoring.rates).items()}
        return meta, arrays | {"clock": self.arrivals.clock}

    def restore(self, meta: dict[str, Any], arrays: dict[str, npt.NDArray[Any]]) -> None:
        """Continue from what `state` returned. Raises ValueError when it does not fit the settings."""

        def part(name: str) -> dict[str, npt.NDArray[Any]]:
            return {n.removeprefix(f"{name}/"): array for n, array in arrays.items() if n.startswith(f"{name}/")}

        self.table.restore(meta["series"], part("series"))
        reservoir.restore(self.reservoir, part("reservoir"))
        calibration.restore(self.scoring.rates, part("rates"))
        self.arrivals.clock[:] = arrays["clock"]
        self.silence.restore(meta["silence"])
        self.episodes.restore(meta["episodes"])
        self.meters.restore(meta["meters"])
        self.labels.restore(meta["labels"])
        self.counters.restore(meta["counters"])
        if "allowance" in meta:
            self.allowance.restore(meta["allowance"])
        self.schedule.closed, self.schedule.greatest = meta["closed"], meta["greatest"]
        self.schedule.next_retiring = meta["next_retiring"]
        self.corroboration.restore(meta["corroboration"])
        self.learner.restore(meta["learner"], part("learner"))
        self.held.restore(meta["held"], part("held"))
        self.table.excluded.restore(meta.get("excluded", []))
        self.maintenance.restore(meta.get("maintenance", []))
