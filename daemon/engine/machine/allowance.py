"""The budget of a stream: which alarms of all its series together are told, at most so many a day, the worst first.

Alarms are decided on while the day goes on, so "worst first" needs a rule that does not see the rest of it. An alarm
opens untold (`withheld`). When its slot is closed, all that wait are put in order of how common they are
(`daemon.engine.detection.commonness`), the most seldom first, and told as far as these allow:

- **false discoveries**: what may hold by chance is told when alarms so seldom, of all series together, are expected no
  more often than a fifth of the budget. So a stream in which nothing is wrong leaves most of its budget unused. Of
  those that are new in one slot, the k most seldom may be k times as common: the step-up of Benjamini and Hochberg
  (1995, doi:10.1111/j.2517-6161.1995.tb02031.x), in each slot at its share of the day.
- **what is left of the day**: both bounds shrink with it, and one slot takes at most half, so that one cause does not
  leave nothing for what is worse. A fact (a silence, a broken limit) has this bound alone.

What is withheld stays in the running while it is open: it is told when it has grown worse, or when the day has room.
The order of readings within a slot does not matter.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import numpy as np

from daemon.config.alert_settings import AlertSettings
from daemon.config.settings import StreamSettings
from daemon.engine.detection.commonness import Commonness, excess, is_chance
from daemon.engine.detection.hysteresis import CLEARLY_WORSE
from daemon.engine.detection.policies import networks_share, novelty_share
from daemon.engine.kernel.calibration import MONTH_S
from daemon.engine.kernel.slots import NEVER
from daemon.engine.machine.episodes import Episodes
from daemon.engine.machine.maintenance import Maintenance
from daemon.engine.machine.meters import Meters
from daemon.engine.machine.silence import Silence
from daemon.engine.messages.events import REASONS, Event, Reason
from daemon.engine.table.series import READY, SeriesTable

CHANCE_SHARE = 0.2  # of the budget, that may go to what holds by chance

_GAP, _DRIFT = (Reason.GAP.word,), (Reason.DRIFT.word,)


class Allowance:
    """Tells the alarms of one stream.

    Args:
        table: The stream's series.
        maintenance: When nobody is told.
        episodes, silence, meters: Whose events wait to be told; changed.

    Attributes:
        told, withheld: Alarms told, and alarms that were not when they were asked about first; since the state began.
    """

    def __init__(
        self, table: SeriesTable, maintenance: Maintenance, episodes: Episodes, silence: Silence, meters: Meters
    ) -> None:
        self.table, self.maintenance = table, maintenance
        self.episodes, self.silence, self.meters = episodes, silence, meters
        self.told = self.withheld = 0
        self._ended: list[Event] = []  # what was to be told and has ended since the last slot was closed
        self.begin()

    def begin(self) -> None:
        """Know nothing, as before the first reading; what was counted stays."""
        self._ended.clear()
        self.common = Commonness()
        self._closed = NEVER
        self._told_at: list[int] = []  # slots of what was told in the last day
        self._asked: set[str] = set()  # ids of open events that were asked about
        self._last: dict[str, tuple[int, float]] = {}  # slot and greatest rarity of what was told last, by series

    def configure(self, settings: StreamSettings) -> None:
        """Take over new settings."""
        alerts = settings.alerts
        self.most = alerts.alarms_per_day
        self._day = max(1, 86400 // settings.interval)
        each = [alerts, *(alerts.exception(i) for i in range(len(alerts.series)))]
        self._refractory = [-(-one.refractory // settings.interval) for one in each]
        self._usual = _usual(alerts, settings.interval)
        self.episodes.ended = self.silence.ended = self.meters.ended = None if self.most is None else self._ended
        if self.most is None:  # what happens meanwhile is not counted
            self.begin()

    def close(self, slot: int) -> list[Event]:
        """Tell of what waits now that `slot` is closed; revisions, the worst first."""
        if self.most is None:
            return []
        ready = int(np.count_nonzero(self.table.rows["status"] == READY))
        passed = 1 if self._closed == NEVER else max(0, slot - self._closed)
        self._closed = max(self._closed, slot)
        daily = self.common.daily(self._usual, float(ready * self._day))
        still_open, ended = self._open(slot), self._take_ended(slot)
        told = self._choose([*still_open, *ended], slot, daily)
        begun = [event for event in ended if event.reasons != _GAP]  # of a gap all is known when it opens
        begun += [event for event in (*still_open, *ended) if event.reasons == _GAP and self._is_new(event)]
        self.common.learn(begun, daily, float(ready * passed), passed / self._day)
        self._asked = {event.id for event in still_open}
        return told

    # -- what waits ---------------------------------------------------------------------------------------------------

    def _open(self, slot: int) -> list[Event]:
        """All that is open since that slot or before and was to be told, told or not."""
        groups = (event for event, _ in self.silence.groups.values())
        found = (*self.episodes.open.values(), *self.silence.single.values(), *groups)
        upto = self.episodes.slots.at(slot)
        return [event for event in found if (event.withheld or event.notified) and event.started_at <= upto]

    def _take_ended(self, slot: int) -> list[Event]:
        """What was to be told, began in that slot or before, and has ended since the last time."""
        upto = self.episodes.slots.at(slot)
        ended = [event for event in self._ended if event.started_at <= upto]
        self._ended[:] = [event for event in self._ended if event.started_at > upto]
        return ended

    # -- what is told -------------------------------------------------------------------------------------------------

    def _choose(self, events: Iterable[Event], slot: int, daily: list[float]) -> list[Event]:
        """Tell the worst of these as far as may be, and count those that are asked about first."""
        assert self.most is not None
        self._told_at = [at for at in self._told_at if at > slot - self._day]
        self._forget(slot)
        room = max(self.most - len(self._told_at), 0)
        waiting = self._in_order([event for event in events if self._may_be_told(event, slot)], daily)
        chance = self._step_up(waiting, CHANCE_SHARE * room)
        told: list[Event] = []
        for common, event in waiting:
            bound = chance if is_chance(event) else room
            if common <= bound and len(told) < -(-room // 2):
                told.append(self._tell(event, slot))
            elif self._is_new(event):
                self.withheld += 1
        self.told += len(told)
        return told

    def _in_order(self, events: Iterable[Event], daily: list[float]) -> list[tuple[float, Event]]:
        """How common each is, the most seldom first; of equal ones the rarest."""
        found = [(self.common.expected(event, daily), event) for event in events]
        return sorted(found, key=lambda item: (item[0], -excess(item[1]), item[1].series or "", item[1].id))

    def _step_up(self, waiting: list[tuple[float, Event]], bound: float) -> float:
        """How common an alarm may be, alarms a day: `bound`, or more where many new ones are that seldom at once."""
        new = [common for common, event in waiting if self._is_new(event) and is_chance(event)]
        return max([bound, *(common for k, common in enumerate(new, 1) if common <= bound * k)])

    def _is_new(self, event: Event) -> bool:
        """Whether this is the first time that it is asked about."""
        return event.id not in self._asked

    def _may_be_told(self, event: Event, slot: int) -> bool:
        """Whether it waits: an event that has ended waits once, and none within its series' refractory time."""
        if not event.withheld or (event.state == "closed" and not self._is_new(event)):
            return False
        if event.series in self.table.row_of and self.maintenance.holds(self.table.row_of[event.series], slot):
            return False
        last = self._last.get(event.series or "")
        if last is None or event.reasons in (_GAP, _DRIFT):
            return True
        return slot - last[0] >= self._refractory_of(event) or event.rarity > last[1] + CLEARLY_WORSE

    def _refractory_of(self, event: Event) -> int:
        row = self.table.row_of.get(event.series or "")
        policy = 0 if row is None else int(self.table.arrays.rows["policy"][row])
        return self._refractory[policy]

    def _tell(self, event: Event, slot: int) -> Event:
        """The revision that tells of an event; whose it is has it, too."""
        at = max(event.at, self.episodes.slots.at(slot))
        told = replace(event, revision=event.revision + 1, at=at, notify=True, notified=True, withheld=False)
        self._told_at.append(slot)
        row = self.table.row_of.get(event.series or "", -1)
        self.episodes.keep_told(row, told)
        self.silence.keep_told(row, told)
        if event.series is not None and event.reasons not in (_GAP, _DRIFT):
            self._last[event.series] = (slot, event.rarity)
        return told

    def _forget(self, slot: int) -> None:
        """Keep of each series what its refractory time needs, and of an open episode that was told how bad it is."""
        longest = max(self._refractory)
        for event in self.episodes.open.values():
            if event.notified and event.series in self._last:
                at, rarity = self._last[event.series]
                self._last[event.series] = (at, max(rarity, event.rarity))
        self._last = {series: last for series, last in self._last.items() if slot - last[0] < longest}

    # -- state --------------------------------------------------------------------------------------------------------

    def state(self) -> dict[str, Any]:
        """JSON that `restore` continues from."""
        return {
            "common": self.common.state(),
            "told": self.told,
            "withheld": self.withheld,
            "closed": self._closed,
            "told_at": self._told_at,
            "ended": [event.to_json() for event in self._ended],
            "asked": sorted(self._asked),
            "last": {series: list(last) for series, last in sorted(self._last.items())},
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Continue from what `state` returned."""
        self.common.restore(state["common"])
        self.told, self.withheld, self._closed = state["told"], state["withheld"], state["closed"]
        self._told_at, self._asked = list(state["told_at"]), set(state["asked"])
        self._ended[:] = [Event.from_json(event) for event in state["ended"]]
        self._last = {series: (int(slot), float(rarity)) for series, (slot, rarity) in state["last"].items()}


def _usual(alerts: AlertSettings, interval_s: int) -> list[float]:
    """Alarms of each reason that the budget of a series has it begin in a slot, in the order of `REASONS`."""
    by_chance = networks_share(alerts), novelty_share(alerts) if alerts.novelty else 0.0
    return [share * interval_s / MONTH_S for share in (*by_chance, *[0.0] * (len(REASONS) - 2))]
