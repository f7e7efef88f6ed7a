"""Gaps in windows: hidden from the network as well as from the error."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from models.architectures import build
from models.network_config import NetworkConfig


def test_what_is_held_in_a_gap_hardly_matters() -> None:
    """What lies in a gap, be it far off, is replaced by what the network expects; before, it moved every output."""
    net = build("masked-autoencoder", NetworkConfig(window=32, width=1, masked=4, copies=3), seed=1)
    x, calendar = torch.rand(8, 32, 1), torch.rand(8, 4)
    observed = torch.ones(8, 32, dtype=torch.bool)
    observed[:, 10:20] = False
    other = torch.where(observed[..., None], x, torch.full_like(x, 2.0))
    with torch.no_grad():
        said, differs = net(x, observed, calendar)[0], net(other, observed, calendar)[0]
        plain = [net.reconstruct(v[None], observed[None], calendar[None])[:, :, -1].mean(0) for v in (x, other)]
    assert (said - differs).abs().max() < 0.05 * (plain[0] - plain[1]).abs().max()


@pytest.mark.parametrize("width", [1, 3])
def test_a_window_without_gaps_has_the_same_bits_beside_one_with_gaps(width: int) -> None:
    """The rounds that fill gaps change nothing where there is none."""
    net = build("masked-autoencoder", NetworkConfig(window=16, width=width, masked=4, copies=3), seed=1)
    x, calendar = torch.rand(8, 16, width), torch.rand(8, 4)
    observed = torch.ones(8, 16, dtype=torch.bool)
    with torch.no_grad():
        alone = [part.numpy() for part in net(x, observed, calendar)]
        observed[5, 3:6] = False
        beside = [part.numpy() for part in net(x, observed, calendar)]
    for a, b in zip(alone, beside, strict=True):
        kept = np.arange(8) != 5
        assert a[kept].tobytes() == b[kept].tobytes()
