"""The sources of all streams: opened where they resume, and changed between two turns when the configuration is."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from functools import partial

from adapters.base import Source
from adapters.uploads.inbox import Inboxes
from daemon.clock import EARLIEST_MS
from daemon.config.settings import Settings, StreamSettings
from daemon.config.source_settings import SourceSettings
from daemon.intake.construction import make_own_format, make_reader, make_source
from daemon.intake.intake import Intake, Taken, named
from daemon.intake.quotas import Census
from daemon.service.rejects_file import RejectsFile
from daemon.store import Store


class SourceSet:
    """One intake a stream.

    Args:
        settings: Names the streams and their sources; none is opened yet.
        inboxes: Where its sources of posted bodies are found.
    """

    def __init__(self, settings: Settings, inboxes: Inboxes) -> None:
        self._settings, self._inboxes = settings, inboxes
        self._intakes = {
            name: Intake.of(name, stream, settings.limits, inboxes, settings.shard)
            for name, stream in settings.streams.items()
        }
        self._rejects: RejectsFile | None = None
        self._census: Callable[[str], Census] | None = None
        self._keep_rejects()

    def open(self, store: Store, census: Callable[[str], Census]) -> None:
        """Open every source at its durable positions; one that cannot be opened is down, and tried again.

        Args:
            store: Has the positions.
            census: Tells of a stream's series.
        """
        self._census = census
        for intake in self._intakes.values():
            self._count(intake)
            intake.supervise(self._make, store.positions)
            intake.open({source.name: store.positions(source.name) for source in intake.sources})

    def poll(self, now_ms: int, resting: Collection[str] = ()) -> list[Taken]:
        """The next batch of each stream that has one.

        Streams that are `resting` are not read, nor is one that goes by a clock not set yet.
        """
        waiting = {*self.without_time(now_ms), *resting}
        intakes = (intake for name, intake in self._intakes.items() if name not in waiting)
        return [taken for intake in intakes if (taken := intake.poll(now_ms)) is not None]

    def quiet(self, resting: Collection[str] = ()) -> list[str]:
        """Streams whose delivery has ended because nothing came for long enough; each end is told once.

        Of those that are `resting`, and not read, nobody knows.
        """
        return [name for name, intake in self._intakes.items() if name not in resting and intake.quiet()]

    def resume(self, streams: Collection[str], store: Store) -> None:
        """The engine holds readings of these streams whose delivery has not ended."""
        for name in streams:
            if (intake := self._intakes.get(name)) is not None:
                intake.resume({source.name: store.positions(source.name) for source in intake.sources})

    def without_time(self, now_ms: int) -> list[str]:
        """Streams that go by the wall clock while it is not set: all their readings would be of the future."""
        if now_ms >= EARLIEST_MS:
            return []
        return [name for name, stream in self._settings.streams.items() if stream.clock == "wall"]

    def committed(self, taken: list[Taken]) -> None:
        """What was taken is durable."""
        for each in taken:
            self._intakes[each.batch.stream].committed(each)

    def forgotten(self) -> Iterator[tuple[str, str]]:
        """`(source, place)` of places whose positions need not be kept."""
        for intake in self._intakes.values():
            yield from intake.forgotten()

    def done(self) -> bool:
        """Whether every source has ended, as standard input does."""
        return all(intake.done() for intake in self._intakes.values())

    def down(self) -> dict[str, str]:
        """Why each source that is down is."""
        return {name: error for intake in self._intakes.values() for name, error in intake.down().items()}

    def status(self) -> dict[str, dict[str, float]]:
        """Gauges of each source."""
        return {name: gauges for intake in self._intakes.values() for name, gauges in intake.status().items()}

    def replace(self, settings: Settings, store: Store) -> None:
        """Open what `settings` adds or changes, close what they change or lack; the rest reads its certificates again.

        A source stays open, with its connections, when it has its place in the list and its lines are read as before.
        What a closed file had read ahead is read again: positions move only with what is journaled. A closed listener
        drops its connections, and senders repeat what was not acknowledged.

        Raises:
            OSError: A source cannot be opened, or its certificates not be read; all are as they were before.
        """
        before, old, new = self._settings, _reads(self._settings), _reads(settings)
        staying = {name for name in old.keys() & new.keys() if old[name] == new[name]}
        for intake in self._intakes.values():
            intake.reload(staying)
        try:
            self._move(settings, staying, store)
        except BaseException:
            self._move(before, staying, store, again=True)
            raise

    def _move(self, settings: Settings, staying: Collection[str], store: Store, *, again: bool = False) -> None:
        """Close all sources but those that stay, then open what is missing of `settings`.

        Closing comes first, since a new source may want the same port. Those that were there before come `again`.
        """
        self._settings = settings
        for intake in self._intakes.values():
            intake.leave([source.name for source in intake.sources if source.name not in staying])
        kept = {name: intake for name, intake in self._intakes.items() if intake.sources}
        self._intakes = {
            name: kept.get(name)
            or Intake(name, [], make_reader(stream, settings.limits), stream.format, shard=settings.shard)
            for name, stream in settings.streams.items()
        }
        self._keep_rejects()
        for stream, intake in self._intakes.items():
            self._count(intake)
            intake.configure(settings.streams[stream])
            intake.supervise(self._make, store.positions)
            for name, source in named(stream, settings.streams[stream].sources):
                if name not in staying:
                    made = self._source(name, source, settings.streams[stream])
                    own = make_own_format(source, settings.limits)
                    intake.add(made, store.positions(name), own, again=again)
        self._inboxes.tidy()

    def _count(self, intake: Intake) -> None:
        """Have an intake know its stream's series."""
        if self._census is not None:
            intake.quotas.census = partial(self._census, intake.stream)

    def _make(self, name: str) -> Source:
        """A source of the settings in force, not yet open."""
        stream, number = name.rsplit("/", 1)
        settings = self._settings.streams[stream]
        return self._source(name, settings.sources[int(number)], settings)

    def _source(self, name: str, source: SourceSettings, stream: StreamSettings) -> Source:
        limits = self._settings.limits
        return make_source(name, source, limits, self._inboxes, make_reader(stream, limits), stream.format.encoding)

    def close(self) -> None:
        """Close every source, and the file of refused lines."""
        for intake in self._intakes.values():
            intake.close()
        if self._rejects is not None:
            self._rejects.close()

    def refusals(self) -> dict[str, str]:
        """By source, the newest refusal that was said, in words."""
        return {
            name: f"{refusal.file}, {refusal.words()}"
            for intake in self._intakes.values()
            for name, refusal in intake.refusals.first.items()
        }

    def _keep_rejects(self) -> None:
        """Have refused lines kept where the settings say."""
        if self._rejects is not None:
            self._rejects.close()
        rejects = self._settings.rejects
        self._rejects = None if rejects.file is None else RejectsFile(rejects)
        for intake in self._intakes.values():
            intake.refusals.keep = None if self._rejects is None else self._rejects.write


def _reads(settings: Settings) -> dict[str, object]:
    """All that how a source is read depends on, by its name."""
    return {
        name: (source.model_copy(update={"max_series": None}), each.format, each.timezone, settings.limits)
        for stream, each in settings.streams.items()
        for name, source in named(stream, each.sources)
    }
