"""Alarms a day against what is allowed, drawn by the daemon as SVG.

As `daemon.web.chart`, it has no style of its own, and every text is made of numbers.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime

from markupsafe import Markup

DAYS = 30
"""Days that are shown."""
DAY_S = 86_400
_WIDTH, _HEIGHT = 960, 150
_LEFT, _TOP, _BOTTOM = 44, 10, 24
_MARKS = 6  # days that are named


def draw_days(count_of: Mapping[int, int], until: int, allowed: float | None) -> Markup:
    """The chart of the days up to an instant.

    Args:
        count_of: How many alarms began on a day, by its number since 1970; none where it has none.
        until: In the last day, epoch seconds.
        allowed: Alarms a day, a dashed line; None draws none.
    """
    last = until // DAY_S
    days = range(last - DAYS + 1, last + 1)
    counts = [count_of.get(day, 0) for day in days]
    greatest = max(counts)
    most = max(greatest, allowed or 0.0, 1.0) * 1.08
    step, floor = (_WIDTH - _LEFT) / DAYS, _HEIGHT - _BOTTOM
    unit = (floor - _TOP) / most  # height of one alarm
    parts = [
        f'<line class="grid" x1="{_LEFT}" x2="{_WIDTH}" y1="{floor}" y2="{floor}"/>',
        f'<text class="tick end" x="{_LEFT - 6}" y="{floor + 4}">0</text>',
    ]
    if greatest:
        parts.append(
            f'<text class="tick end" x="{_LEFT - 6}" y="{floor - unit * greatest + 4:.1f}">{greatest:,}</text>'
        )
    for i, (day, count) in enumerate(zip(days, counts, strict=True)):
        x, when = _LEFT + i * step, datetime.fromtimestamp(day * DAY_S, UTC)
        if count:
            place = f'x="{x + 0.1 * step:.1f}" y="{floor - unit * count:.1f}"'
            size = f'width="{0.8 * step:.1f}" height="{unit * count:.1f}"'
            parts.append(f'<rect class="day" {place} {size}><title>{when:%d %b %Y}: {count:,}</title></rect>')
        if (DAYS - 1 - i) % (DAYS // _MARKS) == 0:
            parts.append(f'<text class="tick middle" x="{x + step / 2:.1f}" y="{_HEIGHT - 8}">{when:%d %b}</text>')
    if allowed is not None:
        parts.append(f'<path class="threshold" d="M{_LEFT} {floor - unit * allowed:.1f}H{_WIDTH}"/>')
    words = f"alarms of each of {DAYS} days, at most {greatest:,}"
    return Markup(f'<svg viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" aria-label="{words}">{"".join(parts)}</svg>')
