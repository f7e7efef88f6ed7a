"""What a network learns: to reconstruct windows, or to tell anomalous from normal ones."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from models.network import Network
from models.network_config import CALENDAR
from models.offline.epochs import Part, Rows
from models.offline.windows import Windows
from models.tasks import TransformerClassifier

_AT_ONCE = 64  # windows measured at once; more take twice as long per window (page faults)


class _Tensors(NamedTuple):
    x: torch.Tensor  # (M, W, F)
    observed: torch.Tensor  # (M, W)
    calendar: torch.Tensor  # (M, 4)

    def rows(self, rows: Rows) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        index = torch.from_numpy(rows).to(self.x.device)
        return self.x[index], self.observed[index], self.calendar[index]


def _tensors(
    x: npt.NDArray[np.float32], observed: npt.NDArray[np.bool_], calendar: npt.NDArray[np.float32], device: torch.device
) -> _Tensors:
    return _Tensors(*(torch.from_numpy(part).to(device) for part in (x, observed, calendar)))


class Reconstruction:
    """Windows reconstructed by copies of a network, each of which goes through them in an order of its own.

    Args:
        parts: Windows of each part.
        copies: Copies of the network (K).
        device: Where the network is.
    """

    def __init__(self, parts: Mapping[Part, Windows], copies: int, device: torch.device) -> None:
        self.copies = copies
        self._parts = {name: _tensors(w.x, w.observed, w.calendar, device) for name, w in parts.items()}

    def steps(self, size: int) -> int:
        """See Lesson.steps."""
        return -(-len(self._parts["train"].x) // size)

    def batches(self, rng: np.random.Generator, size: int) -> Iterator[Rows]:
        """See Lesson.batches; rows are (K, B)."""
        count = len(self._parts["train"].x)
        order = np.stack([rng.permutation(count) for _ in range(self.copies)])
        for at in range(0, count, size):
            yield order[:, at : at + size].copy()

    def loss(self, model: nn.Module, rows: Rows) -> tuple[torch.Tensor, float | None]:
        """See Lesson.loss: the network's own loss, of one copy."""
        assert isinstance(model, Network)
        return model.loss(*self._parts["train"].rows(rows)) / self.copies, None

    def measure(self, model: nn.Module, part: Part) -> tuple[float, float | None]:
        """See Lesson.measure."""
        assert isinstance(model, Network)
        data = self._parts[part]
        total = 0.0
        for start in range(0, len(data.x), _AT_ONCE):
            rows = np.arange(start, min(start + _AT_ONCE, len(data.x)))
            whole = data.rows(np.broadcast_to(rows, (self.copies, len(rows))).copy())
            total += float(model.loss(*whole)) / self.copies * len(rows)
        return total / max(1, len(data.x)), None


class Examples(NamedTuple):
    """M labelled windows.

    Attributes:
        x: What the network sees, shape (M, W, F), float32.
        observed: False at gaps, shape (M, W).
        label: 1 where an anomaly was injected, shape (M,), int64.
        series: Index of the series, shape (M,).
        kind: Kind of anomaly, "" where there is none, shape (M,), text.
    """

    x: npt.NDArray[np.float32]
    observed: npt.NDArray[np.bool_]
    label: npt.NDArray[np.int64]
    series: npt.NDArray[np.int64]
    kind: npt.NDArray[np.str_]

    def rows(self, chosen: npt.NDArray[np.bool_]) -> Examples:
        """Those chosen."""
        return Examples(
            self.x[chosen], self.observed[chosen], self.label[chosen], self.series[chosen], self.kind[chosen]
        )


class Fresh(NamedTuple):
    """Labelled windows drawn anew for each pass.

    Attributes:
        windows: How many a pass has.
        draw: Gives so many, of what a generator draws.
    """

    windows: int
    draw: Callable[[int, np.random.Generator], Examples]


class _Labelled(NamedTuple):
    windows: _Tensors
    label: torch.Tensor  # (M,)


def _labelled(e: Examples, device: torch.device) -> _Labelled:
    calendar = np.zeros((len(e.x), CALENDAR), np.float32)
    return _Labelled(_tensors(e.x, e.observed, calendar, device), torch.from_numpy(e.label).to(device))


class Classification:
    """Labelled windows and cross-entropy.

    Args:
        parts: Windows of each part.
        device: Where the network is.
        fresh: What a pass over the training part shows; None: the part itself.

    Attributes:
        windows: How many windows a pass shows.
    """

    def __init__(self, parts: Mapping[Part, Examples], device: torch.device, fresh: Fresh | None = None) -> None:
        self._device, self._fresh = device, fresh
        self.windows = len(parts["train"].label) if fresh is None else fresh.windows
        self._parts = {name: _labelled(e, device) for name, e in parts.items()}
        self._shown = self._parts["train"]

    def steps(self, size: int) -> int:
        """See Lesson.steps."""
        return -(-self.windows // size)

    def batches(self, rng: np.random.Generator, size: int) -> Iterator[Rows]:
        """See Lesson.batches."""
        if self._fresh is not None:
            self._shown = _labelled(self._fresh.draw(self._fresh.windows, rng), self._device)
        order = rng.permutation(self.windows)
        for at in range(0, len(order), size):
            yield order[at : at + size].copy()

    def loss(self, model: nn.Module, rows: Rows) -> tuple[torch.Tensor, float | None]:
        """See Lesson.loss: cross-entropy."""
        assert isinstance(model, TransformerClassifier)
        label = self._shown.label[torch.from_numpy(rows).to(self._device)]
        scores = model.classify(*self._shown.windows.rows(rows))  # (K, B, N)
        loss = nn.functional.cross_entropy(scores.flatten(0, 1), label.repeat(len(scores)))
        return loss, float((scores.mean(0).argmax(-1) == label).float().mean())

    def measure(self, model: nn.Module, part: Part) -> tuple[float, float | None]:
        """See Lesson.measure."""
        return self.judged(self.probability(model, part), part)

    def judged(self, probability: npt.NDArray[np.float64], part: Part) -> tuple[float, float]:
        """Mean cross-entropy of a part's probabilities, and how many of its windows are put into the right class."""
        chance = torch.from_numpy(probability).clamp(1e-7, 1 - 1e-7)
        label = self._parts[part].label.cpu().double()
        return float(nn.functional.binary_cross_entropy(chance, label)), float(
            ((chance > 0.5) == (label > 0.5)).double().mean()
        )

    def probability(self, model: nn.Module, part: Part) -> npt.NDArray[np.float64]:
        """How likely each window of a part is anomalous, shape (M,)."""
        assert isinstance(model, TransformerClassifier)
        data, found = self._parts[part].windows, []
        with torch.no_grad():
            for start in range(0, len(data.x), _AT_ONCE):
                rows = np.arange(start, min(start + _AT_ONCE, len(data.x)))
                scores = model.classify(*data.rows(rows))  # (K, B, N)
                found.append(scores.double().softmax(-1)[..., 1].mean(0).cpu().numpy())
        return np.concatenate(found) if found else np.zeros(0)
