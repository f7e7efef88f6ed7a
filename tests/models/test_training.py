from __future__ import annotations

import math
import multiprocessing
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import models.training
from models.architectures import build
from models.scorer import Scorer
from models.training import TrainingDiverged, train
from models.training_request import TrainingRequest
from tests.models.samples import bundle, request, tuning

ROOT = Path(__file__).parents[2]


def numpy_generator() -> bytes:
    """State of numpy's global generator."""
    state: Any = np.random.get_state()
    return bytes(state[1].tobytes())


def test_a_training_is_a_pure_function() -> None:
    """The same request gives the same bits whatever was trained before, and no global generator moves."""
    torch_state, numpy_state = torch.get_rng_state(), numpy_generator()
    first = train(tuning())
    train(request(width=2, rows=70))
    assert train(request()) == bundle()
    torch.manual_seed(99)
    np.random.seed(99)
    with torch.inference_mode():
        assert train(tuning()) == first
    torch.set_rng_state(torch_state)
    assert numpy_generator() != numpy_state
    torch_state, numpy_state = torch.get_rng_state(), numpy_generator()
    train(request(rows=70))
    assert torch.equal(torch.get_rng_state(), torch_state)
    assert numpy_generator() == numpy_state


def test_another_process_trains_the_same_bits() -> None:
    """A process that never trained before, whose torch starts with more threads, comes to the same digests."""
    code = (
        "from models.training import train; from tests.models.samples import bundle, tuning;"
        "import sys; sys.stdout.write(bundle().digest + ' ' + train(tuning()).digest)"
    )
    threads = {**os.environ, "OMP_NUM_THREADS": str(multiprocessing.cpu_count())}
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, env=threads, capture_output=True, check=True)
    assert done.stdout.decode() == f"{bundle().digest} {train(tuning()).digest}"


def test_a_fresh_training_is_the_recipe() -> None:
    """Forty epochs of torch's own Adam on each copy's permutations, 29 at the high rate, give these weights."""
    asked = request()
    net = build("masked-autoencoder", asked.network, asked.seed)
    optimiser = torch.optim.Adam(net.parameters(), lr=2e-3, foreach=True)
    rng = np.random.default_rng(asked.seed)
    arrays = [torch.from_numpy(part) for part in (asked.x, asked.observed, asked.calendar)]
    for epoch in range(40):
        order = np.stack([rng.permutation(96) for _ in range(3)])
        for at in (0, 64):
            rows = torch.from_numpy(order[:, at : at + 64].copy())
            optimiser.zero_grad()
            net.loss(*(part[rows] for part in arrays)).backward()
            optimiser.step()
        if epoch == 28:
            optimiser.param_groups[0]["lr"] = 6e-4
    for name, p in net.named_parameters():
        np.testing.assert_allclose(p.detach().numpy(), bundle().weights[name], atol=1e-5)
    assert bundle().optimiser["steps"] == 80


def test_a_network_learns_its_series() -> None:
    """After training the expected value is near the sine that the hidden slots follow, far nearer than before."""
    asked = request()
    scores = Scorer(bundle()).score(asked.x, asked.observed, asked.calendar)
    fresh = {name: p.detach().numpy() for name, p in _untrained(asked).items()}
    before = Scorer(replace(bundle(), weights=fresh)).score(asked.x, asked.observed, asked.calendar)
    assert scores.newest.mean() < 0.25
    assert scores.newest.mean() < before.newest.mean() / 2


def _untrained(asked: TrainingRequest) -> dict[str, torch.Tensor]:
    return dict(build(asked.architecture, asked.network, asked.seed).named_parameters())


def test_a_tuning_continues_its_parent() -> None:
    """A tuning begins at the parent's weights and optimiser, takes 20 steps and names its parent."""
    tuned = train(tuning())
    assert tuned.manifest.parent == bundle().digest
    assert tuned.manifest.kind == "tune"
    assert tuned.optimiser["steps"] == bundle().optimiser["steps"] + 20
    moved = max(float(np.abs(tuned.weights[n] - w).max()) for n, w in bundle().weights.items())
    assert 0 < moved <= 20 * 1e-3 * 3
    cold = {name: np.zeros_like(array) for name, array in bundle().optimiser.items()}
    assert train(replace(tuning(), parent=replace(bundle(), optimiser=cold))).weights.keys() == tuned.weights.keys()
    assert train(replace(tuning(), parent=replace(bundle(), optimiser=cold))).digest != tuned.digest


