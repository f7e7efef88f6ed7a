"""One suite over all architectures: what the engine and the trainer rely on, whatever the network."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from models.architecture_names import ENSEMBLE, LABELLED
from models.architectures import ARCHITECTURES, build
from models.bundle import Bundle
from models.bundle_file import read_bundle, write_bundle
from models.ensemble_members import Member, members_option
from models.features import calendar
from models.manifest import Manifest
from models.network import Network
from models.network_config import NetworkConfig, Option, options
from models.scorer import Scorer
from models.scripted_network import scripted
from models.tasks import TransformerClassifier
from models.training import train
from models.training_request import TrainingRequest

WINDOW, ROWS, INTERVAL_S = 16, 256, 3600
WIDTH = {"manufacturing": 12}
TINY: dict[str, Option] = {"dim": 16, "feedforward": 16, "encoder_layers": 1, "decoder_layers": 1, "dropout": 0.1}
"""Transformer's options that train in a second."""

CONTEXT, RESIDUALS = "transformer-classifier with context", "transformer with residuals"
"""Those that compute what they see of a window: daily readings, so that a week and more are in it."""

ALL = [*ARCHITECTURES, ENSEMBLE, CONTEXT, RESIDUALS]
BY_LABELS = {*LABELLED, CONTEXT}
every = pytest.mark.parametrize("architecture", ALL)
trainable = pytest.mark.parametrize("architecture", [a for a in ALL if a not in BY_LABELS])


def built(architecture: str, config: NetworkConfig, seed: int = 0) -> Network:
    """A network of these shapes."""
    return build(name_of(architecture), config, seed)


def name_of(architecture: str) -> str:
    """Its name, without what it sees."""
    return architecture.partition(" with ")[0]


def config(architecture: str) -> NetworkConfig:
    """A small network of this architecture."""
    if architecture == ENSEMBLE:
        shapes = {"dense-3": NetworkConfig(WINDOW, 1, 2, 1, INTERVAL_S), "lstm": NetworkConfig(8, 1, 2, 1, INTERVAL_S)}
        members = members_option([Member(f"my {name}", name, shape, 0.5) for name, shape in shapes.items()])
        return NetworkConfig(WINDOW, 1, 2, 1, INTERVAL_S, options({"members": members}))
    if architecture == CONTEXT:
        context = TINY | {"inputs": "context", "embedding": "patches", "patch": 3, "kernel": 3, "pooling": "last"}
        return NetworkConfig(WINDOW, 1, 2, 1, 86_400, options(context))
    if architecture == RESIDUALS:
        return NetworkConfig(WINDOW, 1, 2, 1, 86_400, options(TINY | {"inputs": "residual"}))
    own: dict[str, Option] = TINY if architecture.startswith("transformer") else {}
    return NetworkConfig(WINDOW, WIDTH.get(architecture, 1), 2, 1 if own else 2, INTERVAL_S, options(own))


