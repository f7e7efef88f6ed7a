"""Several readings make one slot: `aggregate: mean|sum|last`."""

from __future__ import annotations

import pytest

from tests.engine.making import Row, engine, feed, the


@pytest.mark.parametrize("one_by_one", [False, True])
def test_a_slot_that_was_passed_on_is_not_collected_again(one_by_one: bool) -> None:
    """A reading for a slot that another series' reading has closed is a duplicate, in the same batch or a later one."""
    made = engine(aggregate="mean")
    rows: list[Row] = [("a", 5, 1.0), ("b", 6, 1.0), ("a", 5, 3.0), ("a", 7, 1.0)]
    for part in [[row] for row in rows] if one_by_one else [rows]:
        feed(made, part)
    assert the(made).counters.rejected == {"duplicate": 1}
    assert the(made).counters.accepted == 3
