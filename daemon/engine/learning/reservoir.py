"""Windows to train on: the newest ones, and a uniform sample of all there ever were. Bounded and seeded.

Windows of episodes are set apart in a ring of their own, from which those of a series go to the others when its new
regime is adopted; otherwise newer ones take their cells. What an operator calls a fault is taken out and set apart,
and no regime takes it back.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from daemon.engine.kernel.compiled import compiled
from models.splitmix import splitmix64

PER_SLOT = 4  # windows a slot contributes at most, on average
RECENT_SLOTS = 1000
RECENT = PER_SLOT * RECENT_SLOTS
OLDER = 65_536
MOST_NUMBERS = 1 << 25  # in the sample's windows: a window of a thousand variables must not take gigabytes
APART = 1024
FREE = -1  # no series: it is gone, or there is no window
GONE = -(1 << 31)  # taken out, and the series is gone
DRAWN = 4096  # of the older windows, in one training


mix = compiled(splitmix64)

Period = tuple[int, int]
"""First and last slot."""


class Reservoir(NamedTuple):
    """The reservoir's arrays as compiled code takes them; W slots, F variables."""

    x: npt.NDArray[np.float32]  # (N, W, F): a ring of recent windows, the sample of all, a ring of those set apart
    observed: npt.NDArray[np.bool_]  # (N, W), N = RECENT + O + APART
    slot: npt.NDArray[np.int64]  # (N,) newest slot of each window
    row: npt.NDArray[np.int32]  # (N,) of each window's series; `called_fault` of it where an operator called it that
    seen: npt.NDArray[np.int64]  # (2,) windows ever added, and ever set apart
    seed: npt.NDArray[np.uint64]  # (1,)


def reservoir(window: int, width: int, seed: int) -> Reservoir:
    """An empty reservoir; its memory is touched only as it fills."""
    n = RECENT + min(OLDER, most_windows(window, width)) + APART
    return Reservoir(
        np.zeros((n, window, width), np.float32),
        np.zeros((n, window), np.bool_),
        np.zeros(n, np.int64),
        np.full(n, FREE, np.int32),
        np.zeros(2, np.int64),
        np.array([seed], np.uint64),
    )


