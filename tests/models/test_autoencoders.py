from __future__ import annotations

import pytest
import torch

from models.autoencoders import NetworkConfig, build

CONFIG = NetworkConfig(window=12, width=2, masked=3, copies=3)


def batch(rows: int = 5) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    observed = torch.rand(rows, 12, generator=generator) < 0.8
    return torch.randn(rows, 12, 2, generator=generator), observed, torch.randn(rows, 4, generator=generator)


def test_outputs_follow_their_definitions() -> None:
    """Each output equals its definition, written out copy by copy and window by window."""
    net = build("masked-autoencoder", CONFIG, seed=7)
    x, observed, calendar = batch()
    with torch.no_grad():
        expected, newest, rms, slot_error = net(x, observed, calendar)
        hidden = x.clone()
        hidden[:, -3:] = 0
        inputs = torch.cat([hidden.flatten(1), calendar], 1)
        for row in range(len(x)):
            copies = []
            for k in range(3):
                h = inputs[row]
                for i, layer in enumerate(net.layers):
                    h = h @ layer.weight[k] + layer.bias[k, 0]
                    h = h if i in (2, 5) else h.relu()
                copies.append(h.view(12, 2))
            x_hat = torch.stack(copies)
            square = (x_hat - x[row]) ** 2
            seen = observed[row]
            torch.testing.assert_close(expected[row], x_hat[:, -1].mean(0))
            torch.testing.assert_close(newest[row], (x_hat[:, -1] - x[row, -1]).abs().mean())
            torch.testing.assert_close(rms[row], torch.stack([s[seen].mean().sqrt() for s in square]).mean())
            torch.testing.assert_close(slot_error[row], square.mean((0, 2)) * seen)


def test_the_newest_slots_are_not_seen() -> None:
    """Changing the hidden slots leaves the expected value as it was; changing the one before them does not."""
    net = build("masked-autoencoder", CONFIG)
    x, observed, calendar = batch()
    changed = x.clone()
    changed[:, -3:] += 5
    with torch.no_grad():
        assert torch.equal(net(changed, observed, calendar)[0], net(x, observed, calendar)[0])
        changed[:, -4] += 5
        assert not torch.equal(net(changed, observed, calendar)[0], net(x, observed, calendar)[0])


def test_loss_weighs_masked_slots_and_leaves_gaps_out() -> None:
    """The loss is the sum over copies of the mean squared error, weight 4 on masked slots, mean weight 1, gaps 0."""
    net = build("masked-autoencoder", CONFIG)
    parts = [torch.stack([part] * 3) for part in batch()]
    x, observed, calendar = parts
    with torch.no_grad():
        x_hat = net.reconstruct(net.inputs(x, calendar))
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
    assert a.layers[0].weight.abs().max() <= 28**-0.5  # 12 slots of 2 variables, and the calendar
    assert not torch.equal(a.layers[0].weight[0], a.layers[0].weight[1])


def test_an_impossible_network_is_refused() -> None:
    """A name nobody knows, or a window that is all masked, is an error that says so."""
    with pytest.raises(ValueError, match="'lstm' is not known"):
        build("lstm", CONFIG)
    with pytest.raises(ValueError, match="masked below window"):
        NetworkConfig(window=4, masked=4)
