"""Versions of a model: refused and promoted ones are recorded with their numbers, and any is one command away."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import yaml
from typer.testing import CliRunner

import daemon.cli.model_commands  # noqa: F401 - adds its commands
from daemon.cli.main import app
from daemon.config.settings import Settings
from daemon.engine.machine.engine import Engine
from daemon.engine.machine.stream import Stream
from daemon.engine.messages.inputs import Configured, Promoted, decode, encode
from daemon.runtime.durable import DurableEngine
from daemon.store import ModelUnknown, Store
from models.bundle import Bundle, BundleError
from models.bundle_file import write_bundle
from models.gate import held_back
from models.training_request import TrainingRequest
from tests.daemon.engine.small_engines import (
    FIRST,
    STREAM,
    PureTrainer,
    batch,
    bundle,
    config,
    engine,
    feed,
    noise,
    the,
)

TUNED_MODEL = {"retrain_every": 40, "apply_after": 4, "keep": 4}
TUNED = {"warm_up": 96 * 1800, "model": TUNED_MODEL}
POISONED = (375, 415)
"""Slots whose trainings are poisoned in most tests here, those of versions 8 and 9; in effect four slots later."""
SLOTS = 560
OFF = TUNED | {"model": {"retrain_every": 40, "apply_after": 4, "gate": {"enabled": False}}}


class PoisonedTrainer(PureTrainer):
    """Trains on garbage at the slots `poisoned`, counted from the stream's first."""

    def __init__(self, poisoned: tuple[int, ...] = POISONED) -> None:
        super().__init__()
        self.poisoned = poisoned

    def submit(self, request: TrainingRequest, time_limit_s: float) -> None:
        """Swap the windows."""
        if request.slot - FIRST in self.poisoned:
            x = np.random.default_rng(request.slot).uniform(-3, 4, request.x.shape).astype(np.float32)
            request = replace(request, x=x)
        super().submit(request, time_limit_s)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store.open(tmp_path / "state") as opened:
        yield opened


def run(store: Store, slots: range = range(SLOTS), **stream: object) -> DurableEngine:
    """An engine that has journaled and applied `slots` of one series, two of its trainings poisoned."""
    durable = DurableEngine(store, PoisonedTrainer())
    durable.apply([Configured(config(**(TUNED | stream)))], {}, 0)
    durable.apply([batch(noise(slots))], {}, 0)
    return durable


def recovered(store: Store) -> DurableEngine:
    """A new engine that recovers from the store, with a trainer that never is poisoned."""
    durable = DurableEngine(store, PureTrainer())
    durable.recover()
    return durable


def stream_of(durable: DurableEngine) -> Stream:
    return durable.engine.streams[STREAM]


def serving(durable: DurableEngine) -> int:
    """Version of the model in service."""
    digest = serving_digest(durable)
    return next(r.version for r in durable.store.models(STREAM) if r.digest == digest and r.version)


def serving_digest(durable: DurableEngine) -> str:
    champion = stream_of(durable).learner.champion
    assert champion is not None
    return champion.digest


def statuses(store: Store) -> dict[int, str]:
    return {r.version: r.status for r in store.models(STREAM) if r.version is not None}


# -- the gate at work ----------------------------------------------------------------------------------------------


def test_a_poisoned_training_is_rejected_and_kept_with_its_numbers(store: Store) -> None:
    """The model in service goes on, the refusal is counted and recorded, and the next training comes on schedule."""
    durable = run(store, range(POISONED[0] + 4))
    before = stream_of(durable).learner.champion
    durable.apply([batch(noise(range(POISONED[0] + 4, POISONED[0] + 10)))], {}, 0)
    learner = stream_of(durable).learner
    assert learner.champion is before
    assert learner.outcomes["rejected"] == 1
    record = store.models(STREAM)[-1]
    assert (record.status, record.version) == ("rejected", 8)
    verdict = record.manifest["gate"]
    assert verdict["reason"] in ("worse_error", "worse_detection")
    assert verdict["numbers"]["candidate_error"] > 2 * verdict["numbers"]["champion_error"]
    assert Bundle.from_file_bytes(store.read_model(STREAM, 8)).digest == record.digest, "it is there to be looked at"
    durable.apply([batch(noise(range(POISONED[0] + 10, SLOTS)))], {}, 0)
    assert learner.outcomes == {"promoted": 10, "rejected": 2, "failed": 0, "skipped": 0}
    assert learner.champion is not before


