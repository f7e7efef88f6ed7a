"""Metrics written to a real Prometheus that scrapes nothing: what is open is there, whoever is killed meanwhile."""

from __future__ import annotations

import signal
import socket
import time
from pathlib import Path

import yaml

from tests.conftest import need
from tests.e2e.processes import Daemon, Prometheus, until

_RECEIVE = ["--web.enable-remote-write-receiver"]
_NOBODY = "127.0.0.1:1"


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


def test_what_is_open_outlives_both_sides(tmp_path: Path) -> None:
    """An episode that is open shows after a kill of Prometheus, of its data, and of Tidegauge, and ends when it ends.

    What was taken while Prometheus was away comes later: the series has no hole.
    """
    program, port = need("prometheus"), free_port()
    config, readings = tmp_path / "tidegauge.yaml", tmp_path / "tide.csv"
    stream = {
        "sources": [{"path": "tide.csv"}],
        "format": {"series": "series", "columns": ["timestamp", "series", "value"]},
        "interval": "1h",
        "clock": "event",
        "warm_up": "4d",
        "model": {"window": 8, "copies": 1},
        "alerts": {"limits": {"max": 100}},
    }
    write = {"url": f"http://127.0.0.1:{port}/api/v1/write", "every": "1s", "labels": ["instance=pier-house"]}
    settings = {"version": 1, "state_dir": "state", "streams": {"tide": stream}, "events": {"stdout": False}}
    settings |= {"http": {"listen": "127.0.0.1:0"}, "log": {"format": "plain"}, "metrics": {"remote_write": [write]}}
    config.write_text(yaml.safe_dump(settings))
    hours = iter(f"2026-03-{1 + hour // 24:02}T{hour % 24:02}:00:00Z" for hour in range(24 * 20))

    def append(*values: float) -> None:
        with readings.open("a") as file:
            file.writelines(f"{next(hours)},pier,{value}\n" for value in values)

    def prometheus(name: str) -> Prometheus:
        return Prometheus(program, tmp_path / name, _NOBODY, options=_RECEIVE, port=port)

    append(7, 8, 7, 500)
    with Daemon(config) as daemon:
        daemon.loaded()
        with prometheus("first") as first:
            until("its severity", lambda: first.query("tidegauge_episode_severity") or None)
            assert first.value('tidegauge_episode_open{series="pier",instance="pier-house",job="tidegauge"}') == 1
            first.kill()
        lost = time.time()
        until("failures", lambda: sum(daemon.metric("tidegauge_remote_write_failures_total").values()) > 1)
        with prometheus("first") as first:
            until("what waited", lambda: not sum(daemon.metric("tidegauge_remote_write_waiting_bytes").values()))
            taken = first.value(f"count_over_time(tidegauge_episode_open[{int(time.time() - lost) + 1}s])")
            assert taken is not None and taken >= int(time.time() - lost) - 2, "no hole"
            assert first.value("tidegauge_episode_severity") is not None
        with prometheus("second") as second:
            until("it shows to one that knows nothing", lambda: second.query("tidegauge_episode_severity") or None)
            daemon.end(signal.SIGKILL)
            with Daemon(config) as again:
                again.loaded()
                loaded, written = time.time(), "timestamp(tidegauge_episode_severity)"
                until("this life has written it, too", lambda: (second.value(written) or 0) > loaded)
                append(*[7] * 6)
                until("its end", lambda: second.value("tidegauge_episode_open") == 0)
                assert not second.query("tidegauge_episode_severity"), "stale at once, not after five minutes"
                assert again.end() == 0
            assert "refused" not in again.said()
