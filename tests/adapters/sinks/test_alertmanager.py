"""Episodes as alerts: against a receiver that keeps what it is told, and against a real Alertmanager."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from adapters.sinks.alertmanager import Alertmanager
from adapters.sinks.http_post import HttpPost
from tests.adapters.sinks.alertmanager_process import AlertmanagerProcess
from tests.adapters.sinks.receiver import Receiver
from tests.daemon.store.contents import event
from tests.e2e.processes import until

NOW = 1_785_000_000.0


class Told:
    """A sink with a clock that is set by hand, and what it told."""

    def __init__(self, receiver: Receiver) -> None:
        self.receiver, self.now = receiver, NOW
        self.sink = self.fresh()

    def fresh(self) -> Alertmanager:
        """One of another life."""
        self.sink = Alertmanager(HttpPost(f"{self.receiver.url}/api/v2/alerts", {}, 5), clock=lambda: self.now)
        return self.sink

    def last(self) -> dict[tuple[str, str], float]:
        """Name and series of each alert of the last POST, and seconds until it ends."""
        alerts: list[dict[str, Any]] = json.loads(self.receiver.got[-1].body)
        return {(a["labels"]["alertname"], a["labels"].get("series", "")): ends_at(a) - self.now for a in alerts}


def ends_at(alert: dict[str, Any]) -> float:
    return datetime.fromisoformat(alert["endsAt"]).timestamp()


def line(id_: str, state: str = "open", **changes: Any) -> bytes:
    revision = 0 if state == "open" else 1
    return json.dumps(replace(event(id_, revision=revision, state=state), **changes).to_json()).encode()


@pytest.fixture
def told() -> Iterator[Told]:
    with Receiver() as receiver:
        yield Told(receiver)


ODD = ("TidegaugeAnomaly", "m1")


def test_it_fires_while_it_is_open_and_is_resolved_at_its_end(told: Told) -> None:
    """Open: an end four tellings away, moved on by each; closed after that: an end that is now."""
    told.sink.deliver([line("a")])
    assert told.last() == {ODD: 240}
    told.now += 150
    told.sink.repeat([line("a")])
    assert told.last() == {ODD: 240}
    told.sink.deliver([line("a", "closed")])
    assert told.last() == {ODD: 0}


def test_one_that_is_over_at_once_fires_all_the_same(told: Told) -> None:
    """Opened and closed while Alertmanager was away, or within seconds: it fires for two minutes, then ends."""
    told.sink.deliver([line("a"), line("a", "closed")])
    assert told.last() == {ODD: 120}
    told.sink.deliver([line("b")])
    told.now += 30
    told.sink.deliver([line("b", "closed")])
    assert told.last() == {ODD: 90}


def severities(told: Told) -> dict[str, float]:
    """Severity of each alert of the last POST, and seconds until it ends."""
    alerts: list[dict[str, Any]] = json.loads(told.receiver.got[-1].body)
    return {alert["labels"]["severity"]: ends_at(alert) - told.now for alert in alerts}


def test_one_that_becomes_critical_is_another_alert(told: Told) -> None:
    """The warning is resolved when the critical alert fires, by delivery or by repetition, and told as such again."""
    mild: dict[str, Any] = {"reasons": ("model",), "members": None}
    told.sink.deliver([line("a", **mild)])
    assert severities(told) == {"warning": 240}
    told.now += 150
    told.sink.deliver([line("a", rarity=9.0, **mild)])
    assert severities(told) == {"warning": 0, "critical": 240}
    told.now += 60
    told.sink.repeat([line("a", rarity=9.0, **mild)])
    assert severities(told) == {"warning": -60, "critical": 240}
    told.sink.deliver([line("b", series="m2", **mild)])
    told.sink.repeat([line("b", series="m2", rarity=9.0, **mild)])
    assert severities(told)["critical"] == 240
    told.sink.deliver([line("a", "closed", rarity=9.0, **mild)])
    assert severities(told) == {"critical": 0}


def test_a_severity_that_is_configured_stays(told: Told) -> None:
    """It stands for the event's own, so an event that becomes critical is the same alert."""
    post = HttpPost(f"{told.receiver.url}/api/v2/alerts", {}, 5)
    told.sink = Alertmanager(post, labels={"severity": "page"}, clock=lambda: told.now)
    told.sink.deliver([line("a", reasons=("model",), members=None)])
    told.sink.deliver([line("a", rarity=9.0)])
    assert severities(told) == {"page": 240}