def test_the_log_tells_of_trainings(store: Store, caplog: pytest.LogCaptureFixture) -> None:
    """A line when one begins, and one for what became of it, each with the id by which it is recorded."""
    with caplog.at_level("INFO"):
        run(store, range(POISONED[0] + 10))
    said = [(each.message, getattr(each, "request", None)) for each in caplog.records]
    ids = [record.request_id for record in store.models(STREAM)]
    assert [of for text, of in said if text == "training begins"][: len(ids)] == ids
    assert [of for text, of in said if text in ("model promoted", "model refused by the gate")] == ids


def test_recovery_comes_to_the_same_verdicts(store: Store) -> None:
    """State and records are those of the run that was never interrupted, and what was trained is not trained again."""
    durable = run(store)
    records, digest = store.models(STREAM), durable.digest()
    again = DurableEngine(store, trainer := PureTrainer())
    again.recover()
    assert again.digest() == digest
    assert store.models(STREAM) == records
    assert trainer.calls == []


def test_cuts_do_not_matter_to_the_gate() -> None:
    """Reading by reading, or all at once: the same state, refusals included."""
    digests = set()
    for size in (SLOTS, 1, 37):
        made = engine(PoisonedTrainer(), **TUNED)
        rows = noise(range(SLOTS))
        judged = []
        for start in range(0, SLOTS, size):
            judged += made.step(batch(rows[start : start + size])).judged
        digests.add((made.dump(), repr(judged)))
    assert len(digests) == 1
    assert the(made).learner.outcomes["rejected"] == 2
    assert len(judged) == 12


def test_a_dump_keeps_what_the_gate_judges_by() -> None:
    """An engine loaded between two trainings refuses the same ones."""
    made = engine(PoisonedTrainer(), **TUNED)
    feed(made, noise(range(377)))
    loaded = Engine(PoisonedTrainer())
    loaded.load(made.dump())
    for one in (made, loaded):
        feed(one, noise(range(377, SLOTS)))
    assert made.dump() == loaded.dump()


