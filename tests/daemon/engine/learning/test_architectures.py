"""Any architecture is a stream's: the engine trains it, scores with it, tunes it, and its bundle goes on elsewhere."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, get_args

import numpy as np
import pytest

from daemon.config.model_settings import ModelSettings
from daemon.engine.machine.engine import Engine
from daemon.engine.messages.inputs import Promoted
from models.architecture_names import LABELLED
from models.architectures import ARCHITECTURES, build
from models.bundle import Bundle
from models.training import train
from tests.daemon.engine.small_engines import STREAM, PureTrainer, bundle, engine, feed, noise, row_of, the

CHOICES = get_args(ModelSettings.model_fields["architecture"].annotation)
SMALL = {"retrain_every": 40, "gate": {"enabled": False}}


def test_every_architecture_that_needs_no_labels_can_be_chosen() -> None:
    """The configuration's choices are the architectures there are, without those that learn from labels."""
    assert set(CHOICES) == set(ARCHITECTURES) - LABELLED


@pytest.mark.parametrize("architecture", [name for name in CHOICES if name != "masked-autoencoder"])
def test_it_is_trained_scores_and_is_tuned(architecture: str) -> None:
    """A first network, a tuning that continues it, finite scores; the state does not depend on how readings are cut."""
    trainer = PureTrainer()
    width = 3 if architecture == "manufacturing" else 1
    rows = [("a", slot, [value] * width) for _, slot, value in noise(range(90))]
    settings: dict[str, Any] = {"model": SMALL | {"architecture": architecture}}
    if width > 1:
        settings["format"] = {"value": ["u", "v", "w"]}
    whole, parts = engine(trainer, **settings), engine(trainer, **settings)
    feed(whole, rows, width=width)
    for start, stop in ((0, 1), (1, 23), (23, 24), (24, 60), (60, 90)):
        feed(parts, rows[start:stop], width=width)
    assert whole.dump() == parts.dump()
    learner = the(whole).learner
    assert learner.champion is not None
    assert learner.champion.manifest.architecture == architecture
    assert {request.kind for request in trainer.calls} == {"fresh", "tune"}
    assert learner.champion.manifest.kind == "tune"
    assert np.isfinite(row_of(whole, "a")["rank"])
    again = Engine(trainer)
    again.load(whole.dump())
    assert again.dump() == whole.dump()


def test_a_bundle_of_another_architecture_serves_and_is_tuned_as_it_is() -> None:
    """A bundle from elsewhere keeps its architecture and its options, whatever the stream's own are."""
    champion = bundle(model={"architecture": "lstm"})
    lstm = train(replace(_request(champion), options={"relu": True}))
    trainer = PureTrainer()
    made = engine(trainer, model=SMALL)
    made.step(Promoted(STREAM, lstm.to_bytes()))
    feed(made, noise(range(90)))
    assert trainer.calls
    assert {(call.kind, call.architecture) for call in trainer.calls} == {("tune", "lstm")}
    assert all(call.options == {"relu": True} for call in trainer.calls)


def _request(champion: Bundle):  # type: ignore[no-untyped-def]
    trainer = PureTrainer()
    made = engine(trainer, model={"architecture": "lstm"})
    feed(made, noise(range(30)))
    (request,) = trainer.calls
    assert train(request) == champion
    return request


def test_a_classifier_serves_and_is_never_tuned() -> None:
    """Without labels there is nothing to tune it by: no training is planned, its readings are scored."""
    manifest = bundle().manifest
    own = replace(manifest, architecture="transformer-classifier", copies=1, options={"dim": 8, "feedforward": 8})
    net = build(own.architecture, own.network)
    weights = {name: p.detach().numpy().copy() for name, p in net.named_parameters()}
    trainer = PureTrainer()
    made = engine(trainer, model=SMALL)
    made.step(Promoted(STREAM, Bundle(own, weights, {}).to_bytes()))
    feed(made, noise(range(90)))
    assert trainer.calls == []
    assert row_of(made, "a")["error"] > 0
