from __future__ import annotations

from pathlib import Path

import pytest

from daemon.engine.kernel.compiled import cache_directory


def test_a_cache_of_others_is_not_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Numba unpickles what is in its cache, so a directory that anybody may write is left for a fresh one."""
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path))
    mine = cache_directory()
    assert mine.parent == tmp_path
    mine.chmod(0o777)
    other = cache_directory()
    assert other.parent != tmp_path
    assert other.stat().st_mode & 0o077 == 0
    other.rmdir()
