from __future__ import annotations

from typing import Any

import pytest
import torch

from models.architectures import build
from models.autoencoders import hidden_variables
from models.network import GAP_ROUNDS, Network
from models.network_config import NetworkConfig

CONFIG = NetworkConfig(window=12, width=2, masked=3, copies=3)
ONE = NetworkConfig(window=12, width=1, masked=3, copies=3)


def batch(rows: int = 5, width: int = 2) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    observed = torch.rand(rows, 12, generator=generator) < 0.8
    return torch.randn(rows, 12, width, generator=generator), observed, torch.randn(rows, 4, generator=generator)


@pytest.mark.parametrize("config", [ONE, CONFIG, NetworkConfig(12, 7, 3, 5)], ids=["one", "two", "seven"])
def test_outputs_follow_their_definitions(config: NetworkConfig) -> None:
    """Each output equals its definition, written out copy by copy and window by window."""
    net = build("masked-autoencoder", config, seed=7)
    guessed = hidden_variables(config).bool()
    x, observed, calendar = batch(width=config.width)
    with torch.no_grad():
        expected, newest, rms, slot_error = net(x, observed, calendar)
        for row in range(len(x)):
            x_hat = torch.stack(
                [_rebuilt(net, k, guessed[k], x[row], observed[row], calendar[row]) for k in range(config.copies)]
            )
            square = (x_hat - x[row]) ** 2
            seen = observed[row]
            for f in range(config.width):
                said = x_hat[guessed[:, f], -1, f]
                torch.testing.assert_close(expected[row, f], said.mean())
                torch.testing.assert_close(newest[row, f], (said - x[row, -1, f]).abs().mean())
            torch.testing.assert_close(rms[row], torch.stack([s[seen].mean().sqrt() for s in square]).mean())
            torch.testing.assert_close(slot_error[row], square.mean((0, 2)) * seen)


def _rebuilt(
    net: Network, k: int, guessed: torch.Tensor, x: torch.Tensor, observed: torch.Tensor, calendar: torch.Tensor
) -> torch.Tensor:
    """What copy `k` makes of one window in whose gaps it finds what it made of it before, shape (W, F)."""
    x_hat = _copy(net, k, guessed, x, calendar)
    for _ in range(0 if observed.all() else GAP_ROUNDS):
        x_hat = _copy(net, k, guessed, torch.where(observed[:, None], x, x_hat), calendar)
    return x_hat


def _copy(net: Network, k: int, guessed: torch.Tensor, x: torch.Tensor, calendar: torch.Tensor) -> torch.Tensor:
    """What copy `k` makes of one window, shape (W, F)."""
    seen = x.clone()
    seen[-3:, guessed] = 0
    h = torch.cat([seen.flatten(), calendar])
    layers: Any = net.layers
    for i, layer in enumerate(layers):
        if i == 3 and x.shape[1] > 1:
            h = torch.cat([h, seen[-1]])
        h = h @ layer.weight[k] + layer.bias[k, 0]
        h = h if i in (2, 5) else h.relu()
    return h.view(*x.shape)


@pytest.mark.parametrize(("copies", "width"), [(6, 8), (6, 2), (1, 8), (2, 3), (4, 1), (5, 1000)])
def test_every_variable_is_guessed(copies: int, width: int) -> None:
    """Each variable is hidden from at least one copy; of several, no copy guesses more than half unless it is alone."""
    guessed = hidden_variables(NetworkConfig(12, width, 3, copies))
    assert guessed.shape == (copies, width)
    assert (guessed.sum(0) >= 1).all()
    if width > 1 and copies > 1:
        assert (guessed.sum(1) <= (width + 1) // 2).all()


def test_a_variable_is_not_its_own_evidence() -> None:
    """Changing one variable's newest slot leaves what is expected of it as it was, and moves what is of the others."""
    net = build("masked-autoencoder", NetworkConfig(12, 4, 3, 6))
    x, observed, calendar = batch(width=4)
    changed = x.clone()
    changed[:, -3:, 1] += 5
    with torch.no_grad():
        before, after = net(x, observed, calendar)[0], net(changed, observed, calendar)[0]
    assert torch.equal(before[:, 1], after[:, 1])
    assert (before[:, [0, 2, 3]] != after[:, [0, 2, 3]]).all()


def test_the_newest_slots_are_not_seen() -> None:
    """Changing the hidden slots leaves the expected value as it was; changing the one before them does not."""
    net = build("masked-autoencoder", ONE)
    x, observed, calendar = batch(width=1)
    changed = x.clone()
    changed[:, -3:] += 5
    with torch.no_grad():
        assert torch.equal(net(changed, observed, calendar)[0], net(x, observed, calendar)[0])
        changed[:, -4] += 5
        assert not torch.equal(net(changed, observed, calendar)[0], net(x, observed, calendar)[0])


def test_loss_weighs_masked_slots_and_leaves_gaps_out() -> None:
    """The loss is the sum over copies of the mean squared error, weight 4 on masked slots, mean weight 1, gaps 0."""
    net = build("masked-autoencoder", ONE)
    parts = [torch.stack([part] * 3) for part in batch(width=1)]
    x, observed, calendar = parts
    with torch.no_grad():
        x_hat = net.reconstruct(x, observed, calendar)
        weight = torch.tensor([1.0] * 9 + [4.0] * 3) / 1.75
        square = ((x_hat - x) ** 2).mean(-1) * weight * observed
        torch.testing.assert_close(net.loss(x, observed, calendar), square.mean((1, 2)).sum())
        moved = torch.where(observed.unsqueeze(-1), x, x + 1e6)
        moved[:, :, :-3] = x[:, :, :-3]
        torch.testing.assert_close(net.loss(moved, observed, calendar), net.loss(x, observed, calendar))


def test_initial_weights_follow_from_the_seed_alone() -> None:
    """One seed, one network, within its bound; the global generator is neither used nor moved."""
    state = torch.get_rng_state()
    a, b, other = (build("masked-autoencoder", CONFIG, seed) for seed in (1, 1, 2))
    assert torch.equal(torch.get_rng_state(), state)
    for p, q, r in zip(a.parameters(), b.parameters(), other.parameters(), strict=True):
        assert torch.equal(p, q)
        assert not torch.equal(p, r)
    layers: Any = a.layers
    assert layers[0].weight.abs().max() <= 28**-0.5  # 12 slots of 2 variables, and the calendar
    assert not torch.equal(layers[0].weight[0], layers[0].weight[1])


def test_an_impossible_network_is_refused() -> None:
    """A name nobody knows, or a window that is all masked, is an error that says so."""
    with pytest.raises(ValueError, match="'gru' is not known; use one of masked-autoencoder"):
        build("gru", CONFIG)
    with pytest.raises(ValueError, match="masked below window"):
        NetworkConfig(window=4, masked=4)
