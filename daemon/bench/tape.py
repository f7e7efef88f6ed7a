"""Networks run once, decisions as often as wanted: what the engine's networks said, kept, and decided on anew.

A `Recording` holds what `decide` reads of every reading of a stream, and what each series joined with. Deciding on it
again under another budget takes a hundredth of the time of the engine and gives what it would give, but that windows
which one budget keeps out of training another might not.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from daemon.config.settings import Settings, StreamSettings
from daemon.engine.detection.decision import Decisions, Scored, Standing, decide
from daemon.engine.detection.hysteresis import CLOSED, NOTHING, OPENED
from daemon.engine.detection.policies import policies, policy_of
from daemon.engine.detection.rules import MODEL
from daemon.engine.kernel import calibration
from daemon.engine.kernel.parameters import Parts, parameters
from daemon.engine.kernel.regime import Adoption
from daemon.engine.kernel.slots import SlotClock
from daemon.engine.learning.admission import Joining, seed
from daemon.engine.machine.engine import Engine
from daemon.engine.messages.inputs import Batch, Configured
from daemon.engine.table.entries import Entries
from daemon.engine.table.series import READY, SeriesTable
from daemon.trainer.trainer import InlineTrainer

STREAM = "measured"
CHUNK = 4096  # readings decided on at once

Floats = npt.NDArray[np.float64]
Columns = dict[str, npt.NDArray[Any]]


class Recording(NamedTuple):
    """What the networks said of a stream's readings. E readings of S series with F variables; J series joined.

    Attributes:
        names: Of the series, by row.
        entries: Arrays by name, E rows each, in the order in which they were decided on.
        joined: Arrays by name of all warm-ups one after another, one row a window.
        joins: Arrays by name, J rows each; `at` is the number of readings decided on before.
        gaps: (G, 2) row and slot of every gap that was said.
    """

    names: tuple[str, ...]
    entries: Columns
    joined: Columns
    joins: Columns
    gaps: npt.NDArray[np.int64]

    def write(self, path: Path) -> None:
        """Keep it in a file."""
        parts = {"entries": self.entries, "joined": self.joined, "joins": self.joins}
        arrays = {f"{part}/{name}": array for part, columns in parts.items() for name, array in columns.items()}
        np.savez(path, names=np.array(self.names), gaps=self.gaps, **arrays)  # type: ignore[arg-type]

    @classmethod
    def read(cls, path: Path) -> Recording:
        """What `write` kept."""
        with np.load(path, allow_pickle=False) as file:
            parts: dict[str, Columns] = {"entries": {}, "joined": {}, "joins": {}}
            for key in file.files:
                part, _, name = key.partition("/")
                if name:
                    parts[part][name] = file[key]
            names = tuple(str(name) for name in file["names"])
            return cls(names, parts["entries"], parts["joined"], parts["joins"], file["gaps"])


class DecidedAgain(NamedTuple):
    """What was decided of a recording's readings, E each."""

    row: npt.NDArray[np.int32]
    slot: npt.NDArray[np.int64]
    rank: Floats
    rarity: Floats
    scored: npt.NDArray[np.bool_]
    anomalous: npt.NDArray[np.bool_]
    opened: npt.NDArray[np.bool_]  # an episode opens here
    notified: npt.NDArray[np.bool_]
    episode: npt.NDArray[np.bool_]  # within one, from its first anomalous reading to its last
    reasons: npt.NDArray[np.uint8]


