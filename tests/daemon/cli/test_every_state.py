"""Every command about a state: beside a daemon that runs, without one, and with a broken configuration on disk."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
from typer.testing import CliRunner

from daemon.cli.main import app
from daemon.presentation import console
from daemon.store import Store
from daemon.web.control_client import reachable
from tests.daemon.cli.small_inputs import READINGS, configuration, readings
from tests.e2e.processes import Daemon, commanded, get, tidegauge, until

LOOKING = {
    "events list": "pier",
    "events list --revisions": "pier",
    "events show EVENT": "outside the configured physical range",
    "explain EVENT": "outside the configured physical range",
    "series list": "pier",
    "series list p*": "pier",
    "series show pier": "ready",
    "label list": "",
    "exclude --list": "",
    "maintenance list": "",
    "models list": "promoted",
    "state check": "sound",
    "status": "tide: watching 1 series",
}
"""Commands that look, and what is in their words."""
PERIOD = "--series p* --from 2026-03-11T{hour:02d}:00 --to 2026-03-11T{hour:02d}:30"
CHANGING = (
    "label fault " + PERIOD,
    "label normal " + PERIOD,
    "exclude " + PERIOD,
    "models promote 1",
    "maintenance add --for {hour}h",
)
"""Commands that change something."""


def run(config: Path, words: str, *more: str) -> tuple[int, str, str]:
    """Exit code, standard output and standard error, on a terminal of 80 columns."""
    with patch.object(console, "on_terminal", lambda: True):
        done = CliRunner(env={"COLUMNS": "80"}).invoke(app, [*words.split(), "--config", str(config), *more])
    return done.exit_code, done.stdout, done.stderr


def check(config: Path, event: str, skipped: tuple[str, ...] = (), warned: bool = False) -> None:
    """Hold every command that looks against its row of the table."""
    for command, word in LOOKING.items():
        if command in skipped:
            continue
        words = command.replace("EVENT", event)
        code, out, error = run(config, words)
        assert (code, word in out) == (0, True), (command, out, error)
        assert ("cannot be used" in error) == warned, (command, error)
        if command != "state check":  # which names a path
            assert all(len(line) <= 80 for line in out.splitlines()), (command, out)
        code, out, _ = run(config, words, "--json")
        assert code == 0, command
        json.loads(out)


def change(config: Path, hour: int) -> None:
    """Have every command that changes something do it, each to a period of its own."""
    for number, command in enumerate(CHANGING):
        code, out, error = run(config, command.format(hour=hour + number), "--json")
        assert code == 0, (command, error)
        assert json.loads(out), command


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Daemon, Path]]:
    """A daemon that has read everything and written a checkpoint, and its configuration."""
    directory = tmp_path_factory.mktemp("running")
    config = configuration(directory, listen="127.0.0.1:0")
    config.write_text(config.read_text().replace("state_dir:", "checkpoint: {every: 1s}\nstate_dir:"))
    readings(directory / "tide.csv")
    with commanded(config, READINGS) as daemon:
        until("a checkpoint", lambda: list((directory / "state" / "checkpoints").glob("*.tgc")))
        yield daemon, config


def first_event(config: Path) -> str:
    found: list[dict[str, Any]] = json.loads(run(config, "events list --reason limit", "--json")[1])
    return str(found[0]["id"])[:8]


def test_every_command(running: tuple[Daemon, Path]) -> None:
    """While it runs, with its file broken meanwhile, after its end, and broken then: what can be told is told."""
    daemon, config = running
    event, sound = first_event(config), config.read_text()
    check(config, event)
    change(config, 0)
    config.write_text("version: 1\nstate_dir: 'state'  # beside this file\nstreams: {tide: {interval: soon}}\n")
    check(config, event, warned=True)
    change(config, 5)
    config.write_text(sound)
    assert "ready" in get(f"{daemon.address()}/-/ready").lower()
    assert "its page has what came since" in run(config, "series list")[2]
    assert daemon.end() == 0
    with socket.socket(socket.AF_UNIX) as stale, reachable(config.parent / "state") as path:
        stale.bind(path)
    assert run(config, "series list")[2] == "", "one that was killed leaves its socket"
    down = ("status",)
    check(config, event, down)
    change(config, 10)
    code, out, error = run(config, "status")
    assert (code, out) == (1, "")
    assert "no daemon answers" in error
    config.write_text("streams: [\n")
    config.with_name("tidegauge-state").symlink_to(config.parent / "state")
    check(config, event, down, warned=True)
    change(config, 15)


def test_without_any_state_the_mistake_is_what_is_said(tmp_path: Path) -> None:
    """A broken file beside which there is no state is the problem itself, with its line."""
    config = tmp_path / "tidegauge.yaml"
    config.write_text("version: 1\nstreams: {tide: {interval: soon}}\n")
    for command in ("events list", "series list", "status", "label list", "models list"):
        code, out, error = run(config, command)
        assert (code, out) == (78, "")
        assert "streams.tide.interval" in error


def test_series_before_any_checkpoint(tmp_path: Path) -> None:
    """What series there are is not known yet, which is said, and not that there are none."""
    config = configuration(tmp_path)
    Store.open(tmp_path / "state").close()
    for command in ("series list", "series show pier"):
        code, out, error = run(config, command)
        assert (code, out) == (1, "")
        assert "no checkpoint yet" in error


def test_the_manual_page_has_every_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is made of the commands there are, and completion for a shell is printed."""
    page = CliRunner().invoke(app, ["man"]).stdout
    assert page.startswith(".TH TIDEGAUGE 1")
    for command in ("what\\-if", "exclude", "events follow", "series show NAME", "label fault EVENTS", "explain EVENT"):
        assert f".SS tidegauge {command}" in page
    monkeypatch.setenv("_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION", "1")  # what runs a test need be no shell
    assert "tidegauge_completion" in tidegauge("--show-completion", "bash", cwd=tmp_path).stdout
