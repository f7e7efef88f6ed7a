"""The service under a real systemd: installed by the script, under its sandbox, through everything that may befall it.

The tests share one box and follow one another: each leaves the service running and ready.
"""

from __future__ import annotations

import json
import math
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import ROOT, need
from tests.deploy.box import SOURCE, Box, booted
from tests.e2e.processes import samples, until

pytestmark = pytest.mark.timeout(900)  # a machine that is busy compiles for minutes

UNIT = ROOT / "deploy/systemd/tidegauge.service"
CONFIG = "/etc/tidegauge/tidegauge.yaml"
TIDE = """
  tide:
    sources: [{path: /var/spool/tidegauge-tide/*.csv}]
    interval: 1h
    clock: event
    warm_up: 4d
    model: {window: 8, copies: 1, retrain_every: 48}
"""
READINGS = 300
LIMIT_S = 120.0


@pytest.fixture(scope="module")
def box(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Box]:
    """A box in which the install script has run once."""
    with booted(tmp_path_factory.mktemp("box")) as started:
        install(started)
        yield started


def install(box: Box) -> str:
    wheel = box.run("sh", "-c", f"echo {SOURCE}/*.whl").strip()
    return box.run("env", "PIP_NO_INDEX=1", f"{SOURCE}/deploy/install.sh", "--from", wheel)


def ready(box: Box) -> None:
    until("the unit is active", lambda: box.show("ActiveState") == ["active"], LIMIT_S)
    until("it is ready", lambda: "Tidegauge is ready" in box.get("/-/ready"), LIMIT_S)


def pid(box: Box) -> int:
    return int(box.show("MainPID")[0])


def accepted(box: Box) -> int:
    """Readings of the stream `tide` that the daemon has accepted."""
    return int(samples(box.get("/metrics"), "tidegauge_readings_accepted_total").get('{stream="tide"}', 0))


def restarted(box: Box, before: int) -> None:
    """Wait until another process is ready."""
    until("another process", lambda: pid(box) not in (0, before), LIMIT_S)
    ready(box)


def tide() -> str:
    """A file of readings: a tide in March."""
    lines = [
        f"2026-03-{1 + i // 24:02}T{i % 24:02}:00Z,{50 + 30 * math.sin(i * math.tau / 12.42):.3f}"
        for i in range(READINGS)
    ]
    return "timestamp,value\n" + "\n".join(lines) + "\n"


