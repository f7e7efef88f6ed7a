"""A configuration as an input: any key may change under a running state, or is refused before anything has changed."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest

from daemon.config.change import RefusedError
from daemon.config.file import from_effective
from daemon.config.schema import NAME, keys
from daemon.engine.messages.inputs import Configured, Delivered
from daemon.runtime.durable import DurableEngine
from daemon.store import Store
from tests.daemon.engine.small_engines import STREAM, PureTrainer, batch, config, engine, feed, noise, the

LIVE: dict[str, Any] = {
    "format.type": "jsonl",
    "format.time": "at",
    "format.value": "x",
    "format.series": "name",
    "format.columns": ["timestamp", "value"],
    "format.delimiter": "|",
    "format.decimal": ",",
    "format.time_format": "%d.%m.%Y %H:%M",
    "format.quality": "flag",
    "format.missing": [-999.0, "n/a"],
    "format.thousands": " ",
    "format.unit": "kWh",
    "format.comment": "",
    "format.encoding": "latin-1",
    "clock": "wall",
    "arrival": "batch",
    "settle": 5,
    "due": ["Mon-Fri 08:00-18:00"],
    "lateness": 3,
    "future": 60,
    "gap_after": 9,
    "modulus": 100_000.0,
    "fall_tolerance": 0.5,
    "revisions": "take",
    "retire_after": 86400,
    "holidays": ["DE", "2000-01-03"],
    "model.masked": 1,
    "model.calendar": False,
    "model.copies": 2,
    "model.retrain_every": 20,
    "model.apply_after": 2,
    "model.time_limit": 5,
    "model.gate.enabled": False,
    "model.gate.worse_error": 0.5,
    "model.gate.worse_detection": 0.5,
    "model.rollback.enabled": False,
    "model.rollback.slots": 10,
    "model.rollback.times_budget": 1.0,
    "model.rollback.worse_error": 0.5,
    "model.keep": 1,
    "model.bundle": "/bundle.pt",
    "model.torchscript": "/own.pt",
    "drift.enabled": False,
    "drift.adopt_after": 20 * 1800,
    "drift.cooldown": 3600,
    "drift.anew": True,
    "alerts.false_alarms_per_month": 30.0,
    "alerts.alarms_per_day": 2,
    "alerts.novelty": False,
    "alerts.refractory": 3600,
    "alerts.direction": "above",
    "alerts.min_deviation": 1.0,
    "alerts.min_relative_deviation": 0.5,
    "alerts.limits.min": 1.0,
    "alerts.limits.max": 11.0,
    "alerts.series": [{"match": "a", "direction": "below"}],
}
STATE: dict[str, Any] = {
    "interval": 3600,
    "timezone": "Europe/Berlin",
    "stamp": "end",
    "kind": "counter",
    "aggregate": "mean",
    "warm_up": 20 * 1800,
    "seed": 1,
    "max_series": 17,
    "format.value": ["x", "y"],
    "model.architecture": "dense-3",
    "model.window": 9,
    "model.scaling": "none",
    "model.sha256": "0" * 64,
    **{
        f"model.statistics.{part}": False
        for part in ("time_of_day", "caps", "likelihood", "tail", "level", "calibration")
    },
}
LONG: dict[str, Any] = {"warm_up": 32 * 1800}
NO_MEMORY = {
    "max_series": 4_000_000,
    "warm_up": 1024 * 1800,
    "model.window": 512,
    "format.value": [f"v{k}" for k in range(100)],
}
"""763 GiB in one array."""


def changed(values: dict[str, Any], **stream: Any) -> dict[str, Any]:
    """The small configuration with some keys of its stream replaced."""
    made = copy.deepcopy(config(**stream))
    for key, value in values.items():
        *sections, name = key.split(".")
        place = made["streams"][STREAM]
        for section in sections:
            place = place[section]
        place[name] = value
    return made


def test_every_key_of_a_stream_is_tried() -> None:
    """A key that is added to the schema is added here, as what its effect says."""
    effects = {
        key.path.removeprefix(f"streams.{NAME}."): key.effect
        for key in keys()
        if key.path.startswith(f"streams.{NAME}.") and "[]" not in key.path and key.path.count("sources") == 0
    }
    wanted = {key for key, effect in effects.items() if effect == "state"}
    assert STATE.keys() - {"format.value"} == wanted
    assert {key for key in effects if effects[key] in ("live", "retrain")} == LIVE.keys() - {"alerts.series"}


@pytest.mark.parametrize("key", LIVE)
def test_a_state_goes_on_under_any_key_that_may_change(key: str) -> None:
    """Before its first network and after it, through a training that was asked for before and one after the change."""
    tuned: dict[str, Any] = {"model": {"retrain_every": 12}, "format": {"delimiter": ";"}}
    for at in (10, 31):
        made = engine(**tuned)
        feed(made, noise(range(at)))
        made.check(changed({key: LIVE[key]}, **tuned))
        made.step(Configured(changed({key: LIVE[key]}, **tuned)))
        feed(made, noise(range(at, 60)), received_at_ms=2**42)
        made.step(Delivered(STREAM))
        assert the(made).counters.accepted == 60
        assert the(made).learner.champion is not None


@pytest.mark.parametrize("key", STATE)
def test_a_key_that_the_state_was_built_on_is_refused(key: str) -> None:
    """In one line with a remedy, and nothing has changed; the same input that a journal holds says the same."""
    made = engine(**LONG)
    feed(made, noise(range(10)))
    before = made.dump()
    for ask in (made.check, lambda item: made.step(Configured(item))):
        with pytest.raises(RefusedError, match=rf"^streams\.{STREAM}\.{key} .*set .*") as raised:
            ask(changed({key: STATE[key]}, **LONG))
        assert "\n" not in str(raised.value)
    assert made.dump() == before


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    """A state directory whose journal goes on after its checkpoint."""
    with Store.open(tmp_path / "state") as store:
        durable = DurableEngine(store, PureTrainer())
        durable.configure(from_effective(config()), 0)
        durable.apply([batch(noise(range(5)))], {}, 0)
        durable.checkpoint()
        durable.apply([batch(noise(range(5, 10)))], {}, 0)
    return tmp_path / "state"


def digest(directory: Path) -> str:
    with Store.open(directory) as store:
        durable = DurableEngine(store, PureTrainer())
        durable.recover()
        assert (store.quarantined, store.check()) == (0, [])
        return durable.digest()


def test_what_cannot_be_applied_is_not_journaled(directory: Path) -> None:
    """A stream for which there is no memory is refused in one line, and the next start knows nothing of it."""
    before, two = digest(directory), config()
    two["streams"]["second"] = changed(NO_MEMORY)["streams"][STREAM]
    with Store.open(directory) as store:
        durable, last = DurableEngine(store, PureTrainer()), store.last_seq
        durable.recover()
        with pytest.raises(RefusedError, match=r"second.max_series is 4000000, but there is no memory .* set it lower"):
            durable.configure(from_effective(two), 0)
        assert store.last_seq == last
    assert digest(directory) == before


@pytest.mark.parametrize(
    ("foreign", "said"),
    [
        (changed({"of_later": 1}), r"this version does not read \(streams.s.of_later: .*\); set state_dir to a new"),
        ({"version": 1}, r"this version does not read \(.*\); set state_dir to a new"),
        (changed({"seed": 1}), r"streams.s.seed differ from .*; set them back"),
        (changed({"max_series": 10**9}), r"max_series: .*; set state_dir to a new"),
    ],
)
def test_a_journal_that_another_wrote_is_refused_and_left_alone(
    foreign: dict[str, Any], said: str, directory: Path
) -> None:
    """One line says where it stands, why, and what to do; the one that wrote it goes on from where it was."""
    with Store.open(directory) as store:
        (seq,) = store.append([Configured(foreign)], {}, 0)
    for _ in range(2):
        with Store.open(directory) as store:
            durable = DurableEngine(store, PureTrainer())
            with pytest.raises(RefusedError, match=f"{directory}, after entry {seq - 1} of its journal: .*{said}") as e:
                durable.recover()
            assert "\n" not in str(e.value)
            assert (store.quarantined, store.check(), store.last_seq) == (0, [], seq)


def test_a_checkpoint_under_a_configuration_of_another_is_left_alone(
    directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A sound checkpoint whose configuration cannot be read is no damage: it stays for the one that reads it."""
    before = digest(directory)
    with monkeypatch.context() as later:
        later.setattr("daemon.engine.machine.engine.Settings", Later)
        with Store.open(directory) as store:
            with pytest.raises(RefusedError, match="this version does not read"):
                DurableEngine(store, PureTrainer()).recover()
            assert (store.quarantined, store.check()) == (0, [])
    assert digest(directory) == before


class Later:
    """Settings of a version that reads nothing of this one."""

    @staticmethod
    def model_validate(config: dict[str, Any]) -> None:
        """Read as little as another version might."""
        raise KeyError("streams")


@pytest.mark.parametrize("values", [{"gap_after": 9}, {"alerts.limits.max": 9.0}])
def test_a_change_that_was_journaled_when_it_was_killed_is_made(values: dict[str, Any], directory: Path) -> None:
    """Between the journal and the step: the next start comes to the state of a run that was not interrupted."""
    with Store.open(directory) as store:
        store.append([Configured(changed(values))], {}, 0)
    whole = engine()
    for rows in (range(5), range(5, 10)):
        feed(whole, noise(rows))
    whole.step(Configured(changed(values)))
    with Store.open(directory) as store:
        durable = DurableEngine(store, PureTrainer())
        durable.recover()
        assert durable.engine.dump() == whole.dump()
