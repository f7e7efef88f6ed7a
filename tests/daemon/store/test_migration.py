"""Databases of earlier versions: copied row by row, nothing lost, the file of before kept."""

from __future__ import annotations

import sqlite3
import tarfile
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from daemon.store import EventFilter, Store, tables
from daemon.store.migration import migrate
from tests.daemon.store.full_store import content
from tests.daemon.store.test_state_versions import FIXTURES


def extracted(archive: Path, directory: Path) -> Path:
    """The state directory of a fixture."""
    with tarfile.open(archive) as tar:
        tar.extractall(directory, filter="data")
    return directory / "state"


def rows_of(path: Path) -> dict[str, list[dict[str, Any]]]:
    """Every row of every table by the names of its columns, but for checksums, in order."""
    with closing(sqlite3.connect(path)) as connection:
        connection.row_factory = sqlite3.Row
        names = [name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        return {
            name: sorted(
                ({k: row[k] for k in row.keys() if k != "crc"} for row in connection.execute(f"SELECT * FROM {name}")),  # noqa: SIM118
                key=str,
            )
            for name in names
        }


@pytest.mark.parametrize("archive", FIXTURES, ids=lambda path: path.name)
def test_an_older_database_is_migrated_and_a_copy_kept(archive: Path, tmp_path: Path) -> None:
    """Every row of every table is there with its values, events have their reasons, and the file of before is kept."""
    state = extracted(archive, tmp_path)
    before = rows_of(state / "tidegauge.db")
    with closing(sqlite3.connect(state / "tidegauge.db")) as connection:
        (version,) = connection.execute("PRAGMA user_version").fetchone()
    with Store.open(state) as store:
        assert (store.quarantined, store.lost, store.check()) == (0, 0, [])
        assert all(" ".join(event.reasons) == row[8] for (_, event), row in zip(
            store.events(EventFilter(latest_only=False)), content(store)["events"], strict=True
        ))  # fmt: skip
    after = rows_of(state / "tidegauge.db")
    for row in after["events"]:
        del row["reasons"]
    assert {name: rows for name, rows in after.items() if name in before} == before
    assert rows_of(state / f"tidegauge.db.version-{version}") == before
    assert {path.name for path in state.glob("tidegauge.db*")} == {"tidegauge.db", f"tidegauge.db.version-{version}"}


def test_a_migration_that_is_killed_is_done_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever it had done by then, the database of before still has its name."""
    state = extracted(FIXTURES[0], tmp_path)
    before = rows_of(state / "tidegauge.db")

    def die(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(tables, "put", die)
        with pytest.raises(KeyboardInterrupt):
            migrate(state / "tidegauge.db")
    assert rows_of(state / "tidegauge.db") == before
    with Store.open(state) as store:
        assert (store.quarantined, store.check()) == (0, [])
    assert rows_of(state / "tidegauge.db")["journal"] == before["journal"]


@pytest.mark.parametrize(
    ("damage", "lost"),
    [
        ("UPDATE journal SET blob = x'00' WHERE seq = 7", 1),
        ("UPDATE events SET body = '{' WHERE row = 3", 0),
        ("UPDATE events SET body = CAST(x'ff7b7d' AS TEXT) WHERE row = 3", 0),
    ],
)
def test_what_is_damaged_is_set_aside_on_the_way(damage: str, lost: int, tmp_path: Path) -> None:
    """A row of an earlier version that cannot be believed is told and kept in a file; the rest is migrated."""
    state = extracted(FIXTURES[-1], tmp_path)
    with closing(sqlite3.connect(state / "tidegauge.db")) as connection, connection:
        connection.execute(damage)
    with Store.open(state) as store:
        assert (store.lost, store.check()) == (lost, [])
        assert len(store.events(EventFilter(latest_only=False))) == 15 - (not lost)
    assert len(list(state.glob("tidegauge.db.rows.quarantined-1"))) == 1
