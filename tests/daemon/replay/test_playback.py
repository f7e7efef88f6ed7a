"""Playing a file to a daemon: lines as they are, and no header to a stream whose columns are configured."""

from __future__ import annotations

from pathlib import Path

from daemon.config.settings import Settings
from daemon.replay.playback import play


class Kept:
    """Keeps what it is given."""

    def __init__(self) -> None:
        self.lines: list[bytes] = []

    def write(self, line: bytes) -> None:
        """Keep a line."""
        self.lines.append(line)

    def finish(self) -> None:
        """Nothing is under way."""

    def close(self) -> None:
        """Nothing is open."""


def played(file: Path, **form: object) -> list[bytes]:
    """The lines that a stream of this format is sent, as fast as it goes."""
    settings = Settings.model_validate({"version": 1, "streams": {"tide": {"format": form}}})
    target = Kept()
    count = play(file, settings, "tide", target, 1e12, lambda done, total: None)
    assert count == len(target.lines)
    return target.lines


def test_a_header_is_not_sent_where_columns_are_configured(tmp_path: Path) -> None:
    """Such a stream would take it for a line that cannot be read; without a header every line is sent."""
    file = tmp_path / "tide.csv"
    rows = [b"2026-01-01T00:00Z,1\n", b"2026-01-01T01:00Z,2\n"]
    columns = ["timestamp", "value"]
    for head in (b"timestamp,value\n", b"when,level\n", b""):
        file.write_bytes(head + b"".join(rows))
        assert played(file, columns=columns) == rows
    file.write_bytes(b"timestamp,value\n" + rows[0] + b"not a time,3\n")
    assert played(file, columns=columns) == [rows[0], b"not a time,3\n"]
    assert played(file) == [b"timestamp,value\n", rows[0], b"not a time,3\n"]