def test_what_was_resolved_does_not_fire_in_the_next_life(told: Told) -> None:
    """After a crash the end may be told again, as an end; what is still open is told at the first repetition."""
    told.sink.deliver([line("a"), line("b", series="m2")])
    told.now += 300
    told.sink.deliver([line("a", "closed")])
    told.fresh().deliver([line("a", "closed")])
    assert told.last() == {ODD: 0}
    told.sink.repeat([line("b", series="m2")])
    assert told.last() == {ODD: 0, ("TidegaugeAnomaly", "m2"): 240}


def test_an_end_is_repeated_for_a_while_but_not_against_a_new_episode(told: Told) -> None:
    """An Alertmanager that was restarted learns of the end; the same series' next episode takes its place."""
    told.sink.deliver([line("a"), line("a", "closed")])
    told.now += 60
    told.sink.repeat([])
    assert told.last() == {ODD: 60}
    told.sink.deliver([line("next")])
    told.sink.repeat([line("next")])
    assert told.last() == {ODD: 240}
    told.now += 300
    told.sink.deliver([line("next", "closed")])
    told.now += 1000
    before = len(told.receiver.got)
    told.sink.repeat([])
    assert len(told.receiver.got) == before, "there is nothing left to tell"


def test_kinds_of_events_are_alerts_of_their_own(told: Told) -> None:
    """A gap beside an anomaly of one series, and one of the whole stream; a new regime; ends do not meet."""
    told.sink.deliver(
        [
            line("a"),
            line("g", reasons=("gap",)),
            line("s", reasons=("gap",), series=None),
            line("d", "closed", revision=0, reasons=("drift",)),
        ]
    )
    assert told.last() == {
        ODD: 240,
        ("TidegaugeSilent", "m1"): 240,
        ("TidegaugeSilent", ""): 240,
        ("TidegaugeNewRegime", "m1"): 120,
    }


def test_one_that_is_refused_holds_up_no_other(told: Told) -> None:
    """400 to several is told one by one; what is refused alone is counted, the others are taken."""
    told.receiver.statuses = [400, 400]
    told.sink.deliver([line("a"), line("b", series="m2")])
    assert [each.status for each in told.receiver.got] == [400, 400, 200]
    assert told.sink.status() == {"refused": 1}


def test_a_real_one_tells_of_each_once(tmp_path: Path) -> None:
    """Fires once however often it is told, survives `kill -9` of Alertmanager, resolves, and never fires after that."""
    with Receiver() as receiver, AlertmanagerProcess(tmp_path, receiver.url) as process:
        sink = Alertmanager(HttpPost(f"{process.url}/api/v2/alerts", {}, 5), labels={"severity": "warning"}, resend_s=1)

        def notes() -> list[tuple[str, str]]:
            """What it told people: status and series."""
            bodies = [json.loads(each.body) for each in receiver.got]
            return [(alert["status"], alert["labels"]["series"]) for body in bodies for alert in body["alerts"]]

        sink.deliver([line("a"), line("b", series="m2"), line("b", "closed", series="m2")])
        until("both fire", lambda: {("firing", "m1"), ("firing", "m2")} <= set(notes()))
        for _ in range(3):
            sink.repeat([line("a")])
        until("the short one resolves", lambda: ("resolved", "m2") in notes())
        assert notes().count(("firing", "m1")) <= 2, "once for each flush of its group"
        process.end()
        with pytest.raises(OSError, match="ClientConnector"):
            sink.repeat([line("a")])
        process.start()
        assert process.alerts() == []
        sink.repeat([line("a")])
        assert [alert["labels"]["severity"] for alert in process.alerts()] == ["warning"]
        sink.deliver([line("a", "closed")])
        until("it resolves", lambda: ("resolved", "m1") in notes())
        seen = len(notes())
        sink.repeat([])
        until("nothing is active", lambda: process.alerts() == [])
        assert all(status == "resolved" for status, _ in notes()[seen:])
