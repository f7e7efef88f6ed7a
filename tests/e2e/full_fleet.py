"""Nightly files of a whole fleet, on defaults but `arrival: batch`: `python -m tests.e2e.full_fleet 500 60`."""

from __future__ import annotations

import hashlib
import sys
import time
from typing import Any

from adapters.formats.csv import CsvFormat
from daemon.config.settings import Settings
from daemon.engine.machine.engine import Engine
from daemon.engine.messages.inputs import Configured, Delivered, Input
from daemon.intake.construction import to_batch
from daemon.trainer.trainer import InlineTrainer
from tests.e2e.fleet import ORDERS, Fleet, raised

LINES = 8000  # of a batch


def run(fleet: Fleet, order: str) -> tuple[Engine, list[dict[str, Any]]]:
    """The engine after all files, and the last revisions of events."""
    engine = Engine(InlineTrainer())
    latest: dict[str, dict[str, Any]] = {}
    stream = {"clock": "event", "arrival": "batch"}
    settings = Settings.model_validate({"version": 1, "streams": {"meters": stream}})
    engine.step(Configured(settings.model_dump(mode="json")))
    fmt = CsvFormat(time="timestamp", value=["value"], series="series")
    for _, text in fleet.files(order):
        lines, header = text.encode().splitlines(keepends=True), None
        items: list[Input] = []
        for start in range(0, len(lines), LINES):
            readings, header = fmt.parse(b"".join(lines[start : start + LINES]), "", header)
            items.append(to_batch("meters", readings, {}, 0))
        for item in (*items, Delivered("meters")):
            for event in engine.step(item).events:
                latest[event.id] = event.to_json() | {"reasons": list(event.reasons)}
    return engine, list(latest.values())


def main(meters: int, nights: int) -> int:
    """Print what each order gave; 0 when both raise exactly the true silences and end in the same state."""
    fleet = Fleet(meters, nights)
    truth, digests, right = fleet.silences(), set(), True
    for order in ORDERS:
        began = time.monotonic()
        engine, rows = run(fleet, order)
        found, stream = raised(rows), engine.streams["meters"]
        digests.add(hashlib.sha256(engine.dump()).hexdigest())
        right &= found == truth
        print(  # noqa: T201
            f"by {order}: {time.monotonic() - began:.0f} s, {stream.counters.accepted} readings, {len(truth)} true "
            f"silences, {len(found)} raised, {len([x for x in found if x not in truth])} false, {len(rows)} events, "
            f"{stream.table.bytes_per_series()} bytes a series"
        )
    print(f"states equal: {len(digests) == 1}")  # noqa: T201
    return 0 if right and len(digests) == 1 else 1


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]), int(sys.argv[2])))
