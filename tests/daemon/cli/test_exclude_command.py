"""`tidegauge exclude`: beside a daemon that runs and on a state that none holds; a kill -9 takes nothing back."""

from __future__ import annotations

import signal
from pathlib import Path

from tests.daemon.cli.small_inputs import READINGS, configuration, readings
from tests.e2e.processes import commanded, json_of, tidegauge

PERIOD = ("--from", "2026-03-11", "--to", "2026-03-11T06:00Z")


def test_exclude(tmp_path: Path) -> None:
    """A daemon does it while it runs; what it said of it is in the journal, which repeats it; then it is listed."""
    config = configuration(tmp_path)
    readings(tmp_path / "tide.csv")
    with commanded(config, READINGS) as daemon:
        options = ("--config", config, "--stream", "tide")
        found = json_of("exclude", "--series", "p*", *PERIOD, *options, "--note", "valve stuck", cwd=tmp_path)
        assert (found["stream"], found["series"], found["matched"]) == ("tide", "p*", 1)
        assert found["until"] - found["since"] == 5 * 3600
        daemon.end(signal.SIGKILL)
    said = tidegauge("exclude", "--from", "2026-03-02", "--to", "2026-03-02T02:00", "--config", config, cwd=tmp_path)
    assert "tide/*, 2026-03-02 00:00 UTC to 2026-03-02 01:00 UTC: nothing of it is learned any more" in said.stdout
    listed = json_of("exclude", "--list", "--config", config, cwd=tmp_path)
    assert [(each["series"], each["note"]) for each in listed] == [("p*", "valve stuck"), ("*", "")]
    assert json_of("replay", "--journal", "state", cwd=tmp_path)["equal"]
