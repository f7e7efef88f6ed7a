"""The sources of all streams: opened where they resume, and changed between two turns when the configuration is."""

from __future__ import annotations

from collections.abc import Iterator

from daemon.config.settings import Settings
from daemon.runtime.intake import Intake, Taken
from daemon.store import Store


class Sourcing:
    """One intake a stream.

    Args:
        settings: Names the streams and their sources; none is opened yet.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._intakes = {name: _intake(name, settings) for name in settings.streams}

    def open(self, store: Store) -> None:
        """Open every source at its durable positions.

        Raises:
            OSError: A source cannot be opened.
        """
        for intake in self._intakes.values():
            _open(intake, store)

    def take(self, now_ms: int) -> list[Taken]:
        """The next batch of each stream that has one."""
        return [taken for intake in self._intakes.values() if (taken := intake.take(now_ms)) is not None]

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

    def status(self) -> dict[str, dict[str, float]]:
        """Gauges of each source."""
        return {name: gauges for intake in self._intakes.values() for name, gauges in intake.status().items()}

    def replace(self, settings: Settings, store: Store) -> None:
        """Open what `settings` adds or changes, close what they change or lack, have the rest read its certificates.

        What a closed file had read ahead is read again: positions move only with what is journaled. A closed
        listener drops its connections, and senders repeat what was not acknowledged.

        Raises:
            OSError: A source cannot be opened, or its certificates not be read; all are as they were before.
        """
        kept = [name for name in settings.streams if _reads(name, settings) == _reads(name, self._settings)]
        for name in kept:
            self._intakes[name].reload()
        leaving = {name: intake for name, intake in self._intakes.items() if name not in kept}
        for intake in leaving.values():  # first, since one of the new ones may want the same port
            intake.close()
        fresh = {name: _intake(name, settings) for name in settings.streams if name not in kept}
        try:
            for intake in fresh.values():
                _open(intake, store)
        except BaseException:
            for intake in fresh.values():
                intake.close()
            for name in leaving:
                self._intakes[name] = _intake(name, self._settings)
                _open(self._intakes[name], store)
            raise
        self._intakes = {name: fresh.get(name) or self._intakes[name] for name in settings.streams}
        self._settings = settings

    def close(self) -> None:
        """Close every source."""
        for intake in self._intakes.values():
            intake.close()


def _intake(name: str, settings: Settings) -> Intake:
    return Intake.of(name, settings.streams[name], settings.limits)


def _open(intake: Intake, store: Store) -> None:
    intake.open({source.name: store.positions(source.name) for source in intake.sources})


def _reads(name: str, settings: Settings) -> object:
    """All that how a stream is read depends on; None when there is no such stream."""
    stream = settings.streams.get(name)
    return stream and (stream.sources, stream.format, stream.timezone, settings.limits)
