"""What is said of a run whose events are not the recorded ones."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import pytest

from daemon.replay.expectations import differences
from tests.daemon.store.contents import event

RECORDED = [event("a"), event("b", started_at=200), event("b", revision=1, started_at=200, state="closed")]


def changed(**changes: Any) -> list[Any]:
    """The recorded revisions, the first with other values."""
    return [replace(RECORDED[0], **changes), *RECORDED[1:]]


def test_the_same_events_say_nothing() -> None:
    """No line for equal runs, nor for numbers within 1e-4; with `exact` the last digit is one."""
    near = changed(score=RECORDED[0].score * (1 + 1e-9))
    assert differences(RECORDED, RECORDED, exact=True) == []
    assert differences(RECORDED, near) == []
    assert len(differences(RECORDED, near, exact=True)) == 1


def test_where_only_digits_differ_it_is_one_line() -> None:
    """However many numbers of however many revisions: how many, by how much, and which."""
    other = [replace(each, score=each.score + 10.0, threshold=each.threshold + 1.0) for each in RECORDED]
    (line,) = differences(RECORDED, other)
    assert re.match(r"~ only digits differ, in 3 of 3 revisions, by at most \d\.\de[+-]\d\d of a number: ", line)
    assert {"score", "threshold"} == set(line.rpartition(": ")[2].split(", "))


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"started_at": 101}, "started_at is 101, recorded was 100"),
        ({"reasons": ("model",)}, "reasons is"),
        ({"value": None}, "value is None"),
        ({"notify": False}, "notify is False"),
    ],
)
def test_what_is_no_digit_is_told_by_name(changes: dict[str, Any], said: str) -> None:
    """A slot, a reason, a flag, a number that is gone: a line each, beside digits that differ too."""
    other = changed(score=RECORDED[0].score * 1.01, **changes)
    lines = differences(RECORDED, other)
    assert any(said in line for line in lines)
    assert any("score is" in line for line in lines)
    assert not any("only digits" in line for line in lines)


def test_a_revision_more_or_less_is_told() -> None:
    """Beside digits that differ: `-` for one that did not come, `+` for one that came."""
    other = [*changed(score=9.0)[:2], event("c", started_at=300)]
    lines = differences(RECORDED, other)
    assert [line[0] for line in lines] == ["~", "-", "+"]
