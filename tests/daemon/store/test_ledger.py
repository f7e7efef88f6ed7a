"""The ledger of events beside the database."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from daemon.store.ledger import COLUMNS, Ledger, read


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