def test_the_sandbox_is_as_tight_as_promised() -> None:
    """`systemd-analyze security` gives the unit an exposure of 1.1 or less."""
    command: list[str | Path] = [
        need("systemd-analyze"),
        "security",
        "--offline=true",
        "--threshold=11",
        "--no-pager",
        str(UNIT),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def test_installed_it_becomes_ready(box: Box) -> None:
    """READY comes when all is compiled and open, with a STATUS in words; the user is the unit's own."""
    assert box.show("Type", "ActiveState", "NRestarts") == ["notify", "active", "0"]
    ready(box)
    until("words", lambda: box.show("StatusText") == ["0 readings of 0 series, 0 open episodes"], 20)
    assert 'state_dir: "/var/lib/tidegauge"' in box.run("cat", CONFIG)
    assert box.run("tidegauge", "check", "--config", CONFIG).startswith("version: 1\n")
    user = box.run("ps", "-o", "user=", "-p", str(pid(box))).strip()
    assert user == "tidegauge"
    assert box.run("stat", "-c", "%U %a", "/var/lib/private/tidegauge/tidegauge.db").startswith("tidegauge 6")
    assert compiled(box) > 0
    log = box.log()
    assert re.search(r"^compiled seconds=", log, re.MULTILINE)
    assert log.index("compiled") < log.index("state loaded")


def compiled(box: Box) -> int:
    """Compiled functions in the service's cache."""
    return int(box.run("sh", "-c", "find /var/cache/tidegauge/ -name '*.nbc' | wc -l"))


def test_reloaded_a_stream_learns_under_the_sandbox(box: Box) -> None:
    """`systemctl reload` adds a stream; it is trained and tuned by a niced worker, with nothing left to compile."""
    there, process = compiled(box), pid(box)
    box.run("mkdir", "-p", "/var/spool/tidegauge-tide")
    box.write("/var/spool/tidegauge-tide/pier.csv", tide())
    sample = box.run("cat", CONFIG)
    assert sample.count("\nstreams:\n") == 1
    box.write(CONFIG, sample.replace("\nstreams:\n", f"\nstreams:{TIDE}"))
    box.run("systemctl", "reload", "tidegauge")
    until("the readings", lambda: accepted(box) == READINGS, LIMIT_S)
    until("tunings", lambda: promoted(box) >= 2, LIMIT_S)
    assert box.show("ActiveState", "MainPID", "NRestarts") == ["active", str(process), "0"]
    niced = box.run("ps", "-o", "ni=", "--ppid", str(process)).split()
    assert "10" in niced
    assert compiled(box) == there
    assert "configuration taken over" in box.log()


def promoted(box: Box) -> int:
    models = json.loads(box.run("tidegauge", "models", "list", "--config", CONFIG, "--json"))
    return sum(model["status"] == "promoted" for model in models)


def test_a_bad_file_is_refused_by_a_reload(box: Box) -> None:
    """The unit stays active under its old configuration, and the log names the key."""
    good, process = box.run("cat", CONFIG), pid(box)
    box.write(CONFIG, good.replace("warm_up: 4d", "warm_up: 5d"))
    box.run("systemctl", "reload", "tidegauge")
    until("the log says so", lambda: "streams.tide.warm_up: the state was built on it" in box.log())
    until("it is active again", lambda: box.show("ActiveState", "MainPID") == ["active", str(process)])
    box.write(CONFIG, good)


def test_killed_it_goes_on_where_it_was(box: Box) -> None:
    """After kill -9 it is restarted; all readings count once under whatever user id it has now."""
    process = pid(box)
    box.run("kill", "-9", str(process))
    restarted(box, process)
    until("its state", lambda: accepted(box) == READINGS, LIMIT_S)
    box.write("/var/spool/tidegauge-tide/pier.csv", "2026-03-20T00:00Z,50\n", append=True)
    until("one more", lambda: accepted(box) == READINGS + 1, LIMIT_S)
    assert box.show("NRestarts") == ["1"]


def test_rotated_by_the_example_nothing_is_lost(box: Box) -> None:
    """The logrotate example renames the file; the daemon reads on in the new one."""
    need("logrotate")
    example = (ROOT / "deploy/logrotate/tidegauge").read_text()
    box.write("/etc/logrotate.d/tidegauge", example.replace("/var/spool/tidegauge/", "/var/spool/tidegauge-tide/"))
    box.run("logrotate", "-f", "/etc/logrotate.d/tidegauge")
    assert "pier.csv.1" in box.run("ls", "/var/spool/tidegauge-tide")
    box.write("/var/spool/tidegauge-tide/pier.csv", "timestamp,value\n2026-03-20T01:00Z,50\n", append=True)
    until("one more", lambda: accepted(box) == READINGS + 2, LIMIT_S)


def test_stopped_by_sigstop_the_watchdog_restarts_it(box: Box) -> None:
    """A process that makes no progress is aborted by systemd and started again."""
    process = pid(box)
    box.run("kill", "-STOP", str(process))
    restarted(box, process)
    assert "Watchdog timeout" in box.run("journalctl", "-u", "tidegauge", "-o", "cat", "--no-pager")
    until("its state", lambda: accepted(box) == READINGS + 2, LIMIT_S)


def test_a_wrong_configuration_is_not_tried_again(box: Box) -> None:
    """Exit status 78, a line in the log, and no restart; corrected, it starts."""
    good, restarts = box.run("cat", CONFIG), box.show("NRestarts")
    box.write(CONFIG, good + "colour: blue\n")
    box.run("systemctl", "restart", "tidegauge", status=None)
    until("it has failed", lambda: box.show("ActiveState", "ExecMainStatus") == ["failed", "78"])
    assert "colour is not a known key" in box.log()
    assert int(box.show("NRestarts")[0]) <= int(restarts[0])
    box.write(CONFIG, good)
    box.run("systemctl", "restart", "tidegauge")
    ready(box)


def test_stopped_it_ends_well_and_upgraded_it_keeps_its_state(box: Box) -> None:
    """`systemctl stop`: checkpoint, exit 0. The script again: same configuration, same state, running."""
    box.run("systemctl", "stop", "tidegauge")
    assert box.show("Result", "ExecMainStatus", "ActiveState") == ["success", "0", "inactive"]
    before = box.run("cat", CONFIG)
    assert "installing tidegauge" in install(box)
    ready(box)
    assert box.run("cat", CONFIG) == before
    until("its state", lambda: accepted(box) == READINGS + 2, LIMIT_S)


def test_uninstalled_it_leaves_configuration_and_state(box: Box) -> None:
    """Service and environment are gone, what cannot be made again is there; `--purge` removes that, too."""
    box.run(f"{SOURCE}/deploy/uninstall.sh")
    box.run("test", "!", "-e", "/opt/tidegauge", "-a", "!", "-e", "/usr/local/bin/tidegauge")
    assert box.show("LoadState") == ["not-found"]
    box.run("test", "-s", CONFIG, "-a", "-s", "/var/lib/private/tidegauge/tidegauge.db")
    box.run(f"{SOURCE}/deploy/uninstall.sh", "--purge")
    box.run("test", "!", "-e", "/etc/tidegauge", "-a", "!", "-e", "/var/lib/private/tidegauge")
