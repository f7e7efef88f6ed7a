"""What a reading does to its series' episode: opened and closed with hysteresis, notified of, held back (compiled)."""

from __future__ import annotations

from typing import Any

from daemon.engine.kernel.compiled import compiled
from daemon.engine.kernel.slots import NEVER
from daemon.engine.messages.events import Reason

NOTHING, OPENED, CHANGED, CLOSED, PEAK = 0, 1, 2, 3, 4
ALARMED, KNOWN = 1, 2  # of an open episode: something in it is rare, or it goes on by a remembered fault alone

_DRIFT = int(Reason.DRIFT)

CLOSE_AFTER = 3  # slots in a row below the closing bound
CLOSE_BELOW = 0.5  # of the threshold
CLEARLY_WORSE = 1.0  # rarity above the last one said
STILL_ODD = 0.25  # of the greatest error of an episode, from which a reading is a part of it and no echo


@compiled
def _may_notify(s: Any, slot: int, rarity: float, refractory: int) -> bool:
    """One notification an episode, held back by the refractory time unless clearly worse than the last one was."""
    if s.notified != NEVER and slot - s.notified < refractory and rarity <= s.notified_peak + CLEARLY_WORSE:
        return False
    s.notified = slot
    s.notified_peak = rarity
    return True


@compiled
def follow_episode(
    s: Any,
    slot: int,
    reasons: int,
    known: bool,
    rarity: float,
    threshold: float,
    refractory: int,
    hushed: bool = False,
) -> tuple[int, bool]:
    """Open, change or close the series' episode; `(code, notify)`.

    `known`: a remembered fault is the only reason. `hushed`: nobody is to be told at this slot.
    """
    calm = rarity < CLOSE_BELOW * threshold
    if known:
        return _follow_known(s, slot, reasons, rarity, calm), False
    if reasons == 0:
        return _follow_calm(s, calm), False
    return _follow_alarm(s, slot, reasons, rarity, refractory, hushed)


@compiled
def _follow_calm(s: Any, calm: bool) -> int:
    """Close the series' episode after calm slots enough; the code."""
    if s.episode == 0:
        return NOTHING
    s.quiet = s.quiet + 1 if calm else 0
    if s.quiet < CLOSE_AFTER:
        return NOTHING
    s.episode, s.reasons = 0, 0
    return CLOSED


@compiled
def _follow_alarm(s: Any, slot: int, reasons: int, rarity: float, refractory: int, hushed: bool) -> tuple[int, bool]:
    """Open or change the series' episode where a reading is anomalous for what it is; `(code, notify)`.

    An alarm that was hushed is owed: it is told with the first anomalous reading that is not.
    """
    s.quiet = 0
    if s.episode != ALARMED:
        code = OPENED if s.episode == 0 else CHANGED
        s.peak = rarity if s.episode == 0 else max(s.peak, rarity)
        s.episode, s.alarmed, s.reasons, s.said = ALARMED, slot, s.reasons | reasons, rarity
        s.owed = hushed
        return code, not hushed and _may_notify(s, slot, rarity, refractory)
    if s.owed and not hushed:
        s.owed, s.reasons = False, s.reasons | reasons
        s.peak, s.said = max(s.peak, rarity), max(s.said, rarity)
        return CHANGED, _may_notify(s, slot, rarity, refractory)
    peak = rarity > s.peak
    if s.notified >= s.alarmed:
        s.notified_peak = max(s.notified_peak, rarity)
    s.peak = max(s.peak, rarity)
    if reasons & ~s.reasons or rarity > s.said + CLEARLY_WORSE:
        s.reasons |= reasons
        s.said = max(s.said, rarity)
        return CHANGED, not hushed and s.notified < s.alarmed and _may_notify(s, slot, rarity, refractory)
    return (PEAK if peak else NOTHING), False


@compiled
def _follow_known(s: Any, slot: int, reasons: int, rarity: float, calm: bool) -> int:
    """Open or go on with an episode of a fault that is remembered, which was said when it was new; the code.

    It may last for days. What is rare in itself meanwhile, after as long a calm as closes an episode, is a new alarm.
    """
    if s.episode == 0:
        s.episode, s.reasons, s.peak, s.quiet = KNOWN, reasons, rarity, 0
        return OPENED
    s.quiet = s.quiet + 1 if s.episode == ALARMED and calm else 0
    if s.quiet == CLOSE_AFTER:
        s.episode, s.quiet = KNOWN, 0
    if rarity <= s.peak:
        return NOTHING
    s.peak = rarity
    return PEAK


@compiled
def find_odd(s: Any, slot: int, own: float, opened: bool, by_rule: bool) -> bool:
    """Whether an anomalous reading is the oddest of its episode so far; then how far the episode reaches.

    A mean over ten readings stays unusual for ten, whatever the later nine are like. So an episode reaches to the last
    reading that broke a rule, or whose own error is more than `STILL_ODD` of the greatest one.

    Args:
        s: The series' record.
        slot: The reading's slot.
        own: Its own error, infinite where it is none that a network could be asked about.
        opened: Whether the episode opens with it.
        by_rule: Whether it breaks a rule.
    """
    odd = opened or own > s.odd
    if odd:
        s.odd = own
    if odd or by_rule or own >= STILL_ODD * s.odd:
        s.ended = slot
    return bool(odd)


@compiled
def end_adopted(s: Any, code: int) -> int:
    """What happens to the episode of a series whose new regime is adopted: it ends."""
    s.anomalies[_DRIFT] += 1
    if s.episode == 0 or code == OPENED:
        return code
    s.episode, s.reasons, s.quiet = 0, 0, 0
    return CLOSED
