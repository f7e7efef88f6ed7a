"""Metrics written to a store: what a scrape would see, in order, within a bound, whatever the store answers."""

from __future__ import annotations

import math
import struct
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from adapters.uploads.protocol import V1
from adapters.uploads.write_request import STALE_BYTES, series_of, unpacked
from daemon.config.metric_settings import MetricsSettings, RemoteWriteSettings
from daemon.metrics.collector import Picture, make_registry
from daemon.service import metric_writer
from daemon.service.metric_writer import MetricWriter, MetricWriters
from tests.adapters.sinks.receiver import Posted, Receiver
from tests.daemon.web.pictures import NOW, columns, picture, stream
from tests.e2e.processes import until

Found = dict[tuple[str, str], float]


def written(posted: list[Posted]) -> list[tuple[dict[str, str], float, int]]:
    """Labels, value and instant of each sample, in the order they came in."""
    bodies = [series_of(unpacked(each.body, 1 << 24), V1) for each in posted]
    return [
        (dict(each.labels), sample.value, sample.timestamp)
        for body in bodies
        for each in body
        for sample in each.samples
    ]


def of(posted: list[Posted], name: str) -> list[float]:
    """The values of one metric."""
    return [value for labels, value, _ in written(posted) if labels["__name__"] == f"tidegauge_{name}"]


class Store:
    """A store that is written to, and the daemon's side of it, driven by hand."""

    def __init__(self, receiver: Receiver, **settings: Any) -> None:
        self.picture: Picture = picture(stream(series=columns(["pier", "lock"])))
        self.now_ms = NOW * 1000
        self.receiver = receiver
        given = {"url": f"{receiver.url}/api/v1/write", "labels": ["instance=test"]} | settings
        self.writer = MetricWriter(
            RemoteWriteSettings.model_validate(given),
            lambda: make_registry(lambda: self.picture).collect(),
            lambda: self.now_ms,
        )

    def send_all(self) -> None:
        while self.writer.status()["waiting_bytes"]:
            self.writer.send()


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as made:
        yield made


def test_what_a_scrape_would_see_is_written(receiver: Receiver) -> None:
    """Every sample of the metrics, with job and instance, names in order, at one instant, as 1.0 has it."""
    store = Store(receiver, labels=["site=pier", "instance=test", "stream=mine"])
    store.writer.collect()
    store.send_all()
    (first, *_) = receiver.got
    assert first.path == "/api/v1/write"
    assert first.headers["Content-Encoding"] == "snappy"
    assert first.headers["X-Prometheus-Remote-Write-Version"] == "0.1.0"
    samples = written(receiver.got)
    for labels, value, at_ms in samples:
        assert list(labels) == sorted(labels)
        assert (labels["job"], labels["instance"], labels["site"]) == ("tidegauge", "test", "pier")
        assert at_ms == NOW * 1000 and math.isfinite(value) and all(labels.values())
        assert labels.get("stream") in ("taxi", "mine"), "a metric's own labels come first"
    scraped = {each.name for metric in make_registry(lambda: store.picture).collect() for each in metric.samples}
    assert {labels["__name__"] for labels, _, _ in samples} == scraped
    assert of(receiver.got, "expected") == [99.0, 100.0]
    assert store.writer.status() == {
        "up": 1.0,
        "waiting_bytes": 0.0,
        "samples": len(samples),
        "failures": 0,
        "left_out_refused": 0,
        "left_out_buffer_full": 0,
    }


def test_what_has_ended_is_stale(receiver: Receiver) -> None:
    """The severity of an episode that is over is stale once, so that an alert on it ends at once."""
    store = Store(receiver)
    odd = replace(columns(["pier", "lock"]), severity=np.array([3.5, np.nan]))
    for each in (odd, columns(["pier", "lock"]), columns(["pier", "lock"])):
        store.picture = picture(stream(series=each))
        store.now_ms += 15_000
        store.writer.collect()
    store.send_all()
    first, second = of(receiver.got, "episode_severity")
    assert first == 3.5
    assert struct.pack("<d", second) == STALE_BYTES


def test_it_waits_for_a_store_that_is_away_and_goes_on_in_order(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """429, 5xx and no answer are sent again, with the same bytes, until they are taken; nothing overtakes."""
    store = Store(receiver, timeout="1s")
    for status in (429, 500, 503):
        receiver.statuses = [status]
        store.now_ms += 1000
        store.writer.collect()
        with pytest.raises(OSError, match=str(status)):
            store.writer.send()
    receiver.statuses = [None]
    with pytest.raises(OSError, match="no answer within 1 s"):
        store.writer.send()
    store.send_all()
    assert [at for _, _, at in written(receiver.taken)] == sorted(at for _, _, at in written(receiver.taken))
    assert {at - NOW * 1000 for _, _, at in written(receiver.taken)} == {1000, 2000, 3000}
    assert len({each.body for each in receiver.got}) == len(receiver.taken)


@pytest.mark.parametrize("status", [400, 401, 404, 302])
def test_what_is_refused_is_left_out(receiver: Receiver, status: int) -> None:
    """Another answer speaks of the request: it is not sent again but counted, and the next one goes."""
    store = Store(receiver)
    store.writer.collect()
    receiver.statuses = [status] * 9
    store.send_all()
    refused = store.writer.status()
    assert refused["left_out_refused"] == len(written(receiver.got)) and refused["samples"] == refused["up"] == 0
    receiver.statuses = []
    store.writer.collect()
    store.send_all()
    assert store.writer.status()["up"] == 1 and receiver.taken


def test_what_waits_is_bounded(receiver: Receiver) -> None:
    """Beyond the buffer the oldest goes, counted by its samples; the newest stays."""
    store = Store(receiver, buffer="1MiB")
    names = [f"series-{np.random.default_rng(at).integers(1 << 60)}-{at:x}" for at in range(900)]
    store.picture = picture(stream(series=columns(names)))
    each = sum(len(metric.samples) for metric in make_registry(lambda: store.picture).collect())
    made = 0
    while not store.writer.status()["left_out_buffer_full"]:
        store.now_ms += 1000
        store.writer.collect()
        made += 1
        assert store.writer.status()["waiting_bytes"] <= 1 << 20
    left = store.writer.status()["left_out_buffer_full"]
    store.send_all()
    status, came = store.writer.status(), written(receiver.got)
    assert status["samples"] == len(came) == made * each - left
    assert max(at for _, _, at in came) == store.now_ms


def test_nothing_is_written_before_the_clock_is_set(receiver: Receiver) -> None:
    """A sample of 1970 would be there for ever, and stores refuse it."""
    store = Store(receiver)
    store.now_ms = 12_000
    store.writer.collect()
    assert not store.writer.status()["waiting_bytes"]


def test_the_thread_writes_and_ends(receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    """It writes at once and every so often, over failures; at its end what waits is written; a new one replaces it."""
    monkeypatch.setattr(metric_writer, "RETRY_S", 0.01)
    shown = picture()
    writers = MetricWriters(lambda: shown)
    settings = MetricsSettings.model_validate({"remote_write": [{"url": receiver.url, "every": "1s"}, {"url": None}]})
    receiver.statuses = [500, 503]
    first = writers.prepare(settings)
    writers.take_over(first)
    until("it is taken", lambda: receiver.taken, every_s=0.01)
    assert writers.prepare(settings) == first, "one that is as it was stays"
    (status,) = writers.status().values()
    assert status["failures"] == 2
    writers.take_over(writers.prepare(MetricsSettings()))
    assert not writers.status() and all(each.ended(0) for each in first.values())
    writers.close()
