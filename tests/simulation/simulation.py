"""One simulation: lives of the daemon's pipeline, one after the other, and what is done to them."""

from __future__ import annotations

import contextlib
import functools
import itertools
import os
import random
import time
from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path

from tests.simulation.clock import CLOCK  # before anything that takes functions of `time` as defaults

from daemon.config.file import effective, load  # isort: skip
from daemon.engine.machine.engine import essential
from daemon.engine.messages.inputs import Batch, Input, encode
from daemon.metrics.collector import Durations
from daemon.runtime.label_evidence import WantedLabel, label
from daemon.service.delivery import Courier
from daemon.service.jobs import Settled
from daemon.service.pipeline import Pipeline
from daemon.store import EventFilter, StoreDamaged, StoreError, StoreView, host, ledger, lock, reserve, transfer
from models.bundle_errors import BundleError
from tests.simulation import damage
from tests.simulation.configuration import CONFIGURATION, PLAIN, STREAM, VARIANTS
from tests.simulation.disk import Disk, KilledError
from tests.simulation.edges import BEGIN, INTERVAL, Peer, Receiver, SimulatedTrainer, Writer
from tests.simulation.hook import Hook, WrongError

REFUSED = {"refractory": "5h", "events": "nowhere/events.jsonl"}
STUCK = 4000


