"""Measuring this machine: readings per second of the whole path, where the time goes, memory, and a peer beside it.

Everything is measured in one run and shown as ratios too, because machines differ and are noisy.
"""

from __future__ import annotations

import json
import os
import pstats
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

INTERVAL_S, HISTORY_DAYS = 1800, 14
START = datetime(2024, 1, 1, tzinfo=UTC)
PEER_READINGS = 5000
PHASES = {
    "start-up": ("<frozen", "importlib", "marshal", "_imp.", "numba/", "builtins.eval", "builtins.exec"),
    "parse": ("adapters/", "method 'split' of 'str'", "fromkeys"),
    "journal": ("daemon/store/", "sqlite3"),
    "networks": ("models/", "torch/"),
    "slots": ("daemon/engine/table/", "daemon/engine/machine/arrivals.py"),
    "statistics and episodes": (
        "daemon/engine/detection/decision.py",
        "daemon/engine/machine/assessment.py",
        "daemon/engine/machine/episodes.py",
    ),
    "series lookup": (
        "daemon/engine/machine/stream.py",
        "daemon/engine/machine/reception.py",
        "daemon/engine/machine/schedule.py",
        "daemon/engine/table/series.py",
        "numpy.fromiter",
        "method 'get' of 'dict'",
    ),
}
CONFIGURATION = """\
version: 1
state_dir: {state}
streams:
  meters:
    format: {{series: series}}
    interval: 30m
    clock: event
    max_series: {series}
"""

Say = Callable[[str], None]


@dataclass(frozen=True)
class Throughput:
    """What a run measured.

    Attributes:
        series: Series of the run.
        readings: Readings after the warm-up, over which the rate is.
        readings_per_second: From file to committed events, journal on.
        peak_bytes: Greatest resident memory of that process.
        bytes_per_series: State of one series.
        train_seconds: `train --from` on 14 days of history.
        history_readings: Readings of that history.
        phases: Share of the time by what it was spent on, from a second, profiled run.
        peer_readings_per_second: River's HalfSpaceTrees on one series, same process, same values.
    """

    series: int
    readings: int
    readings_per_second: float
    peak_bytes: int
    bytes_per_series: int
    train_seconds: float
    history_readings: int
    phases: dict[str, float]
    peer_readings_per_second: float

    @property
    def ratio(self) -> float:
        """How many times the peer's rate."""
        return self.readings_per_second / self.peer_readings_per_second

    def to_json(self) -> dict[str, Any]:
        """All figures."""
        return asdict(self) | {"ratio": self.ratio}


def seasonal(series: int, slots: int, seed: int = 0) -> Iterator[tuple[datetime, npt.NDArray[np.float64]]]:
    """Daily seasons of different size and phase with Gaussian noise: stamp and one value for each series."""
    rng = np.random.default_rng(seed)
    size, phase = rng.random(series) * 5 + 1, rng.random(series) * 2 * np.pi
    for k in range(slots):
        wave = 1.5 + np.sin(2 * np.pi * k * INTERVAL_S / 86400 + phase)
        yield START + timedelta(seconds=INTERVAL_S * k), size * wave + rng.normal(0, 0.1, series)


def write_readings(directory: Path, series: int, slots: int) -> tuple[Path, Path]:
    """Write 14 days of history, and `slots` slots that follow it, as CSV files."""
    history_slots = HISTORY_DAYS * 86400 // INTERVAL_S
    files = directory / "history.csv", directory / "new.csv"
    names = [f"meter-{i:06d}" for i in range(series)]
    with files[0].open("w") as history, files[1].open("w") as new:
        for file in (history, new):
            file.write("series,timestamp,value\n")
        for k, (at, values) in enumerate(seasonal(series, history_slots + slots)):
            stamp = at.strftime("%Y-%m-%dT%H:%M:%SZ")
            rows = "".join(f"{name},{stamp},{v:.3f}\n" for name, v in zip(names, values.tolist(), strict=True))
            (history if k < history_slots else new).write(rows)
    return files


def throughput(directory: Path, series: int, slots: int, say: Say) -> Throughput:
    """Measure `train --from` and then `replay` with its journal, in processes of their own.

    Args:
        directory: Scratch space; about 45 bytes a reading.
        series: Number of series.
        slots: Slots after the history over which the rate is measured.
        say: Takes a line about what is under way.

    Raises:
        subprocess.CalledProcessError: A command failed; its standard error is in it.
    """
    say(f"writing {HISTORY_DAYS} days of {series} series")
    history, new = write_readings(directory, series, slots)
    config, trained = directory / "tidegauge.yaml", directory / "trained"
    config.write_text(CONFIGURATION.format(state=trained, series=series))
    say("train --from history")
    began = time.monotonic()
    train, _ = _run(["train", "--from", str(history), "--config", str(config), "--json"])
    train_s = time.monotonic() - began
    say("replay, journal on")
    timed, peak = _run(_replay_arguments(new, config, _copy(trained, "timed")))
    say("replay again, profiled")
    profile = directory / "profile"
    _run(_replay_arguments(new, config, _copy(trained, "profiled")), profile)
    say("the peer: river HalfSpaceTrees")
    return Throughput(
        series=series,
        readings=timed["readings"],
        readings_per_second=timed["readings"] / timed["seconds"],
        peak_bytes=peak,
        bytes_per_series=timed["bytes_per_series"],
        train_seconds=train_s,
        history_readings=train["readings"],
        phases=_phases(profile),
        peer_readings_per_second=_peer(),
    )


def _replay_arguments(file: Path, config: Path, state: Path) -> list[str]:
    return ["replay", str(file), "--config", str(config), "--state", str(state), "--json"]


def _copy(state: Path, name: str) -> Path:
    return Path(shutil.copytree(state, state.with_name(name)))


def _run(arguments: list[str], profile: Path | None = None) -> tuple[dict[str, Any], int]:
    """Run the command line in a process of its own: its JSON, and its greatest resident memory in bytes."""
    profiled = [] if profile is None else ["-m", "cProfile", "-o", str(profile)]
    command = [sys.executable, *profiled, "-m", "daemon.cli", *arguments]
    out = Path(arguments[-2]).with_suffix(".out")
    with out.open("wb") as stdout:
        process = subprocess.Popen(command, stdout=stdout, stderr=subprocess.DEVNULL)
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, command, out.read_text())
    return json.loads(out.read_text()), usage.ru_maxrss * 1024


def _phases(profile: Path) -> dict[str, float]:
    """Share of own time by phase."""
    seconds = dict.fromkeys([*PHASES, "other"], 0.0)
    stats: Any = pstats.Stats(str(profile))
    for (file, _, name), (_, _, own, _, _) in stats.stats.items():
        where = f"{file} {name}"
        found = (phase for phase, parts in PHASES.items() if any(part in where for part in parts))
        seconds[next(found, "other")] += own
    total = sum(seconds.values())
    return {phase: s / total for phase, s in seconds.items()}


def _peer() -> float:
    """Readings per second of river's HalfSpaceTrees, scoring then learning, on one series."""
    from river.anomaly import HalfSpaceTrees

    model = HalfSpaceTrees(seed=0)
    values = [{"value": float(v[0])} for _, v in seasonal(1, PEER_READINGS)]
    began = time.monotonic()
    for x in values:
        model.score_one(x)  # type: ignore[no-untyped-call]
        model.learn_one(x)  # type: ignore[no-untyped-call]
    return len(values) / (time.monotonic() - began)
