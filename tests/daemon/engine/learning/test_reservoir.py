from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon.engine.learning import reservoir as module
from daemon.engine.learning.reservoir import (
    APART,
    OLDER,
    RECENT,
    Reservoir,
    add,
    apart,
    draw,
    forget,
    put_back,
    recent,
    release,
    reservoir,
    restore,
    set_apart,
    state,
    take_out,
)


def test_wide_windows_take_no_more_memory() -> None:
    """A window of one variable has the whole sample; of a thousand as many as fit, and never none."""
    assert len(reservoir(512, 1, 0).slot) == RECENT + OLDER + APART
    wide = reservoir(8, 1000, 0)
    assert RECENT + APART < len(wide.slot) < RECENT + OLDER
    assert (len(wide.slot) - RECENT - APART) * 8 * 1000 <= module.MOST_NUMBERS
    assert module.most_windows(512, 1 << 20) == 1


def test_a_small_sample_is_of_all_there_ever_were(monkeypatch: pytest.MonkeyPatch) -> None:
    """Beyond its room the sample goes on drawing from all windows, and the state comes back as it was."""
    monkeypatch.setattr(module, "MOST_NUMBERS", 50 * 8)
    r = reservoir(8, 1, 3)
    x, observed = np.zeros((8, 1), np.float32), np.ones(8, np.bool_)
    for slot in range(3000):
        add(r, 0, x, observed, slot)
    assert len(r.slot) == RECENT + 50 + APART
    sample = r.slot[RECENT : RECENT + 50]
    assert len(set(sample.tolist())) == 50
    assert sample.min() < 1000
    assert sample.max() > 2000
    index, recent = draw(r, 10, (0,))
    assert (len(index), recent) == (60, 10)
    assert r.slot[index[-10:]].tolist() == list(range(2990, 3000))
    again = reservoir(8, 1, 3)
    restore(again, state(r))
    for name, part in again._asdict().items():
        assert np.array_equal(part, getattr(r, name))


W = 8


def filled(slots: int, episode: range = range(0)) -> Reservoir:
    """Windows of two series, of every slot one each; those of the first one's `episode` are set apart."""
    r = reservoir(W, 1, 3)
    observed = np.ones(W, np.bool_)
    for slot in range(slots):
        for row in (0, 1):
            x = np.full((W, 1), row, np.float32)
            if row == 0 and slot in episode:
                set_apart(r, row, x, observed, slot)
            else:
                add(r, row, x, observed, slot)
    return r


def learned(r: Reservoir, row: int) -> set[int]:
    """Newest slots of a series' windows that a training may draw."""
    index, _ = draw(r, RECENT, (0,))
    return {int(slot) for slot, x in zip(r.slot[index], r.x[index], strict=True) if x[0, 0] == row}


@given(st.integers(0, 60), st.integers(0, 30), st.integers(0, 50), st.integers(0, 20))
def test_a_labelled_fault_leaves_training_and_a_correction_brings_it_back(
    since: int, slots: int, began: int, lasted: int
) -> None:
    """No window that reaches the period is drawn, the gate has them, the other series keeps its own; and back again."""
    episode = range(began, min(began + lasted, 60))
    r, until = filled(60, episode), since + slots
    reach = set(range(since, until + W)) & set(range(60))
    assert take_out(r, 0, (since, until)) == len(reach)
    assert learned(r, 0) == set(range(60)) - reach - set(episode)
    assert learned(r, 1) == set(range(60))
    assert sorted(r.slot[apart(r)].tolist()) == sorted(reach | set(episode))
    release(r, 0, 0)  # a regime is adopted: what was called a fault stays out
    assert learned(r, 0) == set(range(60)) - reach
    again = reservoir(W, 1, 3)
    restore(again, state(r))
    put_back(again, 0, (since, until), [])
    assert learned(again, 0) == set(range(60))
    assert len(apart(again)) == 0


def test_normal_takes_an_episode_back() -> None:
    """Windows of an episode that was normal are drawn from then on, each once, and no others."""
    r = filled(60, range(20, 40))
    assert put_back(r, 0, (25, 30), []) == len(range(25, 38))
    assert put_back(r, 0, (25, 30), []) == 0
    assert learned(r, 0) == set(range(60)) - set(range(20, 25)) - set(range(38, 40))
    assert np.count_nonzero(r.slot[recent(r)] == 30) == 2  # one of each series


def test_what_is_still_a_fault_stays_out() -> None:
    """A period beside a fault is called normal: windows that have a slot of both are not trained on."""
    r = filled(60)
    take_out(r, 0, (20, 24))
    take_out(r, 0, (40, 41))
    put_back(r, 0, (10, 59), [(20, 24)])
    assert learned(r, 0) == set(range(60)) - set(range(20, 24 + W))


def test_a_series_that_is_gone_leaves_its_windows_as_they_are() -> None:
    """What was learned from is learned from, a fault stays out, and the next series of that row has neither."""
    r = filled(60, range(50, 60))
    take_out(r, 0, (10, 12))
    forget(r, np.array([0]))
    fault = set(range(10, 12 + W))
    assert learned(r, 0) == set(range(50)) - fault
    assert len(apart(r)) == 0
    assert put_back(r, 0, (0, 60), []) == 0
    assert learned(r, 0) == set(range(50)) - fault
