"""The recurrent autoencoder of a window.

Shapes: B windows, W slots, F variables, K copies, C = F + 4 columns of a reading with its calendar.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from models.network import Network, SlotCalendar, read_options
from models.network_config import CALENDAR, NetworkConfig


@dataclass(frozen=True)
class LstmConfig:
    """An LSTM autoencoder's layers.

    Attributes:
        bottleneck: Numbers of the code of each slot.
        relu: Whether the code goes through ReLU.
    """

    bottleneck: int = 2
    relu: bool = False


class LstmPair(nn.Module):
    """LSTM(C -> bottleneck), then LSTM(bottleneck -> C), over the slots of a window."""

    def __init__(self, columns: int, config: LstmConfig) -> None:
        super().__init__()
        self.encoder = nn.LSTM(columns, config.bottleneck, batch_first=True)
        self.decoder = nn.LSTM(config.bottleneck, columns, batch_first=True)
        self.relu = config.relu

    def forward(self, x: Tensor) -> Tensor:
        code, _ = self.encoder(x)  # (B, W, C) -> (B, W, bottleneck)
        if self.relu:
            code = torch.relu(code)
        x_hat: Tensor = self.decoder(code)[0]  # (B, W, C)
        return x_hat


class LstmEnsemble(Network):
    """K copies of an LSTM autoencoder of the window, each slot with its calendar moved from -1..1 to 0..1.

    Source:
        Malhotra et al. 2016, arXiv:1607.00148; here each slot is reconstructed from the slots up to it.
    """

    def __init__(self, config: NetworkConfig, seed: int = 0) -> None:
        layers = read_options(LstmConfig(), config.options)
        columns = config.width + CALENDAR
        super().__init__(config, config.copies * config.window * columns)
        self.slots = SlotCalendar(config.window, config.interval_s)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.members = nn.ModuleList(LstmPair(columns, layers) for _ in range(config.copies))

    def target(self, x: Tensor, calendar: Tensor) -> Tensor:
        """The window, each slot with its calendar."""
        slots: Tensor = self.slots(calendar)  # (..., W, 4)
        return torch.cat([x, (slots + 1) / 2], -1)  # (..., W, F + 4)

    def reconstruct(self, x: Tensor, observed: Tensor, calendar: Tensor) -> Tensor:
        """The window and its calendar as each copy would have them."""
        target = self.target(x, calendar)  # (L, B, W, C)
        target = target.expand(self.copies, -1, -1, -1)  # (K, B, W, C)
        return torch.stack([member(target[k]) for k, member in enumerate(self.members)])  # (K, B, W, C)
