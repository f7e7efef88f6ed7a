"""`tidegauge run` and `tidegauge demo`."""

from __future__ import annotations

import signal
import threading
from typing import Annotated

import typer

from daemon.cli.app import Config, app, errors, find_config
from daemon.config.file import load


@app.command()
def run(config: Config = None) -> None:
    """Run the daemon."""
    with errors():
        again = threading.Event()
        signal.signal(signal.SIGHUP, lambda *_: again.set())  # until the service has its loop
        path = find_config(config)
        settings = load(path, serving=True)
        from daemon.runtime import logs
        from daemon.service import service

        logs.configure(settings.log.level, settings.log.format)
        raise typer.Exit(service.run(settings, path, again))


@app.command()
def demo(
    speed: Annotated[float, typer.Option(help="Readings written a second.", min=1)] = 60.0,
    keep: Annotated[bool, typer.Option(help="Keep running after the last reading, to look at the page.")] = False,
) -> None:
    """Run the real daemon on real water-flow readings, sped up."""
    with errors():
        from daemon.cli.demo import run_demo

        raise typer.Exit(run_demo(speed, keep))