def test_held_back_windows_are_never_trained_on() -> None:
    """No tuning holds one; with the gate off every window may be trained on, and what was serves no gate later."""
    trainer = PureTrainer()
    made = engine(trainer, **TUNED)
    feed(made, noise(range(SLOTS)))
    for call in trainer.calls[1:]:
        slots = [round(at) for at in (call.trained_from or 0, call.trained_to or 0)]
        assert not held_back(np.array(slots) // 1800, 8, 0).any()
    wanted = the(made).learner.promoting.gate.held_back(0, the(made).learner.promoting.seen_to)
    assert held_back(wanted.local_s // 1800, 8, 0).all()
    assert len(wanted.x) > 16
    open_trainer = PureTrainer()
    free = engine(open_trainer, **OFF)
    feed(free, noise(range(SLOTS)))
    assert len(open_trainer.calls[-1].x) > len(trainer.calls[-1].x)
    assert the(free).learner.promoting.gate.held_back(0, the(free).learner.promoting.seen_to).x.shape[0] < 16


def test_without_the_gate_a_poisoned_model_serves() -> None:
    """`gate.enabled: false` says what it does."""
    made = engine(PoisonedTrainer(), **OFF)
    feed(made, noise(range(SLOTS)))
    assert the(made).learner.outcomes == {"promoted": 12, "rejected": 0, "failed": 0, "skipped": 0}


# -- commands ------------------------------------------------------------------------------------------------------


def test_a_rollback_goes_back_one_promoted_version_at_a_time(store: Store) -> None:
    """It skips refused and rolled-back versions, keeps every statistic, and recovery repeats it."""
    durable = run(store)
    assert serving(durable) == 12
    statistics = stream_of(durable).table.rows.tobytes()
    for expected in (11, 10, 7, 6):
        assert durable.roll_back(STREAM, 1).version == expected
        assert serving(durable) == expected
    assert stream_of(durable).table.rows.tobytes() == statistics
    assert statuses(store)[12] == statuses(store)[7] == "rolled_back"
    assert statuses(store)[9] == "rejected"
    records = store.models(STREAM)
    again = recovered(store)
    assert again.digest() == durable.digest()
    assert store.models(STREAM) == records


def test_training_goes_on_from_what_was_rolled_back_to(store: Store) -> None:
    """The next tuning's parent is the model rolled back to; the one that was left is not gone back to."""
    durable = run(store)
    back = durable.roll_back(STREAM, 1)
    durable.apply([batch(noise(range(SLOTS, SLOTS + 60)))], {}, 0)
    newest = store.models(STREAM)[-1]
    assert (newest.version, newest.status, newest.manifest["parent"]) == (13, "promoted", back.digest)
    assert durable.roll_back(STREAM, 2).version == 11


def test_any_version_can_be_promoted(store: Store) -> None:
    """A refused one too, when the operator says so; a rolled-back one is promoted again."""
    durable = run(store)
    durable.roll_back(STREAM, 1)
    assert durable.promote(STREAM, 9, 2).status == "promoted"
    assert serving(durable) == 9
    assert durable.promote(STREAM, 12, 3).status == "promoted"
    assert statuses(store)[12] == "promoted"
    assert recovered(store).digest() == durable.digest()


def test_what_cannot_serve_is_not_journaled(store: Store) -> None:
    """Unknown versions, nothing to go back to, a model of another shape: an error, and no entry."""
    durable = run(store, range(130))
    last = store.last_seq
    with pytest.raises(ModelUnknown, match="version 5"):
        durable.promote(STREAM, 5, 1)
    with pytest.raises(ModelUnknown, match="no promoted version before 1"):
        durable.roll_back(STREAM, 1)
    other = bundle(model={"window": 12}, warm_up=24 * 1800)
    store.put_model(STREAM, "other", other.to_file_bytes(), digest=other.digest, manifest={}, outcome="rejected")
    with pytest.raises(BundleError, match="has window 12"):
        durable.promote(STREAM, 2, 1)
    assert store.last_seq == last


def test_a_configured_bundle_that_does_not_fit_is_not_journaled(store: Store, tmp_path: Path) -> None:
    """A start or a reload that names one fails; the state is as it was, so that the next start is not met by it."""
    path = tmp_path / "other.pt"
    write_bundle(path, bundle(model={"window": 12}, warm_up=24 * 1800))
    durable = DurableEngine(store, PureTrainer())
    with pytest.raises(BundleError, match=r"streams.s.model.bundle is .*other.pt: bundle .* has window 12, stream s 8"):
        durable.configure(Settings.model_validate(config(model={"bundle": str(path)})), 1)
    assert store.last_seq == 0
    durable.configure(Settings.model_validate(config()), 2)
    assert store.last_seq == 1


def test_a_configured_bundle_is_a_version_like_any_other(store: Store, tmp_path: Path) -> None:
    """It is listed, its file is kept, rollback and promotion go back to it, and recovery comes to the same records."""
    write_bundle(tmp_path / "given.pt", given := bundle())
    settings = Settings.model_validate(
        config(**(TUNED | {"model": TUNED_MODEL | {"bundle": str(tmp_path / "given.pt")}}))
    )
    durable = DurableEngine(store, PureTrainer())
    durable.configure(settings, 0)
    (record,) = store.models(STREAM)
    assert (record.version, record.status, record.digest) == (1, "promoted", given.digest)
    assert record.manifest["configured"]
    assert Bundle.from_file_bytes(store.read_model(STREAM, 1)) == given
    assert durable.version(STREAM) == 1
    with pytest.raises(ModelUnknown, match="no promoted version before 1"):
        durable.roll_back(STREAM, 1)
    durable.configure(settings, 2)
    assert len(store.models(STREAM)) == 1, "a restart under the same configuration adds nothing"
    durable.apply([batch(noise(range(200)))], {}, 3)
    newest = durable.version(STREAM)
    assert newest is not None
    assert newest > 1
    for expected in range(newest - 1, 0, -1):
        assert durable.roll_back(STREAM, 4).version == expected
    assert serving_digest(durable) == given.digest
    assert durable.promote(STREAM, newest, 5).status == "promoted"
    assert durable.promote(STREAM, 1, 6).digest == given.digest
    records, digest = store.models(STREAM), durable.digest()
    assert recovered(store).digest() == digest
    assert store.models(STREAM) == records


def test_a_kill_between_a_configured_bundle_and_its_record_is_made_good(tmp_path: Path) -> None:
    """The entry is journaled and the record is not: the next start makes the record that was missing."""
    taken = bundle()
    with Store.open(tmp_path / "state") as store:
        store.append([Configured(config()), Promoted(STREAM, taken.to_bytes())], {}, 0)
    with Store.open(tmp_path / "state") as store:
        durable = recovered(store)
        assert [(r.version, r.status, r.digest) for r in store.models(STREAM)] == [(1, "promoted", taken.digest)]
        assert durable.version(STREAM) == 1


def test_without_a_model_in_service_a_rollback_asks_for_a_number(store: Store) -> None:
    """Before the first model there is nothing to go back from."""
    durable = DurableEngine(store, PureTrainer())
    durable.apply([Configured(config())], {}, 0)
    assert durable.version(STREAM) is None
    with pytest.raises(ModelUnknown, match="promote one by its number"):
        durable.roll_back(STREAM, 1)


def test_why_a_model_was_promoted_is_journaled() -> None:
    """The journal's form keeps the reason; entries from before it had one are those of configured bundles."""
    item = Promoted(STREAM, b"content", 5, "rollback")
    assert decode(*encode(item)) == item
    assert decode("promoted", b'{"at":5,"stream":"s"}', b"content") == Promoted(STREAM, b"content", 5, "bundle")


def test_only_the_newest_files_are_kept(store: Store) -> None:
    """`model.keep` files and that of the model in service; the records stay. What a checkpoint may need stays too."""
    durable = run(store)
    files = {r.version for r in store.models(STREAM) if r.file is not None}
    assert files == set(range(1, 13)), "there is no checkpoint yet, so recovery may ask for any"
    durable.promote(STREAM, 3, 1)
    durable.checkpoint()
    assert {r.version for r in store.models(STREAM) if r.file is not None} == {3, 9, 10, 11, 12}
    durable.apply([batch(noise(range(SLOTS, SLOTS + 60)))], {}, 0)
    files = {r.version for r in store.models(STREAM) if r.file is not None}
    assert files == {10, 11, 12, 13}
    assert {path.name for path in (store.directory / "models").iterdir()} == {f"s-{v:04d}.safetensors" for v in files}
    assert store.check() == []
    with pytest.raises(ModelUnknown, match="no longer kept"):
        durable.promote(STREAM, 2, 1)
    assert recovered(store).digest() == durable.digest()


# -- command line --------------------------------------------------------------------------------------------------


def tidegauge(*arguments: object) -> tuple[int, str]:
    """Exit code and what was printed."""
    result = CliRunner(env={"COLUMNS": "200"}).invoke(app, [str(a) for a in arguments])
    return result.exit_code, result.output


def test_the_commands(tmp_path: Path) -> None:
    """`models list` marks the one in service, even while another process holds the state; the others ask that."""
    given = config(**TUNED) | {"state_dir": str(tmp_path / "state")}
    (tmp_path / "tidegauge.yaml").write_text(yaml.safe_dump(given))
    path = ("--config", tmp_path / "tidegauge.yaml")
    assert tidegauge("models", "rollback", *path)[0] == 1, "there is no state, and none is made"
    assert not (tmp_path / "state").exists()
    with Store.open(tmp_path / "state") as store:
        durable = run(store)
        durable.checkpoint()
        code, said = tidegauge("models", "rollback", *path)
        assert code == 1
        assert f"process {os.getpid()} has the state and takes no commands" in said
        listed = json.loads(tidegauge("models", "list", "--json", *path)[1])
    assert [r["version"] for r in listed if r["serving"]] == [12]
    assert {r["version"] for r in listed if r["status"] == "rejected"} == {8, 9}
    assert tidegauge("models", "rollback", *path) == (0, "s: version 11 serves from the next reading on\n")
    code, said = tidegauge("models", "promote", "10", "--json", *path)
    assert (code, json.loads(said)["version"]) == (0, 10)
    table = tidegauge("models", "list", *path)[1]
    assert "10*" in table
    assert "no longer kept" in table
    assert tidegauge("models", "promote", "99", *path)[0] == 1
    with Store.open(tmp_path / "state") as store:
        assert serving(recovered(store)) == 10