def most_windows(window: int, width: int) -> int:
    """How many windows of this shape may be held at once, at least one."""
    return max(1, MOST_NUMBERS // (window * width))


@compiled
def _sampled(r: Reservoir) -> int:
    """Cells of the sample of all."""
    return len(r.slot) - RECENT - APART


@compiled
def is_sampled(stagger: int, slot: int, rate: int) -> bool:
    """Whether this series contributes its window of this slot; one in `rate` does."""
    return bool(mix(stagger, slot) % np.uint64(rate) == np.uint64(0))


@compiled
def called_fault(row: int) -> int:
    """What stands in a window's `row` once an operator has called it a fault of that series; its own inverse."""
    return -2 - row


@compiled
def add(r: Reservoir, row: int, x: Any, observed: Any, slot: int) -> None:
    """Add a window: to the ring always, to the sample by Vitter's algorithm R (1985, doi:10.1145/3147.3165)."""
    n = r.seen[0]
    r.seen[0] = n + 1
    _put(r, n % RECENT, row, x, observed, slot)
    cell, older = n, _sampled(r)
    if n >= older:
        cell = np.int64(mix(r.seed[0], n) % np.uint64(n + 1))
    if cell < older:
        _put(r, RECENT + cell, row, x, observed, slot)


@compiled
def _put(r: Reservoir, at: int, row: int, x: Any, observed: Any, slot: int) -> None:
    r.row[at] = row
    r.x[at] = x
    r.observed[at] = observed
    r.slot[at] = slot


@compiled
def set_apart(r: Reservoir, row: int, x: Any, observed: Any, slot: int) -> None:
    """Keep a window of an episode, or of what an operator `called_fault`, away from training."""
    at = r.seen[1] % APART
    r.seen[1] += 1
    _put(r, RECENT + _sampled(r) + at, row, x, observed, slot)


@compiled
def release(r: Reservoir, row: int, since: int) -> None:
    """Add the windows of a series that were set apart from slot `since` on, oldest first."""
    for i in range(APART):
        cell = RECENT + _sampled(r) + (r.seen[1] + i) % APART
        if r.row[cell] == row and r.slot[cell] >= since:
            r.row[cell] = FREE
            add(r, row, r.x[cell], r.observed[cell], r.slot[cell])


def forget(r: Reservoir, rows: npt.NDArray[np.int64]) -> None:
    """The series of these rows are gone, and their windows set apart with them; the others stay as they are."""
    if not len(rows):
        return
    theirs, called = np.isin(r.row, rows), np.isin(r.row, [called_fault(row) for row in rows.tolist()])
    r.row[theirs] = FREE
    r.row[called] = np.where(_is_learned(r), GONE, FREE)[called]


def take_out(r: Reservoir, row: int, period: Period) -> int:
    """Take the windows of a series that have a slot of the period out of training; how many there were.

    They are set apart, where the gate judges by them, and stay so when a regime is adopted.
    """
    out = np.flatnonzero(_reaching(r, period) & (r.row == row))
    learned = out[out < RECENT + _sampled(r)]
    r.row[out] = called_fault(row)
    _, first = np.unique(r.slot[learned], return_index=True)  # most are both in the ring and in the sample
    for at in learned[first].tolist():
        set_apart(r, called_fault(row), r.x[at].copy(), r.observed[at].copy(), int(r.slot[at]))
    return len(np.unique(r.slot[out]))


def put_back(r: Reservoir, row: int, period: Period, faults: Sequence[Period]) -> int:
    """Have training use the windows of a series that have a slot of the period, and none of what is still a fault.

    Windows taken out that have no slot of a fault any more are used again, too.

    Returns:
        How many are new.
    """
    faulty = np.zeros(len(r.slot), np.bool_)
    for fault in faults:
        faulty |= _reaching(r, fault)
    called = r.row == called_fault(row)
    r.row[called & ~faulty & _is_learned(r)] = row
    wanted = (called | ((r.row == row) & _reaching(r, period))) & ~faulty
    learned = set(r.slot[(r.row == row) & _is_learned(r)].tolist())
    found = 0
    for at in apart(r)[wanted[apart(r)]].tolist():
        r.row[at] = FREE
        if int(r.slot[at]) not in learned:
            add(r, row, r.x[at].copy(), r.observed[at].copy(), int(r.slot[at]))
            found += 1
    return found


def give_back(r: Reservoir, row: int, faults: Sequence[Period]) -> None:
    """Have the windows of a series that are taken out, and have no slot of a fault any more, where they were before.

    Those that were learned are drawn again, those set apart, which come from an episode, are only set apart.
    """
    mine = r.row == called_fault(row)
    for fault in faults:
        mine &= ~_reaching(r, fault)
    learned = r.slot[mine & _is_learned(r)]
    r.row[mine] = np.where(~_is_learned(r) & np.isin(r.slot, learned), FREE, row)[mine]


def _reaching(r: Reservoir, period: Period) -> npt.NDArray[np.bool_]:
    """Which windows have a slot of the period, shape (N,)."""
    since, until = period
    reaching: npt.NDArray[np.bool_] = (r.slot >= since) & (r.slot - r.x.shape[1] < until)
    return reaching


def _is_learned(r: Reservoir) -> npt.NDArray[np.bool_]:
    """Which cells are those of the ring of recent windows and of the sample, shape (N,)."""
    return np.arange(len(r.slot)) < RECENT + _sampled(r)


def recent(r: Reservoir, count: int = RECENT) -> npt.NDArray[np.int64]:
    """Indices of the newest `count` windows but those taken out, oldest first."""
    seen = int(r.seen[0])
    newest: npt.NDArray[np.int64] = np.arange(max(0, seen - min(count, RECENT)), seen) % RECENT
    return newest[r.row[newest] >= FREE]


def apart(r: Reservoir) -> npt.NDArray[np.int64]:
    """Indices of the windows set apart, oldest first."""
    cells = RECENT + _sampled(r) + (int(r.seen[1]) + np.arange(APART)) % APART
    kept: npt.NDArray[np.int64] = cells[r.row[cells] != FREE]
    return kept


def draw(r: Reservoir, newest: int, seed: tuple[int, ...]) -> tuple[npt.NDArray[np.int64], int]:
    """Indices of a sample of all windows followed by the newest ones, and how many the latter are; none taken out."""
    older = min(int(r.seen[0]), _sampled(r))
    rng = np.random.default_rng(seed)
    sample = np.sort(rng.choice(older, min(older, DRAWN), replace=False)) + RECENT
    newer = recent(r, newest)
    return np.concatenate([sample[r.row[sample] >= FREE], newer]).astype(np.int64), len(newer)


def _filled(r: Reservoir, seen: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Indices of all windows there are."""
    added, apart = seen.tolist()
    older = _sampled(r)
    parts = (0, min(added, RECENT)), (RECENT, min(added, older)), (RECENT + older, min(apart, APART))
    return np.concatenate([start + np.arange(count) for start, count in parts])


def state(r: Reservoir) -> dict[str, npt.NDArray[Any]]:
    """The filled part of the arrays, for the dump."""
    filled = _filled(r, r.seen)
    kept = {"x": r.x[filled], "observed": r.observed[filled], "slot": r.slot[filled], "row": r.row[filled]}
    return kept | {"seen": r.seen.copy()}


def restore(r: Reservoir, arrays: dict[str, npt.NDArray[Any]]) -> None:
    """Fill an empty reservoir with what `state` returned."""
    filled = _filled(r, arrays["seen"])
    for name, array in r._asdict().items():
        if name not in ("seen", "seed"):
            array[filled] = arrays[name]
    r.seen[:] = arrays["seen"]
