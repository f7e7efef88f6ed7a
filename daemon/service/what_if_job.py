"""A what-if that the page or the API asked for: one at a time, in a process of its own that is niced and may be killed.

Started as a program, this module is that process: it reads what is asked from standard input, and prints what came of
it, or why nothing did.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from daemon.clock import wall_s
from daemon.config.file import effective, from_effective
from daemon.config.settings import Settings
from daemon.web.operator_port import WantedWhatIf

LONGEST_S = 900.0
"""A repetition that takes longer is ended."""
_MODULE = "daemon.service.what_if_job"
_NICE = 19


class WhatIfJob:
    """The newest what-if of a daemon.

    Args:
        settings: Of the daemon, as they are now.

    Attributes:
        so_far: As `daemon.web.operator_port.OperatorPort.what_if_so_far` has it.
    """

    def __init__(self, settings: Callable[[], Settings]) -> None:
        self._settings = settings
        self._task: asyncio.Task[None] | None = None
        self.so_far: dict[str, Any] = {"state": "none", "asked": None, "at": None, "error": None, "found": None}

    def start(self, wanted: WantedWhatIf) -> dict[str, Any]:
        """Begin one; what `so_far` is then.

        Raises:
            ValueError: One is running, or what is wanted makes no sense; nothing was begun.
        """
        if self.so_far["state"] == "running":
            raise ValueError("a what-if is running; wait until it is done")
        question = {
            "directory": str(self._settings().state_dir),
            "config": _changed(self._settings(), wanted),
            "ago": None if wanted.days is None else wanted.days * 86400,
        }
        asked = {"stream": wanted.stream, "alerts": wanted.alerts, "days": wanted.days}
        self.so_far = {"state": "running", "asked": asked, "at": wall_s(), "error": None, "found": None}
        self._task = asyncio.create_task(self._run(question))
        return self.so_far

    async def close(self) -> None:
        """End the one that is running."""
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task

    async def _run(self, question: dict[str, Any]) -> None:
        try:
            done: dict[str, Any] = {"state": "done", "found": await _asked(question)}
        except (OSError, ValueError) as error:
            done = {"state": "failed", "error": str(error)}
        self.so_far = self.so_far | done


def _changed(settings: Settings, wanted: WantedWhatIf) -> dict[str, Any]:
    """The effective configuration with other alerts of one stream. Raises ValueError."""
    config = effective(settings)
    if wanted.stream not in config["streams"]:
        raise ValueError(f"there is no stream {wanted.stream!r}")
    config["streams"][wanted.stream]["alerts"] |= wanted.alerts
    try:
        return effective(from_effective(config))
    except ValidationError as error:
        found = error.errors(include_url=False)[0]
        raise ValueError(f"{'.'.join(map(str, found['loc']))}: {found['msg']}") from None


async def _asked(question: dict[str, Any]) -> dict[str, Any]:
    """What the process answers. Raises ValueError or OSError."""
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", _MODULE), stdin=pipe, stdout=pipe, stderr=asyncio.subprocess.DEVNULL
    )
    try:
        text, _ = await asyncio.wait_for(process.communicate(json.dumps(question).encode()), LONGEST_S)
    except TimeoutError:
        raise ValueError(f"it took longer than {LONGEST_S / 60:.0f} minutes; ask for fewer days") from None
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    if not text:
        raise ValueError(f"its process ended with status {process.returncode}")
    answer: dict[str, Any] = json.loads(text)
    if "error" in answer:
        raise ValueError(answer["error"])
    return answer


def _answer(question: dict[str, Any]) -> dict[str, Any]:
    """In the process: repeat the past."""
    from daemon.config.change import RefusedError
    from daemon.replay.what_if import what_if
    from daemon.store import StoreError

    try:
        found = what_if(Path(question["directory"]), from_effective(question["config"]), ago=question["ago"])
    except (RefusedError, StoreError, OSError, ValueError) as error:
        return {"error": str(error)}
    return found.to_json()


if __name__ == "__main__":
    os.nice(_NICE)
    json.dump(_answer(json.load(sys.stdin)), sys.stdout)
