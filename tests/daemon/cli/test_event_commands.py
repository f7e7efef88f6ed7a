"""`tidegauge events show` and `events follow`: one event whole, and events as they are recorded."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from daemon.engine.messages.events import Event
from daemon.store import Store
from tests.daemon.cli.small_inputs import configuration, readings
from tests.e2e.processes import json_of, tidegauge


@pytest.fixture
def state(tmp_path: Path) -> Path:
    """The state after a replay of two readings above the limit."""
    config, file = configuration(tmp_path), readings(tmp_path / "tide.csv")
    tidegauge("replay", file, "--config", config, "--state", tmp_path / "state", cwd=tmp_path)
    return tmp_path / "state"


def test_one_event_is_shown_whole(state: Path) -> None:
    """The first digits of an id choose it; it is told in words with what was read, and earlier ones like it."""
    first, *_, last = json_of("events", "list", "--state", state, "--reason", "limit", cwd=state)
    words = tidegauge("events", "show", last["id"][:8], "--state", state, cwd=state).stdout
    assert f"{last['id']}  tide/pier" in words
    assert "outside the configured physical range" in words
    assert f"value       {last['value'][0]:.6g} at" in words
    assert words.splitlines()[-1].startswith(first["id"][:8])
    whole = json_of("events", "show", last["id"], "--state", state, cwd=state)
    assert {key: whole[key] for key in last} == last
    assert [each["id"] for each in whole["similar"]][-1] == first["id"]
    assert [each["revision"] for each in whole["revisions"]] == list(range(last["revision"] + 1))


def test_an_id_that_chooses_nothing_or_too_much(state: Path) -> None:
    """One line says so."""
    assert (
        "no event's id begins with 'zz'"
        in tidegauge("events", "show", "zz", "--state", state, cwd=state, status=1).stderr
    )
    assert "give more digits" in tidegauge("events", "show", "", "--state", state, cwd=state, status=1).stderr


def test_events_are_followed(state: Path) -> None:
    """What is recorded meanwhile is printed, once, and Ctrl-C is no failure."""
    command = [sys.executable, "-m", "daemon.cli", "events", "follow", "--state", str(state), "--last", "1", "--json"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        before = json.loads(process.stdout.readline())
        with Store.open(state) as store:
            new = Event.from_json(before | {"id": "0" * 16, "revision": 0})
            store.record_events([new])
        assert json.loads(process.stdout.readline())["id"] == "0" * 16
        process.send_signal(signal.SIGINT)
        assert process.stdout.read() == ""
    assert process.returncode == 0
