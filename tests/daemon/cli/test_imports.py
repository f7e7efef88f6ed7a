"""What commands do not import: pandas takes a third of a second and 75 MB, which a daemon has no use for."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest

from tests.daemon.cli.small_inputs import READINGS, configuration, readings
from tests.e2e.processes import TIDEGAUGE, Daemon, tidegauge, until

WATCH = """\
import atexit, runpy, sys
from pathlib import Path

if __name__ == "__main__":
    out, sys.argv = Path(sys.argv[1]), sys.argv[2:]
    atexit.register(lambda: out.write_text("\\n".join(sys.modules)))
    runpy.run_path(sys.argv[0], run_name="__main__")
"""


@pytest.fixture
def watched(tmp_path: Path) -> tuple[list[str | Path], Path]:
    """What runs a command and leaves the names of its modules in a file, and that file."""
    (tmp_path / "watch.py").write_text(WATCH)
    return [sys.executable, tmp_path / "watch.py", tmp_path / "modules"], tmp_path / "modules"


def test_a_daemon_and_the_commands_beside_it_do_without_pandas(
    tmp_path: Path, watched: tuple[list[str | Path], Path]
) -> None:
    """Neither `run` nor its training worker imports it, nor do `check`, `status` and `events list`."""
    prefix, modules = watched
    config = configuration(tmp_path)
    readings(tmp_path / "tide.csv")
    with Daemon(config, prefix=prefix) as daemon:
        address = daemon.loaded().removeprefix("http://")
        until("all read", lambda: daemon.has_read(READINGS))
        worker = until("a training worker", daemon.worker)
        maps = Path(f"/proc/{worker}/maps").read_text()
        assert (place_of("torch") in maps, place_of("pandas") in maps) == (True, False)
        asking = configuration(tmp_path, listen=address, name="asking.yaml")
        for command in (["check"], ["status"], ["events", "list"], ["events", "list", "--json"]):
            found = modules_of([*command, "--config", str(asking)], tmp_path, watched)
            assert "daemon.cli.inspection" in found
            assert "pandas" not in found, command
        assert daemon.end() == 0
    assert "daemon.service.service" in (found := modules.read_text().split())
    assert "pandas" not in found


def test_a_replay_without_a_table_does_without_pandas(tmp_path: Path, watched: tuple[list[str | Path], Path]) -> None:
    """A long replay is as small as the daemon is: only `--csv` brings pandas in."""
    config, file = configuration(tmp_path), readings(tmp_path / "tide.csv", stop=20)
    plain = ["replay", str(file), "--config", str(config)]
    assert "pandas" not in modules_of(plain, tmp_path, watched)
    assert "pandas" in modules_of([*plain, "--csv", str(tmp_path / "out.csv")], tmp_path, watched)


def test_a_table_is_made_by_pandas(tmp_path: Path, watched: tuple[list[str | Path], Path]) -> None:
    """The way of looking sees it where it is imported: `events list --csv`."""
    config, file = configuration(tmp_path), readings(tmp_path / "tide.csv", stop=20)
    tidegauge("replay", file, "--config", config, "--state", "state", cwd=tmp_path)
    assert "pandas" in modules_of(["events", "list", "--config", str(config), "--csv", "out.csv"], tmp_path, watched)


def modules_of(arguments: list[str], directory: Path, watched: tuple[list[str | Path], Path]) -> list[str]:
    """Names of the modules that a command has imported at its end."""
    prefix, modules = watched
    modules.unlink(missing_ok=True)
    command = [*prefix, TIDEGAUGE, *arguments]
    subprocess.run(command, cwd=directory, capture_output=True, check=True, timeout=200)
    return modules.read_text().split()


def place_of(package: str) -> str:
    """The directory of a package, which a process has mapped once it has imported its compiled parts."""
    spec = importlib.util.find_spec(package)
    assert spec is not None
    assert spec.origin is not None
    return str(Path(spec.origin).parent) + "/"
