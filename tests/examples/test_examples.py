"""Each example does what its README says: the commands of its block are run in a copy of its directory.

Ports are changed to free ones in the copy, in every file, the README included. A command that goes on (a daemon,
Prometheus) is left running; the last one is repeated until it shows what the README promises.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.conftest import ROOT, need
from tests.e2e.processes import TIDEGAUGE, Daemon, tidegauge, until

EXAMPLES = ROOT / "examples"
NAMES = sorted(path.parent.name for path in EXAMPLES.glob("*/README.md"))
_BLOCK = re.compile(r"^```sh\n(.*?)^```\n", re.MULTILINE | re.DOTALL)
_PORTS = ("9898", "9899", "9090", "1883")


def commands(readme: Path) -> list[str]:
    """The lines of its one block of commands."""
    (block,) = _BLOCK.findall(readme.read_text(encoding="utf-8"))
    return [line for line in block.splitlines() if line]


@pytest.fixture
def copied(tmp_path: Path) -> Callable[[str], Path]:
    """Copies an example, with free ports in place of its own."""

    def copy(name: str) -> Path:
        directory = shutil.copytree(EXAMPLES / name, tmp_path / name, ignore=shutil.ignore_patterns("state", "in"))
        with contextlib.ExitStack() as held:
            probes = [held.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in _PORTS]
            free = dict(zip(_PORTS, [str(probe.getsockname()[1]) for probe in probes], strict=True))
        for path in (path for path in directory.iterdir() if path.is_file()):
            text = re.sub(r"127\.0\.0\.1:(\d+)", lambda m: f"127.0.0.1:{free.get(m[1], m[1])}", path.read_text())
            text = re.sub(r'\("127\.0\.0\.1", (\d+)\)', lambda m: f'("127.0.0.1", {free.get(m[1], m[1])})', text)
            text = re.sub(r"^listener (\d+)", lambda m: f"listener {free.get(m[1], m[1])}", text)
            path.write_text(text)
        return directory

    return copy


def ran(directory: Path, command: str) -> str:
    """What a command prints that ends; the test fails unless it ends well."""
    words = command.split()
    words[0] = {"tidegauge": str(TIDEGAUGE), "python3": sys.executable}[words[0]]
    environment = os.environ | {"PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run(
        words, cwd=directory, capture_output=True, text=True, check=False, timeout=200, env=environment
    )
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def follow(directory: Path, wanted: Sequence[Sequence[str]]) -> None:
    """Run the README's commands, until the last one shows for each of `wanted` a line with all of its texts."""
    *before, last = commands(directory / "README.md")

    def shown() -> bool:
        lines = ran(directory, last).splitlines()
        return all(any(all(text in line for text in texts) for line in lines) for texts in wanted)

    with contextlib.ExitStack() as running:
        for command in before:
            if command == "tidegauge run":
                running.enter_context(Daemon(directory / "tidegauge.yaml")).loaded()
            elif (program := command.split()[0]) in ("prometheus", "mosquitto"):
                words = [str(need(program)), *command.split()[1:]]
                log = running.enter_context((directory / f"{program}.log").open("wb"))
                process = subprocess.Popen(words, cwd=directory, stdout=log, stderr=log)
                running.callback(process.wait)
                running.callback(process.kill)
            else:
                ran(directory, command)
        until(f"{last} shows {wanted}", shown, limit_s=240, every_s=0.5)


@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        ("nightly", [("meters/meter-2", "no readings"), ("meters/meter-4", "the model did not expect it")]),
        ("remote-write", [("targets/nothing scrape_samples_scraped", "outside the configured physical range")]),
        ("telegraf", [("cpu/pier,cpu1", "outside the configured physical range", "closed")]),
        ("nem12", [("nem/6001234567/E1", "outside the configured physical range", "value 25")]),
        ("home-assistant", [("Freezer alarm: ON",), ("Fridge alarm: OFF",)]),
        ("python-sender", [("tide/pier", "outside the configured physical range", "value 41")]),
    ],
)
def test_an_example_shows_what_its_readme_says(
    name: str, wanted: list[tuple[str, ...]], copied: Callable[[str], Path]
) -> None:
    """Its commands, as they stand, end in a list of events with those that the README promises."""
    for program in {"remote-write": ["prometheus"], "home-assistant": ["mosquitto"]}.get(name, []):
        need(program)
    follow(copied(name), wanted)


def test_a_configuration_is_held_against_recorded_events(copied: Callable[[str], Path]) -> None:
    """The README's commands pass; with another limit the last one fails, and says what is different."""
    directory = copied("replay-test")
    for command in commands(directory / "README.md"):
        ran(directory, command)
    expect = commands(directory / "README.md")[-1].split()[1:]
    config = directory / "tidegauge.yaml"
    recorded = [json.loads(line) for line in (directory / "expected.jsonl").read_text().splitlines()]
    assert {tuple(each["reasons"]) for each in recorded} == {("gap",), ("limit",)}
    config.write_text(config.read_text().replace("max: 90", "max: 900"))
    lines = tidegauge(*expect, cwd=directory, status=1).stderr.splitlines()
    assert any("recorded was ('limit',)" in line for line in lines)


def test_a_sender_waits_for_a_daemon_that_is_not_there_yet(copied: Callable[[str], Path]) -> None:
    """The Python sender started before the daemon sends everything once the daemon is there, and each reading once."""
    directory = copied("python-sender")
    with subprocess.Popen([sys.executable, "-u", "sender.py"], cwd=directory, stdout=subprocess.PIPE) as sender:
        assert sender.stdout is not None
        assert b"again in" in sender.stdout.readline()
        with Daemon(directory / "tidegauge.yaml") as daemon:
            daemon.loaded()
            assert sender.wait(120) == 0
            assert sum(daemon.metric("tidegauge_readings_accepted_total").values()) == 72


def test_every_example_is_run_and_listed() -> None:
    """Each directory has a README with one block of commands, and stands in the list and in docs/examples.md."""
    assert sorted(path.name for path in EXAMPLES.iterdir() if path.is_dir()) == NAMES
    listed, page = (EXAMPLES / "README.md").read_text(), (ROOT / "docs/examples.md").read_text()
    for name in NAMES:
        assert commands(EXAMPLES / name / "README.md"), name
        assert f"]({name}/README.md)" in listed, name
        assert f"](../examples/{name}/README.md)" in page, name
    source = Path(__file__).read_text(encoding="utf-8")
    assert [name for name in NAMES if f'"{name}"' not in source] == []


@pytest.mark.parametrize("path", sorted(EXAMPLES.rglob("*.y*ml")), ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_its_files_are_well_formed(path: Path) -> None:
    """Each is YAML; Telegraf's file names the address that its neighbour listens on."""
    read: Any = yaml.safe_load(path.read_text(encoding="utf-8"))
    assert read
    if path.parent.name == "telegraf":
        (source,) = read["streams"]["cpu"]["sources"]
        assert f'address = "tcp://{source["listen"]}"' in (path.parent / "telegraf.conf").read_text()
