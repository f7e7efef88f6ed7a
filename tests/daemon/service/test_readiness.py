"""What stands in the way of readings is said, and each part is put right by itself."""

from __future__ import annotations

import logging

import pytest

from daemon.service.readiness import Readiness


def test_each_hindrance_is_taken_away_by_itself(caplog: pytest.LogCaptureFixture) -> None:
    """A clock that is set does not make room, nor the other way; each is logged once when it comes and when it goes."""
    readiness = Readiness()
    assert readiness.why_not == "starting"
    readiness.phase = ""
    assert readiness.why_not == ""
    with caplog.at_level(logging.INFO):
        for _ in range(2):
            readiness.note_clock(60_000, ["tide"])
            readiness.note_room("ENOSPC", "/state")
        assert readiness.why_not == "no room in /state"
        readiness.note_room("")
        assert readiness.why_not == "the wall clock shows 1970-01-01 00:01 UTC; set it, and reading begins"
        readiness.note_room("ENOSPC", "/state")
        for _ in range(2):
            readiness.note_clock(1_800_000_000_000, [])
        assert readiness.why_not == "no room in /state"
        for _ in range(2):
            readiness.note_room("")
    assert readiness.why_not == ""
    assert [record.message for record in caplog.records] == [
        "the wall clock is not set, readings wait",
        "no room in the state directory, readings wait",
        "room again, going on",
        "no room in the state directory, readings wait",
        "the wall clock is set, going on",
        "room again, going on",
    ]
