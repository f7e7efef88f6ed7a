"""The inputs whose digests are compared before and after a change have in them what they are named for."""

from __future__ import annotations

from tests.daemon.engine.small_engines import the
from tests.recorded.digests import INPUTS, digests, with_labels, with_rollback


def test_every_kind_is_among_them() -> None:
    """Gauge, counter, aggregate, vector, late, labelled, promotions, rollback; and each is named once."""
    names = " ".join(INPUTS)
    for kind in ("gauge", "counter", "mean", "vector", "late", "labelled", "promotions", "rollback", "deliveries"):
        assert kind in names


def test_labels_and_promotions_lie_inside() -> None:
    """What is labelled is learned from, one promotion at least is kept, and one is taken back; equal when run again."""
    events, made = with_labels()
    assert the(made).counters.labels == {"fault": 1, "normal": 1}
    assert {event.state for event in events} == {"open", "closed"}
    first = with_rollback()
    learner = the(first[1]).learner
    assert learner.outcomes["promoted"] > 1
    assert learner.promoting.rollbacks == 1
    assert digests(with_rollback()) == digests(first)
