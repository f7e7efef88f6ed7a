"""Commands beside a running daemon, and the ways to start one."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path

from tests.daemon.cli.small_inputs import READINGS, configuration, readings
from tests.e2e.processes import TIDEGAUGE, Daemon, json_of, lines_of, revisions, tidegauge, until


def test_quick_start(tmp_path: Path) -> None:
    """`init`, `check` and `run` as README says; a file put where the sample looks is read."""
    said = tidegauge("init", cwd=tmp_path).stdout
    assert said == "wrote tidegauge.yaml; next: tidegauge check --config tidegauge.yaml\n"
    config = tmp_path / "tidegauge.yaml"
    shown = tidegauge("check", "--config", "tidegauge.yaml", cwd=tmp_path).stdout
    assert re.search(r"^version: 1$", shown, re.MULTILINE)
    assert json_of("check", cwd=tmp_path)["version"] == 1
    sample = config.read_text()
    config.write_text(sample.replace("# listen: 127.0.0.1:9898", "listen: 127.0.0.1:0"))
    assert config.read_text() != sample
    (tmp_path / "readings").mkdir()
    (tmp_path / "readings" / "meter-7.csv").write_text(
        "timestamp,value\n2024-03-01 00:00:00,10844\n2024-03-01 00:30:00,8127\n"
    )
    with Daemon(config) as daemon:
        daemon.loaded()
        until("both readings", lambda: daemon.has_read(2))
        ((labels, value),) = daemon.metric("tidegauge_reading").items()
        assert 'series="meter-7"' in labels
        assert value == 8127
        assert daemon.end() == 0


def test_beside_a_running_daemon(tmp_path: Path) -> None:
    """`status`, `events list` and `models list` answer while the daemon runs, in words and as JSON."""
    config = configuration(tmp_path, listen="127.0.0.1:0")
    readings(tmp_path / "tide.csv")
    with Daemon(config) as daemon:
        address = daemon.loaded().removeprefix("http://")
        until("all read", lambda: daemon.has_read(READINGS))
        asking = configuration(tmp_path, listen=address, name="asking.yaml")
        status = json_of("status", "--config", asking, cwd=tmp_path)
        assert status["ready"] is True
        assert list(status["streams"]) == ["tide"]
        words = tidegauge("status", "--config", asking, cwd=tmp_path).stdout
        assert f"{READINGS} accepted" in words
        events = json_of("events", "list", "--config", config, cwd=tmp_path)
        assert len(events) >= 2
        assert all(event["series"] == "pier" for event in events)
        listed = tidegauge("events", "list", "--config", config, cwd=tmp_path).stdout.splitlines()
        assert len(listed) == len(events)
        assert json_of("events", "list", "--config", config, "--series", "none", cwd=tmp_path) == []
        early = json_of("events", "list", "--config", config, "--until", "2026-03-10", cwd=tmp_path)
        assert 0 < len(early) < len(events)
        models = json_of("models", "list", "--config", config, cwd=tmp_path)
        assert [(m["stream"], m["version"], m["status"]) for m in models] == [
            ("tide", 1, "promoted"),
            ("tide", 2, "promoted"),
        ]
        assert "promoted" in tidegauge("models", "list", "--config", config, cwd=tmp_path).stdout
        assert daemon.end() == 0


def test_ready_at_once_after_training(tmp_path: Path) -> None:
    """`train --from FILE` makes the series ready; the daemon then scores the first reading it gets."""
    config = configuration(tmp_path)
    history = readings(tmp_path / "history.csv", stop=199)
    said = json_of("train", "--from", history, "--config", config, cwd=tmp_path)
    assert (said["readings"], said["rejected"], said["ready"], said["series"]) == (199, {}, 1, 1)
    readings(tmp_path / "tide.csv", start=199, stop=202)
    with Daemon(config) as daemon:
        daemon.loaded()
        until("all read", lambda: daemon.has_read(202))
        series = daemon.metric("tidegauge_series")
        assert series['{status="ready",stream="tide"}'] == 1
        assert daemon.metric("tidegauge_rarity")['{series="pier",stream="tide"}'] > 0
        assert daemon.end() == 0
    (first, *_) = revisions(config)
    assert "limit" in first["reasons"]


def test_short_history_is_trained_on(tmp_path: Path) -> None:
    """A history shorter than the warm-up is enough when `train --from` says so."""
    config = configuration(tmp_path)
    history = readings(tmp_path / "history.csv", stop=60)
    done = tidegauge("train", "--from", history, "--config", config, cwd=tmp_path)
    assert "1 of 1 series are ready after 60 readings" in done.stdout


def test_standard_input(tmp_path: Path) -> None:
    """`cat FILE | tidegauge run` reads to the end, ends by itself with 0, and leaves what replay says."""
    config = configuration(tmp_path, source="{type: stdin}")
    file = readings(tmp_path / "tide.csv")
    with subprocess.Popen(["cat", str(file)], stdout=subprocess.PIPE) as cat:
        assert cat.stdout is not None
        with Daemon(config, stdin=cat.stdout.fileno()) as daemon:
            assert daemon.process.wait(60) == 0
    state = tidegauge("status", "--digest", "--config", config, cwd=tmp_path).stdout.strip()
    replayed = json_of("replay", file, "--config", config, "--record", "replayed.jsonl", cwd=tmp_path)
    assert (replayed["readings"], replayed["state_sha256"]) == (READINGS, state)
    assert lines_of(tmp_path / "stdout") == lines_of(tmp_path / "replayed.jsonl") == revisions(config)


def test_a_file_played_to_a_daemon(tmp_path: Path) -> None:
    """`replay FILE --to file:PATH --speed` writes each line when its time has come, for a daemon that tails PATH."""
    config = configuration(tmp_path)
    recorded = readings(tmp_path / "recorded.csv", stop=120)
    with Daemon(config) as daemon:
        daemon.loaded()
        command: list[str | Path] = [TIDEGAUGE, "replay", recorded, "--config", config, "--to", "file:tide.csv"]
        player = subprocess.Popen([*command, "--speed", "200000x"], cwd=tmp_path, stdout=subprocess.PIPE, text=True)
        with player:
            until("some are there", lambda: daemon.has_read(1), every_s=0.05)
            assert not daemon.has_read(120)  # 120 hours take 2.1 s
            said = player.communicate(timeout=60)[0]
        assert (player.returncode, said) == (0, "121 lines sent to file:tide.csv\n")
        until("all read", lambda: daemon.has_read(120))
        assert daemon.end() == 0
    assert (tmp_path / "tide.csv").read_bytes() == recorded.read_bytes()


def test_going_on_with_a_state(tmp_path: Path) -> None:
    """Two halves replayed with `--state` are one run, and its journal repeats it."""
    config = configuration(tmp_path)
    whole = readings(tmp_path / "whole.csv")
    halves = [readings(tmp_path / "one.csv", stop=170), readings(tmp_path / "two.csv", start=170)]
    options = ["--config", str(config), "--state", "halves"]
    found = [json_of("replay", half, *options, cwd=tmp_path) for half in halves]
    once = json_of("replay", whole, "--config", config, cwd=tmp_path)
    assert [each["readings"] for each in found] == [170, READINGS - 170]
    assert found[-1]["state_sha256"] == once["state_sha256"]
    done = tidegauge("replay", "--journal", "halves", "--json", cwd=tmp_path)
    assert json.loads(done.stdout)["equal"] is True