class Recorder:
    """Keeps what an engine's stream is told, from its first reading on."""

    def __init__(self, engine: Engine, stream: str) -> None:
        self.stream = engine.streams[stream]
        self.stream.scoring.observers.append(self._record)
        self.stream.learner.joining.observer = self._join
        self.count = 0
        self.chunks: list[Columns] = []
        self.windows: list[Columns] = []
        self.joins: list[Columns] = []

    def _record(self, e: Entries, n: int, scored: Scored, out: Decisions) -> None:
        k = e.window[:n]
        at = np.maximum(k, 0)
        width = e.value.shape[1]

        def of(column: npt.NDArray[Any]) -> npt.NDArray[Any]:
            return column[at] if len(column) else np.zeros((n, *column.shape[1:]), column.dtype)

        error_scale = np.broadcast_to(self.stream.learner.serving.error_scale, (n, 2))
        self.chunks.append(
            {
                "row": e.row[:n].copy(),
                "slot": e.slot[:n].copy(),
                "value": e.value[:n].copy(),
                "scored": k >= 0,
                "x": e.x[at, -1] if (k >= 0).any() else np.zeros((n, width), np.float32),
                "newest": of(scored.newest),
                "rms": of(scored.rms),
                "expected": of(scored.expected),
                "error_scale": error_scale.copy(),
            }
        )
        self.count += n

    def _join(self, joining: Joining) -> None:
        a = self.stream.table.arrays
        row = joining.row
        self.windows.append(
            {
                "x": joining.x[:, -1].copy(),
                "newest": np.asarray(joining.newest).copy(),
                "rms": np.asarray(joining.rms).copy(),
                "slot": joining.slot.copy(),
            }
        )
        own = {name: getattr(a, name)[row : row + 1].copy() for name in ("origin", "scale", "median", "low", "high")}
        of_networks = self.stream.learner.serving.error_scale[None].copy()
        facts = {"row": [row], "at": [self.count], "windows": [len(joining.slot)]}
        self.joins.append(own | {"network": of_networks} | {n: np.array(v) for n, v in facts.items()})

    def recording(self, names: Sequence[str], gaps: Sequence[tuple[int, int]]) -> Recording:
        """All of it, with rows in the order of these names, whichever series came first."""
        index = {name: i for i, name in enumerate(names)}
        rows = np.array([index[str(name)] for name in self.stream.table.names], np.int32)
        entries, joins = _joined(self.chunks), _joined(self.joins)
        entries["row"], joins["row"] = rows[entries["row"]], rows[joins["row"]]
        said = np.array(gaps, np.int64).reshape(-1, 2)
        said[:, 0] = rows[said[:, 0]]
        return Recording(tuple(names), entries, _joined(self.windows), joins, said)


def _joined(parts: list[Columns]) -> Columns:
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]} if parts else {}


def configured(given: dict[str, Any]) -> Settings:
    """The shipped defaults under these keys of a stream."""
    from daemon.config.file import from_effective

    return from_effective({"version": 1, "streams": {STREAM: {"clock": "event"} | given}})


