"""What must be true when all is over: the inputs applied once, in order, to a fresh engine."""

from __future__ import annotations

import json
import shutil
from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from daemon.engine.machine.engine import Engine
from daemon.engine.messages.events import Event
from daemon.engine.messages.inputs import Batch, Labelled, Promoted
from daemon.engine.messages.training_port import TrainingFailed, failed_as_recorded
from daemon.runtime.durable import DurableEngine
from daemon.store import EventFilter, Store, transfer
from tests.simulation.edges import ZONE, OracleTrainer, Reading
from tests.simulation.hook import WrongError
from tests.simulation.simulation import Simulation


def judge(simulation: Simulation) -> None:
    """Raises WrongError for what is not as it must be, after the last life."""
    _readings(simulation)
    _commands(simulation)
    with Store.open(simulation.state) as store:
        if problems := _problems(simulation, store):
            raise WrongError(f"the state is unsound: {problems}")
        if store.quarantined or store.lost:
            raise WrongError(
                f"{store.quarantined} files were set aside, {store.lost} entries lost, and nothing was damaged"
            )
        failed = {r.request_id: failed_as_recorded(r.reason, r.detail) for r in store.models() if r.status == "failed"}
        if invented := failed.keys() - simulation.failures - {"warm"}:
            raise WrongError(f"trainings are recorded as failed that did not fail: {invented}")
        digests, events = expected(simulation, failed)
        durable = DurableEngine(store, OracleTrainer(failed))
        durable.recover()
        if durable.digest() != digests[max(simulation.inputs)]:
            raise WrongError("the state that recovery comes to is another one")
        _same(
            "the store",
            _by_stream([_plain(event) for _, event in store.events(EventFilter(latest_only=False))]),
            events,
        )
        noted = [item.note for item in store.labels()]
    given = [item.note for item in simulation.inputs.values() if isinstance(item, Labelled)]
    if sorted(noted) != sorted(given):
        raise WrongError(f"labels recorded {noted}, journaled {given}")
    _sinks(simulation, events)
    _exports(simulation, digests, failed)


def judge_after_damage(simulation: Simulation) -> None:
    """Raises WrongError for what must not be even where the disk gave back another thing than was written.

    Nothing is lost without a word: where nothing was told, all is as `judge` has it. Nothing delivered is taken back,
    or delivered to a file again.
    """
    if not any(simulation.told):
        judge(simulation)
        return
    with Store.open(simulation.state) as store:
        if problems := _problems(simulation, store):
            raise WrongError(f"the state is still unsound: {problems}")
        recorded = {(event.id, event.revision) for _, event in store.events(EventFilter(latest_only=False))}
        durable = DurableEngine(store, OracleTrainer({}))
        durable.recover()
    lines = [json.loads(line) for line in (simulation.directory / "disk/out/events.jsonl").read_bytes().splitlines()]
    keys = [(event["id"], event["revision"]) for event in lines]
    if len(keys) != len(set(keys)):
        raise WrongError("the file has events twice")
    if missing := simulation.taken_back(set(keys) | simulation.receiver.seen.keys(), recorded):
        raise WrongError(f"delivered events are not recorded any more: {sorted(missing)[:3]}")
    if undelivered := recorded - set(keys):
        raise WrongError(f"recorded events were not delivered to the file: {sorted(undelivered)[:3]}")


def _problems(simulation: Simulation, store: Store) -> list[str]:
    """What `state check` says, but of a damaged file that nobody had to read: it stays until somebody asks for it."""
    damaged = simulation.damage or ""
    read_on_demand = [word for word in damaged.split() if word.endswith((".safetensors", ".tgc"))]
    return [text for text in store.check() if not any(word in text for word in read_on_demand)]


def expected(
    simulation: Simulation, failed: dict[str, TrainingFailed]
) -> tuple[dict[int, str], dict[str, list[dict[str, Any]]]]:
    """Digests after the last input and after those of exports, and the events of each stream."""
    engine, events, digests = Engine(OracleTrainer(failed)), [], {}
    numbers = sorted(simulation.inputs)
    if numbers != list(range(1, len(numbers) + 1)):
        raise WrongError("numbers of journal entries are left out")
    for seq in numbers:
        events += [_plain(event) for event in engine.step(simulation.inputs[seq]).events]
        if seq in simulation.exports or seq == numbers[-1]:
            digests[seq] = engine.digest()
    return digests, _by_stream(events)


def _plain(event: Event) -> dict[str, Any]:
    """An event as a sink is given it."""
    found: dict[str, Any] = json.loads(json.dumps(event.to_json()))
    return found