def test_each_tuning_draws_its_own_windows() -> None:
    """The slot is part of the seed: the next tuning of the same data differs; so does one with fewer recent rows."""
    first = train(tuning())
    assert (
        train(replace(tuning(), slot=121)).weights["layers.0.bias"].tobytes()
        != first.weights["layers.0.bias"].tobytes()
    )
    assert (
        train(replace(tuning(), recent=5)).weights["layers.0.bias"].tobytes()
        != first.weights["layers.0.bias"].tobytes()
    )
    assert train(replace(tuning(), slot=-3)).digest


def test_half_of_a_tuning_batch_is_recent() -> None:
    """Per copy 32 rows come from the recent last ones and 32 from all; more recent rows than rows means all."""
    asked = replace(tuning(), recent=4)
    total, batches = models.training._tune_batches(asked)
    drawn = [rows for rows, _ in batches]
    assert total == len(drawn) == 20
    assert all(rows.shape == (3, 64) for rows in drawn)
    assert {int(i) for rows in drawn for i in rows[:, :32].flat} == {92, 93, 94, 95}
    assert {int(i) for rows in drawn for i in rows[:, 32:].flat} == set(range(96))
    assert train(replace(asked, recent=10**6)) == train(replace(asked, recent=96))


@pytest.mark.parametrize("rows", [1, 63, 64, 65, 6400, 20_000, 400_000])
def test_a_fresh_training_is_bounded(rows: int) -> None:
    """Forty epochs for few windows, fewer for many, never more than 4000 steps, the last quarter at the low rate."""
    asked = request(rows=1)
    object.__setattr__(asked, "x", np.empty((rows, 0)))
    total, batches = models.training._fresh_batches(asked)
    drawn = list(batches)
    rates = [rate for _, rate in drawn]
    assert total == len(drawn) <= 4000
    assert total == 40 * math.ceil(rows / 64) or total > 4000 - math.ceil(rows / 64)
    assert rates == sorted(rates, reverse=True)
    assert set(rates) == {2e-3, 6e-4}
    assert rates.count(6e-4) == pytest.approx(total * 11 / 40, abs=1)
    if rows == 65:
        assert [part.shape for part, _ in drawn[:2]] == [(3, 64), (3, 1)]


def test_the_request_survives_its_bytes() -> None:
    """What comes back from the bytes has the same id and bytes, and trains to the same bits."""
    for asked in (request(), tuning()):
        back = TrainingRequest.from_bytes(asked.to_bytes())
        assert back.to_bytes() == asked.to_bytes()
        assert back.id == asked.id
        assert train(back) == train(asked)
    assert tuning().id == "taxi@120-tune"


def test_bytes_of_something_else_are_refused() -> None:
    """A bundle's bytes are no request."""
    with pytest.raises(ValueError, match="holds no training request"):
        TrainingRequest.from_bytes(bundle().to_bytes())


@pytest.mark.parametrize("value", [np.nan, np.inf, 1e30])
def test_a_diverged_training_has_no_bundle(value: float) -> None:
    """Windows that blow the loss up end in TrainingDiverged, not in a bundle of NaN."""
    asked = request()
    asked.x[40] = value
    with pytest.raises(TrainingDiverged, match="taxi@96-fresh: loss is"):
        train(asked)


def test_an_impossible_request_is_refused() -> None:
    """No rows, arrays that do not fit, no parent or one of another shape: each is an error that says which."""
    asked = request()
    with pytest.raises(ValueError, match="taxi@96-fresh has arrays of"):
        replace(asked, x=asked.x[:0], observed=asked.observed[:0], calendar=asked.calendar[:0])
    with pytest.raises(ValueError, match="taxi@96-fresh has arrays of"):
        replace(asked, calendar=asked.calendar[:, :2])
    with pytest.raises(ValueError, match="has no parent"):
        replace(asked, kind="tune")
    with pytest.raises(ValueError, match="other shapes than the network to tune"):
        train(replace(tuning(), parent=bundle(width=2)))


def test_progress_is_told_and_has_no_effect() -> None:
    """Progress rises to 1; the bundle is the same with it."""
    told: list[float] = []
    assert train(request(), told.append) == bundle()
    assert told == sorted(told)
    assert told[-1] == 1
    assert len(told) == 80


def test_the_manifest_says_what_was_trained() -> None:
    """Range, windows, seed, loss and versions are recorded."""
    manifest = bundle().manifest
    assert (manifest.trained_from, manifest.trained_to, manifest.windows, manifest.seed) == (0, 95 * 1800, 96, 3)
    assert (manifest.kind, manifest.parent, manifest.stream, manifest.interval_s) == ("fresh", None, "taxi", 1800)
    assert 0 < manifest.loss < 0.2
    assert manifest.versions["torch"] == torch.__version__
    assert set(manifest.versions) == {"torch", "numpy", "python"}
