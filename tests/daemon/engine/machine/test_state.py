"""The engine's state as bytes, and configuration as an input."""

from __future__ import annotations

import math

import pytest

from daemon.config.change import RefusedError
from daemon.engine.machine.engine import STATE_VERSION, Engine, essential
from daemon.engine.messages.inputs import Batch, Command, Configured, Input, Promoted, Tick, decode, encode
from models.archive import pack, unpack
from tests.daemon.engine.small_engines import (
    STREAM,
    PureTrainer,
    batch,
    bundle,
    config,
    engine,
    feed,
    noise,
    row_of,
    the,
)


def test_a_state_of_another_version_is_refused() -> None:
    """`load` names both versions and leaves the engine as it was."""
    made = engine()
    meta, arrays = unpack(made.dump())
    other = Engine(PureTrainer())
    with pytest.raises(ValueError, match=f"version 99, this program reads version {STATE_VERSION}"):
        other.load(pack(meta | {"version": 99}, arrays))
    assert other.streams == {}


@pytest.mark.parametrize("broken", [b"", b"TGA1", b"nonsense" * 10])
def test_bytes_that_are_no_state_are_refused(broken: bytes) -> None:
    """Anything else than a dump is a ValueError."""
    with pytest.raises(ValueError, match="archive"):
        Engine(PureTrainer()).load(broken)


def test_a_state_cut_short_is_refused() -> None:
    """A dump without its last byte is a ValueError."""
    with pytest.raises(ValueError, match="cut short"):
        Engine(PureTrainer()).load(engine().dump()[:-1])


def test_an_engine_without_streams_dumps_and_loads() -> None:
    """A configured engine without readings has a state like any other."""
    dumped = engine().dump()
    loaded = Engine(PureTrainer())
    loaded.load(dumped)
    assert loaded.dump() == dumped


def test_where_readings_come_from_is_no_state() -> None:
    """Sources and the path of a bundle are left out of the state's configuration."""
    here = config(sources=[{"type": "file", "path": "/a.csv"}], model={"bundle": "/a.pt"})
    there = config(sources=[{"type": "stdin"}])
    assert essential(here) == essential(there)
    assert essential(here) != essential(config(seed=7))


def test_live_settings_take_effect_with_the_next_reading() -> None:
    """A reload changes limits, gap and refractory at once and loses nothing."""
    made = engine()
    feed(made, noise(range(10)))
    assert feed(made, [("a", 10, 500.0)]) == []
    made.step(Configured(config(alerts={"limits": {"max": 100}}, gap_after=1)))
    assert [e.reasons for e in feed(made, [("a", 11, 500.0)])] == [("limit",)]
    assert [e.reasons for e in feed(made, noise([13]))] == [("gap",), ("gap",)]
    assert row_of(made, "a")["readings"] == 13


def test_a_reload_without_changes_changes_nothing() -> None:
    """The same configuration again leaves the state's bytes as they were, at any moment."""
    made = engine(model={"retrain_every": 12})
    for slot in range(50):
        feed(made, noise([slot]))
        before = made.dump()
        made.step(Configured(config(model={"retrain_every": 12})))
        assert made.dump() == before


def test_the_budget_is_live() -> None:
    """A greater budget lowers the threshold of the next decision."""
    made = engine()
    before = the(made).scoring.policies["threshold"][0]
    made.step(Configured(config(alerts={"false_alarms_per_month": 10})))
    assert the(made).scoring.policies["threshold"][0] == pytest.approx(before - math.log10(9.5 / 0.5))


def test_a_new_stream_begins_empty_and_none_may_go() -> None:
    """It stands beside the others; a configuration without a stream that has a state is refused by its name."""
    made = engine()
    feed(made, noise(range(5)))
    two = config()
    two["streams"]["second"] = two["streams"][STREAM]
    made.step(Configured(two))
    assert the(made).counters.accepted == 5
    assert made.streams["second"].counters.accepted == 0
    with pytest.raises(RefusedError, match=r"streams\.second differ"):
        made.step(Configured(config()))
    assert set(made.streams) == {STREAM, "second"}


def test_an_input_for_an_unknown_stream_is_refused() -> None:
    """Neither readings nor commands can be for a stream that is not configured."""
    made = engine()
    with pytest.raises(KeyError):
        made.step(Command("warm_up", "other"))


def test_streams_do_not_touch_each_other() -> None:
    """A stream's arrays are the same whether or not another one runs in the same engine."""
    alone, both = engine(), engine()
    two = config()
    two["streams"]["second"] = two["streams"][STREAM]
    both.step(Configured(two))
    for slot in range(40):
        feed(alone, noise([slot]))
        feed(both, noise([slot]))
        other = batch(noise([slot], "x"))
        both.step(Batch("second", 0, other.series, other.codes, other.at_ms, other.fold_s, other.values))
    assert the(both).state()[0] == the(alone).state()[0]
    wanted, found = the(alone).state()[1], the(both).state()[1]
    assert {name: array.tobytes() for name, array in found.items()} == {n: a.tobytes() for n, a in wanted.items()}


@pytest.mark.parametrize(
    "item",
    [
        Configured({"a": 1}, 5),
        Tick(7),
        Command("warm_up", STREAM, 9),
        Promoted(STREAM, b"\x00\x01", 3),
    ],
)
def test_inputs_survive_their_byte_form(item: Input) -> None:
    """`decode` is the inverse of `encode`."""
    assert decode(*encode(item)) == item


@pytest.mark.parametrize("fold", [0, 3600])
def test_a_batch_from_the_journal_is_the_batch(fold: int) -> None:
    """An engine driven by decoded batches ends with the same bytes: what the journal holds is enough."""
    live, repeated = engine(), engine()
    for inputs in ([("a", 0, 1.0, fold), ("b", 0, 2.0, fold), ("a", 0, 3.0, fold)], noise(range(5, 40))):
        item = batch(inputs, rejected={"bad_time": 1}, received_at_ms=12)
        assert repeated.step(decode(*encode(item))) == live.step(item)
    assert repeated.dump() == live.dump()


def test_a_damaged_batch_is_refused() -> None:
    """A blob that is not as long as its header says is a ValueError, as is an unknown kind."""
    kind, header, blob = encode(batch([("a", 0, 1.0)]))
    with pytest.raises(ValueError, match="bytes, not"):
        decode(kind, header, blob[:-1])
    with pytest.raises(ValueError, match="unknown kind"):
        decode("other", header, blob)


def test_a_tuning_keeps_the_shape_of_the_model_in_service() -> None:
    """A bundle of other `copies` or `masked` than configured, by reload or from outside, is tuned as it is."""
    trainer = PureTrainer()
    made = engine(trainer, model={"retrain_every": 20})
    made.step(Promoted(STREAM, bundle(model={"copies": 3, "masked": 4}).to_bytes()))
    feed(made, noise(range(60)))
    assert [(call.kind, call.copies, call.masked) for call in trainer.calls] == [("tune", 3, 4), ("tune", 3, 4)]
    assert the(made).learner.outcomes["promoted"] == 1
    assert the(made).learner.outcomes["failed"] == 0
