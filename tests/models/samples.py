"""Small training requests and the bundles they give."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np

from models.bundle import Bundle
from models.features import calendar
from models.training import train
from models.training_request import TrainingRequest


def request(rows: int = 96, width: int = 1, window: int = 16, copies: int = 3, slot: int = 96) -> TrainingRequest:
    """A fresh training on a noisy sine with a few gaps."""
    rng = np.random.default_rng(5)
    values = np.sin(np.arange(rows + window) * 0.26) + 0.1 * rng.standard_normal(rows + window)
    windows = np.lib.stride_tricks.sliding_window_view(values, window)[:rows]
    at = np.arange(rows, dtype=np.int64) * 1800
    return TrainingRequest(
        stream="taxi",
        slot=slot,
        seed=3,
        kind="fresh",
        architecture="masked-autoencoder",
        window=window,
        width=width,
        masked=4,
        copies=copies,
        interval_s=1800,
        daily=True,
        weekly=False,
        trained_from=0,
        trained_to=int(at[-1]),
        parent=None,
        x=np.repeat(windows.astype(np.float32)[:, :, None], width, 2),
        observed=rng.random((rows, window)) < 0.95,
        calendar=calendar(at, True, False),
        recent=rows // 2,
    )


@cache
def bundle(width: int = 1) -> Bundle:
    """The bundle of `request`."""
    return train(request(width=width))


def tuning() -> TrainingRequest:
    """A tuning of `bundle`."""
    return replace(request(slot=120), kind="tune", parent=bundle())
