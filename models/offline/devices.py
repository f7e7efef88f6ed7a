"""Where a training runs."""

from __future__ import annotations

import torch


class NoDevice(ValueError):  # noqa: N818 - it names what is missing
    """The device asked for is not there."""


def choose(device: str) -> torch.device:
    """The device of `auto`, `cpu` or `cuda`; `auto` is the GPU where there is one.

    Raises:
        NoDevice: `cuda` was asked for and there is none.
    """
    there = torch.cuda.is_available()
    if device == "cuda" and not there:
        raise NoDevice("--device cuda: torch finds no GPU on this machine; use --device auto or cpu")
    return torch.device("cuda" if there and device != "cpu" else "cpu")
