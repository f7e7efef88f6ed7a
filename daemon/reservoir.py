"""Windows to train on: the newest ones, and a uniform sample of all there ever were. Bounded and seeded."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from daemon.compiled import compiled

PER_SLOT = 4  # windows a slot contributes at most, on average
RECENT_SLOTS = 1000
RECENT = PER_SLOT * RECENT_SLOTS
OLDER = 65_536
MOST_NUMBERS = 1 << 25  # in the sample's windows: a window of a thousand variables must not take gigabytes
DRAWN = 4096  # of the older windows, in one training


class Reservoir(NamedTuple):
    """The reservoir's arrays as compiled code takes them; W slots, F variables."""

    x: npt.NDArray[np.float32]  # (RECENT + O, W, F): a ring of recent windows, then the sample of all, O of them
    observed: npt.NDArray[np.bool_]  # (RECENT + O, W)
    slot: npt.NDArray[np.int64]  # (RECENT + O,) newest slot of each window
    seen: npt.NDArray[np.int64]  # (1,) windows ever added
    seed: npt.NDArray[np.uint64]  # (1,)


def reservoir(window: int, width: int, seed: int) -> Reservoir:
    """An empty reservoir; its memory is touched only as it fills."""
    n = RECENT + min(OLDER, most_windows(window, width))
    return Reservoir(
        np.zeros((n, window, width), np.float32),
        np.zeros((n, window), np.bool_),
        np.zeros(n, np.int64),
        np.zeros(1, np.int64),
        np.array([seed], np.uint64),
    )


def most_windows(window: int, width: int) -> int:
    """How many windows of this shape may be held at once, at least one."""
    return max(1, MOST_NUMBERS // (window * width))


@compiled
def mix(a: int, b: int) -> np.uint64:
    """Hash of two integers: 64 bits that look random (splitmix64, Steele et al. 2014, doi:10.1145/2660193.2660195)."""
    z = np.uint64(a) * np.uint64(0x9E3779B97F4A7C15) + np.uint64(b) * np.uint64(0xD1B54A32D192ED03)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))


@compiled
def is_sampled(stagger: int, slot: int, rate: int) -> bool:
    """Whether this series contributes its window of this slot; one in `rate` does."""
    return bool(mix(stagger, slot) % np.uint64(rate) == np.uint64(0))


@compiled
def add(r: Reservoir, x: Any, observed: Any, slot: int) -> None:
    """Add a window: to the ring always, to the sample by Vitter's algorithm R (1985, doi:10.1145/3147.3165)."""
    n = r.seen[0]
    r.seen[0] = n + 1
    _put(r, n % RECENT, x, observed, slot)
    place, older = n, len(r.slot) - RECENT
    if n >= older:
        place = np.int64(mix(r.seed[0], n) % np.uint64(n + 1))
    if place < older:
        _put(r, RECENT + place, x, observed, slot)


@compiled
def _put(r: Reservoir, at: int, x: Any, observed: Any, slot: int) -> None:
    r.x[at] = x
    r.observed[at] = observed
    r.slot[at] = slot


def draw(r: Reservoir, recent: int, seed: tuple[int, ...]) -> tuple[npt.NDArray[np.int64], int]:
    """Indices of a sample of all windows followed by the newest `recent` ones, and how many the latter are."""
    seen = int(r.seen[0])
    older = min(seen, len(r.slot) - RECENT)
    rng = np.random.default_rng(seed)
    sample = np.sort(rng.choice(older, min(older, DRAWN), replace=False)) + RECENT
    newest = np.arange(max(0, seen - min(recent, RECENT)), seen) % RECENT
    return np.concatenate([sample, newest]).astype(np.int64), len(newest)


def state(r: Reservoir) -> dict[str, npt.NDArray[Any]]:
    """The filled part of the arrays, for the dump."""
    seen = int(r.seen[0])
    recent, older = min(seen, RECENT), min(seen, len(r.slot) - RECENT)
    filled = np.r_[0:recent, RECENT : RECENT + older]
    return {"x": r.x[filled], "observed": r.observed[filled], "slot": r.slot[filled], "seen": r.seen.copy()}


def restore(r: Reservoir, arrays: dict[str, npt.NDArray[Any]]) -> None:
    """Fill an empty reservoir with what `state` returned."""
    seen = int(arrays["seen"][0])
    recent, older = min(seen, RECENT), min(seen, len(r.slot) - RECENT)
    for own, saved in ((r.x, arrays["x"]), (r.observed, arrays["observed"]), (r.slot, arrays["slot"])):
        own[:recent] = saved[:recent]
        own[RECENT : RECENT + older] = saved[recent:]
    r.seen[0] = seen
