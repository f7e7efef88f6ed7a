"""`bench lifecycle`: what the product promises of changes over weeks, run as the command runs it."""

from __future__ import annotations

from xml.etree import ElementTree

import numpy as np

from daemon.bench.lifecycle import AFTER, BEFORE, CHANGES, DAY, run, season, series
from daemon.bench.lifecycle_plot import svg


def test_a_taught_fault_is_found_on_day_14_with_the_lifecycle_alone() -> None:
    """Every day with it, and on the last one no more without; the picture has both."""
    with_it, without = run("taught_fault", True, 0), run("taught_fault", False, 0)
    assert with_it.found_days == 14
    assert without.slots[13] == 0
    drawn = ElementTree.fromstring(svg([with_it, without]))
    assert len(drawn.findall("{http://www.w3.org/2000/svg}polyline")) == 4


def test_a_lasting_shift_is_adopted_within_seven_days() -> None:
    """Give or take one; quiet afterwards."""
    found = run("level_shift", True, 0)
    assert found.adopted_after_days is not None
    assert 6 <= found.adopted_after_days <= 8
    assert sum(found.slots[8:]) == 0


def test_changes_begin_after_four_weeks() -> None:
    """Before that all series of a seed are the same."""
    usual = season(BEFORE + AFTER, np.random.default_rng(3))
    for change in CHANGES:
        made = series(change, 3)
        assert np.array_equal(made[: BEFORE * DAY], usual[: BEFORE * DAY])
        assert not np.allclose(made[BEFORE * DAY :], usual[BEFORE * DAY :])
