"""An ensemble: networks of any architecture and window that score together as one.

Shapes: B windows, W slots of the longest member, F variables, M members.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from models.ensemble_members import members_of
from models.network import Network
from models.network_config import NetworkConfig

Build = Callable[[str, NetworkConfig, int], Network]


class Ensemble(Network):
    """Scores by the weighted mean of its members, each on the newest slots that its own window takes.

    Args:
        config: Its shapes; `window` is the longest member's, `copies` the most that a member has.
        build: Makes a member.
        seed: Of the first member's initial weights; the others follow.
    """

    def __init__(self, config: NetworkConfig, build: Build, seed: int = 0) -> None:
        described = members_of(config)
        members = [build(each.architecture, each.network, seed + i) for i, each in enumerate(described)]
        super().__init__(config, max(member.numbers for member in members))
        self.members = nn.ModuleList(members)
        self.names = [each.name for each in described]
        self.skipped = [config.window - member.window for member in members]  # slots too old for a member
        self.weights = nn.Buffer(torch.tensor([each.weight for each in described]), persistent=False)  # (M,)

    def forward(self, x: Tensor, observed: Tensor, calendar: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """The members' scores, each with its weight; shapes as `Network.forward`."""
        expected, newest, rms, slots = [], [], [], []
        for i, member in enumerate(self.members):
            own = self.skipped[i]
            e, n, r, s = member(x[:, own:], observed[:, own:], calendar)
            expected.append(e)  # (B, F)
            newest.append(n)  # (B, F)
            rms.append(r)  # (B,)
            slots.append(F.pad(s, (own, 0)))  # (B, W)
        return (
            (torch.stack(expected, -1) * self.weights).sum(-1),  # (B, F)
            (torch.stack(newest, -1) * self.weights).sum(-1),  # (B, F)
            (torch.stack(rms, -1) * self.weights).sum(-1),  # (B,)
            (torch.stack(slots, -1) * self.weights).sum(-1),  # (B, W)
        )

    def loss(self, x: Tensor, observed: Tensor, calendar: Tensor) -> Tensor:
        """The sum of the members' losses, each on as many batches as it has copies; arguments as `Network.loss`."""
        losses = []
        for own, member in zip(self.skipped, self.members, strict=True):
            assert isinstance(member, Network)
            copies = member.copies
            losses.append(member.loss(x[:copies, :, own:], observed[:copies, :, own:], calendar[:copies]))
        return torch.stack(losses).sum()
