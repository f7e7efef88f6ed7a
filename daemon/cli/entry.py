"""The console script. It begins before anything else is imported, so that no signal finds the daemon unprepared.

A daemon reads its configuration again at SIGHUP. Until it has its own handler, importing takes a part of a second in
which the signal would end the process, as a rotation of logs right after a start does.
"""

from __future__ import annotations

import signal
import sys


def main() -> None:
    """Entry point of `tidegauge`."""
    if "run" in sys.argv[1:2]:
        signal.signal(signal.SIGHUP, _too_early)
    from daemon.cli.main import main as command

    command()


def _too_early(number: int, frame: object) -> None:
    """Nothing is to be done: the configuration has not been read yet."""
