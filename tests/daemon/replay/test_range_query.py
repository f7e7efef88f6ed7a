"""History from Prometheus: what is asked, what is refused, and a real server that has it."""

from __future__ import annotations

import math
import subprocess
from pathlib import Path

import pytest
import yaml

from daemon.engine.messages.inputs import Batch
from daemon.replay.range_query import POINTS, QueryError, RangeQuery
from daemon.store import open_reader
from tests.adapters.sinks.receiver import Receiver
from tests.conftest import need
from tests.e2e.processes import Prometheus, get, json_of, tide, tidegauge, until

NOW = 1_785_000_000.0
HOURS, START_S = 200, 1_784_160_000


def test_a_text_becomes_a_query() -> None:
    """Start and end are whole steps; instants in three ways; a prefix, TLS and a password go along."""
    query = RangeQuery.of(
        "prometheus+https://u:p@db:9090/x/?query=up%7Ba%3D%22b%22%7D&start=1h&end=1784999000", 60, NOW
    )
    assert (query.url, query.query) == ("https://db:9090/x", 'up{a="b"}')
    assert (query.start_s, query.end_s) == (1_784_996_400, 1_784_998_980)
    assert query.headers == {"Authorization": "Basic dTpw"}
    assert RangeQuery.of("prometheus://db?query=up&start=2026-07-25T17:00:00Z", 60, NOW).end_s == NOW


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("prometheus://db?start=1h", "give a host, a query and its start"),
        ("prometheus://db?query=up", "give a host, a query and its start"),
        ("prometheus://?query=up&start=1h", "give a host, a query and its start"),
        ("prometheus://db?query=up&start=soon", "'soon' is no instant"),
        ("prometheus://db?query=up&start=1h&end=2h", "not before the end"),
        ("prometheus://db?query=up&start=1h&stop=2h", "no parameter 'stop'"),
    ],
)
def test_a_text_that_asks_nothing_says_why(text: str, why: str) -> None:
    """A mistake is told before anything is asked."""
    with pytest.raises(ValueError, match=why):
        RangeQuery.of(text, 60, NOW)


def test_it_is_asked_in_bounded_steps() -> None:
    """No call asks for more points than a server answers, and together they ask for each instant once."""
    query = RangeQuery.of("prometheus://db?query=up&start=3000h", 60, NOW)
    windows = list(query._windows())
    instants = [at for first, last in windows for at in range(first, last + 1, 60)]
    assert instants == list(range(query.start_s, query.end_s + 1, 60))
    assert all((last - first) // 60 < POINTS for first, last in windows)


def test_what_does_not_answer_so_is_an_error_in_words(tmp_path: Path) -> None:
    """Nobody there, another status, an answer that is none: one line that names the server."""
    with Receiver() as receiver:
        text = f"{receiver.url.replace('http', 'prometheus')}?query=up&start=1h"
        query = RangeQuery.of(text, 60, NOW)
        receiver.statuses = [500, 200]
        for why in ("answered 500: no", "does not answer as Prometheus does"):
            with pytest.raises(QueryError, match=why):
                query.write(tmp_path / "history", str, lambda done, total: None)
    with pytest.raises(QueryError, match="cannot be asked"):
        query.write(tmp_path / "history", str, lambda done, total: None)


def test_a_stream_starts_with_what_prometheus_has(tmp_path: Path) -> None:
    """`train --from prometheus://...` takes every point, in order, named as the source names them; all is ready."""
    levels = [5 + math.sin(hour / 12.4 * 2 * math.pi) + 0.01 * (hour * 7 % 13) for hour in range(HOURS)]
    lines = [
        f'tide_level{{place="{place}"}} {level + add!r} {START_S + 3600 * hour}'
        for add, place in enumerate(("quay", "pier"))
        for hour, level in enumerate(levels)
    ]
    metrics = tmp_path / "metrics"
    metrics.write_text("\n".join(["# TYPE tide_level gauge", *lines, "# EOF\n"]))
    data = tmp_path / "prometheus" / "data"
    command: list[str | Path] = [need("promtool"), "tsdb", "create-blocks-from", "openmetrics", metrics, data]
    data.parent.mkdir()
    subprocess.run(command, check=True, capture_output=True)
    settings = tide()
    settings["streams"]["tide"]["sources"] = [{"type": "prometheus", "series": "{place}"}]
    config = tmp_path / "tidegauge.yaml"
    config.write_text(yaml.safe_dump(settings))
    with Prometheus(
        need("prometheus"), data.parent, "127.0.0.1:1", options=["--storage.tsdb.retention.time=90y"]
    ) as server:
        address = f"127.0.0.1:{server.port()}"
        until("it is ready", lambda: "Ready" in get_or_nothing(f"http://{address}/-/ready"))
        until_s = START_S + 3600 * (HOURS - 1)
        asked = f"prometheus://{address}?query=tide_level&start={START_S}&end={until_s}"
        told = json_of("train", "--from", asked, "--config", config, cwd=tmp_path)
        wrong = tidegauge(
            "train", "--from", asked.replace("tide_level", "sum("), "--config", config, cwd=tmp_path, status=1
        )
    assert told == {"readings": 2 * HOURS, "rejected": told["rejected"], "ready": 2, "series": 2}
    assert "answered 400" in wrong.stderr
    with open_reader(tmp_path / "state") as reader:
        batches = [item for _, item in reader.entries() if isinstance(item, Batch)]
    names = [batch.series[code] for batch in batches for code in batch.codes.tolist()]
    assert names[:4] == ["pier", "quay", "pier", "quay"]
    values = [value for batch in batches for value in batch.values[:, 0].tolist()]
    assert values[1::2] == levels


def get_or_nothing(url: str) -> str:
    try:
        return get(url)
    except OSError:
        return ""
