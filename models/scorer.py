"""A trained network at work: windows in, scores out, with bits that do not depend on the batch.

torch, most of a daemon's memory, is imported by the first network that is put to work, and not by whoever names one.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import numpy.typing as npt

from models import own_manifest
from models.bundle import Bundle, Floats
from models.bundle_errors import BundleError
from models.network_config import CALENDAR

if TYPE_CHECKING:
    import torch

_SIZES = (512, 128, 32)  # rows of a padded batch; larger ones take more than twice as long per row (page faults)
_LARGE_SIZES = (32, 8)  # where intermediate results are large, padding costs more; below 8 rows bits differ
_SINGLE = (1,)  # for an own model whose bits depend on the batch otherwise
_LARGE = 1 << 15  # numbers in the largest intermediate result of one window


class Scores(NamedTuple):
    """Scores of N windows, in units of `x`; see Network.forward."""

    expected: Floats  # (N, F)
    newest: Floats  # (N, F)
    rms: Floats  # (N,)
    slot_error: Floats  # (N, W)


class Scorer:
    """A bundle at work. A window's scores have the same bits in whatever batch and place it comes.

    Raises:
        BundleError: The weights do not fit the manifest, or this machine's bits depend on the batch.
    """

    def __init__(self, bundle: Bundle) -> None:
        from models.scripted_network import serving_network

        one_thread()
        self.manifest = bundle.manifest
        self._module = serving_network(bundle)
        self._sizes: tuple[int, ...] = _LARGE_SIZES if int(self._module.numbers) > _LARGE else _SIZES
        if own_manifest.is_of(bundle.manifest):
            self._find_sizes()
        else:
            self.self_test()

    def _find_sizes(self) -> None:
        """The largest batches in which an own model's bits do not depend on the batch. Raises as `self_test`."""
        for sizes in (_SIZES, _LARGE_SIZES):
            self._sizes = sizes
            with contextlib.suppress(BundleError):
                return self.self_test()
        self._sizes = _SINGLE
        return self.self_test()

    def score(self, x: Floats, observed: npt.NDArray[np.bool_], calendar: Floats) -> Scores:
        """Scores of N windows, N = 0 too.

        Args:
            x: Scaled windows, gaps filled with the last value, shape (N, W, F).
            observed: False where a slot is a gap, shape (N, W).
            calendar: `features.calendar` of each window's last slot, shape (N, 4).

        Raises:
            ValueError: The shapes do not fit the bundle or each other.
        """
        window, width, count = self.manifest.window, self.manifest.width, len(x)
        shapes = (x.shape[1:], observed.shape, calendar.shape)
        if shapes != ((window, width), (count, window), (count, CALENDAR)):
            raise ValueError(f"the bundle takes windows of ({window}, {width}) for each row, not {shapes}")
        shape = ((count, width), (count, width), (count,), (count, window))
        scores = Scores(*(np.empty(s, np.float32) for s in shape))
        for size, rows in self._batches(observed):
            parts = self._run(size, x[rows], observed[rows], calendar[rows])
            for out, part in zip(scores, parts, strict=True):
                out[rows] = part.numpy()[: len(out[rows])]
        return scores

    def _batches(self, observed: npt.NDArray[np.bool_]) -> Iterator[tuple[int, slice | npt.NDArray[np.int64]]]:
        """Padded sizes, and the rows of each; windows with gaps by themselves, which take several times as long."""
        whole: npt.NDArray[np.bool_] = np.all(observed, axis=1)
        if whole.all():
            start = 0
            for size in _cuts(self._sizes, len(whole)):
                yield size, slice(start, min(start + size, len(whole)))
                start += size
            return
        for group in (np.flatnonzero(whole), np.flatnonzero(~whole)):
            start = 0
            for size in _cuts(self._sizes, len(group)):
                yield size, group[start : start + size]
                start += size

    def self_test(self) -> None:
        """Compares one row at all padded sizes and several places.

        Raises:
            BundleError: The bits differ, so results would depend on how readings are cut into batches.
        """
        rng = np.random.default_rng(0)
        window, width = self.manifest.window, self.manifest.width
        most = self._sizes[0]
        x = rng.random((most, window, width), np.float32)
        observed = rng.random((most, window)) < 0.9
        calendar = rng.random((most, CALENDAR), np.float32)
        rows = [row for row in (0, 1, 7, 30, 31, 100, 127, 300, 510, 511) if row < most]
        x[rows], observed[rows], calendar[rows] = x[0], observed[0], calendar[0]
        seen = [
            tuple(part[at].numpy().tobytes() for part in parts)
            for size in (*self._sizes, self._sizes[-1])  # twice, for one that draws at random
            for parts in [self._run(size, x[:size], observed[:size], calendar[:size])]
            for at in rows
            if at < size
        ]
        if len(set(seen)) != 1:
            raise BundleError(
                "the same window scores differently by its place in the batch on this machine; not serving"
            )

    def _run(self, size: int, x: Floats, observed: npt.NDArray[np.bool_], calendar: Floats) -> tuple[torch.Tensor, ...]:
        """One padded batch. torch's own buffers, because a product's bits may depend on how memory is aligned."""
        import torch

        count = len(x)
        buffers = (
            torch.zeros(size, self.manifest.window, self.manifest.width),
            torch.ones(size, self.manifest.window, dtype=torch.bool),
            torch.zeros(size, CALENDAR),
        )
        for buffer, part in zip(buffers, (x, observed, calendar), strict=True):
            buffer.numpy()[:count] = part
        with torch.inference_mode():
            parts: tuple[torch.Tensor, ...] = self._module(*buffers)
        return parts


def one_thread() -> None:
    """Fixes torch to one intra-op thread: with two, a row's bits depend on the batch."""
    import torch

    if torch.get_num_threads() != 1:
        torch.set_num_threads(1)


def _cuts(sizes: tuple[int, ...], count: int) -> Iterator[int]:
    """Padded sizes, greatest first, that hold `count` rows, at most half of each empty but for the smallest."""
    for size in sizes:
        while count > (size // 2 if size > sizes[-1] else 0):
            yield size
            count -= size
