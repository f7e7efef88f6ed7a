"""Model files and the record of every training: what it made, or why it made nothing."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from urllib.parse import quote

from daemon.store.database import Database, Row
from daemon.store.errors import ModelChecksum, ModelUnknown
from daemon.store.faults import Reached
from daemon.store.files import write_whole
from daemon.store.sealed_rows import change, find
from daemon.store.sealed_rows import put as put_rows
from daemon.store.tables import MODELS

DIRECTORY = "models"
SUFFIXES = (".safetensors", ".pt")
"""What model files' names end in; the first is written, the others are left from earlier versions."""


@dataclass(frozen=True, slots=True)
class ModelRecord:
    """What one training came to, or a configured bundle that came into service.

    Attributes:
        request_id: The training's deterministic id; of a configured bundle one made of its digest.
        stream: Stream it was for.
        version: 1, 2, ... within the stream; None when there is no file.
        status: `candidate` until its step is done, then `promoted` (it serves, or did), `rejected` by the gate,
            `rolled_back` by the operator, by its alarms or because what it learned of was excluded, or `failed` (no
            file).
        digest: Digest of the bundle's content, as the caller gave it.
        sha256: SHA-256 of the file, hexadecimal.
        file: Name of the file inside `models/`; None once a version is no longer kept.
        manifest: The bundle's manifest; beside it `gate`, the verdict, `rollback`, the numbers of one by itself,
            `excluded`, the journal entry that took out what it learned of, `configured`, true of a configured bundle,
            and `served_seq`, the last journal entry that brought it into service.
        reason: Why it failed, one word.
        detail: Why it failed, in full.
        seq: Last journal entry when this was recorded.
        at_ms: When it was recorded, epoch milliseconds.
    """

    request_id: str
    stream: str
    version: int | None
    status: str
    digest: str | None
    sha256: str | None
    file: str | None
    manifest: dict[str, Any] = field(default_factory=dict)
    reason: str | None = None
    detail: str | None = None
    seq: int = 0
    at_ms: int = 0


def file_name(stream: str, version: int) -> str:
    """Name of a model file; any stream name becomes a safe, distinct one of bounded length."""
    safe = quote(stream, safe="").replace(".", "%2E").replace("~", "%7E")
    if len(safe) > 120:
        safe = f"{safe[:64]}~{hashlib.sha256(stream.encode()).hexdigest()[:32]}"
    return f"{safe}-{version:04d}{SUFFIXES[0]}"


def put(database: Database, directory: Path, reached: Reached, record: ModelRecord, file_bytes: bytes) -> ModelRecord:
    """Write the file, then record it under the stream's next version; a request already recorded is left as it is.

    Args:
        record: Everything but version, file and SHA-256.

    Returns:
        The record as it stands in the table.
    """
    if (existing := outcome(database, record.request_id)) is not None:
        return existing
    newest = database.value("SELECT max(version) FROM models WHERE stream = ?", [record.stream])
    version = (newest or 0) + 1
    file = file_name(record.stream, version)
    write_whole(directory / file, (file_bytes,), lambda: reached("model.before_rename"))
    reached("model.before_record")
    sha256 = hashlib.sha256(file_bytes).hexdigest()
    put_rows(database, MODELS, [_row(replace(record, version=version, sha256=sha256, file=file))])
    reached("model.after_record")
    return _known(outcome(database, record.request_id), record.request_id)


def put_failure(database: Database, reached: Reached, record: ModelRecord) -> ModelRecord:
    """Record a training that made no model; a request already recorded is left as it is."""
    if (existing := outcome(database, record.request_id)) is not None:
        return existing
    put_rows(database, MODELS, [_row(record)])
    reached("model.after_record")
    return record


def outcome(database: Database, request_id: str) -> ModelRecord | None:
    """What the training came to, None when it is not recorded."""
    rows = find(database, MODELS, "WHERE request_id = ?", [request_id])
    return _record(rows[0]) if rows else None


def records(database: Database, stream: str | None = None) -> list[ModelRecord]:
    """Records of one stream, or of all, in the order they were made."""
    condition, args = ("WHERE stream = ?", [stream]) if stream is not None else ("", [])
    return [_record(row) for row in find(database, MODELS, f"{condition} ORDER BY rowid", args)]


def version(database: Database, stream: str, number: int) -> ModelRecord:
    """The record of one version. Raises ModelUnknown."""
    rows = find(database, MODELS, "WHERE stream = ? AND version = ?", [stream, number])
    return _known(_record(rows[0]) if rows else None, f"{stream} version {number}")


def read(directory: Path, record: ModelRecord) -> bytes:
    """The file of `record`. Raises ModelChecksum when its bytes are not those recorded, ModelUnknown without a file."""
    if record.file is None and record.version is not None:
        raise ModelUnknown(f"{record.stream} version {record.version} is no longer kept; set model.keep higher")
    if record.file is None:
        raise ModelUnknown(f"training {record.request_id} of {record.stream} made no model ({record.reason})")
    path = directory / record.file
    try:
        found = path.read_bytes()
    except OSError as error:
        raise ModelChecksum(
            f"{path}: cannot be read ({error.strerror}); restore it, or roll back to another version"
        ) from error
    if hashlib.sha256(found).hexdigest() != record.sha256:
        raise ModelChecksum(
            f"{path}: its SHA-256 is not the one recorded ({record.sha256}); "
            "restore the file, or roll back to another version"
        )
    return found


def annotate(database: Database, request_id: str, status: str, **facts: Any) -> None:
    """Change the status of a training that made a model, and add facts beside its manifest."""
    record = outcome(database, request_id)
    if record is not None and record.version is not None:
        _change(database, replace(record, status=status, manifest=record.manifest | facts))


def retain(database: Database, directory: Path, stream: str, keep: int, spare: str | None, through: int) -> None:
    """Delete a stream's model files but for the newest `keep`; the records stay, without a file.

    Args:
        spare: Digest of a bundle whose file stays in any case.
        through: Only files recorded up to this journal entry go: recovery may ask for later ones.
    """
    with_file = [r for r in records(database, stream) if r.file is not None]
    for record in with_file[: max(0, len(with_file) - keep)]:
        if record.digest != spare and record.seq <= through and record.file is not None:
            try:
                (directory / record.file).unlink(missing_ok=True)  # first, so that a crash between repeats it
            except OSError:
                continue  # it is tried again; a file too many harms nothing
            _change(database, replace(record, file=None))


def _known(record: ModelRecord | None, name: str) -> ModelRecord:
    if record is None:
        raise ModelUnknown(f"no model is recorded for {name}; `tidegauge models` lists those there are")
    return record


def _change(database: Database, record: ModelRecord) -> None:
    change(database, MODELS, {"request_id": record.request_id}, _row(record))


def _row(record: ModelRecord) -> Row:
    manifest = json.dumps(record.manifest, sort_keys=True)
    return tuple(manifest if name == "manifest" else getattr(record, name) for name in MODELS.columns)


def _record(row: Row) -> ModelRecord:
    values = dict(zip(MODELS.columns, row, strict=True))
    values["manifest"] = json.loads(values["manifest"] or "{}")
    return ModelRecord(**values)
