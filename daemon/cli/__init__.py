"""The command line: `tidegauge`."""

from daemon.cli.app import main

__all__ = ["main"]
