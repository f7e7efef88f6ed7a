"""Why a state directory cannot be used, when the reason is whose it is or where it is mounted."""

from __future__ import annotations

import contextlib
import os
import pwd
import shlex
import stat
from collections.abc import Iterable
from pathlib import Path


def refusal(paths: Iterable[Path], *, writing: bool) -> str | None:
    """Which of the paths this process may not use, whose it is, and what to do; None when it may use all of them.

    Of a path that is not there, the nearest directory above it counts.

    Args:
        paths: Files and directories.
        writing: Whether they are to be written.
    """
    for path in paths:
        present, status = _nearest(path)
        if writing and os.statvfs(present).f_flag & os.ST_RDONLY:
            return f"{present}: is on a read-only file system; mount it for writing, or set another state_dir"
        needed = os.R_OK | (os.W_OK if writing else 0) | (os.X_OK if present.is_dir() else 0)
        if not os.access(present, needed, effective_ids=True):
            owner, user = _name(status.st_uid), _name(os.geteuid())
            return (
                f"{present}: belongs to {owner} (mode {status.st_mode & 0o7777:04o}), and this is {user}; "
                f"run it as {owner} or root, or give it to {user} with chown -R, or set another state_dir"
            )
    return None


def exposure(directory: Path) -> str | None:
    """Why a state directory that others may write to must not be used, and what to do; None where only its owner may.

    Whoever may write there may put another state, model or journal in the place of the daemon's own.
    """
    mode = directory.stat().st_mode
    if not mode & stat.S_IWOTH:
        return None
    return (
        f"{directory}: anybody may write here (mode {stat.S_IMODE(mode):04o}), so its state cannot be trusted; "
        f"run chmod o-w {shlex.quote(str(directory))}, or set another state_dir"
    )


def make_private(paths: Iterable[Path], mode: int) -> list[Path]:
    """Take everybody else's rights away from files that are there and this user's; those that were changed."""
    changed = []
    for path in paths:
        with contextlib.suppress(FileNotFoundError, PermissionError):
            status = path.stat()
            if status.st_uid == os.geteuid() and stat.S_IMODE(status.st_mode) & ~mode:
                path.chmod(mode)
                changed.append(path)
    return changed


def _nearest(path: Path) -> tuple[Path, os.stat_result]:
    """The path, or the nearest above it that can be looked at."""
    for one in (path.absolute(), *path.absolute().parents):
        try:
            return one, one.stat()
        except OSError:
            continue
    return Path("/"), Path("/").stat()


def _name(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"user {uid}"
