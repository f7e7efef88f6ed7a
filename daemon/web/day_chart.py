"""Alarms a day against what is allowed, drawn by the daemon as SVG.

As `daemon.web.chart`, it has no style of its own, and every text is made of numbers.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import UTC, datetime

from markupsafe import Markup

DAYS = 30
"""Days that are shown."""
DAY_S = 86_400
WIDE, NARROW = 960, 420
"""Widths to draw for, of a desk and of a phone."""
_HEIGHT = 150
_LEFT, _RIGHT, _TOP, _BOTTOM = 44, 12, 10, 24
_APART = 110  # what a day's name takes at least


def draw_days(count_of: Mapping[int, int], until: int, allowed: float, width: int) -> Markup:
    """The chart of the days up to an instant.

    Args:
        count_of: How many alarms began on a day, by its number since 1970; none where it has none.
        until: In the last day, epoch seconds.
        allowed: Alarms a day, a dashed line.
        width: How wide it is drawn.
    """
    last = until // DAY_S
    days = range(last - DAYS + 1, last + 1)
    counts = [count_of.get(day, 0) for day in days]
    greatest = max(counts)
    most = max(greatest, allowed, 1.0) * 1.08
    step, floor = (width - _LEFT - _RIGHT) / DAYS, _HEIGHT - _BOTTOM
    named = math.ceil(_APART / step)  # every so many days
    unit = (floor - _TOP) / most  # height of one alarm
    parts = [
        f'<line class="grid" x1="{_LEFT}" x2="{width}" y1="{floor}" y2="{floor}"/>',
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
        if (DAYS - 1 - i) % named == named // 2:
            parts.append(f'<text class="tick middle" x="{x + step / 2:.1f}" y="{_HEIGHT - 8}">{when:%d %b}</text>')
    parts.append(f'<path class="threshold" d="M{_LEFT} {floor - unit * allowed:.1f}H{width}"/>')
    words = f"alarms of each of {DAYS} days, at most {greatest:,}"
    return Markup(f'<svg viewBox="0 0 {width} {_HEIGHT}" role="img" aria-label="{words}">{"".join(parts)}</svg>')