@cache
def windows(width: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Windows of a daily season with a little noise, between 0 and 1; few gaps, the newest slot observed."""
    rng = np.random.default_rng(4)
    at = np.arange(ROWS + WINDOW - 1)
    phase = np.linspace(0, 2, width)
    values = 0.5 + 0.4 * np.sin(at[:, None] * 2 * np.pi / 24 + phase) + 0.02 * rng.standard_normal((len(at), width))
    x = np.lib.stride_tricks.sliding_window_view(values.astype(np.float32), WINDOW, 0).transpose(0, 2, 1)
    observed = rng.random((ROWS, WINDOW)) < 0.95
    observed[:, -1] = True
    instants = calendar(at[WINDOW - 1 :].astype(np.int64) * INTERVAL_S, True, False)
    return torch.tensor(x), torch.from_numpy(observed), torch.from_numpy(instants)


def request(architecture: str) -> TrainingRequest:
    """A fresh training on `windows`."""
    c = config(architecture)
    x, observed, instants = (part.numpy() for part in windows(c.width))
    return TrainingRequest(
        stream="s",
        slot=ROWS,
        seed=1,
        kind="fresh",
        architecture=name_of(architecture),
        window=c.window,
        width=c.width,
        masked=c.masked,
        copies=c.copies,
        interval_s=c.interval_s,
        daily=True,
        weekly=False,
        trained_from=None,
        trained_to=None,
        parent=None,
        x=x,
        observed=observed,
        calendar=instants,
        recent=100,
        options=dict(c.options),
    )


@cache
def trained(architecture: str) -> Bundle:
    """A trained bundle; a classifier is trained here, by labels, on spikes in the newest slots."""
    if architecture not in BY_LABELS:
        return train(request(architecture))
    c = config(architecture)
    net = built(architecture, c, seed=1)
    assert isinstance(net, TransformerClassifier)
    x, observed, instants = windows(c.width)
    both = torch.cat([x, spiked(x)]), torch.cat([observed] * 2), torch.cat([instants] * 2)
    label = torch.arange(2).repeat_interleave(ROWS)
    optimiser = torch.optim.Adam(net.parameters(), lr=3e-3)
    generator = torch.Generator().manual_seed(0)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        for _ in range(60):
            rows = torch.randint(0, 2 * ROWS, (64,), generator=generator)
            optimiser.zero_grad()
            net.classification_loss(both[0][rows], both[1][rows], both[2][rows], label[rows]).backward()
            optimiser.step()
    weights = {name: p.detach().numpy().copy() for name, p in net.named_parameters()}
    return Bundle(manifest(architecture, c), weights, {})


def manifest(architecture: str, c: NetworkConfig) -> Manifest:
    """A manifest of this network."""
    return Manifest(
        architecture=name_of(architecture),
        window=c.window,
        width=c.width,
        masked=c.masked,
        copies=c.copies,
        interval_s=c.interval_s,
        daily=True,
        weekly=False,
        stream="s",
        seed=1,
        kind="fresh",
        trained_from=None,
        trained_to=None,
        windows=ROWS,
        parent=None,
        loss=0.0,
        versions={},
        options=dict(c.options),
    )


def spiked(x: torch.Tensor) -> torch.Tensor:
    """Windows whose newest slot is far outside."""
    out = x.clone()
    out[:, -1] += 1.5
    return out


def net(architecture: str) -> Network:
    """A fresh network, in evaluation."""
    return built(architecture, config(architecture), seed=3).eval()


@every
def test_shapes(architecture: str) -> None:
    """Whatever the number of windows, the four outputs have the shapes that the engine takes, and are finite."""
    c = config(architecture)
    for rows in (1, 9):
        with torch.no_grad():
            expected, newest, rms, slot_error = net(architecture)(*(p[:rows] for p in windows(c.width)))
        assert expected.shape == (rows, c.width)
        assert newest.shape == (rows, c.width)
        assert rms.shape == (rows,)
        assert slot_error.shape == (rows, WINDOW)
        for part in (expected, newest, rms, slot_error):
            assert part.dtype == torch.float32
            assert part.isfinite().all()
        for part in (newest, rms, slot_error):
            assert (part >= 0).all()


@every
def test_gaps_do_not_count(architecture: str) -> None:
    """A gap's slot error is 0, and a window of gaps alone has finite scores."""
    c = config(architecture)
    x, observed, instants = (part[:9] for part in windows(c.width))
    with torch.no_grad():
        assert not net(architecture)(x, observed, instants)[3][~observed].any()
        nothing = net(architecture)(x, torch.zeros_like(observed), instants)
    assert all(part.isfinite().all() for part in nothing)
    assert not nothing[3].any()


@every
def test_gradient_reaches_every_parameter(architecture: str) -> None:
    """Every weight moves the training loss; a key's bias alone cannot: it adds the same to all of a query's scores."""
    c = config(architecture)
    network = built(architecture, c, seed=3)
    x, observed, instants = (part[:64] for part in windows(c.width))
    if isinstance(network, TransformerClassifier):
        network.classification_loss(x, observed, instants, torch.arange(64) % 2).backward()
    else:
        network.loss(*(part.expand(c.copies, *part.shape) for part in (x, observed, instants))).backward()
    for name, parameter in network.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.isfinite().all(), name
        if not name.endswith(".k.bias"):
            assert parameter.grad.abs().max() > 1e-9, name


@trainable
def test_loss_leaves_gaps_out(architecture: str) -> None:
    """A gap weighs nothing: windows of gaps alone have no loss."""
    c = config(architecture)
    network = net(architecture)
    x, observed, instants = (part[:9].expand(c.copies, *part[:9].shape) for part in windows(c.width))
    assert network.loss(x, torch.zeros_like(observed), instants) == 0
    assert network.loss(x, observed, instants) > 0


@every
@pytest.mark.parametrize("training", [False, True])
def test_script_equals_eager(architecture: str, training: bool) -> None:
    """In the same mode, and with dropout from the same seed, the scripted network gives the eager one's numbers."""
    bundle = trained(architecture)
    eager = built(architecture, bundle.manifest.network).train(training)
    eager.load_state_dict({name: torch.from_numpy(w) for name, w in bundle.weights.items()})
    script = scripted(bundle).train(training)
    runs = []
    for module in (eager, script):
        with torch.random.fork_rng(), torch.no_grad():
            torch.manual_seed(5)
            runs.append(module(*(part[:40] for part in windows(bundle.manifest.width))))
    for mine, theirs in zip(*runs, strict=True):
        torch.testing.assert_close(mine, theirs, rtol=1e-5, atol=1e-6)


@cache
def whole(architecture: str) -> tuple[Scorer, list[bytes]]:
    """A scorer, and the bits of each window's scores when all are scored at once."""
    scorer = Scorer(trained(architecture))
    return scorer, bits(scorer, slice(None))


def bits(scorer: Scorer, rows: slice | list[int] | npt.NDArray[np.int64]) -> list[bytes]:
    """The bits of each chosen window's scores."""
    x, observed, calendar = (part.numpy()[rows] for part in windows(scorer.manifest.width))
    scores = scorer.score(x, observed, calendar)
    return [b"".join(part[i].tobytes() for part in scores) for i in range(len(scores.newest))]


@every
@settings(max_examples=8, deadline=None)
@given(rows=st.lists(st.integers(0, ROWS - 1), min_size=1, max_size=140))
def test_bits_are_stable_under_padding(architecture: str, rows: list[int]) -> None:
    """In whatever number, order and company the windows come, each has its own bits."""
    scorer, expected = whole(architecture)
    assert bits(scorer, rows) == [expected[row] for row in rows]


@every
def test_a_bundle_survives_its_file(architecture: str, tmp_path: Path) -> None:
    """What is written and read back has the same content and gives the same bits."""
    bundle = trained(architecture)
    back = read_bundle(tmp_path / "a.pt", write_bundle(tmp_path / "a.pt", bundle))
    assert back == bundle
    assert bits(Scorer(back), slice(0, 50)) == whole(architecture)[1][:50]


@trainable
def test_training_follows_from_its_seed(architecture: str) -> None:
    """One request, one bundle, bit for bit; a tuning continues and differs by its slot."""
    asked = request(architecture)
    first = trained(architecture)
    assert train(asked) == first
    tuned = train(request_of_tuning(architecture, ROWS + 50))
    assert tuned == train(request_of_tuning(architecture, ROWS + 50))
    assert tuned != train(request_of_tuning(architecture, ROWS + 51))
    assert tuned.manifest.options == first.manifest.options


def request_of_tuning(architecture: str, slot: int) -> TrainingRequest:
    """A tuning of `trained`."""
    return replace(request(architecture), kind="tune", slot=slot, parent=trained(architecture))


@every
def test_corrupted_windows_score_higher(architecture: str) -> None:
    """Nine in ten windows have a greater error with a spike in the newest slot than without."""
    scorer = whole(architecture)[0]
    x, observed, instants = windows(scorer.manifest.width)
    clean = scorer.score(x.numpy(), observed.numpy(), instants.numpy())
    corrupted = scorer.score(spiked(x).numpy(), observed.numpy(), instants.numpy())
    assert (corrupted.newest > clean.newest).mean() > 0.9
    assert (corrupted.rms > clean.rms).mean() > 0.9
    assert np.median(corrupted.newest) > 2 * np.median(clean.newest)
