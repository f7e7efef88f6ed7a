"""`tidegauge demo`: real readings, the real daemon, and the disturbances that are known to be in them."""

from __future__ import annotations

import os
import pty
import re
import select
import subprocess
import termios
from datetime import UTC, datetime
from pathlib import Path

from tests.e2e.processes import TIDEGAUGE, get, tidegauge, until

KNOWN = [
    ("2022-03-24 08:00", "2022-03-24 23:00"),
    ("2022-03-29 07:00", "2022-03-29 17:00"),
    ("2022-04-03 04:00", "2022-04-03 04:00"),
    ("2022-04-27 14:00", "2022-04-28 02:00"),
]
LINE = re.compile(r"(\d{4}-\d\d-\d\d \d\d:\d\d) ?(?:UTC|Z)  (open|closed) +(\S+)  (.*?)(?:  value .*)?$", re.MULTILINE)


def at(text: str) -> datetime:
    """An instant, UTC."""
    return datetime.strptime(text, "%Y-%m-%d %H:%M").replace(tzinfo=UTC)


def test_demo(tmp_path: Path) -> None:
    """It ends by itself; events other than gaps overlap all four known stretches, and at most two are elsewhere."""
    done = tidegauge("demo", "--speed", "400", cwd=tmp_path)
    assert "Page http://127.0.0.1:" in done.stdout
    counted, last = done.stdout.splitlines()[-2:]
    assert counted.startswith("1268 readings, ")
    assert last == "Nothing was left behind; `tidegauge init` begins your own."
    found, stretches, others = episodes(done.stdout), set[int](), 0
    for opened, closed in found:
        hit = {i for i, (start, end) in enumerate(KNOWN) if opened <= at(end) and at(start) <= closed}
        stretches |= hit
        others += not hit
    assert len(stretches) == 4, done.stdout
    assert others <= 2, done.stdout
    assert list(tmp_path.iterdir()) == []


def test_on_a_terminal_it_stays_until_a_key_is_pressed(tmp_path: Path) -> None:
    """After the last reading the page is up still, it says what to look at, and a key ends it; the terminal is sane."""
    ours, theirs = pty.openpty()
    before = termios.tcgetattr(theirs)
    command = [str(TIDEGAUGE), "demo", "--speed", "5000"]
    with subprocess.Popen(command, cwd=tmp_path, stdin=theirs, stdout=theirs, stderr=theirs) as process:
        said = b""

        def asked() -> bool:
            nonlocal said
            while select.select([ours], [], [], 0)[0]:
                said += os.read(ours, 4096)
            return b"Press any key" in said

        try:
            until("it asks for a key", asked, 200)
            found = re.search(rb"The page stays up: (http://\S+)", said)
            assert found and "Tidegauge" in get(found[1].decode())
            assert b"left behind" not in said
            os.write(ours, b"q")
            assert process.wait(60) == 0
        finally:
            process.terminate()
    assert termios.tcgetattr(theirs) == before
    os.close(ours)
    os.close(theirs)


def episodes(text: str) -> list[tuple[datetime, datetime]]:
    """When each event but the gaps opened and closed, from the lines printed; a new regime is said once."""
    found, opened = [], None
    for match in LINE.finditer(text):
        when, state, _, why = match.groups()
        if why.startswith("no readings"):
            continue
        if why.startswith("its behaviour has changed"):
            found.append((at(when), at(when)))
        elif state == "open":
            opened = at(when)
        else:
            assert opened is not None
            found.append((opened, at(when)))
            opened = None
    assert len(found) >= 3, text
    return found
