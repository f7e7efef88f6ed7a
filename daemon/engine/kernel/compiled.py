"""The one way scalar code is compiled: numba, cached on disk, IEEE arithmetic, no fast-math, one thread.

Numba's cache looks at the file of the function it compiled, not at those of the functions compiled into it. So the
cache of this version's code lies in a directory named by all of it, and changed code is always compiled again.
"""

from __future__ import annotations

import hashlib
import os
import stat
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import ParamSpec, TypeVar, cast

import numba

from models import splitmix

P = ParamSpec("P")
R = TypeVar("R")


def cache_directory() -> Path:
    """Where compiled code is kept: in NUMBA_CACHE_DIR, else in the package or in the user's cache, else for once."""
    here = Path(__file__).parents[1]
    digest = hashlib.sha256()
    digest.update(Path(splitmix.__file__).read_bytes())  # compiled too, though it lies elsewhere
    for path in sorted(here.rglob("*.py")):
        source = path.read_bytes()
        if b"@compiled" in source:
            digest.update(source)
    user = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "tidegauge"
    version = f"compiled-{digest.hexdigest()[:16]}"
    bases = [Path(os.environ["NUMBA_CACHE_DIR"])] if "NUMBA_CACHE_DIR" in os.environ else [here / "__pycache__", user]
    for base in bases:
        directory = base / version
        try:
            directory.mkdir(parents=True, exist_ok=True)
        except OSError:
            continue
        if os.access(directory, os.W_OK) and _is_ours(directory):
            return directory
    directory = Path(tempfile.mkdtemp(prefix="tidegauge-compiled-")) / version
    directory.mkdir(mode=0o700)
    return directory


def _is_ours(directory: Path) -> bool:
    """Whether nobody else may put files there: numba unpickles what it finds, and runs it."""
    status = directory.stat()
    return status.st_uid in (0, os.geteuid()) and not status.st_mode & stat.S_IWOTH


numba.config.CACHE_DIR = str(cache_directory())  # type: ignore[attr-defined]


def compiled(function: Callable[P, R]) -> Callable[P, R]:
    """Compile a scalar recursion. Division by zero gives inf or NaN, as in numpy; bits never depend on the caller."""
    return cast("Callable[P, R]", numba.njit(cache=True, error_model="numpy", fastmath=False)(function))
