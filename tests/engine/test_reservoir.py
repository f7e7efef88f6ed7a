from __future__ import annotations

import numpy as np
import pytest

from daemon.learning import reservoir as module
from daemon.learning.reservoir import APART, OLDER, RECENT, add, draw, reservoir, restore, state


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
        add(r, x, observed, slot)
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
    for part, saved in zip(again, r, strict=True):
        assert (part == saved).all()
