"""Garbage in: each row of the written table is accepted or rejected on purpose, and the next row is read."""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np
import pytest

from daemon.engine.machine.engine import Engine
from daemon.engine.table.overdue import COUNTER_RESETS
from daemon.intake.construction import make_format, to_batch
from tests.conftest import ROOT
from tests.daemon.engine.data_faults import CSV, FAULTS, Fault, table
from tests.daemon.engine.small_engines import INTERVAL, STREAM, batch, engine, the


def ms(stamp: str) -> int:
    """An ISO stamp in epoch milliseconds; UTC where it names no zone."""
    at = datetime.fromisoformat(stamp)
    return round((at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp() * 1000)


def send(made: Engine, lines: list[str], received_at_ms: int) -> int:
    """Lines through the stream's format into the engine; returns how many were read."""
    assert made.settings is not None
    fmt = make_format(made.settings.streams[STREAM], made.settings.limits)
    readings, _ = fmt.parse("".join(f"{line}\n" for line in lines).encode(), "a", None)
    made.step(to_batch(STREAM, readings, readings.rejected(), received_at_ms))
    return len(readings) + len(readings.bad_reasons)


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
def test_fault(fault: Fault) -> None:
    """Read = accepted + repeated + rejected, each rejection with the written reason, and the next row is accepted."""
    made = engine(**({"format": CSV} | dict(fault.settings)))
    counters, now = the(made).counters, ms(fault.received_at)
    read = send(made, list(fault.lines), now)
    assert read == len(fault.lines)
    assert counters.rejected == fault.rejected
    assert counters.accepted + counters.repeated + sum(counters.rejected.values()) == read
    send(made, [fault.following], now)
    assert counters.rejected == fault.rejected
    assert counters.accepted + counters.repeated + sum(counters.rejected.values()) == read + 1
    if fault.holds is not None:
        assert held(made) == {ms(slot) // 1000 // INTERVAL: value for slot, value in fault.holds.items()}
    resets = int(the(made).arrivals.clock[COUNTER_RESETS])
    seen = {"late": counters.late, "repeated": counters.repeated, "counter_resets": resets}
    assert seen == {"late": 0, "repeated": 0, "counter_resets": 0, **fault.counts}


def held(made: Engine) -> dict[int, float]:
    """Values of series `a` by slot."""
    stream = the(made)
    row = stream.table.row_of["a"]
    record, history = stream.table.rows[row], stream.table.arrays.history
    values = history[record["buffer"], :, 0]
    last = int(record["last"])
    slots = range(last - len(values) + 1, last + 1)
    return {slot: float(values[slot % len(values)]) for slot in slots if not np.isnan(values[slot % len(values)])}


def test_a_batch_of_another_width_is_rejected() -> None:
    """Readings of another width than the stream's, from an adapter of one's own, are counted as `width`."""
    made = engine()
    made.step(batch([("a", 0, [1.0, 2.0]), ("a", 1, [1.0, 2.0])], width=2))
    assert the(made).counters.rejected == {"width": 2}
    made.step(batch([("a", 2, 1.0)]))
    assert the(made).counters.accepted == 1


def test_the_page_has_the_table() -> None:
    """docs/faults.md, section Data, shows the table that these tests are driven from."""
    section = (ROOT / "docs" / "faults.md").read_text().split("\n## Data\n", 1)[1].split("\n## ", 1)[0]
    assert table() in section
