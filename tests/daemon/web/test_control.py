"""The control socket answers whoever may enter the state directory, whatever guards HTTP."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from daemon.runtime.exclusion import WantedExclusion
from daemon.runtime.label_evidence import UnwantedLabel, WantedLabel
from daemon.runtime.maintenance_windows import UnwantedWindow, WantedWindow
from daemon.store import ModelRecord
from daemon.web.control import Control
from daemon.web.control_client import CommandRefusedError, NoDaemonError, command, status
from daemon.web.operator_port import WantedWhatIf


class _Operator:
    """Does what it can; whatever is of the series `busy` waits."""

    async def serve(self, stream: str, version: int | None) -> ModelRecord | None:
        raise ValueError(f"{stream} has no version {version}")

    async def label(self, wanted: WantedLabel) -> dict[str, Any] | None:
        return None if wanted.series == "busy" else {"series": wanted.series, "until": wanted.until}

    async def take_back(self, unwanted: UnwantedLabel) -> dict[str, Any] | None:
        return {"series": unwanted.series, "kind": "none"}

    async def exclude(self, wanted: WantedExclusion) -> dict[str, Any] | None:
        return None if wanted.series == "busy" else {"series": wanted.series, "entry": 7}

    async def what_if(self, wanted: WantedWhatIf) -> dict[str, Any]:
        return {}

    def what_if_so_far(self) -> dict[str, Any]:
        return {}

    async def add_window(self, wanted: WantedWindow) -> dict[str, Any] | None:
        return {"series": wanted.series, "for": wanted.duration}

    async def end_window(self, unwanted: UnwantedWindow) -> dict[str, Any] | None:
        raise ValueError(f"no window is called {unwanted.id}")


def test_status_and_commands_over_the_socket(tmp_path: Path) -> None:
    """Status comes back as it was said, a refusal with its reason; without a daemon there is a plain error."""
    said: dict[str, Any] = {"ready": True, "not_ready": None, "streams": {"tide": {}}}

    async def ask() -> None:
        control = Control(_Operator(), lambda: said)
        await control.open(tmp_path)
        try:
            assert await asyncio.to_thread(status, tmp_path) == said
            with pytest.raises(CommandRefusedError, match="tide has no version 3"):
                await asyncio.to_thread(command, tmp_path, "/models/serve", stream="tide", version=3)
            given = {"stream": "tide", "series": "a", "kind": "fault", "since": 7}
            assert await asyncio.to_thread(command, tmp_path, "/label", **given) == {"series": "a", "until": None}
            with pytest.raises(CommandRefusedError, match="busy and does it next; tidegauge label list"):
                await asyncio.to_thread(command, tmp_path, "/label", **given | {"series": "busy"})
            wrong = {"stream": "tide", "series": "a", "since": 7}
            assert (await asyncio.to_thread(command, tmp_path, "/label/undo", **wrong))["kind"] == "none"
            window = await asyncio.to_thread(command, tmp_path, "/maintenance/add", duration="2h")
            assert window == {"series": "*", "for": "2h"}
            with pytest.raises(CommandRefusedError, match="no window is called 7"):
                await asyncio.to_thread(command, tmp_path, "/maintenance/end", id="7")
            period = {"stream": "tide", "since": 7}
            assert await asyncio.to_thread(command, tmp_path, "/exclude", **period) == {"series": "*", "entry": 7}
            with pytest.raises(CommandRefusedError, match="tidegauge exclude --list"):
                await asyncio.to_thread(command, tmp_path, "/exclude", **period | {"series": "busy"})
            with pytest.raises(CommandRefusedError, match="kind: Input should be 'fault' or 'normal'"):
                await asyncio.to_thread(command, tmp_path, "/label", **given | {"kind": "odd"})
        finally:
            await control.close()

    asyncio.run(ask())
    with pytest.raises(NoDaemonError):
        status(tmp_path)
