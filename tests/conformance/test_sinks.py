"""The contract of `adapters.sinks.Sink`, held against every sink of the registry. A new one joins by its line there.

What a sink handed on is looked for where its sample says: in a file, on standard output, or at an address.
"""

from __future__ import annotations

import inspect
import json
import os
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from adapters.sinks import SINKS, Opening, Repeating, Sink
from daemon.config.file import load
from daemon.config.sink_settings import EventSettings
from tests.adapters.sinks.receiver import Receiver
from tests.daemon.store.contents import event

every_sink = pytest.mark.parametrize("key", SINKS)


class Ends:
    """A sink as its kind makes it from its sample, and what came out of it."""

    def __init__(self, key: str, directory: Path, receiver: Receiver, committed: int | None = None) -> None:
        read, write = os.pipe()
        self.stream = open(write, "wb", buffering=0)  # noqa: PTH123, SIM115
        self._read, self._receiver = read, receiver
        value: Any = yaml.safe_load(SINKS[key].sample)[key]
        self.file = directory / value if isinstance(value, str) else None
        if SINKS[key].several:
            (settings,) = getattr(EventSettings.model_validate({key: [value[0] | {"url": receiver.url}]}), key)
        else:
            settings = self.file or value
        self.sink: Sink = SINKS[key].make(settings, Opening(committed, self.stream))

    def came(self) -> list[dict[str, Any]]:
        """All that was handed on, as JSON; the sink is closed."""
        self.sink.close()
        self.stream.close()
        with open(self._read, "rb") as file:  # noqa: PTH123
            lines = file.read().splitlines()
        lines += [] if self.file is None else self.file.read_bytes().splitlines()
        lines += [each.body for each in self._receiver.got]
        came = [json.loads(line) for line in lines]
        return [alert for each in came for alert in (each if isinstance(each, list) else [each])]


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as running:
        yield running


def line(id_: str, **changes: Any) -> bytes:
    return json.dumps(replace(event(id_), **changes).to_json()).encode()


def id_of(came: dict[str, Any]) -> str:
    return str(came["annotations"]["event"] if "annotations" in came else came["id"])


@every_sink
def test_events_come_out_whole_and_in_order(key: str, tmp_path: Path, receiver: Receiver) -> None:
    """What is delivered comes out once each, in order, whatever a series is called; an empty call adds nothing."""
    ends = Ends(key, tmp_path, receiver)
    lines = [line("a"), line("b", series='zähler "1"\n' + "x" * 5000), line("c", series=None)]
    ends.sink.deliver(lines[:1])
    ends.sink.deliver([])
    ends.sink.deliver(lines[1:])
    came = ends.came()
    assert [id_of(each) for each in came] == ["a", "b", "c"]
    whose = [each.get("labels", each) for each in came]
    assert whose[1]["series"] == json.loads(lines[1])["series"]
    if "labels" not in came[0]:
        assert came == [json.loads(each) for each in lines]


@every_sink
def test_what_was_committed_is_not_taken_back(key: str, tmp_path: Path, receiver: Receiver) -> None:
    """A length that `deliver` returned holds at the next start: nothing of it is lost, nothing beyond it is left."""
    ends = Ends(key, tmp_path, receiver)
    committed = ends.sink.deliver([line("1")])
    ends.sink.deliver([line("2")])
    ends.came()
    if committed is None:
        return  # such a sink gives the second event again
    again = Ends(key, tmp_path, receiver, committed)
    again.sink.deliver([line("2")])
    assert [id_of(each) for each in again.came()] == ["1", "2"]


@every_sink
def test_it_delivers_from_another_thread(key: str, tmp_path: Path, receiver: Receiver) -> None:
    """A sink is made on one thread and used on another."""
    ends = Ends(key, tmp_path, receiver)
    thread = threading.Thread(target=lambda: ends.sink.deliver([line("1")]))
    thread.start()
    thread.join()
    assert [id_of(each) for each in ends.came()] == ["1"]


@every_sink
def test_it_counts_what_it_leaves_out(key: str, tmp_path: Path, receiver: Receiver) -> None:
    """Its counts begin at 0; one that repeats says how often, and repeats what is open."""
    ends = Ends(key, tmp_path, receiver)
    assert all(count == 0 for count in ends.sink.status().values())
    if isinstance(ends.sink, Repeating):
        assert ends.sink.every_s > 0
        ends.sink.repeat([line("1")])
        ends.sink.repeat([line("1")])
    assert [id_of(each) for each in ends.came()] == (["1", "1"] if isinstance(ends.sink, Repeating) else [])


@pytest.mark.parametrize("key", [key for key, kind in SINKS.items() if kind.several])
@pytest.mark.parametrize("status", [500, 429, 401, 302])
def test_another_server_that_does_not_take_it_is_tried_again(
    key: str, status: int, tmp_path: Path, receiver: Receiver
) -> None:
    """What is not 2xx and not about the event raises OSError, so it is delivered again; no redirection is followed."""
    ends = Ends(key, tmp_path, receiver)
    receiver.statuses = [status]
    with pytest.raises(OSError, match=str(status)):
        ends.sink.deliver([line("1")])
    ends.sink.deliver([line("1")])
    assert [each.status for each in receiver.got] == [status, 200]
    ends.came()


@every_sink
def test_it_is_configured_and_documented(key: str, tmp_path: Path, receiver: Receiver) -> None:
    """Its key is one of `events`, its sample is a configuration that can be run, and its class says what it does."""
    assert key in EventSettings.model_fields
    config = tmp_path / "tidegauge.yaml"
    config.write_text(
        f"version: 1\nevents:\n  {SINKS[key].sample}\nstreams:\n  a: {{sources: [{{type: stdin}}], interval: 1h}}\n"
    )
    assert getattr(load(config, serving=True).events, key)
    ends = Ends(key, tmp_path, receiver)
    assert inspect.getdoc(type(ends.sink))
    ends.came()


def test_every_key_of_events_is_a_sink() -> None:
    """A key that is in the schema and in no registry would switch on nothing."""
    assert set(EventSettings.model_fields) == set(SINKS)
