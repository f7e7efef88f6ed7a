"""Prometheus' remote write, 1.0 and 2.0: journaled before it is answered, and answered so that nothing is lost."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from daemon.web import uploads
from tests.adapters.uploads.requests_made import STALE, headers, packed, request
from tests.daemon.web.http_server import Answer
from tests.daemon.web.test_uploads import Pipe, posted

PATH = "/api/v1/write"
AT = 1_785_000_000_000
SOURCE = '{type: prometheus, body_bytes: 4KiB, match: [load, \'{job="b"}\'], series: "{instance}"}'
every_version = pytest.mark.parametrize("version", [1, 2])


def load(instance: str, *values: float, name: str = "load", job: str = "a") -> tuple[dict[str, str], Any]:
    samples = [(AT + 15_000 * number, value) for number, value in enumerate(values)]
    return {"__name__": name, "instance": instance, "job": job}, samples


@pytest.fixture
def pipe(tmp_path: Path) -> Iterator[Pipe]:
    with Pipe(tmp_path, SOURCE).running() as running:
        yield running


def sent(pipe: Pipe, *bodies: bytes, version: int = 1, **given: Any) -> list[Answer]:
    return posted(pipe, *({"data": body, "headers": headers(version), "path": PATH} for body in bodies), **given)


def status(pipe: Pipe) -> dict[str, float]:
    return pipe.intakes[0].sources[0].status()


@every_version
def test_what_is_chosen_becomes_readings(pipe: Pipe, version: int) -> None:
    """Samples of the chosen series, named by the template; the others are counted, and so are staleness markers."""
    body = request([load("x", 1.5, 2, STALE), load("y", 3, job="b", name="other"), load("z", 4, name="other")], version)
    (answer,) = sent(pipe, body, version=version)
    assert answer.status == 204
    assert answer.headers["X-Prometheus-Remote-Write-Samples-Written"] == "5"
    assert (pipe.series, pipe.values) == (["x", "x", "y"], [1.5, 2.0, 3.0])
    assert pipe.at_ms == [AT, AT + 15_000, AT]
    assert (status(pipe)["unmatched_samples"], status(pipe)["stale_markers"]) == (1, 1)


@every_version
def test_the_same_bytes_again_count_once(pipe: Pipe, version: int) -> None:
    """A sender that was not answered sends them again; 204, and nothing new."""
    body = request([load("x", 1, 2)], version)
    assert [answer.status for answer in sent(pipe, body, body, body, version=version)] == [204] * 3
    assert pipe.readings == 2


@every_version
def test_numbers_and_names_that_cannot_be_are_rejected_not_refused(pipe: Pipe, version: int) -> None:
    """NaN, infinity, a name too long or with a newline: the rest counts, and the sender need not send it again."""
    odd = [load("x", math.nan, math.inf, -math.inf, 1), load("n" * 300, 1), load("a\nb", 1), load("", 1)]
    (answer,) = sent(pipe, request(odd, version), version=version)
    assert answer.status == 204
    assert pipe.readings == 1
    assert sum(pipe.rejected.values()) == 6
    assert pipe.rejected["not_finite"] == 3


def test_names_with_quotes_and_stamps_of_few_digits(tmp_path: Path) -> None:
    """Without a template a name is Prometheus' own, quotes and all; few milliseconds are never taken for seconds."""
    with Pipe(tmp_path, "{type: prometheus}").running() as pipe:
        samples = [(1_700_000_000, 1.0), (-5, 1.0), (AT, 1.0)]
        (answer,) = sent(pipe, request([({"__name__": "up", "path": 'C:\\"x"'}, samples)]))
    assert answer.status == 204
    assert pipe.rejected == {"bad_time": 2}
    assert (pipe.series, pipe.at_ms) == (['up{path="C:\\\\\\"x\\""}'], [AT])


@pytest.mark.parametrize(
    ("body", "changed", "wanted", "why"),
    [
        (b"abc", {}, 400, "not a snappy block"),
        (b"\xff" * 20, {}, 400, "not a snappy block"),
        (packed(b"\xff\xff"), {}, 400, "is no prometheus.WriteRequest"),
        (packed(bytes(5000)), {}, 413, "unpack to 4096"),
        (b"\xff\xff\xff\xff\x0f", {}, 413, "unpack to 4096"),
        (bytes(5000), {}, 413, "4096"),
        (request([]), {"Content-Encoding": "gzip"}, 415, "send snappy"),
        (request([]), {"Content-Type": "application/json"}, 415, "application/x-protobuf"),
        (request([]), {"Content-Type": "application/x-protobuf;proto=x.y.Z"}, 415, "io.prometheus.write.v2.Request"),
    ],
)
def test_what_is_no_request_is_refused(pipe: Pipe, body: bytes, changed: dict[str, str], wanted: int, why: str) -> None:
    """A 4xx, after which a sender drops it: only where the same bytes would never do."""
    (answer,) = posted(pipe, {"data": body, "headers": headers() | changed, "path": PATH})
    assert answer.status == wanted
    assert why in answer.text
    assert pipe.readings == 0


@pytest.mark.parametrize("refs", [[1], [1, 99]])
def test_labels_that_are_not_among_the_symbols_are_refused(pipe: Pipe, refs: list[int]) -> None:
    """A 2.0 request whose references are odd or lead nowhere is 400, not a crash."""
    from adapters.uploads import write_request

    made: Any = write_request._classes()["io.prometheus.write.v2.Request"]()
    made.symbols.extend(["", "a"])
    made.timeseries.add().labels_refs.extend(refs)
    (answer,) = sent(pipe, packed(made.SerializeToString()), version=2)
    assert answer.status == 400


def test_what_may_go_better_later_is_503(pipe: Pipe, monkeypatch: pytest.MonkeyPatch) -> None:
    """Busy, starting, not durable in time: never 429 or 404, on which Prometheus drops what it has."""
    monkeypatch.setattr(uploads, "DURABLE_S", 0.05)
    (starting,) = sent(pipe, request([load("x", 1)]), ready=lambda: (False, "starting"))
    pipe.held.set()
    monkeypatch.setattr(pipe.intakes[0].sources[0], "_most", 10)
    late, full = sent(pipe, request([load("x", 1)]), request([load("x", 2)]))
    assert [each.status for each in (starting, late, full)] == [503] * 3
    assert all("Retry-After" in each.headers for each in (starting, late, full))
