"""What a bundle that was trained offline says about itself."""

from __future__ import annotations

import platform
from typing import NamedTuple

import numpy as np
import torch

from models.manifest import Manifest
from models.network_config import NetworkConfig


class Taught(NamedTuple):
    """What a network was trained on, and how that went.

    Attributes:
        daily, weekly: Whether the calendar's columns were in use.
        trained_from, trained_to: Epoch seconds of the first and last slot.
        windows: How many windows a pass showed.
        loss: Training loss of one copy at the end.
    """

    daily: bool
    weekly: bool
    trained_from: int
    trained_to: int
    windows: int
    loss: float


def manifest(architecture: str, network: NetworkConfig, stream: str, seed: int, taught: Taught) -> Manifest:
    """The manifest of a network trained from random weights."""
    return Manifest(
        architecture=architecture,
        window=network.window,
        width=network.width,
        masked=network.masked,
        copies=network.copies,
        options=dict(network.options),
        interval_s=network.interval_s,
        stream=stream,
        seed=seed,
        kind="fresh",
        parent=None,
        versions={"torch": str(torch.__version__), "numpy": np.__version__, "python": platform.python_version()},
        **taught._asdict(),
    )
