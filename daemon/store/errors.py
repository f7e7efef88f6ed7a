"""What can go wrong with a state directory. Every message says what, where, and what to do."""

# ruff: noqa: N818 - StoreFull says more than StoreFullError

from __future__ import annotations


class StoreError(Exception):
    """Any failure of the state directory; the base of the others."""


class StoreLocked(StoreError):
    """Another process has the state directory open for writing. `pid` is the holder, None when it cannot be read."""

    def __init__(self, message: str, pid: int | None) -> None:
        super().__init__(message)
        self.pid = pid


class StoreFull(StoreError):
    """The disk is full (or a size limit was reached); nothing was changed, and the same call may be repeated later."""


class StoreDamaged(StoreError):
    """The database is malformed. The next `Store.open` quarantines it and starts from the last checkpoint."""


class StoreUnusable(StoreError):
    """The state directory must not be used as it is, and stays as it is; trying again changes nothing."""


class StoreMissing(StoreError):
    """There is no database to read."""


class JournalGap(StoreError):
    """Entries were asked for that the journal no longer holds."""


class CheckpointDamaged(StoreError):
    """A checkpoint file is not what was written."""


class ModelChecksum(StoreError):
    """A model file is missing or its SHA-256 is not the one recorded; it must not be loaded."""


class ModelUnknown(StoreError):
    """No model is recorded under that name."""
