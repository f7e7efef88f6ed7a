"""Nightly files of a fleet: exactly the true silences, in any order of rows, late, twice, in pieces, through kills."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import pytest
import yaml

from daemon.config.file import effective, load
from daemon.engine.machine.engine import Engine
from daemon.engine.messages.inputs import Configured, Delivered
from daemon.intake.construction import make_format, to_batch
from daemon.trainer.trainer import InlineTrainer
from tests.e2e.fleet import ORDERS, Fleet, configuration, drop, raised
from tests.e2e.processes import Daemon, json_of, until
from tests.e2e.test_kill import expect_repeatable, recovered

QUICK: dict[str, Any] = {"arrival": "batch", "settle": "1s", "warm_up": "30d"}
"""Defaults but for the warm-up, in which the fleet stays, so that nothing is trained here."""


@pytest.fixture(scope="module")
def fleet() -> Fleet:
    """A small one, of which more is missing."""
    return Fleet(30, 14, missing=0.03, dying=0.06)


def made(directory: Path, **stream: Any) -> Path:
    """A configuration file."""
    config = directory / "tidegauge.yaml"
    config.write_text(yaml.safe_dump(configuration(**stream)))
    return config


def uninterrupted(config: Path, files: list[tuple[str, str]]) -> tuple[str, list[dict[str, Any]]]:
    """SHA-256 of the state and last revisions of events, were each file given to an engine at once."""
    settings, engine = load(config), Engine(InlineTrainer())
    stream = settings.streams["meters"]
    engine.step(Configured(effective(settings)))
    latest: dict[str, dict[str, Any]] = {}
    for _, text in files:
        readings, _ = make_format(stream, settings.limits).parse(text.encode(), "", None)
        for item in (to_batch("meters", readings, {}, 10**13), Delivered("meters")):
            for event in engine.step(item).events:
                latest[event.id] = event.to_json() | {"reasons": list(event.reasons)}
    return hashlib.sha256(engine.dump()).hexdigest(), list(latest.values())


def test_exactly_the_true_silences_in_any_order(tmp_path: Path, fleet: Fleet) -> None:
    """Sorted by meter and by time: the same events and state, and every silence is a true one and all are there."""
    config = made(tmp_path, **QUICK)
    by_meter, by_time = (uninterrupted(config, fleet.files(order)) for order in ORDERS)
    assert by_meter == by_time
    assert raised(by_meter[1]) == fleet.silences()
    assert len(fleet.silences()) > 5
    assert [row for row in by_meter[1] if row["reasons"] != ["gap"]] == []


def test_through_kills_in_mid_delivery(tmp_path: Path, fleet: Fleet) -> None:
    """A daemon that is killed while a file is half there ends as if nobody had, and its journal repeats it."""
    config, files, dropped = made(tmp_path, **QUICK), fleet.files("meter"), 0
    (tmp_path / "in").mkdir()

    def events() -> list[dict[str, Any]]:
        return list(json_of("events", "list", "--config", config, cwd=tmp_path))

    def read(daemon: Daemon, size: int) -> None:
        until("all read", lambda: sum(daemon.metric("tidegauge_source_position_bytes").values()) == size, every_s=0.02)

    daemon = Daemon(config)
    try:
        daemon.loaded()
        for number, (name, text) in enumerate(files):
            if number in (5, 10):
                half = text.index("\n", len(text) // 2) + 1
                drop(tmp_path, name, text[:half])
                read(daemon, dropped + half)
                daemon.process.kill()
                daemon.process.wait()
                with (tmp_path / "in" / name).open("a") as file:
                    file.write(text[half:])
                daemon = Daemon(config)
                daemon.loaded()
            else:
                drop(tmp_path, name, text)
            dropped += len(text)
            read(daemon, dropped)
        wanted = fleet.silences()
        until("the last delivery has ended", lambda: raised(events()) == wanted or None)
        assert daemon.end() == 0
    finally:
        daemon.process.kill()
        daemon.process.wait()
    assert recovered(tmp_path / "state")[0] == uninterrupted(config, files)[0]
    expect_repeatable(tmp_path / "state")
