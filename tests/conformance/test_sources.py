"""The contract of `base.Source`, held against every source of the registry. A new one joins by its line there.

How a sender reaches it is what `RIGS` of source_rigs.py says; without an entry there its tests fail.

A file can be read again from a position. A peer cannot be asked again, but it can be told how far it was read: where a
source is live, the sender goes on from the positions with which the source was opened."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from adapters.base import Chunk, Live, Position, Source, unnoticed
from adapters.brokers import kafka_source
from adapters.files.stdin import StandardInput
from adapters.source_kind import Surroundings
from adapters.source_registry import SOURCES
from adapters.uploads.inbox import Inboxes
from daemon.config.document import ConfigError
from daemon.config.file import load
from daemon.config.source_settings import SourceSettings
from tests.conformance.source_rigs import LIMIT, RIGS, brokers, split
from tests.e2e.processes import until


@pytest.fixture(scope="module", autouse=True)
def brokers_end() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(kafka_source, "FETCH_WAIT_MS", 5)
        patch.setattr(kafka_source, "_POLL_S", 0.01)
        yield
    brokers.end()


every_kind = pytest.mark.parametrize("kind", SOURCES)


def settings_of(kind: str, folder: Path) -> SourceSettings:
    """The registry's sample of a source, with what it names on this machine replaced by what is there."""
    sample = yaml.safe_load(SOURCES[kind].sample)
    return SourceSettings.model_validate(
        sample
        | ({"listen": "127.0.0.1:0"} if "listen" in sample else {})
        | ({"path": str(folder / "readings")} if "path" in sample else {})
        | ({"url": brokers.mosquitto.url} if kind == "mqtt" else {})
        | ({"url": brokers.nats.url} if kind == "nats" else {})
        | ({"url": brokers.kafka.url} if kind == "kafka" else {})
    )


short_lines = st.sampled_from([b"a,1,2", b"", b"header", b"\r", b"\0\0", b"\xff", b"x" * LIMIT])


long_lines = st.sampled_from([b"y" * (LIMIT + 1), b"z" * 300, b"\0" * 100])


unique_lines = st.integers(0, 10**9).map(lambda n: b"%d" % n)


all_lines = st.lists(st.one_of(unique_lines, unique_lines, short_lines, long_lines), max_size=25)


def whole(lines: list[bytes]) -> bytes:
    return b"".join(line + b"\n" for line in lines)


@dataclass
class Got:
    """What a source gave, by place."""

    text: dict[str, bytes] = field(default_factory=dict)
    dropped: dict[str, int] = field(default_factory=dict)
    chunks: list[Chunk] = field(default_factory=list)


def drain(source: Source, limit_bytes: int = 1 << 20) -> Got:
    """Poll until three polls in a row gave nothing."""
    got, idle = Got(), 0
    while idle < 3:
        chunks = source.poll(limit_bytes)
        idle = 0 if chunks else idle + 1
        places = [chunk.place for chunk in chunks]
        assert len(places) == len(set(places)), "at most one chunk per place"
        for chunk in chunks:
            assert chunk.place.startswith(f"{source.name}:")
            assert chunk.data == b"" or chunk.data.endswith(b"\n")
            assert chunk.data or chunk.discarded
            got.chunks.append(chunk)
            got.text[chunk.place] = got.text.get(chunk.place, b"") + chunk.data
            for reason, count in chunk.discarded.items():
                got.dropped[reason] = got.dropped.get(reason, 0) + count
    return got


def expected(contents: list[bytes]) -> tuple[list[bytes], dict[str, int]]:
    """Lines that must come, per content that has any, and drops by reason."""
    texts: list[bytes] = []
    dropped: dict[str, int] = {}
    for content in contents:
        lines = split(content)
        for line in lines:
            if len(line) > LIMIT + 1:
                reason = "binary" if b"\0" in line else "too_long"
                dropped[reason] = dropped.get(reason, 0) + 1
        texts.append(b"".join(line for line in lines if len(line) <= LIMIT + 1))
    return sorted(text for text in texts if text), dropped


