"""The console script `tidegauge`: every group of commands gathered, and the application started."""

from __future__ import annotations

from daemon.cli import (  # noqa: F401 - each adds its commands to the application
    bench_commands,
    describe_command,
    detection_command,
    event_commands,
    exclude_command,
    inspection,
    kit_command,
    label_commands,
    maintenance_commands,
    man_command,
    model_commands,
    replay_command,
    run_commands,
    series_commands,
    state_commands,
    train_commands,
    what_if_command,
)
from daemon.cli.app import app

__all__ = ["app", "main"]


def main() -> None:
    """Entry point of the console script."""
    app()
