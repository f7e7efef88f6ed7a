"""Exit codes 0, 1, 2 and 78, and one line each that says what is wrong and what to do."""

from __future__ import annotations

import importlib.metadata
import socket
from pathlib import Path

import pytest

from tests.daemon.cli.small_inputs import configuration, readings
from tests.e2e.processes import Daemon, tidegauge


def test_version(tmp_path: Path) -> None:
    """`--version` prints the distribution's."""
    done = tidegauge("--version", cwd=tmp_path)
    assert done.stdout == f"tidegauge {importlib.metadata.version('tidegauge')}\n"


@pytest.mark.parametrize("command", [["frobnicate"], ["replay", "--batch", "0"], ["run", "--colour"]])
def test_usage(command: list[str], tmp_path: Path) -> None:
    """An unknown command, option or value is usage: 2."""
    assert tidegauge(*command, cwd=tmp_path, status=2).stderr


@pytest.mark.parametrize(
    ("command", "line"),
    [
        (["run"], "tidegauge: no configuration: neither tidegauge.yaml nor /etc/tidegauge/tidegauge.yaml exists; "),
        (["replay"], "tidegauge: nothing to replay: give a FILE, or --journal DIR"),
        (["replay", "x.csv", "--config", "two.yaml"], "tidegauge: which stream? --stream is one of a, b"),
        (["replay", "x.csv", "--interval", "30"], "command line: interval "),
        (
            ["replay", "tide.csv", "--to", "tcp:9"],
            "tidegauge: --to tcp:9 is no target; write file:PATH, tcp://HOST:PORT, udp://HOST:PORT or unix://PATH",
        ),
        (
            ["replay", "tide.csv", "--to", "file:x", "--speed", "fast"],
            "tidegauge: --speed fast: write a number and an x",
        ),
        (["events", "list", "--config", "one.yaml", "--since", "noon"], "tidegauge: 'noon' is no instant"),
    ],
)
def test_usage_in_a_line(command: list[str], line: str, tmp_path: Path) -> None:
    """What options cannot be together, or cannot be read, is one line and 2."""
    readings(tmp_path / "tide.csv", stop=30)
    configuration(tmp_path, name="one.yaml")
    (tmp_path / "two.yaml").write_text("version: 1\nstreams: {a: {}, b: {}}\n")
    lines = tidegauge(*command, cwd=tmp_path, status=2).stderr.splitlines()
    assert lines[-1].startswith(line)
    assert len(lines) == 1 or lines[:-1] == ["interval: 3600 s, inferred from tide.csv"]


@pytest.mark.parametrize(
    ("command", "line"),
    [
        (["replay", "x.csv"], "tidegauge: x.csv: No such file or directory"),
        (["replay", "--journal", "state"], "tidegauge: state/tidegauge.db: there is no state here; "),
        (["events", "list", "--config", "tidegauge.yaml"], "there is no state here; check state_dir, or start "),
        (["models", "list", "--config", "tidegauge.yaml"], "there is no state here; check state_dir, or start "),
        (["status", "--digest", "--config", "tidegauge.yaml"], "there is no state here; check state_dir, or start "),
        (["status", "--config", "tidegauge.yaml"], "; is it running? tidegauge run"),
        (["train", "--from", "x.csv", "--config", "tidegauge.yaml"], "tidegauge: x.csv: No such file or directory"),
        (["train", "--from", "tidegauge.yaml", "--config", "tidegauge.yaml"], "no reading was accepted"),
        (["init"], "tidegauge: tidegauge.yaml exists; name another file, or replace it with --force"),
    ],
)
def test_failure(command: list[str], line: str, tmp_path: Path) -> None:
    """What cannot be done is one line and 1."""
    configuration(tmp_path)
    assert line in tidegauge(*command, cwd=tmp_path, status=1).stderr.splitlines()[-1]


def test_looking_at_a_state_makes_none(tmp_path: Path) -> None:
    """Commands that look leave no state directory behind."""
    config = configuration(tmp_path)
    tidegauge("status", "--digest", "--config", config, cwd=tmp_path, status=1)
    tidegauge("events", "list", "--config", config, cwd=tmp_path, status=1)
    assert not (tmp_path / "state").exists()


@pytest.mark.parametrize("command", ["run", "check", "train --from x"])
def test_a_missing_configuration(command: str, tmp_path: Path) -> None:
    """A configuration that is named and not there is 78, with the remedy."""
    done = tidegauge(*command.split(), "--config", "nowhere.yaml", cwd=tmp_path, status=78)
    assert done.stderr.splitlines() == [
        "nowhere.yaml: there is no such file; write one with tidegauge init, or name another with --config"
    ]


@pytest.mark.parametrize("command", ["run", "check"])
def test_a_wrong_configuration(command: str, tmp_path: Path) -> None:
    """Each mistake is one line with file, line, key, value and remedy; 78."""
    (tmp_path / "tidegauge.yaml").write_text(
        "version: 1\nstreams:\n  a:\n    interval: 30\n    sources: [{path: x}]\ncolour: red\n"
    )
    lines = tidegauge(command, cwd=tmp_path, status=78).stderr.splitlines()
    assert len(lines) == 2
    assert lines[0].startswith("tidegauge.yaml:4: streams.a.interval is 30, a duration without its unit; write ")
    assert lines[1].startswith("tidegauge.yaml:6: colour is not a known key; remove it, or use one of ")


def test_a_second_daemon(tmp_path: Path) -> None:
    """A second daemon, and a training, on a state directory in use end with 1 and say which process has it."""
    config = configuration(tmp_path)
    readings(tmp_path / "tide.csv")
    with Daemon(config) as daemon:
        daemon.loaded()
        for command in (["run"], ["train", "--from", "tide.csv"]):
            done = tidegauge(*command, "--config", config, cwd=tmp_path, status=1)
            assert f"the state directory is in use by process {daemon.pid}" in done.stderr.splitlines()[-1]
        assert daemon.end() == 0


def test_a_port_in_use(tmp_path: Path) -> None:
    """An address that another process has is one line and 1, and the daemon does not start."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        config = configuration(tmp_path, listen=f"127.0.0.1:{port}")
        lines = tidegauge("run", "--config", config, cwd=tmp_path, status=1).stderr.splitlines()
    said = f"http.listen is 127.0.0.1:{port}: Address already in use; free it, or set another http.listen"
    assert lines == [f"tidegauge: {said}"]


def test_a_configuration_that_the_state_does_not_fit(tmp_path: Path) -> None:
    """Another interval on an existing state is 78 from every command that would go on with it; nothing is changed."""
    config = configuration(tmp_path)
    readings(tmp_path / "tide.csv")
    tidegauge("train", "--from", "tide.csv", "--config", config, cwd=tmp_path)
    before = tidegauge("status", "--digest", "--config", config, cwd=tmp_path).stdout
    other = configuration(tmp_path, interval="30m", name="other.yaml")
    for command in (["run"], ["train", "--from", "tide.csv"]):
        last = tidegauge(*command, "--config", other, cwd=tmp_path, status=78).stderr.splitlines()[-1]
        assert "streams.tide.interval" in last
        assert "set state_dir to a new directory" in last
    assert tidegauge("status", "--digest", "--config", config, cwd=tmp_path).stdout == before
