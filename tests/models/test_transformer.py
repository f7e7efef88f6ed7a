from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from models.architectures import build
from models.bundle import Bundle
from models.embedding import BinEmbedding, sines
from models.features import calendar
from models.network import calendar_of_slots, read_options
from models.network_config import NetworkConfig, options
from models.scorer import Scorer
from models.tasks import ANOMALOUS, TransformerClassifier, own_scale
from models.transformer import DecoderLayer, EncoderLayer, Transformer, TransformerConfig
from tests.conformance.test_models import manifest

SMALL = TransformerConfig(dim=16, feedforward=24, encoder_layers=2, decoder_layers=2, dropout=0.0)


def normal(seed: int, *shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def copy_attention(mine: nn.Module, theirs: nn.MultiheadAttention) -> None:
    """Give torch's layer the weights of ours."""
    with torch.no_grad():
        for name in ("weight", "bias"):
            stacked = torch.cat([getattr(getattr(mine, part), name) for part in "qkv"])
            getattr(theirs, f"in_proj_{name}").copy_(stacked)
            getattr(theirs.out_proj, name).copy_(getattr(mine.o, name))


def copy_rest(
    mine: EncoderLayer | DecoderLayer, theirs: nn.TransformerEncoderLayer | nn.TransformerDecoderLayer, norms: int
) -> None:
    """The same for the feed-forward maps and the norms."""
    theirs.linear1.load_state_dict(mine.feedforward.first.state_dict())
    theirs.linear2.load_state_dict(mine.feedforward.second.state_dict())
    for i in range(1, norms + 1):
        getattr(theirs, f"norm{i}").load_state_dict(getattr(mine, f"norm{i}").state_dict())


@pytest.mark.parametrize("norm_first", [False, True])
def test_layers_are_torchs(norm_first: bool) -> None:
    """An encoder layer and a decoder layer give what torch's own give, on padded sequences without its fast path."""
    config = replace(SMALL, norm_first=norm_first)
    x, memory = normal(0, 3, 7, 16), normal(1, 3, 7, 16)
    present = torch.ones(3, 7, dtype=torch.bool)
    present[0, 4:] = present[2, :2] = False
    like: dict[str, Any] = {"dropout": 0.0, "batch_first": True, "norm_first": norm_first}
    encoder, decoder = EncoderLayer(config).eval(), DecoderLayer(config).eval()
    their_encoder = nn.TransformerEncoderLayer(16, 2, 24, **like).eval()
    their_decoder = nn.TransformerDecoderLayer(16, 2, 24, **like).eval()
    copy_attention(encoder.attention, their_encoder.self_attn)
    copy_attention(decoder.attention, their_decoder.self_attn)
    copy_attention(decoder.memory, their_decoder.multihead_attn)
    copy_rest(encoder, their_encoder, 2)
    copy_rest(decoder, their_decoder, 3)
    mask = torch.ones(7, 7, dtype=torch.bool).tril()
    mask[:, 2] = True  # a causal row must see one key that is present
    fast = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        with torch.no_grad():
            theirs = their_encoder(x, src_key_padding_mask=~present)
            torch.testing.assert_close(encoder(x, present), theirs, rtol=0, atol=2e-6)
            theirs = their_decoder(
                x, memory, tgt_mask=~mask, tgt_key_padding_mask=~present, memory_key_padding_mask=~present
            )
            torch.testing.assert_close(decoder(x, memory, present, mask), theirs, rtol=0, atol=2e-6)
    finally:
        torch.backends.mha.set_fastpath_enabled(fast)


def test_the_document_s_transformer() -> None:
    """The defaults are its shapes: sequences of 250 tokens, three encoder and three decoder layers of two heads."""
    net = build("transformer-classifier", TransformerConfig().network())
    assert isinstance(net, TransformerClassifier)
    (member,) = net.members
    assert isinstance(member, Transformer)
    assert (net.window, len(member.encoder), len(member.decoder)) == (250, 3, 3)
    assert {layer.attention.heads for layer in [*member.encoder, *member.decoder]} == {2}
    assert isinstance(member.embedding, BinEmbedding)
    assert member.dropout.p == 0.3


@pytest.mark.parametrize(
    "changed",
    [
        {},
        {"embedding": "linear", "calendar": True, "positions": "learned", "norm_first": True},
        {"embedding": "convolution", "kernel": 7, "scaled": True, "pooling": "max"},
        {"embedding": "patches", "patch": 3, "calendar": True, "causal": True, "pooling": "last"},
        {"causal": True, "encoder_layers": 1, "decoder_layers": 1},
        {"decoder_layers": 0},
    ],
)
@pytest.mark.parametrize("architecture", ["transformer", "transformer-classifier"])
def test_every_variant_serves(architecture: str, changed: dict[str, object]) -> None:
    """Of any configuration a bundle can be made whose scorer passes its self-test; the options survive the manifest."""
    layers = replace(SMALL, **changed)  # type: ignore[arg-type]
    config = layers.network(window=12, masked=2)
    assert read_options(TransformerConfig(), config.options) == layers
    net = build(architecture, config, seed=2)
    weights = {name: p.detach().numpy().copy() for name, p in net.named_parameters()}
    bundle = Bundle(manifest(architecture, config), weights, {})
    scorer = Scorer(Bundle.from_bytes(bundle.to_bytes()))
    assert scorer.manifest.network == config


@pytest.mark.parametrize("window", range(8, 18))
def test_every_short_window_serves(window: int) -> None:
    """The self-test holds whatever the number of positions that a position looks at."""
    config = replace(SMALL, embedding="linear").network(window=window, masked=2)
    net = build("transformer", config, seed=2)
    weights = {name: p.detach().numpy().copy() for name, p in net.named_parameters()}
    assert Scorer(Bundle(manifest("transformer", config), weights, {})).manifest.window == window


def test_a_long_window_serves_in_small_batches() -> None:
    """A window of 250 slots is padded to 32 or 8 rows, and the self-test holds there."""
    layers = replace(SMALL, encoder_layers=1, decoder_layers=0)
    config = layers.network()
    net = build("transformer-classifier", config, seed=2)
    weights = {name: p.detach().numpy().copy() for name, p in net.named_parameters()}
    scorer = Scorer(Bundle(manifest("transformer-classifier", config), weights, {}))
    x, seen, at = normal(0, 11, 250, 1), torch.ones(11, 250, dtype=torch.bool), normal(1, 11, 4)
    whole = scorer.score(x.numpy(), seen.numpy(), at.numpy())
    one = scorer.score(x[4:5].numpy(), seen[4:5].numpy(), at[4:5].numpy())
    assert one.slot_error.tobytes() == whole.slot_error[4].tobytes()
    assert one.newest.tobytes() == whole.newest[4].tobytes()


def test_the_newest_slots_are_hidden() -> None:
    """What stands in the masked slots of a reconstruction, or in a gap, does not matter to what is expected."""
    net = build("transformer", SMALL.network(window=12, masked=3), seed=1).eval()
    x, at = normal(0, 4, 12, 1), normal(1, 4, 4)
    observed = torch.ones(4, 12, dtype=torch.bool)
    observed[:, 5] = False
    changed = x.clone()
    changed[:, -3:] += 7
    changed[:, 5] += 7
    with torch.no_grad():
        assert torch.equal(net(x, observed, at)[0], net(changed, observed, at)[0])
        changed[:, 4] += 0.5
        assert not torch.equal(net(x, observed, at)[0], net(changed, observed, at)[0])


def test_residuals_are_guessed_beside_what_is_usual() -> None:
    """A level that all days have does not matter to the errors, and what is expected follows it."""
    config = replace(SMALL, embedding="linear", inputs="residual").network(7 + 12, masked=3, interval_s=86_400)
    net = build("transformer", config, seed=1).eval()
    x, at = normal(0, 4, 19, 1), normal(1, 4, 4)
    observed = torch.ones(4, 19, dtype=torch.bool)
    with torch.no_grad():
        expected, newest, rms, slot_error = net(x, observed, at)
        raised = net(x + 2, observed, at)
    torch.testing.assert_close(raised[0], expected + 2, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(raised[1], newest, rtol=1e-3, atol=1e-5)
    assert slot_error.shape == (4, 19)
    assert not slot_error[:, :7].any()
    assert (rms > 0).all()


def test_surprise_is_minus_log_p_of_normal() -> None:
    """A classifier's scores follow from its logits; a window's is the mean of its observed slots' ones."""
    net = build("transformer-classifier", SMALL.network(window=12), seed=1).eval()
    assert isinstance(net, TransformerClassifier)
    x, at = normal(0, 4, 12, 1), normal(1, 4, 4)
    observed = torch.rand(4, 12, generator=torch.Generator().manual_seed(2)) < 0.7
    with torch.no_grad():
        slots = net.slot_logits(x, observed, at)[0]  # (B, N, W)
        logits = torch.stack([slots[b][:, observed[b]].mean(-1) for b in range(4)])
        torch.testing.assert_close(net.logits(x, observed, at)[0], logits)
        p_normal = 1 - logits.softmax(-1)[:, ANOMALOUS]
        expected, newest, rms, _ = net(x, observed, at)
    torch.testing.assert_close(newest[:, 0], -p_normal.log())
    torch.testing.assert_close(rms, -p_normal.log())
    assert torch.equal(expected, x[:, -1])


def test_bins_cover_their_reach() -> None:
    """Equal bins between the ends, whatever lies beyond in the outer ones, and a token for what is unseen."""
    table = BinEmbedding(bins=4, reach=2.0, dim=2)
    x = torch.tensor([-9.0, -2.0, -1.01, -1.0, 0.0, 1.99, 2.0, 9.0]).view(1, 8, 1)
    seen = torch.ones(1, 8, dtype=torch.bool)
    assert table.tokens(x, seen).tolist() == [[0, 0, 0, 1, 2, 3, 3, 3]]
    assert table.tokens(x, ~seen).tolist() == [[4] * 8]


def test_own_scale_is_of_what_is_seen() -> None:
    """Each variable's mean and standard deviation over the visible slots; a constant window is not blown up."""
    x = normal(0, 2, 9, 3)
    visible = torch.ones(2, 9, dtype=torch.bool)
    visible[0, ::2] = False
    mean, spread = own_scale(x, visible)
    for b in range(2):
        part = x[b][visible[b]]
        torch.testing.assert_close(mean[b, 0], part.mean(0))
        torch.testing.assert_close(spread[b, 0], part.std(0, correction=0))
    assert own_scale(torch.full((1, 9, 1), 5.0), visible[:1])[1].item() == pytest.approx(1e-3)


def test_positions_are_sines() -> None:
    """The encoding of Vaswani et al.: sine and cosine in turn, wavelengths from 2 pi to 10,000 * 2 pi."""
    table = sines(50, 8)
    for place in (0, 1, 49):
        for i in range(4):
            angle = torch.tensor(place / 10_000 ** (2 * i / 8))
            torch.testing.assert_close(table[place, 2 * i], angle.sin(), rtol=0, atol=1e-5)
            torch.testing.assert_close(table[place, 2 * i + 1], angle.cos(), rtol=0, atol=1e-5)
    assert sines(5, 7).shape == (5, 7)


@pytest.mark.parametrize("interval_s", [60, 1800, 86400])
def test_the_calendar_is_turned_back(interval_s: int) -> None:
    """Each slot's calendar is what features.calendar gives at its instant; columns not in use stay 0."""
    at = np.arange(20, dtype=np.int64) * interval_s + 123_456_780
    for daily, weekly in ((True, True), (True, False), (False, False)):
        each = torch.from_numpy(calendar(at, daily, weekly))
        back = calendar_of_slots(each[-1:], 20, interval_s)[0]
        torch.testing.assert_close(back, each, rtol=0, atol=2e-6)


def test_impossible_options_are_refused() -> None:
    """An unknown option, an even kernel, unfit patches, and bins for several variables are errors that say so."""
    with pytest.raises(ValueError, match="unknown option colour"):
        build("transformer", NetworkConfig(options=options({"colour": 1})))
    with pytest.raises(ValueError, match="kernel is 4"):
        build("transformer", NetworkConfig(options=options({"embedding": "convolution", "kernel": 4})))
    with pytest.raises(ValueError, match="window of 32 slots cannot be cut into patches of 5"):
        build("transformer", NetworkConfig(options=options({"embedding": "patches"})))
    with pytest.raises(ValueError, match="2 variables cannot be binned"):
        build("transformer", NetworkConfig(width=2, options=options({"embedding": "bins"})))
    with pytest.raises(ValueError, match="dense-3 has no options"):
        build("dense-3", NetworkConfig(options=options({"relu": True})))