@every_kind
@settings(max_examples=60, deadline=None)
@given(st.lists(all_lines, min_size=1, max_size=3), st.sampled_from([1, 30, 5000, 1 << 20]))
def test_every_line_once(kind: str, lines: list[list[bytes]], limit_bytes: int) -> None:
    """All chunks of a place joined are its complete lines, each once; lines beyond the limit are counted."""
    contents = [whole(part) for part in lines]
    with RIGS[kind](contents) as rig:
        source = rig.open({})
        got = drain(source, limit_bytes)
        texts, dropped = expected(contents[: rig.places])
        assert sorted(text for text in got.text.values() if text) == texts
        assert got.dropped == dropped
        assert source.backlog() == frozenset()
        assert source.status()["lag_bytes"] == 0
        source.close()


@every_kind
@settings(max_examples=80, deadline=None)
@given(st.data())
def test_resumes_from_any_position(kind: str, data: st.DataObject) -> None:
    """Opened again with any position it returned, a source gives exactly the lines and drops after it."""
    lines = data.draw(st.lists(all_lines, min_size=1, max_size=3))
    contents = [whole(part) for part in lines]
    with RIGS[kind](contents) as rig:
        first = rig.open({})
        got = drain(first, data.draw(st.sampled_from([1, 40, 1 << 20])))
        first.close()
        positions: dict[str, Position] = {}
        after = dict.fromkeys(got.text, b"")
        dropped: dict[str, int] = {}
        for place in got.text:
            chunks = [chunk for chunk in got.chunks if chunk.place == place]
            index = data.draw(st.integers(0, len(chunks) - 1))
            ends = [0, *(k + 1 for k, byte in enumerate(chunks[index].data) if byte == 10)]
            if isinstance(first, Live) and chunks[index].discarded:
                ends = [0, ends[-1]]  # in between, a position does not pass the first dropped line
            offset = data.draw(st.sampled_from(ends))
            positions[place] = json.loads(json.dumps(chunks[index].position_at(offset, "h")))
            assert chunks[index].position_at(offset, "h") == positions[place], "positions are plain JSON"
            after[place] = chunks[index].data[offset:] + b"".join(chunk.data for chunk in chunks[index + 1 :])
            left = chunks[index + 1 :] if offset == len(chunks[index].data) else chunks[index:]
            for chunk in left:
                for reason, count in chunk.discarded.items():
                    dropped[reason] = dropped.get(reason, 0) + count
        second = rig.open(positions)
        again = drain(second)
        second.close()
        assert sorted(t for t in again.text.values() if t) == sorted(t for t in after.values() if t)
        assert again.dropped == dropped
        resumed = [c for c in again.chunks if c.place in positions and positions[c.place]["offset"] > 0]
        # a new connection shows its own, and so does each message
        header = None if (isinstance(second, Live) and not second.resumes) or any(c.spans for c in resumed) else "h"
        assert all(chunk.header == header for chunk in resumed)


@every_kind
def test_skipped_places_are_left_alone(kind: str) -> None:
    """A skipped place gives nothing, and loses nothing."""
    with RIGS[kind]([whole([b"%d" % k for k in range(3000)])]) as rig:
        source = rig.open({})
        chunk = next(chunk for _ in range(1000) for chunk in source.poll(4096))
        assert source.poll(4096, skip={chunk.place}) == []
        assert (chunk.place in source.backlog()) == (not isinstance(source, Live)), "no peer may hold others back"
        assert chunk.data + b"".join(drain(source).text.values()) == whole([b"%d" % k for k in range(3000)])
        source.close()


