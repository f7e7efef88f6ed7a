"""A model of the operator's own: a TorchScript file, which runs only where `models.own_files` allows it."""

from __future__ import annotations

import logging
from typing import Any

import torch
from torch import Tensor

from models.bundle_errors import BundleError
from models.manifest import Manifest
from models.network_config import CALENDAR

log = logging.getLogger(__name__)

MOST = 1e6
"""No score is greater: what is, or is not finite, is brought back to it."""


class OwnModel:
    """A loaded file at work: its scores in the shapes of `Network.forward`, finite whatever it does.

    Args:
        module: What torch made of the file.
        manifest: Says window and width.
    """

    numbers = 0

    def __init__(self, module: Any, manifest: Manifest) -> None:
        self._module, self._window, self._width = module, manifest.window, manifest.width
        self._warned = False

    def try_out(self) -> None:
        """Whether it takes windows and gives scores. Raises BundleError that says what it gave instead."""
        x, observed = torch.rand(8, self._window, self._width), torch.ones(8, self._window, dtype=torch.bool)
        try:
            self._run(x, observed, torch.zeros(8, CALENDAR))
        except Exception as error:  # whatever its code raises
            last = (str(error).strip().splitlines() or [type(error).__name__])[-1]
            raise BundleError(f"model.torchscript cannot score windows: {last[:300]}") from error

    def __call__(self, x: Tensor, observed: Tensor, calendar: Tensor) -> tuple[Tensor, ...]:
        """Scores of a batch; a window at which the model fails has none, zeros.

        Args, Returns: As `Network.forward`.
        """
        try:
            return self._run(x, observed, calendar)
        except Exception as error:  # whatever its code raises
            if not self._warned:
                log.warning(
                    "own model failed on a window, which counts as unscored", extra={"error": str(error)[-300:]}
                )
                self._warned = True
        same = min(len(x), 32)  # rows of a batch at which the scorer has compared the bits
        rows = [self._row(x[i], observed[i], calendar[i], same) for i in range(len(x))]
        return tuple(torch.stack(parts) for parts in zip(*rows, strict=True))

    def _row(self, x: Tensor, observed: Tensor, calendar: Tensor, rows: int) -> tuple[Tensor, ...]:
        """One window, which must not fail because another in its batch does: a batch of itself has the same bits."""
        try:
            parts = self._run(*(part.expand(rows, *part.shape).contiguous() for part in (x, observed, calendar)))
        except Exception:  # said once already
            parts = tuple(torch.zeros(shape) for shape in self._shapes(1))
        return tuple(part[0] for part in parts)

    def _run(self, x: Tensor, observed: Tensor, calendar: Tensor) -> tuple[Tensor, ...]:
        found = self._module(x, observed, calendar)
        shapes = self._shapes(len(x))
        given = [tuple(part.shape) if isinstance(part, Tensor) else type(part).__name__ for part in found]
        if given != shapes or any(part.dtype != torch.float32 for part in found):
            raise ValueError(f"of {len(x)} windows it gave {given!s:.200}, not float32 of shapes {shapes}")
        expected, *errors = (part.nan_to_num(0.0, MOST, -MOST).clamp(-MOST, MOST) for part in found)
        return expected, *(part.clamp(min=0.0) for part in errors)

    def _shapes(self, count: int) -> list[tuple[int, ...]]:
        return [(count, self._width), (count, self._width), (count,), (count, self._window)]
