"""Compiling before the first reading: in a process of its own, whose memory goes with it."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path

import numba
import pytest

from daemon.runtime import precompilation


@pytest.fixture
def compiler(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], list[str]]:
    """Has a shell script in place of the interpreter; gives the list of what is compiled in this process."""

    def put(script: str) -> list[str]:
        program = tmp_path / "python"
        program.write_text(f"#!/bin/sh\n{script}\n")
        program.chmod(0o755)
        here: list[str] = []
        monkeypatch.setattr(numba.config, "CACHE_DIR", str(tmp_path / "cache" / "version"))
        (tmp_path / "cache" / "version").mkdir(parents=True)
        monkeypatch.setattr(sys, "executable", str(program))
        monkeypatch.setattr(precompilation, "fill", lambda progress: here.append("compiled"))
        return here

    return put


def test_another_process_compiles(tmp_path: Path, compiler: Callable[[str], list[str]]) -> None:
    """It is told where the cache is, each of its lines is progress, and when it has ended well nothing is left."""
    here, seen = compiler(f'echo; echo; echo "$NUMBA_CACHE_DIR" > {tmp_path}/told'), []
    assert precompilation.warm(lambda: seen.append(1))
    assert (here, len(seen)) == ([], 2)
    assert (tmp_path / "told").read_text().strip() == str(tmp_path / "cache")
    assert not precompilation.warm()


@pytest.mark.parametrize("script", ["echo; exit 3", "kill -9 $$"])
def test_where_none_can_it_is_compiled_here(compiler: Callable[[str], list[str]], script: str) -> None:
    """A process that fails or is killed is made up for in this one, once."""
    here = compiler(script)
    assert precompilation.warm()
    assert here == ["compiled"]
    assert not precompilation.warm()


def test_a_stop_ends_the_other_process(tmp_path: Path, compiler: Callable[[str], list[str]]) -> None:
    """What progress raises, such as that the daemon is to stop, ends it; the next start compiles."""
    compiler(f"echo $$ > {tmp_path}/pid; echo; exec sleep 600")

    def stop() -> None:
        raise InterruptedError

    with pytest.raises(InterruptedError):
        precompilation.warm(stop)
    with pytest.raises(ProcessLookupError):
        os.kill(int((tmp_path / "pid").read_text()), 0)
    assert not (tmp_path / "cache" / "version" / "complete").exists()
