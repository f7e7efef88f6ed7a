"""Makes the recorded cases: `python -m tests.recorded.make [CASE ...]` from the repository's root; without a name, all.

Each case's input is generated here; its configuration is written by hand. The rest is what a user does, too:

    tidegauge train --from NORMAL --config CONFIG_WITHOUT_BUNDLE
    tidegauge models convert STATE/models/STREAM-0001.safetensors --out CASE/bundle.pt
    tidegauge replay CASE/input.csv --config CASE/config.yaml --record CASE/expected.jsonl

The last line alone records a case again, after the engine was changed on purpose and the difference was looked at.
"""

from __future__ import annotations

import json
import math
import random
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import yaml

HERE = Path(__file__).parent
TIDEGAUGE = Path(sys.executable).with_name("tidegauge")

Lines = Iterator[str]


def hours(start: datetime, days: int, step: timedelta = timedelta(hours=1)) -> Iterator[datetime]:
    """Instants from `start` on."""
    for i in range(int(timedelta(days=days) / step)):
        yield start + i * step


def daily(at: datetime, phase: float = 0.0) -> float:
    """Between 0 and 1: low at night, two humps by day."""
    hour = at.hour + at.minute / 60 + phase
    return max(0.0, math.sin((hour - 5) / 16 * math.pi)) * (0.8 + 0.2 * math.cos((hour - 8) / 5 * math.pi))


def spike_and_level_shift(normal: bool) -> Lines:
    """One hourly meter; at 20 days 9 h a spike, from day 25 to 29 a shift."""
    noise = random.Random(1)
    start = datetime(2026, 2, 2, tzinfo=UTC)
    yield "timestamp,value"
    for at in hours(start, 33):
        value = 20 + 40 * daily(at) + noise.uniform(-2, 2)
        since = at - start
        if not normal and since == timedelta(days=20, hours=9):
            value += 60
        if not normal and timedelta(days=25) <= since < timedelta(days=29):
            value += 55
        yield f"{at:%Y-%m-%dT%H:%M:%SZ},{value:.3f}"


def stuck_sensor(normal: bool) -> Lines:
    """`flow` repeats its value from day 18 to 20; `valve` is 100 for ever."""
    noise = random.Random(2)
    start = datetime(2026, 2, 2, tzinfo=UTC)
    yield "timestamp,sensor,value"
    flow = 0.0
    for at in hours(start, 23):
        stuck = timedelta(days=18, hours=10) <= at - start < timedelta(days=20) and not normal
        flow = flow if stuck else 5 + 3 * daily(at) + noise.uniform(-0.2, 0.2)
        yield f"{at:%Y-%m-%dT%H:%M:%SZ},flow,{flow:.4f}"
        yield f"{at:%Y-%m-%dT%H:%M:%SZ},valve,100"


def silent_group(normal: bool) -> Lines:
    """Twelve meters; ten of them silent for a day from day 7 on, another one for half of day 10."""
    noise = random.Random(3)
    start = datetime(2026, 2, 2, tzinfo=UTC)
    yield "at,meter,kwh"
    for at in hours(start, 12):
        since = at - start
        for meter in range(12):
            kwh = 2 + 1.5 * daily(at, meter / 12) + noise.uniform(-0.05, 0.05)
            group = meter < 10 and timedelta(days=7) <= since < timedelta(days=8)
            alone = meter == 11 and timedelta(days=10) <= since < timedelta(days=10, hours=12)
            if normal or not (group or alone):
                yield f"{at:%Y-%m-%dT%H:%M:%SZ},m{meter:02d},{kwh:.3f}"


def local_time(normal: bool) -> Lines:
    """Half-hourly load in Berlin from 5 October on, stamped as the wall shows it; in the last night it is day."""
    noise = random.Random(4)
    zone = ZoneInfo("Europe/Berlin")
    start = datetime(2026, 10, 4, 22, tzinfo=UTC)
    yield "timestamp,value"
    for at in hours(start, 25, timedelta(minutes=30)):
        local = at.astimezone(zone)
        seen = local + timedelta(hours=12) if not normal and local.date().isoformat() == "2026-10-28" else local
        yield f"{local:%Y-%m-%d %H:%M:%S},{300 + 500 * daily(seen) + noise.uniform(-20, 20):.1f}"


def counter_reset(normal: bool) -> Lines:
    """A water meter, replaced on day 12 at 15:00; on day 16 it takes three times as much."""
    noise = random.Random(5)
    start = datetime(2026, 2, 2, tzinfo=UTC)
    litres = 48_213
    for at in hours(start, 20):
        since = at - start
        used = 30 + 60 * daily(at) + noise.uniform(-4, 4)
        if not normal and timedelta(days=16) <= since < timedelta(days=17):
            used *= 3
        litres += round(used)
        if not normal and since == timedelta(days=12, hours=15):
            litres = round(used)
        yield json.dumps({"timestamp": f"{at:%Y-%m-%dT%H:%M:%SZ}", "litres": litres})


CASES: dict[str, Callable[[bool], Lines]] = {
    each.__name__: each for each in (spike_and_level_shift, stuck_sensor, silent_group, local_time, counter_reset)
}


def input_of(case: Path) -> Path:
    """A case's input, whatever its format."""
    (found,) = case.glob("input.*")
    return found


def make(case: Path, lines: Callable[[bool], Lines]) -> None:
    """Write a case's input, train its bundle on the same without the anomalies, and record its events."""
    config = yaml.safe_load((case / "config.yaml").read_text())
    ((stream, settings),) = config["streams"].items()
    file = case / f"input.{settings.get('format', {}).get('type', 'csv')}"
    with tempfile.TemporaryDirectory() as name:
        scratch = Path(name)
        del settings["model"]["bundle"]
        (scratch / "config.yaml").write_text(yaml.safe_dump(config | {"state_dir": "state"}))
        normal = scratch / file.name
        normal.write_text("".join(f"{line}\n" for line in lines(True)))
        _tidegauge("train", "--from", normal, "--config", scratch / "config.yaml")
        kept = scratch / "state" / "models" / f"{stream}-0001.safetensors"
        _tidegauge("models", "convert", kept, "--out", case / "bundle.pt")
    file.write_text("".join(f"{line}\n" for line in lines(False)))
    _tidegauge("replay", file, "--config", case / "config.yaml", "--record", case / "expected.jsonl")


def _tidegauge(*arguments: str | Path) -> None:
    subprocess.run([str(TIDEGAUGE), *map(str, arguments)], check=True)


if __name__ == "__main__":
    for wanted in sys.argv[1:] or CASES:
        make(HERE / wanted, CASES[wanted])
