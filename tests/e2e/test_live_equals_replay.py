"""A growing file tailed by the real daemon, scraped by a real Prometheus: what comes out is what replay says."""

from __future__ import annotations

from pathlib import Path

from tests.conftest import need
from tests.e2e.processes import (
    Daemon,
    Prometheus,
    Writer,
    get,
    json_of,
    lines_of,
    revisions,
    running,
    samples,
    tidegauge,
    until,
)

CONFIGURATION = """\
version: 1
state_dir: state
streams:
  taxi:
    sources: [{type: file, path: nyc_taxi.csv}]
    interval: 30m
    timezone: America/New_York
    clock: event
events: {file: events.jsonl}
http: {listen: "127.0.0.1:0"}
log: {format: plain}
"""
ROWS = 10_320
SERIES = (("series", "nyc_taxi"), ("stream", "taxi"))


def test_live_scraped_and_replayed(tmp_path: Path, shared_data: Path) -> None:
    """A file written in odd pieces gives, live, the state and events of replay; Prometheus has the daemon's numbers."""
    program = need("prometheus")
    config = tmp_path / "tidegauge.yaml"
    config.write_text(CONFIGURATION)
    header, *rows = (shared_data / "nab/data/realKnownCause/nyc_taxi.csv").read_bytes().splitlines(keepends=True)
    assert len(rows) == ROWS
    rows[-1] = rows[-1].rstrip() + b"\n"  # as shipped it ends without one, and a line is whole only with it
    with Writer(tmp_path / "nyc_taxi.csv", [header, *rows], seed=1) as writer, Daemon(config) as daemon:
        address = daemon.loaded()
        with Prometheus(program, tmp_path / "prometheus", address.removeprefix("http://")) as prometheus:
            _run_scraped(writer, daemon, prometheus)
        worker = daemon.worker()
        assert worker is not None
        assert daemon.end() == 0, daemon.said()
    assert not running(worker)
    _expect_same_as_replay(tmp_path, config)


def _run_scraped(writer: Writer, daemon: Daemon, prometheus: Prometheus) -> None:
    """Let all be written and read; Prometheus sees it begin, go on and end."""
    accepted = 'tidegauge_readings_accepted_total{stream="taxi"}'
    until("a scrape", lambda: prometheus.value("up") == 1.0)
    assert prometheus.value(accepted) == 0
    writer.allow(1 + ROWS // 2)  # the header is a line too
    until("half of it in Prometheus", lambda: prometheus.value(accepted) == ROWS // 2)
    writer.finish()
    until("all of it in Prometheus", lambda: prometheus.value(accepted) == ROWS)
    assert prometheus.value("up") == 1.0
    text = get(f"{daemon.address()}/metrics")
    for name in ("tidegauge_anomalies_total", "tidegauge_reconstruction_error"):
        own = samples(text, name)
        assert {_written(labels): value for labels, value in prometheus.query(name).items()} == own
        assert own
    assert (prometheus.value("sum(tidegauge_anomalies_total)") or 0) > 0
    assert (prometheus.query("tidegauge_reconstruction_error")[SERIES]) > 0


def _written(labels: tuple[tuple[str, str], ...]) -> str:
    """Labels as the exposition writes them."""
    return "{" + ",".join(f'{name}="{value}"' for name, value in labels) + "}"


def _expect_same_as_replay(directory: Path, config: Path) -> None:
    recorded = revisions(config)
    assert len(recorded) >= 10
    state = tidegauge("status", "--digest", "--config", config, cwd=directory).stdout.strip()
    file = directory / "nyc_taxi.csv"
    replayed = json_of("replay", file, "--config", config, "--record", "replayed.jsonl", cwd=directory)
    assert (replayed["readings"], replayed["state_sha256"]) == (ROWS, state)
    assert lines_of(directory / "replayed.jsonl") == recorded
    assert lines_of(directory / "events.jsonl") == recorded
    assert lines_of(directory / "stdout") == recorded
    repeated = json_of("replay", "--journal", directory / "state", cwd=directory)
    assert (repeated["equal"], repeated["state_sha256"], repeated["events"]) == (True, state, len(recorded))
