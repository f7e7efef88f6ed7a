"""The contract of `adapters.sinks.Sink`, held against every sink of the registry. A new one joins by its line there."""

from __future__ import annotations

import inspect
import os
import threading
from pathlib import Path

import pytest
import yaml

from adapters.sinks import SINKS, Opening, Sink
from daemon.config.file import load
from daemon.config.settings import EventSettings


class Ends:
    """A sink as its kind makes it from its sample, and what came out of it."""

    def __init__(self, key: str, directory: Path, committed: int | None = None) -> None:
        read, write = os.pipe()
        self.stream = open(write, "wb", buffering=0)  # noqa: PTH123, SIM115
        self._read = read
        value = yaml.safe_load(SINKS[key].sample)[key]
        self.file = directory / value if isinstance(value, str) else None
        self.value = self.file or value
        self.sink: Sink = SINKS[key].make(self.value, Opening(committed, self.stream))

    def came(self) -> bytes:
        """All that was handed on; the sink is closed."""
        self.sink.close()
        self.stream.close()
        with open(self._read, "rb") as file:  # noqa: PTH123
            piped = file.read()
        return piped if self.file is None else self.file.read_bytes()


@pytest.mark.parametrize("key", SINKS)
def test_lines_are_whole_and_in_order(key: str, tmp_path: Path) -> None:
    """What is delivered comes out as it is, one line each, whatever is in a line; nothing is added by an empty call."""
    ends = Ends(key, tmp_path)
    lines = [b"{}", b'{"series":"z\xc3\xa4hler"}', b"x" * 5000]
    ends.sink.deliver(lines[:1])
    ends.sink.deliver([])
    ends.sink.deliver(lines[1:])
    assert ends.came() == b"".join(line + b"\n" for line in lines)


@pytest.mark.parametrize("key", SINKS)
def test_what_was_committed_is_not_taken_back(key: str, tmp_path: Path) -> None:
    """A length that `deliver` returned holds at the next start: nothing of it is lost, nothing beyond it is left."""
    ends = Ends(key, tmp_path)
    committed = ends.sink.deliver([b"1"])
    ends.sink.deliver([b"2"])
    ends.came()
    if committed is None:
        return  # such a sink gives the second line again
    again = Ends(key, tmp_path, committed)
    again.sink.deliver([b"2"])
    assert again.came() == b"1\n2\n"


@pytest.mark.parametrize("key", SINKS)
def test_it_delivers_from_another_thread(key: str, tmp_path: Path) -> None:
    """A sink is made on one thread and used on another."""
    ends = Ends(key, tmp_path)
    thread = threading.Thread(target=lambda: ends.sink.deliver([b"1"]))
    thread.start()
    thread.join()
    assert ends.came() == b"1\n"


@pytest.mark.parametrize("key", SINKS)
def test_it_is_configured_and_documented(key: str, tmp_path: Path) -> None:
    """Its key is one of `events`, its sample is a configuration that can be run, and its class says what it does."""
    assert key in EventSettings.model_fields
    config = tmp_path / "tidegauge.yaml"
    config.write_text(
        f"version: 1\nevents:\n  {SINKS[key].sample}\nstreams:\n  a: {{sources: [{{type: stdin}}], interval: 1h}}\n"
    )
    assert getattr(load(config, serving=True).events, key)
    ends = Ends(key, tmp_path)
    assert inspect.getdoc(type(ends.sink))
    ends.came()


def test_every_key_of_events_is_a_sink() -> None:
    """A key that is in the schema and in no registry would switch on nothing."""
    assert set(EventSettings.model_fields) == set(SINKS)
