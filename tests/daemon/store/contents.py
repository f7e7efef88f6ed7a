"""Things to put into a store, and a child process that dies at a fault point."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np

from daemon.engine.messages.events import Event
from daemon.engine.messages.inputs import Batch

REPOSITORY = Path(__file__).parents[3]


def batch(number: int, rows: int = 3) -> Batch:
    """A batch whose content depends on `number`."""
    return Batch(
        stream="taxi",
        received_at_ms=number,
        series=["a", "b"],
        codes=np.arange(rows, dtype=np.int32) % 2,
        at_ms=np.arange(rows, dtype=np.int64) + 1000 * number,
        fold_s=np.zeros(rows, np.int32),
        values=np.full((rows, 2), number + 0.1),
        rejected={"malformed": number},
    )


def event(name: str, revision: int = 0, started_at: int = 100, state: str = "open", series: str | None = "m1") -> Event:
    """An event with every kind of field filled in."""
    return Event(
        id=name,
        revision=revision,
        stream="taxi",
        series=series,
        state=state,  # type: ignore[arg-type]
        reasons=("model", "limit"),
        started_at=started_at,
        ended_at=started_at + 10 * revision,
        at=started_at + 10 * revision,
        notify=True,
        score=1.1,
        rarity=0.1 + 0.2,
        threshold=5e-324,
        reconstruction_error=1e300,
        value=(1.0, -0.0),
        expected=None,
        lower=(0.1,),
        upper=(0.3,),
        contributions=({"at": 5, "share": 0.7},),
        members={"count": 2, "series": ["ä", "b"]},
    )


def same(one: object, other: object) -> bool:
    """Whether two batches are equal bit for bit."""
    assert isinstance(one, Batch)
    assert isinstance(other, Batch)
    arrays = all(
        getattr(one, name).dtype == getattr(other, name).dtype
        and getattr(one, name).shape == getattr(other, name).shape
        and getattr(one, name).tobytes() == getattr(other, name).tobytes()
        for name in ("codes", "at_ms", "fold_s", "values")
    )
    plain = all(getattr(one, name) == getattr(other, name) for name in ("stream", "received_at_ms", "series"))
    return arrays and plain and dict(one.rejected) == dict(other.rejected)


CHILD = """
import os, signal, sys
from pathlib import Path
from daemon.store import *
from tests.daemon.store.contents import batch, event

directory, point, skip = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
passed = 0

def reached(name):
    global passed
    if name == point:
        passed += 1
        if passed > skip:
            os.kill(os.getpid(), signal.SIGKILL)

"""


def run_child(body: str, directory: Path, point: str = "", skip: int = 0) -> subprocess.CompletedProcess[str]:
    """Run `body` after `CHILD` in a process that kills itself when it reaches `point` for the time after `skip`."""
    command = [sys.executable, "-W", "error", "-c", CHILD + body, str(directory), point, str(skip)]
    return subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=False, timeout=60)
