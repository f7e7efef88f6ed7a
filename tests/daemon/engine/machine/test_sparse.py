"""Series that are mostly zero keep the budget."""

from __future__ import annotations

import numpy as np
import pytest

from tests.daemon.engine.field_readings import DAY, events_of, opened


@pytest.mark.parametrize("seed", [3, 5])
@pytest.mark.parametrize("kind", ["poisson 0.05", "poisson 0.02", "bursts"])
def test_sparse_counts_keep_the_budget(kind: str, seed: int) -> None:
    """Counts of which nothing is wrong: about the budget's episodes in 36 days, no remembered fault at every 1."""
    rng = np.random.default_rng(seed)
    n = 50 * DAY
    values = rng.poisson(3, n) * (rng.random(n) < 0.05) if kind == "bursts" else rng.poisson(float(kind[8:]), n)
    assert len(opened(events_of(values.astype(np.float64)))) <= 3
