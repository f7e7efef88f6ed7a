"""`tidegauge maintenance`: beside a daemon that runs and on a state that none holds; a kill -9 takes nothing back."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import Any

from tests.daemon.cli.small_inputs import READINGS, configuration, readings
from tests.e2e.processes import Daemon, commanded, json_of, tidegauge, until


def test_windows_are_added_listed_and_ended(tmp_path: Path) -> None:
    """A daemon takes them while it runs, knows them after a kill, and so does the list without one; replay has them."""
    config = configuration(tmp_path)
    readings(tmp_path / "tide.csv")

    def ask(*words: str) -> Any:
        return json_of("maintenance", *words, "--config", config, cwd=tmp_path)

    def refused(*words: str, status: int = 1) -> str:
        return tidegauge("maintenance", *words, "--config", config, cwd=tmp_path, status=status).stderr

    with commanded(config, READINGS) as daemon:
        (now,) = ask("add", "--series", "p*", "--for", "2h", "--no-learn", "--note", "painting")
        assert (now["stream"], now["series"], now["learn"], now["end"] > now["start"]) == ("tide", "p*", False, True)
        (weekly,) = ask("add", "--weekly", "Sun 02:00", "--for", "4h", "--from", "2026-03-01")
        (gone,) = ask("add", "--series", "x", "--from", "2040-01-01T22:00", "--to", "2040-01-02T06:00")
        assert gone["state"] == "ahead"
        assert "how long" in refused("add")
        assert "that window is over" in refused("add", "--from", "2001-01-01", "--to", "2001-01-02")
        assert "set end after start" in refused("add", "--from", "2041-01-02", "--to", "2041-01-01")
        assert "not days and a time" in refused("add", "--weekly", "soon", "--for", "1h")
        assert "before 1970" in refused("add", "--from", "0001-01-01", "--to", "9999-12-31")
        assert "there is no stream 'odd'" in refused("add", "--stream", "odd", "--for", "1h")
        assert "no window that was added is called 'zz'" in refused("end", "zz")
        (said,) = ask("end", gone["id"][:5])
        assert said["end"] == said["start"]
        daemon.end(signal.SIGKILL)
    kept = [now["id"], weekly["id"]]
    assert [each["id"] for each in ask("list")] == kept
    with Daemon(config) as again:
        again.loaded()
        until("it answers", lambda: [each["id"] for each in ask("list")] == kept)
        (ended,) = ask("end", weekly["id"])
        assert ended["weekly"] == "Sun 02:00"
        assert ended["end"] is not None
        assert again.end() == 0
    assert {each["id"]: each["state"] for each in ask("list")}[weekly["id"]] == "over"
    assert "is over since" in refused("end", weekly["id"])
    listed = tidegauge("maintenance", "list", "--config", config, cwd=tmp_path).stdout
    assert "painting" in listed
    assert json_of("replay", "--journal", "state", cwd=tmp_path)["equal"]