class Simulation:
    """Everything of one seed.

    Args:
        seed: Draws all of it.
        directory: An empty directory, in memory.

    Attributes:
        inputs: The journal as it was committed, by number.
        damage: What was damaged before the last life, None where nothing was.
        in_ledger: Revisions that the ledger had before the damage.
        told: Files set aside and entries lost, as all lives told.
        did: How often what was done.
    """

    def __init__(self, seed: int, directory: Path) -> None:
        self.seed, self.directory = seed, directory
        self.chance = random.Random(seed)
        self.did: Counter[str] = Counter()
        self.inputs: dict[int, Input] = {}
        self.exports: dict[int, Path] = {}
        self.labels: dict[str, bool | None] = {}
        self.promotions = Counter[str]()
        self.quiet = False
        self.damage: str | None = None
        self.told = (0, 0)
        self.in_ledger: set[tuple[str, int]] = set()
        (directory / "disk" / "out").mkdir(parents=True)
        self.state = directory / "disk" / "state"
        self.disk = Disk(directory / "disk", random.Random(self.chance.random()), self._died)
        self.writer = Writer(directory / "meter.csv", ("north", "south1"), random.Random(self.chance.random()))
        self.peer = Peer(directory / "socket", ("east", "west12"), random.Random(self.chance.random()))
        self.receiver = Receiver(lambda: self.disk.dead)
        self.trainer_chance = random.Random(self.chance.random())
        self.failures: set[str] = set()
        self.slot = -1
        self.last_slot = self.chance.randint(50, 120)
        self._known, self._couriers = 0, {}  # type: ignore[var-annotated]
        self._variant: dict[str, str] = {}
        self._labels = itertools.count(1)
        self._turns, self._wants_to_end, self._waits = 0, 0, 0
        self.pipeline: Pipeline | None = None
        self.trainer: SimulatedTrainer | None = None

    # -- lives -------------------------------------------------------------------------------------------------------

    def run(self) -> None:
        """All lives, to the last one that reads all there is and ends as it should."""
        self.configure({})
        for _ in range(12):
            if self.slot >= self.last_slot:
                break
            self._plan()
            self.live()
        self._live_quietly()

    def rot(self) -> None:
        """After `run`: one more life that is killed, then something on the disk is damaged, then one that ends well."""
        self.quiet, self.last_slot = False, self.last_slot + 12
        self._plan("kill", 200)
        self.live()
        self.in_ledger = {(row[1], row[2]) for row in ledger.read(self.state)}
        self._live_quietly(damage.choose(self.disk, self.state, self.chance))

    def _live_quietly(self, damaged: str | None = None) -> None:
        """A life in which nothing goes wrong any more, until all is read."""
        self.quiet, self.damage = True, damaged
        self.disk.revive()
        self.disk.room, self.receiver.failing = None, 0
        self._wants_to_end = STUCK
        while self.slot < self.last_slot:
            CLOCK.elapsed_s += INTERVAL
            self._measure()
        self.live()
        if damaged and self.pipeline is not None and isinstance(self.pipeline.error, StoreDamaged):
            self.did["ended by damage"] += 1
            self.live()  # as the service manager starts it again
        if self.pipeline is None or self.pipeline.error is not None:
            raise WrongError(f"the last life ended with {self.pipeline and self.pipeline.error!r}")

    def configure(self, changes: dict[str, str]) -> None:
        """Write the configuration."""
        values = PLAIN | changes
        text = CONFIGURATION.replace("<<: STREAM", STREAM)
        (self.directory / "tidegauge.yaml").write_text(text.format(**values))

    def _plan(self, wanted: str | None = None, calls: int | None = None) -> None:
        """How the next life goes wrong."""
        disk, chance = self.disk, self.chance
        disk.revive()
        self._wants_to_end = chance.randint(5, 60)
        how = wanted or chance.choices(["kill", "power", "stop", "error"], [35, 40, 12, 13])[0]
        self.did[how] += 1
        if how in ("kill", "power"):
            calls = calls or chance.choice([30, 150, 600, 1500])
            disk.kill_at = disk.calls + int(calls * chance.uniform(0.02, 1)) + 1
            disk.power = how == "power"
        self._how = how
        zone = chance.choice(["UTC", "America/New_York", "Asia/Kolkata"])
        os.environ["TZ"] = zone
        time.tzset()

    def live(self) -> None:
        """One life."""
        self._turns = self._waits = 0
        settings = load(self.directory / "tidegauge.yaml")
        self.trainer = SimulatedTrainer(self.trainer_chance, lambda: self.quiet, lambda: self.disk.dead)
        try:
            self.pipeline = pipeline = Pipeline(settings, self.trainer, Durations(), self.receiver, self.disk.reached)  # type: ignore[arg-type]
            pipeline._wake = Hook(lambda: False, self.idle)  # type: ignore[assignment]
            pipeline._stopping = Hook(self.look)  # type: ignore[assignment]
            pipeline.run()
            error = pipeline.error
        except KilledError as killed:
            error = killed
        for reader in self._couriers.values():
            if reader is not None:
                reader.close()
        self._couriers.clear()
        self._release()
        if isinstance(error, WrongError):
            raise error
        if self.disk.dead:
            self.did["died"] += 1
            self.disk.restore()
            return
        self.peer.cut()
        self.failures |= self.trainer.failures
        if error is not None:
            self._expect_error(error)
            self.did["ended with an error"] += 1

    def _release(self) -> None:
        """Let go the state directory's lock, as the end of a process does wherever it comes."""
        for descriptor in list(Path("/proc/self/fd").iterdir()):
            with contextlib.suppress(OSError):
                if descriptor.readlink() == self.state / lock.NAME:
                    os.close(int(descriptor.name))

    def _expect_error(self, error: BaseException) -> None:
        """Only a disk that failed, or gave back what was not written, ends a life."""
        damaged = self.damage is not None and isinstance(error, StoreDamaged)
        if not damaged and not (self.broke and isinstance(error, StoreError | OSError)):
            raise WrongError(f"a life ended with {type(error).__name__}: {error}") from error

    broke = False

    def _died(self) -> None:
        """At the instant of a kill: what was said before is heard, and nothing after."""
        self.peer.cut()
        if self.trainer is not None:
            self.failures |= self.trainer.failures

    # -- what the pipeline lets happen -------------------------------------------------------------------------------

    def look(self) -> bool:
        """Between two turns, and wherever a start looks whether it is to stop."""
        if self.disk.dead:
            raise KilledError
        pipeline = self.pipeline
        assert pipeline is not None
        if pipeline._durable is not None and pipeline.ready:
            self.note()
            self._turns += 1
            if self._turns > STUCK:
                raise WrongError(
                    f"it does not come to an end: {pipeline.behind} {pipeline.down} {pipeline.readiness.why_not}"
                )
            self.hand_on()
            if self.chance.random() < 0.3:
                self.act()
            if self.quiet and self._all_read():
                return True
            return not self.quiet and self._turns > self._wants_to_end
        return False

    def idle(self) -> None:
        """The pipeline has nothing to do, or no room."""
        if self.disk.dead:
            raise KilledError
        CLOCK.elapsed_s += 1.0
        pipeline = self.pipeline
        assert pipeline is not None
        if pipeline.readiness.no_room:
            if self.disk.room is None:
                raise WrongError("it waits for room on a disk that has room")
            self._waits += 1
            if self._waits % 3 == 0:
                self.disk.room = None
                self.did["room again"] += 1
            return
        self.act()

    def note(self) -> None:
        """Take down what is in the journal; what was there before must be there still."""
        assert self.pipeline is not None
        store: StoreView = self.pipeline.durable.store
        last = max(self.inputs, default=0)
        if self._turns == 0:
            told = (self.pipeline.durable.store.quarantined, self.pipeline.durable.store.lost)
            self.told = (self.told[0] + told[0], self.told[1] + told[1])
            self._compare(store, last)
            said = {(event.id, event.revision) for _, event in store.events(EventFilter(latest_only=False))}
            if taken := self.taken_back(self.receiver.seen, said):
                raise WrongError(f"delivered events were taken back: {taken[:3]}")
        for seq, item in store.entries(last):
            self.inputs[seq] = item
        if (
            not self.pipeline.behind
            and essential(effective(self.pipeline.settings)) != self.pipeline.durable.engine.config
        ):
            raise WrongError("the engine is under another configuration than the pipeline")

    def taken_back(self, delivered: Iterable[tuple[str, int]], said: set[tuple[str, int]]) -> list[tuple[str, int]]:
        """Delivered revisions that are not recorded; with a lost database those go that came before the ledger's."""
        return [key for key in delivered if key not in said and (not any(self.told) or key in self.in_ledger)]

    def _compare(self, store: StoreView, last: int) -> None:
        """What was committed is what is there; after damage that was told, what is left is taken for it."""
        first = store.first_seq
        found = dict(store.entries(max(first - 1, last - 20)))
        for seq in range(max(first, last - 19), last + 1):
            if seq not in found or encode(found[seq]) != encode(self.inputs[seq]):
                if self.damage and any(self.told):
                    self.inputs.pop(seq)
                    continue
                raise WrongError(f"journal entry {seq} was committed, and is {'another' if seq in found else 'gone'}")

    def hand_on(self) -> None:
        """Have the sinks deliver, each by chance."""
        assert self.pipeline is not None
        delivery = self.pipeline._delivery
        for courier in delivery._couriers.values() if delivery else ():
            if self.quiet or self.chance.random() < 0.5:
                self._couriers[courier] = courier.attempt(self._couriers.get(courier))

    def _all_read(self) -> bool:
        pipeline = self.pipeline
        assert pipeline is not None
        if not (self.writer.idle and self.peer.idle) or pipeline.behind or len(pipeline._jobs):
            return False
        readings = sum(len(b) for b in self.inputs.values() if isinstance(b, Batch) and b.stream == "files")
        last = pipeline.durable.store.last_event_row
        sinks = (
            [courier.delivered[0] for courier in pipeline._delivery._couriers.values()] if pipeline._delivery else []
        )
        patient = self._turns > 200 and any(self.told)  # what is lost does not come
        return (readings >= len(self.writer.written) or patient) and all(row >= last for row in sinks)

    # -- what happens ------------------------------------------------------------------------------------------------

    def act(self) -> None:
        """Something happens outside."""
        assert self.trainer is not None
        if self.quiet:
            CLOCK.elapsed_s += 60.0
            self.writer.write(all_of_it=True)
            self.peer.send(all_of_it=True)
            self.trainer.pass_on()
            return
        CLOCK.elapsed_s += self.chance.uniform(0.5, 900)
        self._measure()
        self.trainer.pass_on()
        names = list(ACTS)
        name = self.chance.choices(names, [ACTS[each] for each in names])[0]
        self.did[name] += 1
        getattr(self, f"_{name}")()

    def _measure(self) -> None:
        """What was measured since."""
        while self.slot < self.last_slot and BEGIN + (self.slot + 1) * INTERVAL <= CLOCK.true_s:
            self.slot += 1
            if self.chance.random() < 0.97:
                self.writer.measure(self.slot)
                self.peer.measure(self.slot)

    def _write(self) -> None:
        self.writer.write()

    def _rotate(self) -> None:
        if any(isinstance(item, Batch) and item.stream == "files" for item in self.inputs.values()):
            self.writer.rotate()  # a path that was never read has no rotated files

    def _send(self) -> None:
        self.peer.send()

    def _cut(self) -> None:
        self.peer.cut()

    def _stall(self) -> None:
        CLOCK.elapsed_s += self.chance.uniform(600, 5 * 3600)

    def _step_clock(self) -> None:
        CLOCK.wrong_s = self.chance.uniform(-7000, 7000)

    def _receiver_away(self) -> None:
        self.receiver.failing = self.chance.randint(1, 3)

    def _fill_disk(self) -> None:
        self.disk.room = self.chance.choice([0, 100, 5000, 100_000])

    def _free_disk(self) -> None:
        self.disk.room = None

    def _break_disk(self) -> None:
        if self._how == "error":
            self.disk.broken, self.broke = self.chance.choice([1, 2, 10_000]), True

    def _post(self, job: Callable[[Pipeline], None]) -> None:
        assert self.pipeline is not None
        self.pipeline.post(job)

    def _checkpoint(self) -> None:
        self._post(Pipeline.checkpoint)

    def _tick(self) -> None:
        self._post(Pipeline.tick)

    def _tidy(self) -> None:
        self._post(Pipeline.tidy)

    def _label(self) -> None:
        stream, series = self.chance.choice(
            [("files", "north"), ("files", "south1"), ("net", "east"), ("net", "west12")]
        )
        since = BEGIN + INTERVAL * self.chance.randint(max(0, self.slot - 40), max(0, self.slot))
        kind = self.chance.choice(["fault", "normal"])
        note = f"label {next(self._labels)}"
        wanted = WantedLabel(stream, series, kind, since, since + INTERVAL * self.chance.randint(0, 4), note)  # type: ignore[arg-type]

        def job(pipeline: Pipeline) -> None:
            self.labels[note] = None
            try:
                label(pipeline.durable, wanted, CLOCK.wall_ns() // 1_000_000)
            except ValueError:
                self.labels[note] = False
            else:
                if not self.disk.dead:
                    self.labels[note] = True

        self._post(Settled(job, stream))

    def _promote(self) -> None:
        stream = self.chance.choice(["files", "net"])
        version = self.chance.choice([None, 1, 2, 3])

        def job(pipeline: Pipeline) -> None:
            self.promotions["asked"] += 1
            try:
                pipeline.durable.serve(stream, version, CLOCK.wall_ns() // 1_000_000)
            except (ValueError, LookupError, BundleError, StoreError) as error:
                self._unless_harmless(error)
                self.promotions["asked"] -= 1
            else:
                if not self.disk.dead:
                    self.promotions["done"] += 1

        self._post(Settled(job, stream))

    def _unless_harmless(self, error: Exception) -> None:
        """A store that failed may hold what was not applied, so the daemon ends; see `OperatorCommands`."""
        if isinstance(error, StoreError) and type(error).__name__ not in ("ModelUnknown", "ModelChecksum"):
            raise error

    def _reload(self) -> None:
        changes = self.chance.choice([*VARIANTS, REFUSED])
        self.configure(changes)
        settings = load(self.directory / "tidegauge.yaml")

        def job(pipeline: Pipeline) -> None:
            before = pipeline.settings
            try:
                pipeline.take_over(settings)
            except OSError:
                self.did["reload refused"] += 1
                if pipeline.settings is not before:
                    raise WrongError("a refused reload changed the settings") from None
            else:
                self._variant = changes
            self.configure(self._variant)  # what a start reads is what was taken over last

        self.configure(self._variant)
        self._post(Settled(job, None))

    def _export(self) -> None:
        file = self.directory / f"export-{self.did['export']}.tar"
        try:
            seq = transfer.export(self.state, file)
        except StoreError:
            if file.exists():
                raise WrongError("an export that failed left a file") from None
            return
        self.exports[seq] = file


ACTS: dict[str, int] = {
    **{"write": 30, "send": 30, "rotate": 3, "cut": 4, "stall": 5, "step_clock": 2, "receiver_away": 3},
    **{"fill_disk": 2, "free_disk": 1, "break_disk": 4, "checkpoint": 6, "tick": 4, "tidy": 2, "label": 4},
    **{"promote": 2, "reload": 3, "export": 1},
}

host.versions = functools.cache(host.versions)
reserve._STEP = reserve.LEAST  # one call in the place of 32
Courier.start = lambda self: None  # type: ignore[method-assign]  # no thread: `Simulation.hand_on` has it deliver
