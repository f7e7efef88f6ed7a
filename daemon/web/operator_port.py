"""What operators may have a running daemon do: what `daemon.service.operator_commands` does, and the web asks for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

from daemon.runtime.exclusion import WantedExclusion
from daemon.runtime.label_evidence import UnwantedLabel, WantedLabel
from daemon.runtime.maintenance_windows import UnwantedWindow, WantedWindow
from daemon.store import ModelRecord


@dataclass(frozen=True, slots=True)
class WantedWhatIf:
    """What is asked of the past.

    Attributes:
        stream: Of which stream.
        alerts: Keys of its `alerts` that are to be others.
        days: Days before the newest slot; None for all that is recorded.
    """

    stream: str
    alerts: dict[str, Any]
    days: int | None = None


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

    async def what_if(self, wanted: WantedWhatIf) -> dict[str, Any]:
        """Begin to repeat the past under another policy."""

    def what_if_so_far(self) -> dict[str, Any]:
        """The newest what-if: `state` (`none`, `running`, `done`, `failed`), `asked`, `at`, `error`, `found`."""
