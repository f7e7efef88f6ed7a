"""A fleet of meters whose readings come in nightly files: the files as they arrive, and who is truly silent."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

SLOTS = 48
INTERVAL_S = 1800
FIRST_S = 1_704_067_200  # 2024-01-01
WINDOW = 52
HEADER = "timestamp,series,value\n"
ORDERS = ("meter", "time")


@dataclass(frozen=True)
class Silence:
    """A gap that a file's end shows; `until` is its last missing slot, epoch seconds, None while it lasts."""

    series: str
    since: int
    until: int | None


@dataclass
class Fleet:
    """Half-hourly meters with a daily shape of their own; some files lack some of them, and some meters die.

    Of the nights one comes after the one that follows it, one comes twice, and one in two files, its meters shared out
    between them. On the late night no meter is missing.

    Attributes:
        meters, nights: How many.
        missing: Share of the meters that a night's file lacks.
        dying: Share of the meters that stop for good.
    """

    meters: int
    nights: int
    missing: float = 0.01
    dying: float = 0.002
    seed: int = 5
    late: int = field(init=False)
    twice: int = field(init=False)
    halved: int = field(init=False)

    def __post_init__(self) -> None:
        self.late, self.twice, self.halved = self.nights // 3, self.nights // 2, 2 * self.nights // 3
        rng = np.random.default_rng(self.seed)
        self.names = [f"meter-{n:04}" for n in range(self.meters)]
        self.absent = rng.random((self.nights, self.meters)) < self.missing
        self.absent[: 2 * WINDOW // SLOTS] = self.absent[self.late] = False
        self.dead = rng.permutation(self.meters)[: max(1, round(self.dying * self.meters))]
        for meter in self.dead:
            self.absent[int(rng.integers(self.nights // 4, 3 * self.nights // 4)) :, meter] = True
        self.absent[self.late] &= self.absent[self.late - 1] & self.absent[self.late + 1]
        slots = np.arange(SLOTS)
        level, phase = rng.uniform(0.2, 2.0, self.meters), rng.uniform(-4, 4, self.meters)
        self.shape = level[:, None] * (1.2 + np.sin((slots[None] + phase[:, None]) * 2 * np.pi / SLOTS))

    def rows(self, night: int, order: str, of: slice = slice(None)) -> str:
        """The rows of a night's file, of all meters or some."""
        rng = np.random.default_rng([self.seed, night])
        values = self.shape * rng.normal(1.0, 0.05, self.shape.shape)
        start = FIRST_S + night * SLOTS * INTERVAL_S
        stamps = [datetime.fromtimestamp(start + s * INTERVAL_S, UTC).strftime("%Y-%m-%dT%H:%M:%SZ") for s in range(48)]
        there = [m for m in range(self.meters)[of] if not self.absent[night, m]]
        if order == "meter":
            pairs = [(m, s) for m in there for s in range(SLOTS)]
        else:
            pairs = [(m, s) for s in range(SLOTS) for m in there]
        return "".join(f"{stamps[s]},{self.names[m]},{values[m, s]:.4f}\n" for m, s in pairs)

    def files(self, order: str) -> list[tuple[str, str]]:
        """`(name, content)` in the order in which they arrive."""
        found = []
        for night in range(self.nights):
            half = self.meters // 2
            if night == self.halved:
                found += [(f"n{night:03}-{k}", self.rows(night, order, of)) for k, of in self._halves(half)]
            else:
                found.append((f"n{night:03}", self.rows(night, order)))
            if night == self.twice:
                found.append((f"n{night:03}-again", self.rows(night, order)))
        at = [name for name, _ in found].index(f"n{self.late:03}")
        found[at], found[at + 1] = found[at + 1], found[at]
        return [(f"{name}.csv", HEADER + text) for name, text in found]

    @staticmethod
    def _halves(half: int) -> list[tuple[int, slice]]:
        return [(0, slice(None, half)), (1, slice(half, None))]

    def silences(self) -> list[Silence]:
        """What is truly silent, by series and time."""
        found = []
        for meter, name in enumerate(self.names):
            since: int | None = None
            for night in range(self.nights + 1):
                absent = night < self.nights and bool(self.absent[night, meter])
                at = FIRST_S + night * SLOTS * INTERVAL_S
                if absent and since is None:
                    since = at
                elif not absent and since is not None:
                    found.append(Silence(name, since, None if night == self.nights else at - INTERVAL_S))
                    since = None
        return sorted(found, key=lambda each: (each.series, each.since))


def configuration(**stream: object) -> dict[str, object]:
    """A daemon that reads `in/*.csv` of its directory, with all defaults but what a test needs to be quick."""
    source = {"type": "file", "path": "in/*.csv"}
    return {
        "version": 1,
        "state_dir": "state",
        "streams": {"meters": {"sources": [source], "format": {"series": "series"}, **stream}},
        "events": {"stdout": False},
        "http": {"listen": "127.0.0.1:0"},
        "log": {"format": "plain"},
    }


def drop(directory: Path, name: str, content: str) -> None:
    """Put a file in place under its name at once, as a transfer that ends with a rename does."""
    (directory / "in").mkdir(exist_ok=True)
    part = directory / f"{name}.part"
    part.write_text(content)
    part.rename(directory / "in" / name)


def raised(rows: list[dict[str, object]]) -> list[Silence]:
    """The gaps among the last revisions of events, by series and time."""
    found = []
    for row in rows:
        if row["reasons"] == ["gap"]:
            since, ended = row["started_at"], row["ended_at"]
            assert isinstance(since, int)
            assert isinstance(ended, int)
            found.append(Silence(str(row["series"]), since, ended if row["state"] == "closed" else None))
    return sorted(found, key=lambda each: (each.series, each.since))
