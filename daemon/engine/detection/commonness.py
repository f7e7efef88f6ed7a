"""How common an alarm is among all series of a stream: how many at least so rare they begin in a day by themselves.

A rarity says how seldom one series is so odd. Among 50,000 series that is every day's work, and its far tail is heavier
than theory has it. So a stream counts what its own series begin: alarms of each reason, and by how much those of the
networks exceed their threshold. The tail beyond follows from what half and a quarter of them exceed: a generalised
Pareto distribution, by the estimator of Pickands 1975 (doi:10.1214/aos/1176343003). These two hardly move when one
alarm in twenty is a true one (an empirical null, Efron 2004, doi:10.1198/016214504000000089).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from daemon.engine.messages.events import REASONS, Event

MODEL = REASONS[0]
CHANCE = frozenset(REASONS[:2])
"""Reasons that hold by chance, too, as often as the budget of a series says; the others are facts."""

MEMORY_DAYS = 14.0  # what is older counts less than 1/e
PRIOR = 10.0  # alarms that the budget of a series is worth before any were seen
BURST = 10.0  # times what is usual in a slot: what comes together has one cause, and teaches no more than this
HALF = math.log10(2.0)  # decades that half of all exceed where rarity is what it says, and twice that a quarter
LEAST_STEP = 1 / 500  # of a quantile's logarithm, for an alarm


@dataclass
class Commonness:
    """What a stream knows of its alarms.

    Attributes:
        begun: Alarms begun, by reason in the order of `REASONS`; what is older counts less.
        slots: In how many slots of series, likewise.
        half, quarter: What half and a quarter of the alarms by `model` exceed their threshold by; decades.
        seen: Alarms that these are of.
    """

    begun: list[float] = field(default_factory=lambda: [0.0] * len(REASONS))
    slots: float = 0.0
    half: float = HALF
    quarter: float = 2.0 * HALF
    seen: float = 0.0

    def daily(self, usual: Sequence[float], series_slots: float) -> list[float]:
        """Alarms of each reason that so many slots of series, those of a day, have.

        Args:
            usual: What the budget has a series begin in a slot by each reason, shape (8,); counts for `PRIOR` alarms.
            series_slots: How many slots of series.
        """
        nominal = PRIOR / max(sum(usual), 1e-12)
        return [
            series_slots * (begun + share * nominal) / (self.slots + nominal)
            for begun, share in zip(self.begun, usual, strict=True)
        ]

    def expected(self, event: Event, daily: Sequence[float]) -> float:
        """Alarms a day that are at least as seldom as this one is by its most seldom reason.

        Beside an alarm that chance may have raised only such count; beside a fact, all.

        Args:
            event: The alarm.
            daily: As `daily` has it.
        """
        own = math.inf
        for reason, rate in zip(REASONS, daily, strict=True):
            if reason in event.reasons:
                own = min(own, rate * (self.beyond(excess(event)) if reason == MODEL else 1.0))
        counted = CHANCE if is_chance(event) else REASONS
        return sum(min(rate, own) for reason, rate in zip(REASONS, daily, strict=True) if reason in counted)

    def beyond(self, excess: float) -> float:
        """Share of the alarms by `model` that exceed their threshold by so many decades and more.

        >>> round(Commonness().beyond(1.0), 6)
        0.1
        """
        shape = math.log2(max(self.quarter / self.half - 1.0, 1.0))  # no tail is lighter than an exponential one
        if shape == 0.0:
            return float(2.0 ** (-excess / self.half))
        return float((1.0 + excess / self.half * (2.0**shape - 1.0)) ** (-1.0 / shape))

    def learn(self, events: Sequence[Event], daily: Sequence[float], series_slots: float, passed_days: float) -> None:
        """Take up the alarms of some slots.

        Args:
            events: The alarms, each once and as it was at its end.
            daily: As `daily` has it.
            series_slots: Slots of series that they are of.
            passed_days: How long that was.
        """
        kept = math.exp(-passed_days / MEMORY_DAYS)
        self.slots = self.slots * kept + series_slots
        for i, reason in enumerate(REASONS):
            of_reason = [event for event in events if reason in event.reasons]
            count = min(float(len(of_reason)), max(1.0, BURST * daily[i] * passed_days))
            self.begun[i] = self.begun[i] * kept + count
            if reason == MODEL:
                self._learn_excess([event for event in of_reason if event.rarity >= event.threshold], count)

    def _learn_excess(self, events: Sequence[Event], count: float) -> None:
        """Move both quantiles by alarms that are worth `count` of them at most (Robbins and Monro)."""
        worth = min(1.0, count / len(events)) if events else 0.0
        for event in sorted(events, key=lambda each: each.id):
            step = worth * max(1.0 / (self.seen + PRIOR), LEAST_STEP)
            self.half *= math.exp(step * (1.0 if excess(event) > self.half else -1.0))
            self.quarter *= math.exp(step * (1.5 if excess(event) > self.quarter else -0.5))
            self.seen += worth

    def state(self) -> dict[str, Any]:
        """JSON that `restore` continues from."""
        return vars(self) | {"begun": list(self.begun)}

    def restore(self, state: dict[str, Any]) -> None:
        """Continue from what `state` returned."""
        vars(self).update(vars(Commonness(**state)))


def is_chance(event: Event) -> bool:
    """Whether an alarm may have no other cause than chance."""
    return CHANCE.issuperset(event.reasons)


def excess(event: Event) -> float:
    """Decades by which an event is rarer than its threshold asks; 0 where a rule alone found it."""
    return max(event.rarity - event.threshold, 0.0)
