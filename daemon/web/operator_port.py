"""What operators may have a running daemon do: what `daemon.service.operator_commands` does, and the web asks for."""

from __future__ import annotations

from typing import Any, Protocol

from daemon.runtime.exclusion import WantedExclusion
from daemon.runtime.label_evidence import UnwantedLabel, WantedLabel
from daemon.runtime.maintenance_windows import UnwantedWindow, WantedWindow
from daemon.store import ModelRecord


class OperatorPort(Protocol):
    """Each says what came of it; None when that is not done yet. Raises ValueError with the reason why not."""

    async def serve(self, stream: str, version: int | None) -> ModelRecord | None:
        """Put a version of a stream's model into service, None for the one before."""

    async def label(self, wanted: WantedLabel) -> dict[str, Any] | None:
        """Have the engine learn from a label."""

    async def take_back(self, unwanted: UnwantedLabel) -> dict[str, Any] | None:
        """Take a label back."""

    async def exclude(self, wanted: WantedExclusion) -> dict[str, Any] | None:
        """Take a period out of all that was learned."""

    async def add_window(self, wanted: WantedWindow) -> dict[str, Any] | None:
        """Add a maintenance window."""

    async def end_window(self, unwanted: UnwantedWindow) -> dict[str, Any] | None:
        """End a maintenance window that was added."""
