"""The ledger of events beside the database, and that it and the mark keep their names."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from daemon.store import Store
from daemon.store.ledger import COLUMNS, Ledger, read
from daemon.store.mark import Mark, Noted


def row(number: int) -> tuple[Any, ...]:
    """A row of the events' table."""
    return (number, *["x"] * (COLUMNS - 1))


def test_a_row_that_found_no_room_does_not_spoil_the_next(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A disk that fills up in the middle of a row: those before it and those after it are whole."""
    ledger, whole = Ledger(tmp_path), os.pwrite
    ledger.add([row(1)])
    monkeypatch.setattr(os, "pwrite", lambda descriptor, data, at: whole(descriptor, data[: len(data) // 2], at))
    ledger.add([row(2)])
    monkeypatch.undo()
    ledger.add([row(3)])
    ledger.close()
    assert [each[0] for each in read(tmp_path)] == [1, 3]


@pytest.mark.parametrize("make", [lambda at: Ledger(at).add([row(1)]), lambda at: Mark(at, Noted(3)).close()])
def test_a_file_that_is_made_keeps_its_name(
    make: Callable[[Path], None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Over a power cut a file is lost with its name, so whoever opens it syncs that: who made it may have died."""
    synced: list[str] = []
    whole = os.fsync

    def sync(descriptor: int) -> None:
        synced.append(str(Path(f"/proc/self/fd/{descriptor}").readlink()))
        whole(descriptor)

    monkeypatch.setattr(os, "fsync", sync)
    make(tmp_path)
    assert synced == [str(tmp_path)]
    make(tmp_path)
    assert synced == [str(tmp_path)] * 2


def test_names_given_by_a_run_that_died_are_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A run may die between a rename and the sync of the directory: the next start syncs all of a state directory."""
    synced: set[str] = set()
    whole = os.fsync

    def sync(descriptor: int) -> None:
        synced.add(str(Path(f"/proc/self/fd/{descriptor}").readlink()))
        whole(descriptor)

    state = tmp_path / "state"
    Store.open(state).close()
    monkeypatch.setattr(os, "fsync", sync)
    Store.open(state).close()
    assert synced >= {str(each) for each in (tmp_path, state, state / "checkpoints", state / "models")}