def record(settings: Settings, names: Sequence[str], first: int, values: Floats) -> Recording:
    """Run the engine over series side by side.

    Args:
        settings: Has the stream `STREAM`.
        names: Of the N series.
        first: Slot of the first row.
        values: Shape (T, N, F), NaN where there is no reading.
    """
    import torch

    from daemon.config.file import effective

    torch.set_num_threads(1)
    engine = Engine(InlineTrainer())
    engine.step(Configured(effective(settings)))
    recorder, interval = Recorder(engine, STREAM), settings.streams[STREAM].interval
    slots, n = first + np.arange(len(values)), values.shape[1]
    events = []
    size = max(1, CHUNK // n)
    for start in range(0, len(values), size):
        part = values[start : start + size]
        flat = part.reshape(-1, values.shape[2])
        there = ~np.isnan(flat).any(1)
        if not there.any():
            continue
        at = np.repeat(slots[start : start + size], n)[there] * interval * 1000
        codes = np.tile(np.arange(n, dtype=np.int32), len(part))[there]
        batch = Batch(STREAM, 0, list(names), codes, at, np.zeros(len(at), np.int32), flat[there].copy())
        events += engine.step(batch).events
    row_of = engine.streams[STREAM].table.row_of
    gaps = [
        (row_of[e.series], e.at // interval)
        for e in events
        if e.state == "open" and e.revision == 0 and "gap" in e.reasons and e.series in row_of
    ]
    return recorder.recording(names, gaps)


def decide_again(recording: Recording, settings: StreamSettings) -> DecidedAgain:
    """Decide on all readings of a recording in order, under these settings."""
    entries, width = recording.entries, recording.entries["value"].shape[1]
    p = settings.warm_up_slots
    table = SeriesTable(len(recording.names), settings.model.window, width, p)
    for name in recording.names:
        table.arrays.rows["policy"][table.admit(name)] = policy_of(settings.alerts, name)
    table.arrays = table.arrays._replace(history=table.arrays.history[:0])
    units = settings.model.statistics.model_dump(exclude={"calibration"})
    fixed = parameters(p, settings.interval, Parts(**units))
    rates = calibration.rates(settings.interval, settings.model.statistics.calibration)
    clock = SlotClock(settings.interval, settings.timezone, settings.stamp, settings.holidays)
    adoption = Adoption(settings.adopt_slots, max(settings.model.window, 86400 // settings.interval))
    records = policies(settings)
    out = Decisions.room(len(entries["row"]), width)
    carried = np.flatnonzero((np.diff(entries["error_scale"], axis=0) != 0).any(1)) + 1
    cuts = np.unique(np.concatenate([recording.joins["at"], carried, np.arange(0, len(entries["row"]), CHUNK)]))
    joined = np.concatenate([[0], np.cumsum(recording.joins["windows"])])
    turn = 0
    for start, stop in zip(cuts.tolist(), [*cuts[1:].tolist(), len(entries["row"])], strict=True):
        while turn < len(joined) - 1 and recording.joins["at"][turn] <= start:
            _join(table, recording, turn, slice(joined[turn], joined[turn + 1]), fixed, clock)
            turn += 1
        if stop > start:
            _decide(table, recording, slice(start, stop), out, (fixed, rates, records, clock, adoption))
    row, slot = entries["row"], entries["slot"]
    return DecidedAgain(row, slot, out.rank, out.rarity, entries["scored"], out.reasons != 0, _begun(out, records),
                   out.notify, _within(row, slot, out), out.reasons)  # fmt: skip


def _begun(out: Decisions, records: npt.NDArray[Any]) -> npt.NDArray[np.bool_]:
    """Where an episode opens, and not only because a fault that is remembered is back."""
    known = (out.reasons == MODEL) & (out.rarity < records["threshold"][0]) & ~out.notify
    begun: npt.NDArray[np.bool_] = (out.code == OPENED) & ~known
    return begun


def _within(row: npt.NDArray[np.int32], slot: npt.NDArray[np.int64], out: Decisions) -> npt.NDArray[np.bool_]:
    """Readings within an episode, from its first anomalous one to its last."""
    within = np.zeros(len(row), bool)
    for series in np.unique(row[out.code == OPENED]).tolist():
        own = np.flatnonzero(row == series)
        opened: int | None = None
        for i in own[out.code[own] != NOTHING].tolist():
            if out.code[i] == OPENED:
                opened = i
            elif out.code[i] == CLOSED and opened is not None:
                within[own[(own >= opened) & (slot[own] <= out.ended[i])]] = True
                opened = None
        if opened is not None:
            within[own[(own >= opened) & (slot[own] <= out.ended[own[-1]])]] = True
    return within


def _join(table: SeriesTable, recording: Recording, turn: int, own: slice, fixed: Any, clock: SlotClock) -> None:
    """Let a series join as it did."""
    a, joins, windows = table.arrays, recording.joins, recording.joined
    row = int(joins["row"][turn])
    for name in ("origin", "scale", "median", "low", "high"):
        getattr(a, name)[row] = joins[name][turn]
    a.rows["scale"][row] = joins["network"][turn]
    x = windows["x"][own][:, None, :]
    seed(a, row, fixed, x, windows["newest"][own], windows["rms"][own], clock.hours(windows["slot"][own]))
    a.rows["status"][row], a.rows["frozen_run"][row] = READY, 1


def _decide(table: SeriesTable, recording: Recording, cut: slice, out: Decisions, with_what: Any) -> None:
    """Decide on the readings of a cut."""
    fixed, rates, records, clock, adoption = with_what
    e = {name: column[cut] for name, column in recording.entries.items()}
    n, scored = len(e["row"]), e["scored"]
    np.add.at(table.arrays.rows["readings"], e["row"], 1)
    window = np.where(scored, np.cumsum(scored) - 1, -1).astype(np.int32)
    x = e["x"][scored][:, None, :]
    entries = Entries(e["row"], e["slot"], e["value"], np.arange(n), window, x, np.ones((len(x), 1), bool))
    columns = Scored(e["newest"][scored], e["rms"][scored], e["expected"][scored])
    hours = clock.hours(e["slot"][scored])
    standing = Standing(adoption, e["error_scale"][0].copy())
    part = Decisions(*(column[cut] for column in out))  # type: ignore[arg-type]
    decide(table.arrays, fixed, rates, records, entries, n, columns, hours, np.zeros(n, np.bool_), standing, part)
