"""What can be read of a state directory, by the daemon itself or beside it."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from adapters.base import Position
from daemon.engine.messages.events import Event
from daemon.engine.messages.inputs import Excluded, Input, Labelled, Maintained
from daemon.store import check, event_table, journal, label_table, model_store, tables
from daemon.store.access import refusal
from daemon.store.checkpoints import DIRECTORY as CHECKPOINTS
from daemon.store.checkpoints import Checkpoints
from daemon.store.database import COMPANIONS, NAME, Database
from daemon.store.errors import CheckpointDamaged, ModelUnknown, StoreError, StoreMissing
from daemon.store.event_table import EventFilter
from daemon.store.model_store import ModelRecord
from models.archive import unpack

_AT_ONCE = 500
_EACH = EventFilter()


class StoreView:
    """Reads one state directory. Belongs to the thread that made it; takes no lock and changes nothing."""

    def __init__(self, directory: Path, database: Database) -> None:
        self.directory = directory
        self._database = database

    def positions(self, source: str) -> dict[str, Position]:
        """Place -> position of one source; empty when it never had any."""
        return journal.positions(self._database, source)

    def entries(
        self, after: int | None = None, through: int | None = None, stream: str | None = None
    ) -> Iterator[tuple[int, Input]]:
        """`(number, input)` of the entries after `after` up to `through`, streaming; without `after`, all there are.

        With `stream` those that name another stream are left out.
        """
        floor, base, _ = journal.bounds(self._database)
        return journal.entries(self._database, floor if after is None else max(after, base), through, stream)

    def configurations(self) -> list[dict[str, Any]]:
        """The effective configurations that the journal still holds, oldest first."""
        return journal.configurations(self._database)

    def last_configuration(self) -> dict[str, Any] | None:
        """The newest of them, or what the newest checkpoint knows of it, its streams; None where there is neither."""
        if found := self.configurations():
            return found[-1]
        for _, data in self.checkpoints():
            with contextlib.suppress(ValueError, KeyError, TypeError):
                kept: dict[str, Any] = unpack(data)[0]["config"]
                return kept
        return None

    def excluded(self, stream: str | None = None) -> list[tuple[int, Excluded]]:
        """`(number, input)` of the entries that take a period of a stream (of any) out of what is learned."""
        found = journal.of_kind(self._database, "excluded")
        return [(seq, e) for seq, e in found if isinstance(e, Excluded) and stream in (None, e.stream)]

    def maintained(self, after: int) -> list[Maintained]:
        """The inputs after entry `after` that add or take away maintenance windows."""
        found = journal.of_kind(self._database, "maintained", after)
        return [each for _, each in found if isinstance(each, Maintained)]

    def begun_by_day(self, most: int) -> dict[int, int]:
        """Events by the day of their beginning, its number since 1970, among the newest so many recorded revisions."""
        return event_table.begun_by_day(self._database, most)

    def checkpoints(self) -> Iterator[tuple[int, bytes]]:
        """`(seq, data)` of the sound checkpoints that the journal continues, the newest first.

        Damaged ones are passed over and left where they are: nobody may change anything beside a daemon that runs.
        """
        floor, base, last = journal.bounds(self._database)
        files = Checkpoints(self.directory / CHECKPOINTS)
        for seq in files.sequences():
            if max(floor, base) <= seq <= last:
                with contextlib.suppress(CheckpointDamaged):
                    yield seq, files.read(seq).data

    @property
    def journal_is_whole(self) -> bool:
        """Whether the journal goes back to the empty state."""
        floor, base, _ = journal.bounds(self._database)
        return floor <= base

    @property
    def first_seq(self) -> int:
        """Number of the oldest entry the journal still holds (of the next one, when it holds none)."""
        return journal.bounds(self._database)[0] + 1

    @property
    def last_seq(self) -> int:
        """Number of the newest entry; 0 before the first."""
        return journal.bounds(self._database)[2]

    def events(
        self,
        wanted: EventFilter = _EACH,
        *,
        after_row: int = 0,
        limit: int | None = None,
        newest_first: bool = False,
    ) -> list[tuple[int, Event]]:
        """Events in the order they were recorded, each with its row number; `left_out` names those that are damaged.

        Args:
            wanted: Which ones.
            after_row: Rows after this one.
            limit: At most so many.
            newest_first: From the newest row backwards, so that `limit` keeps the newest.
        """
        return event_table.select(self._database, wanted, after_row=after_row, limit=limit, newest_first=newest_first)

    def revisions(self, event: str) -> list[Event]:
        """All revisions of the event of this id, oldest first; none where there is no such event."""
        return event_table.revisions(self._database, event)

    @property
    def last_event_row(self) -> int:
        """Number of the newest row of the event table, 0 before the first."""
        return event_table.last_row(self._database)

    def each_event(self, wanted: EventFilter = _EACH, *, limit: int | None = None) -> Iterator[Event]:
        """The newest `limit` of the wanted events (all of them), the oldest first; few in memory at a time."""
        at = 0 if limit is None else event_table.row_before_newest(self._database, wanted, limit)
        while rows := self.events(wanted, after_row=at, limit=_AT_ONCE):
            yield from (event for _, event in rows)
            at = rows[-1][0]

    def sink_position(self, name: str) -> tuple[int, int] | None:
        """`(last_row, committed_bytes)`: a sink has delivered events up to that row, in so many bytes; None: unknown.

        A record that is damaged is as good as none.
        """
        return event_table.sink_position(self._database, name)

    def labels(self, stream: str | None = None, series: str | None = None) -> list[Labelled]:
        """Operators' labels of a stream and a series (of all) that the state knows of, in the order they were given."""
        return label_table.select(self._database, journal.bounds(self._database)[1], stream, series)

    def models(self, stream: str | None = None) -> list[ModelRecord]:
        """Records of all trainings of a stream (of all streams), oldest first."""
        return model_store.records(self._database, stream)

    def outcome(self, request_id: str) -> ModelRecord | None:
        """What a training came to, None when nothing is recorded of it."""
        return model_store.outcome(self._database, request_id)

    def read_model(self, stream: str, version: int) -> bytes:
        """Bytes of one model file. Raises ModelUnknown, or ModelChecksum when they are not those recorded."""
        return model_store.read(self._models, model_store.version(self._database, stream, version))

    def read_model_of(self, request_id: str) -> bytes:
        """Bytes of the model that a training made; raises as `read_model` does."""
        record = self.outcome(request_id)
        if record is None:
            raise ModelUnknown(f"training {request_id} is not recorded; `tidegauge models` lists those that are")
        return model_store.read(self._models, record)

    @property
    def lost_runs(self) -> list[tuple[int, int]]:
        """First and last numbers of runs of journal entries that are known to be lost."""
        return journal.lost_runs(self._database)

    @property
    def left_out(self) -> set[str]:
        """Rows that were asked for and left out, because they are not what was written."""
        return self._database.left_out

    def check(self) -> list[str]:
        """Everything that is wrong with the directory, one line each; reads every byte, so it may take minutes."""
        return check.problems(self._database, self.directory)

    def close(self) -> None:
        """Close the database."""
        self._database.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def _models(self) -> Path:
        return self.directory / model_store.DIRECTORY


def open_reader(directory: Path) -> StoreView:
    """A read-only view, also while a daemon runs; each thread opens its own.

    Raises:
        StoreMissing: There is no database.
        StoreError: It may not be read, or the database is not of this version.
    """
    path = directory / NAME
    if (
        why := refusal([directory, path, *(path.with_name(NAME + end) for end in COMPANIONS)], writing=False)
    ) is not None:
        raise StoreError(why)
    if not path.exists():
        raise StoreMissing(f"{path}: there is no state here; check state_dir, or start the daemon once")
    database = Database(path, read_only=True)
    try:
        found = (database.value("PRAGMA application_id"), database.value("PRAGMA user_version"))
        if found != (tables.APPLICATION_ID, tables.VERSION):
            raise StoreError(
                f"{path}: is not a Tidegauge database of version {tables.VERSION}; "
                "start the daemon of this version once: it migrates the file, or sets it aside"
            )
    except BaseException:
        database.close()
        raise
    return StoreView(directory, database)
