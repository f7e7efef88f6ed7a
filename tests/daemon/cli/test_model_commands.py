"""`models promote` and `rollback` while the daemon runs, over its control socket; a kill -9 takes nothing back."""

from __future__ import annotations

import signal
import socket
import stat
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import yaml

from daemon.web.control_client import SOCKET, CommandRefusedError, command
from tests.e2e.processes import Daemon, commanded, json_of, tide, tidegauge, until

ROWS = 420
CONFIGURATION = tide(masked=2, retrain_every=50, gate={"enabled": False}) | {"log": {"format": "plain"}}


def lines(first: int, last: int) -> str:
    """Hourly readings of a tide."""
    rng = np.random.default_rng(0)
    values = 5 + 2 * np.sin(np.arange(last) * 2 * np.pi / 12) + 0.1 * rng.standard_normal(last)
    start = np.datetime64("2026-01-01T00:00")
    stamps = [str(start + np.timedelta64(i, "h")) for i in range(last)]
    return "".join(f"{stamps[i]}Z,{values[i]:.4f}\n" for i in range(first, last))


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """A configuration, and readings enough for some tunings."""
    (tmp_path / "tidegauge.yaml").write_text(yaml.safe_dump(CONFIGURATION))
    (tmp_path / "tide.csv").write_text("timestamp,value\n" + lines(0, ROWS))
    return tmp_path / "tidegauge.yaml"


@pytest.fixture
def daemon(config: Path) -> Iterator[Daemon]:
    """It runs, and has read everything."""
    with commanded(config, ROWS) as started:
        yield started


def serving(config: Path) -> int:
    """Version in service, by the list of models."""
    listed = json_of("models", "list", "--config", config, cwd=config.parent)
    return next(int(each["version"]) for each in listed if each["serving"])


def test_versions_change_while_the_daemon_runs(daemon: Daemon, config: Path) -> None:
    """Back one, any version, and an error that changes nothing; kill -9, and what was asked for still serves."""
    newest = serving(config)
    assert newest >= 4
    said = tidegauge("models", "rollback", "--config", config, cwd=config.parent).stdout
    assert said == f"tide: version {newest - 1} serves from the next reading on\n"
    assert serving(config) == newest - 1
    assert json_of("models", "promote", "1", "--config", config, cwd=config.parent)["version"] == 1
    refused = tidegauge("models", "promote", "99", "--config", config, cwd=config.parent, status=1)
    assert "no model is recorded for tide version 99" in refused.stderr
    assert serving(config) == 1
    statuses = {r["version"]: r["status"] for r in json_of("models", "list", "--config", config, cwd=config.parent)}
    assert statuses[newest] == "rolled_back"
    daemon.end(signal.SIGKILL)
    assert (config.parent / "state" / SOCKET).exists(), "a dead daemon leaves it"
    with (config.parent / "tide.csv").open("a") as file:
        file.write(lines(ROWS, ROWS + 60))
    with Daemon(config) as again:
        again.loaded()
        until("the rest", lambda: again.has_read(ROWS + 60))
        assert again.end() == 0
    assert not (config.parent / "state" / SOCKET).exists()
    latest = json_of("models", "list", "--config", config, cwd=config.parent)[-1]
    first = json_of("models", "list", "--config", config, cwd=config.parent)[0]
    assert latest["version"] == newest + 1
    assert latest["manifest"]["parent"] == first["digest"], "training went on from what was promoted"
    assert json_of("replay", "--journal", "state", cwd=config.parent)["equal"]


def test_the_socket_is_the_owners_and_takes_nothing_else(daemon: Daemon, config: Path) -> None:
    """Nobody else may connect, and what is no command is refused."""
    state = config.parent / "state"
    assert stat.S_IMODE((state / SOCKET).stat().st_mode) == 0o600
    assert stat.S_IMODE(state.stat().st_mode) == 0o700
    for arguments in ({}, {"stream": 5}, {"stream": "tide", "version": "1"}, {"stream": "tide", "version": True}):
        with pytest.raises(CommandRefusedError, match="stream"):
            command(state, "/models/serve", **arguments)
    with pytest.raises(CommandRefusedError, match="holds no state of stream bus"):
        command(state, "/models/serve", stream="bus", version=None)
    with pytest.raises(CommandRefusedError, match="Not Found"):
        command(state, "/models/forget", stream="tide")
    with socket.socket(socket.AF_UNIX) as silent:
        silent.connect(str(state / SOCKET))
        assert daemon.end() == 0, "a client that says nothing does not keep it from ending"