@every_kind
def test_close_releases_descriptors(kind: str) -> None:
    """Opening, reading and closing leaves no descriptor behind, and positions stay valid."""
    with RIGS[kind]([b"1\n2\n"]) as rig:
        source = rig.make()
        before = len(list(Path("/proc/self/fd").iterdir()))
        source.open({})
        rig.send(source, {})
        (chunk,) = drain(source).chunks
        source.close()
        assert len(list(Path("/proc/self/fd").iterdir())) == before
        assert chunk.position_at(2, None)["offset"] > chunk.position_at(0, None)["offset"]


def test_poll_never_blocks_on_a_silent_pipe() -> None:
    """A pipe with nothing in it, or half a line, returns at once; `done` only after its end."""
    reader, writer = os.pipe()
    with os.fdopen(reader, "rb") as stream:
        source = StandardInput("s", stream)
        source.open({})
        assert source.poll(1000) == []
        os.write(writer, b"1\n2")
        assert [chunk.data for chunk in source.poll(1000)] == [b"1\n"]
        assert source.poll(1000) == []
        assert not source.done()
        os.close(writer)
        assert [chunk.data for chunk in source.poll(1000)] == [b"2\n"], "the end completes the last line"
        assert source.poll(1000) == []
        assert (source.done(), source.status()["up"]) == (True, 0.0)


def test_another_input_is_read_from_its_start(tmp_path: Path) -> None:
    """A position of another input does not make standard input pass over what it never read."""
    for name, content in (("old", b"1\n2\n3\n"), ("new", b"7\n8\n9\n")):
        (tmp_path / name).write_bytes(content)
    with (tmp_path / "old").open("rb") as old, (tmp_path / "new").open("rb") as new:
        source = StandardInput("s", old)
        source.open({})
        (chunk,) = drain(source).chunks
        source = StandardInput("s", new)
        source.open({chunk.place: chunk.position_at(4, "h")})
        (chunk,) = drain(source).chunks
        assert (chunk.data, chunk.header) == (b"7\n8\n9\n", None)


@every_kind
def test_it_is_made_from_its_sample(kind: str, tmp_path: Path) -> None:
    """The sample beside a source is a configuration that can be run, and makes one that opens, is up and closes."""
    config = tmp_path / "tidegauge.yaml"
    stream = f"{{sources: [{SOURCES[kind].sample}], interval: 1h, format: {{columns: [timestamp, value]}}}}"
    config.write_text(f"version: 1\nstreams: {{a: {stream}}}\n")
    assert load(config, serving=True).streams["a"].sources[0].type == kind
    (tmp_path / "readings").touch() if kind == "file" else None
    with (tmp_path / "stdin").open("wb+") as stdin:
        source = SOURCES[kind].make(
            "a/0", settings_of(kind, tmp_path), Surroundings(LIMIT, stdin, unnoticed, Inboxes())
        )
        source.open({})
        try:
            assert source.name == "a/0"
            source.poll(1000)
            until("it is up, or done", lambda: source.status()["up"] == (0.0 if source.done() else 1.0), every_s=0.01)
        finally:
            source.close()


@every_kind
def test_its_keys_are_in_the_schema(kind: str) -> None:
    """What a source takes, and what it cannot do without, are keys of the configuration's `sources`."""
    known = set(SourceSettings.model_fields)
    assert SOURCES[kind].keys <= known
    assert set(SOURCES[kind].needs or {}) <= SOURCES[kind].keys


@every_kind
def test_two_that_read_the_same_are_refused(kind: str, tmp_path: Path) -> None:
    """What a source claims is its alone: the second of two equal entries is refused by its key, whatever the type."""
    config, sample = tmp_path / "tidegauge.yaml", SOURCES[kind].sample
    form = "format: {columns: [timestamp, value]}"
    config.write_text(f"version: 1\nstreams: {{a: {{sources: [{sample}, {sample}], interval: 1h, {form}}}}}\n")
    with pytest.raises(ConfigError, match="already; keep one of the two"):
        load(config, serving=True)
