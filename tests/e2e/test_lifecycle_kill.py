"""kill -9 with refused candidates and promotions taken back in the run: everything equals a run nobody interrupted."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from daemon.replay.expectations import read_events
from tests.e2e.processes import Daemon, Writer, json_of, until
from tests.e2e.test_kill import ROWS, Reference, expect_as_if_uninterrupted, live_and_die, make

STRICT = "retrain_every: 50, gate: {worse_error: %s}, rollback: {times_budget: 0.001, slots: 50, worse_error: 0.0}"
GATES = {"rejected": 0.005, "rolled_back": 0.015}
"""Of a gate, how much worse a candidate may be: the worst one is refused, or serves and is taken back."""
KILLS = 3


def strict(directory: Path, gate: float) -> Path:
    """The configuration of `test_kill` with a gate and a budget that leave nothing to chance: some model must go."""
    config = make(directory)
    config.write_text(config.read_text().replace("retrain_every: 50", STRICT % gate))
    return config


def statuses(config: Path) -> list[str]:
    """What became of each training."""
    return [model["status"] for model in json_of("models", "list", "--config", config, cwd=config.parent)]


@pytest.mark.parametrize("status", GATES)
def test_killed_between_promotions_refusals_and_rollbacks(status: str, tmp_path: Path, shared_data: Path) -> None:
    """Three kills: state, events, model records and the repeated journal are those of replay's run."""
    data = (shared_data / "nab/data/realKnownCause/nyc_taxi.csv").read_bytes()
    lines = data.splitlines(keepends=True)[: ROWS + 1]
    whole, live = tmp_path / "whole", tmp_path / "live"
    whole.mkdir()
    live.mkdir()
    file = whole / "nyc_taxi.csv"
    file.write_bytes(b"".join(lines))
    replayed = json_of(
        "replay",
        file,
        "--config",
        strict(whole, GATES[status]),
        "--state",
        "state",
        "--record",
        "events.jsonl",
        cwd=whole,
    )
    wanted = statuses(whole / "tidegauge.yaml")
    assert set(wanted) == {"promoted", status}
    reference = Reference(lines, replayed["state_sha256"], read_events(whole / "events.jsonl"))
    config, chance = strict(live, GATES[status]), random.Random(5)
    with Writer(live / "nyc_taxi.csv", lines, 5, most=50) as writer:
        for number in range(1, KILLS + 1):
            with Daemon(config) as daemon:
                live_and_die(daemon, writer, ("any", "training")[number % 2], 200 * number, chance)
        with Daemon(config) as daemon:
            daemon.loaded()
            writer.finish()
            until("all read", lambda: daemon.has_read(ROWS))
            assert daemon.metric("tidegauge_model_rollbacks_total")['{stream="taxi"}'] == wanted.count("rolled_back")
            assert daemon.end() == 0
    expect_as_if_uninterrupted(live, reference)
    assert statuses(config) == wanted
