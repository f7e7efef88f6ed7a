"""TorchScript files such as an operator may bring: a plain one, and some that misbehave."""

from __future__ import annotations

import hashlib
import io
import warnings
from pathlib import Path

import torch
from torch import Tensor, nn


class LastValue(nn.Module):
    """Expects of the newest slot what the slot before it was; `worse` at what it fails."""

    def __init__(self, worse: str = "") -> None:
        super().__init__()
        self.worse = worse

    def forward(self, x: Tensor, observed: Tensor, calendar: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """(B, W, F), (B, W) and (B, 4) give (B, F), (B, F), (B,), (B, W)."""
        expected = x[:, -2]  # (B, F)
        newest = (x[:, -1] - expected).abs()  # (B, F)
        slots = torch.zeros(x.shape[0], x.shape[1])  # (B, W)
        slots[:, -1] = newest.square().mean(-1)
        rms = slots[:, -1].sqrt()  # (B,)
        if self.worse == "raises" and bool((x[:, -1] > 5).any()):
            raise ValueError("too high for me")
        if self.worse == "nan":
            rms = torch.where(x[:, -1, 0] > 5, rms / torch.zeros_like(rms), rms)
        if self.worse == "draws":
            rms = rms + torch.rand_like(rms)
        if self.worse == "place":
            rms = rms + torch.arange(rms.shape[0]) * 1e-3
        if self.worse == "shape":
            rms = rms.unsqueeze(-1)
        return expected, newest, rms, slots


def own(worse: str = "") -> bytes:
    """The file of a `LastValue`."""
    return saved(LastValue(worse))


def saved(module: nn.Module) -> bytes:
    """The file of a module."""
    out = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        torch.jit.save(torch.jit.script(module), out)
    return out.getvalue()


def write(path: Path, data: bytes) -> str:
    """Write the file; its SHA-256."""
    path.write_bytes(data)
    return hashlib.sha256(data).hexdigest()
