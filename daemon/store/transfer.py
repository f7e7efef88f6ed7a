"""A state directory as one file, and back: to move a daemon, to keep a copy, to send one in.

The file is a tar archive of the database, the checkpoints and the model files, by the names they have in the directory.
"""

from __future__ import annotations

import os
import re
import shutil
import tarfile
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import BinaryIO

from daemon.store import checkpoints, journal, model_store
from daemon.store.checkpoints import Checkpoints
from daemon.store.database import NAME, Database
from daemon.store.errors import StoreDamaged, StoreError
from daemon.store.files import disk_error
from daemon.store.view import open_reader
from models.atomic_file import replacing, sync_directory

_MODEL = rf"{model_store.DIRECTORY}/[^/]+({'|'.join(map(re.escape, model_store.SUFFIXES))})"
_PARTS = re.compile(rf"{NAME}|{checkpoints.DIRECTORY}/checkpoint-\d{{12,}}\.tgc|{_MODEL}")


def export(directory: Path, file: Path) -> int:
    """Write the state in `directory` to `file`, while a daemon runs or not; the newest journal entry inside.

    Raises:
        StoreMissing: There is no state.
        StoreError: `file` exists or cannot be written, a model is missing, or the daemon has moved on too far; there is
            no file then.
    """
    with open_reader(directory):
        pass  # says what is wrong with the database, if anything is
    try:
        if file.exists():
            raise FileExistsError
        with TemporaryDirectory(dir=file.parent) as scratch, replacing(file, mode=0o600, new=True) as target:
            return _write(directory, Path(scratch), target)
    except FileExistsError as error:
        raise StoreError(f"{file}: exists; name another file") from error
    except OSError as error:
        raise disk_error(error, file) from error


def _write(directory: Path, scratch: Path, file: BinaryIO) -> int:
    """Checkpoints are copied first: the database that follows then has every entry after the newest of them."""
    found = [path for path in sorted((directory / checkpoints.DIRECTORY).glob("*.tgc")) if _copy(path, scratch)]
    with closing(Database(directory / NAME, read_only=True)) as database:
        database.rows("VACUUM INTO ?", [str(scratch / NAME)])
    with closing(Database(scratch / NAME, read_only=True)) as database:
        floor, base, last = journal.bounds(database)
        models = [record.file for record in model_store.records(database) if record.file is not None]
    kept = Checkpoints(scratch).sequences()
    if floor > base and not any(seq >= floor for seq in kept):
        raise StoreError(f"{directory}: the daemon wrote new checkpoints while the old ones were copied; export again")
    with tarfile.open(fileobj=file, mode="w") as tar:
        tar.add(scratch / NAME, NAME)
        for path in found:
            tar.add(scratch / path.name, f"{checkpoints.DIRECTORY}/{path.name}")
        for name in models:
            path = directory / model_store.DIRECTORY / name
            try:
                tar.add(path, f"{model_store.DIRECTORY}/{name}")
            except FileNotFoundError:
                raise StoreError(_missing(directory, path)) from None
    return last


def _missing(directory: Path, path: Path) -> str:
    """Why a model file that is recorded is not there, and what to do."""
    with closing(Database(directory / NAME, read_only=True)) as database:
        recorded = any(record.file == path.name for record in model_store.records(database))
    if recorded:
        return f"{path}: is missing though it is recorded, so the state is not whole; tidegauge state check says more"
    return f"{directory}: the daemon dropped models while they were copied; export again"


def _copy(path: Path, into: Path) -> bool:
    """Copy a checkpoint; False when it was dropped meanwhile."""
    try:
        shutil.copyfile(path, into / path.name)
    except FileNotFoundError:
        return False
    return True


def restore(file: Path, directory: Path) -> int:
    """Make `directory` from an exported file, once all of it has proved sound; the newest journal entry inside.

    Raises:
        StoreError: `directory` is not empty, or `file` is no export or damaged; nothing is changed then.
    """
    if directory.exists() and any(directory.iterdir()):
        raise StoreError(f"{directory}: is not empty; name a new state directory, or move what is there away")
    directory.parent.mkdir(parents=True, exist_ok=True)
    made = directory.with_name(f"{directory.name}.importing")
    try:
        made.mkdir(mode=0o700)
        try:
            _extract(file, made)
            last = _sound(made, file)
            made.replace(directory)
            sync_directory(directory.parent)
        except BaseException:
            shutil.rmtree(made, ignore_errors=True)
            raise
    except tarfile.TarError as error:
        why = str(error).splitlines()[0].rstrip(":")
        raise StoreDamaged(f"{file}: is no exported state ({why}); name one that `state export` wrote") from error
    except FileExistsError as error:
        raise StoreError(f"{made}: is left from an import that was cut short; remove it, then import again") from error
    except OSError as error:
        raise disk_error(error, Path(error.filename or directory)) from error
    return last


def _extract(file: Path, into: Path) -> None:
    for name in (checkpoints.DIRECTORY, model_store.DIRECTORY):
        (into / name).mkdir(mode=0o700)
    with tarfile.open(file) as tar:
        for member in tar:
            if not member.isreg() or not _PARTS.fullmatch(member.name):
                raise StoreDamaged(f"{file}: is no exported state: it holds {member.name!r}")
            source = tar.extractfile(member)
            assert source is not None
            with source, (into / member.name).open("xb") as target:
                shutil.copyfileobj(source, target)
                os.fsync(target.fileno())
            (into / member.name).chmod(0o600)
    for directory in (into / checkpoints.DIRECTORY, into / model_store.DIRECTORY, into):
        sync_directory(directory)  # a file on disk is lost with its name


def _sound(directory: Path, file: Path) -> int:
    try:
        with open_reader(directory) as reader:
            problems, last = reader.check(), reader.last_seq
    except StoreError as error:
        problems, last = [str(error)], 0
    if problems:
        raise StoreDamaged("; ".join(text.replace(str(directory), str(file)) for text in problems))
    return last
