"""The sink of Apprise beyond the contract: what a notification says, and what is refused."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from adapters.sinks.apprise_sink import AppriseSink
from adapters.sinks.contract import PartlyError
from daemon.config.document import ConfigError
from daemon.config.file import load
from tests.adapters.sinks.receiver import Receiver
from tests.daemon.store.contents import event

CONFIG = """\
version: 1
events: {apprise: [{url: "json://user:secret@127.0.0.1:1/"}]}
streams: {tide: {sources: [{type: stdin}], interval: 1h}}
"""


def test_a_notification_says_whose_since_when_and_how_odd() -> None:
    """A sentence, a line each for what is known, and a kind: failure, info where nobody need wake, success."""
    odd = replace(event("a"), series="pier", value=(12.5,), expected=(9.0,), score=2.5)
    lines = [odd, replace(odd, revision=1, notify=False), replace(odd, revision=2, notify=False, state="closed")]
    with Receiver() as people:
        sink = AppriseSink(people.url.replace("http", "json", 1))
        sink.deliver([json.dumps(each.to_json()).encode() for each in lines])
        said = [json.loads(each.body) for each in people.got]
    assert [each["type"] for each in said] == ["failure", "info", "success"]
    assert said[0]["title"] == f"pier of {odd.stream} is odd" and said[2]["title"].endswith("is as usual again")
    text = dict(line.split(": ", 1) for line in said[0]["message"].splitlines())
    assert (text["series"], text["score"], text["value"], text["expected"], text["event"]) == (
        "pier",
        "2.5",
        "12.5",
        "9",
        "a",
    )


def test_what_was_taken_does_not_come_again() -> None:
    """The second of three is not taken: one counts as done, and the reason is the service's own."""
    lines = [json.dumps(event(id_).to_json()).encode() for id_ in "abc"]
    with Receiver() as people:
        people.statuses = [200, 503]
        sink = AppriseSink(people.url.replace("http", "json", 1))
        with pytest.raises(PartlyError, match="503") as raised:
            sink.deliver(lines)
        sink.deliver(lines[raised.value.done :])
        assert [each.status for each in people.got] == [200, 503, 200, 200]


def test_a_service_that_stalls_is_left_in_time() -> None:
    """No answer within the time limit is a failure, not a wait."""
    with Receiver() as people:
        people.statuses = [None]
        with pytest.raises(PartlyError):
            AppriseSink(people.url.replace("http", "json", 1), 1.0).deliver([json.dumps(event("a").to_json()).encode()])


def test_an_address_that_nobody_knows_is_refused_without_being_shown() -> None:
    """What Apprise does not know is said at once; its host may be a secret."""
    with pytest.raises(OSError, match="knows no such address as this bogus:// one") as raised:
        AppriseSink("bogus://token/chat")
    assert "token" not in str(raised.value)


def test_without_the_package_the_configuration_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One line names the key and what to install; nothing is shown of the address."""
    config = tmp_path / "tidegauge.yaml"
    config.write_text(CONFIG)
    assert load(config).events.apprise
    monkeypatch.setattr("adapters.extra.find_spec", lambda package: None)
    with pytest.raises(ConfigError) as raised:
        load(config)
    assert str(raised.value) == (
        f"{config}:2: events.apprise needs apprise, which a plain install leaves out; install tidegauge[apprise], "
        f"or run: {sys.executable} -m pip install apprise"
    )
