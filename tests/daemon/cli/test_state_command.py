"""`tidegauge state`: check, export, import."""

from __future__ import annotations

import io
import shutil
import signal
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest
from typer.testing import CliRunner

from daemon.cli.main import app
from daemon.runtime.durable import DurableEngine
from daemon.store import EventFilter, Store, open_reader, transfer
from daemon.trainer.trainer import InlineTrainer
from tests.conftest import ROOT
from tests.daemon.store.make_fixture import MORE, ROWS, drive, make


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("made")
    make(directory)
    return directory


@pytest.fixture
def directory(made: Path, tmp_path: Path) -> Path:
    return shutil.copytree(made, tmp_path / "copy")


def run(*arguments: str | Path, status: int = 0) -> str:
    """What `tidegauge state` prints."""
    done = CliRunner().invoke(app, ["state", *map(str, arguments)])
    assert done.exit_code == status, done.output
    return done.output


def digest(state: Path) -> str:
    with Store.open(state) as store:
        durable = DurableEngine(store, InlineTrainer())
        durable.recover()
        return durable.digest()


def test_moved_as_a_file_it_goes_on(directory: Path, tmp_path: Path) -> None:
    """Exported and imported elsewhere, state, events and positions are the same, and the daemon reads on."""
    before, config = digest(directory / "state"), directory / "tidegauge.yaml"
    run("export", tmp_path / "state.tar", "--config", config)
    shutil.move(directory / "state", tmp_path / "before")
    assert "next: tidegauge run" in run("import", tmp_path / "state.tar", "--config", config)
    assert digest(directory / "state") == before
    with open_reader(directory / "state") as new, open_reader(tmp_path / "before") as old:
        assert new.events(EventFilter(latest_only=False)) == old.events(EventFilter(latest_only=False))
        assert new.models() == old.models()
        assert new.check() == []
    assert (directory / "state").stat().st_mode & 0o777 == 0o700
    counters = drive(directory, ROWS, ROWS + MORE).durable.engine.streams["tide"].counters
    assert (counters.accepted, counters.rejected) == (ROWS + MORE, {})


def test_exported_while_the_daemon_writes(directory: Path, tmp_path: Path) -> None:
    """A copy taken beside a writer is sound and holds the state after the entry it names."""
    with Store.open(directory / "state") as store:
        durable = DurableEngine(store, InlineTrainer())
        durable.recover()
        said = run("export", tmp_path / "a.tar", "--state", directory / "state")
        assert said == f"wrote {tmp_path / 'a.tar'}, the state after journal entry {store.last_seq}\n"
        durable.checkpoint()
        run("export", tmp_path / "b.tar", "--state", directory / "state")
        before = durable.digest()
    for name in ("a", "b"):
        run("import", tmp_path / f"{name}.tar", "--state", tmp_path / name)
        assert digest(tmp_path / name) == before
    assert "exists; name another" in run("export", tmp_path / "a.tar", "--state", tmp_path / "a", status=1)


def test_a_state_that_is_not_whole_is_not_exported(directory: Path, tmp_path: Path) -> None:
    """Without a model that is recorded there is no export, not even an empty file, and the line names the model."""
    model = sorted((directory / "state" / "models").iterdir())[0]
    model.unlink()
    said = run("export", tmp_path / "state.tar", "--state", directory / "state", status=1)
    assert f"{model}: is missing though it is recorded" in said
    assert not list(tmp_path.glob("state.tar*"))


KILLED = """
import os, signal, sys, tarfile
from pathlib import Path
from daemon.store import transfer
def die(*_): os.kill(os.getpid(), signal.SIGKILL)
if sys.argv[3] == "begun":
    tarfile.TarFile.add = die
elif sys.argv[3] == "half":
    add, added = tarfile.TarFile.add, []
    tarfile.TarFile.add = lambda *names: die() if added else added.append(add(*names))
else:
    os.link = die
transfer.export(Path(sys.argv[1]), Path(sys.argv[2]))
"""


@pytest.mark.parametrize("when", ["begun", "half", "written"])
def test_killed_while_it_exports_there_is_no_file(directory: Path, tmp_path: Path, when: str) -> None:
    """SIGKILL before, in the middle of and after the writing leaves the name free, and the next export has it."""
    state, file = directory / "state", tmp_path / "state.tar"
    done = subprocess.run([sys.executable, "-c", KILLED, str(state), str(file), when], cwd=ROOT, check=False)
    assert done.returncode == -signal.SIGKILL
    assert not file.exists()
    run("export", file, "--state", state)
    run("import", file, "--state", tmp_path / "new")
    assert digest(tmp_path / "new") == digest(state)


def test_an_import_is_on_disk_before_it_has_its_name(
    directory: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The names of all files are on disk first, then the state directory's own."""
    run("export", file := tmp_path / "state.tar", "--state", directory / "state")
    synced: list[tuple[str, bool]] = []
    new = tmp_path / "new"
    monkeypatch.setattr(transfer, "sync_directory", lambda path: synced.append((path.name, new.exists())))
    run("import", file, "--state", new)
    inside = [(name, False) for name in ("checkpoints", "models", "new.importing")]
    assert synced == [*inside, (tmp_path.name, True)]


def test_what_is_there_is_never_written_over(directory: Path, tmp_path: Path) -> None:
    """Import refuses a directory that holds something, an archive of something else, and a damaged one."""
    run("export", file := tmp_path / "state.tar", "--state", directory / "state")
    assert "is not empty" in run("import", file, "--state", directory / "state", status=1)
    raw = bytearray(file.read_bytes())
    raw[raw.index(b"TGC1") + 2000] ^= 1
    (bad := tmp_path / "bad.tar").write_bytes(raw)
    assert "does not have the SHA-256" in run("import", bad, "--state", tmp_path / "new", status=1)
    bad.write_bytes(b"no archive")
    said = run("import", bad, "--state", tmp_path / "new", status=1)
    assert "is no exported state" in said
    assert len(said.splitlines()) == 1
    with tarfile.open(bad, "w") as tar:
        tar.addfile(tarfile.TarInfo("../outside"), io.BytesIO())
    assert "it holds '../outside'" in run("import", bad, "--state", tmp_path / "new", status=1)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["bad.tar", "copy", "state.tar"]


def test_check_says_what_is_wrong(directory: Path) -> None:
    """A sound directory exits 0; a damaged model file and what was set aside are named, the first with exit 1."""
    state = directory / "state"
    assert run("check", "--state", state).startswith(f"{state}: sound, journal entries: ")
    (state / "tidegauge.db.quarantined-1").touch()
    assert "was set aside at a start" in run("check", "--state", state)
    (state / "models" / "tide-0001.safetensors").write_bytes(b"x")
    assert "tide-0001.safetensors" in run("check", "--config", directory / "tidegauge.yaml", status=1)
