"""A series whose data are normal raises nothing after a gap, however long that was."""

from __future__ import annotations

import numpy as np
import pytest

from tests.daemon.engine.field_readings import START, Values, events_of, opened

HOUR = 3600
LEFT = 24 * 22
"""Slot, of hours, at which the gap begins."""


def hourly(kind: str, seed: int) -> Values:
    """35 days of an hourly series."""
    rng, t = np.random.default_rng(seed), np.arange(24 * 35)
    if kind == "sine":
        return np.asarray(10 + 3 * np.sin(t * 2 * np.pi / 24) + 0.2 * rng.standard_normal(len(t)))
    morning, evening = np.exp(-(((t % 24 - 8) / 2.0) ** 2)), np.exp(-(((t % 24 - 19) / 2.0) ** 2))
    return np.asarray(3 + 2 * morning + 4 * evening + 0.15 * rng.standard_normal(len(t)))


@pytest.mark.parametrize(
    ("kind", "gap"), [("sine", 5), ("sine", 10), ("sine", 15), ("sine", 24), ("humps", 10), ("humps", 33)]
)
def test_a_normal_series_that_returns_raises_nothing(kind: str, gap: int) -> None:
    """In the 32 slots after its return, whose windows have the gap, no event but the gap's own is raised."""
    found = opened(events_of(hourly(kind, gap), missing=slice(LEFT, LEFT + gap), interval=HOUR), "gap")
    back = START + (LEFT + gap) * HOUR
    assert [event for event in found if back - gap * HOUR <= event.started_at < back + 32 * HOUR] == []