def _by_stream(events: list[dict[str, Any]]) -> dict[str, list[dict[str, Any]]]:
    found: dict[str, list[dict[str, Any]]] = {}
    for event in events:
        found.setdefault(event["stream"], []).append(event)
    return found


def _difference(there: Sequence[Any], due: Sequence[Any]) -> int:
    """Index of the first that differs."""
    same = [one == other for one, other in zip(there, due, strict=False)]
    return same.index(False) if False in same else len(same)


def _same(where: str, found: dict[str, list[dict[str, Any]]], wanted: dict[str, list[dict[str, Any]]]) -> None:
    for stream in sorted(found.keys() | wanted.keys()):
        there, due = found.get(stream, []), wanted.get(stream, [])
        if there != due:
            first = _difference(there, due)
            raise WrongError(
                f"{where} has {len(there)} events of {stream}, due are {len(due)}; the first that differs is {first}:\n"
                f"  there {there[first : first + 1]}\n  due   {due[first : first + 1]}"
            )


def _readings(simulation: Simulation) -> None:
    """Lines of the file were journaled once and in order; what the peer was told is durable is there."""
    found: dict[str, list[Reading]] = {"files": [], "net": []}
    rejected: Counter[str] = Counter()
    for _, item in sorted(simulation.inputs.items()):
        if isinstance(item, Batch):
            found[item.stream] += [
                (item.series[code], int(at) // 1000, float(value[0]))
                for code, at, value in zip(item.codes, item.at_ms, item.values, strict=True)
            ]
            rejected.update(item.rejected)
    for series in {reading[0] for reading in simulation.writer.written}:
        there = [reading for reading in found["files"] if reading[0] == series]
        due = [(name, _first_hour(at), value) for name, at, value in simulation.writer.written if name == series]
        if there != due:
            first = _difference(there, due)
            raise WrongError(
                f"of {series} {len(there)} readings were journaled, {len(due)} written; the first that differs is "
                f"{first}: {there[first : first + 2]} for {due[first : first + 2]}"
            )
    if rejected.keys() - {"incomplete"}:
        raise WrongError(f"rejected: {dict(rejected)}")
    if missing := set(simulation.peer.acknowledged) - set(found["net"]):
        raise WrongError(f"{len(missing)} readings were told to be durable and are not there: {sorted(missing)[:3]}")
    if strangers := set(found["net"]) - simulation.peer.sent:
        raise WrongError(f"nobody sent {sorted(strangers)[:3]}")


def _first_hour(at: int) -> int:
    """An instant as the journal has it: of the local hour that comes twice the first; the engine tells them apart."""
    return at - 3600 if datetime.fromtimestamp(at, ZONE).fold else at


def _commands(simulation: Simulation) -> None:
    """Labels and promotions that were said to be done are there once, others at most once."""
    notes = Counter(item.note for item in simulation.inputs.values() if isinstance(item, Labelled))
    for note, done in simulation.labels.items():
        if notes[note] > 1 or (done is True and notes[note] != 1) or (done is False and notes[note]):
            raise WrongError(f"{note} was {done}, and is journaled {notes[note]} times")
    promoted = sum(isinstance(item, Promoted) for item in simulation.inputs.values())
    if not simulation.promotions["done"] <= promoted <= simulation.promotions["asked"]:
        raise WrongError(f"{promoted} promotions are journaled of {simulation.promotions}")


def _sinks(simulation: Simulation, events: dict[str, list[dict[str, Any]]]) -> None:
    """The file has every event once, the receiver each at least once, and as it was."""
    wanted = {(event["id"], event["revision"]): event for found in events.values() for event in found}
    lines = [json.loads(line) for line in (simulation.directory / "disk/out/events.jsonl").read_bytes().splitlines()]
    _same("the file", _by_stream(lines), events)
    if simulation.receiver.changed:
        raise WrongError(f"events came again as other ones: {simulation.receiver.changed[:3]}")
    seen = simulation.receiver.seen
    if seen != wanted:
        raise WrongError(
            f"the receiver has {len(seen)} revisions, due are {len(wanted)}: {sorted(seen.keys() ^ wanted.keys())[:3]}"
        )


def _exports(simulation: Simulation, digests: dict[int, str], failed: dict[str, TrainingFailed]) -> None:
    """What was exported is the state at that entry."""
    for seq, file in simulation.exports.items():
        directory = simulation.directory / "imported"
        if transfer.restore(file, directory) != seq:
            raise WrongError(f"the export of entry {seq} ends elsewhere")
        with Store.open(directory) as store:
            durable = DurableEngine(store, OracleTrainer(failed))
            durable.recover()
            if durable.digest() != digests[seq]:
                raise WrongError(f"the export of entry {seq} is another state")
        shutil.rmtree(directory)
