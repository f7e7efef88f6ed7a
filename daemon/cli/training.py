"""`tidegauge train`: start from history."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import orjson
import typer

from daemon.cli.app import Config, Json, Stream, app, errors, fail, find_config
from daemon.cli.replaying import choose_stream
from daemon.config import load
from daemon.showing import progress


@app.command()
def train(
    history: Annotated[Path, typer.Option("--from", help="File of past readings, in the stream's format.")],
    config: Config = None,
    stream: Stream = None,
    as_json: Json = False,
) -> None:
    """Learn from history, so that the daemon is ready at once. The daemon must not be running."""
    from daemon.durable import DurableEngine
    from daemon.pipeline import wall_ms
    from daemon.replay import replay
    from daemon.series import READY
    from daemon.store import Store
    from daemon.trainer import InlineTrainer

    with errors():
        settings = load(find_config(config))
        name = choose_stream(settings, stream)
        trainer = InlineTrainer()
        with Store.open(settings.state_dir) as store:
            durable = DurableEngine(store, trainer)
            with progress("recovering", as_json) as step:
                durable.recover(step)
            with progress("reading history", as_json) as step:
                report = replay(history, settings, name, trainer, durable=durable, now_ms=wall_ms(), progress=step)
            if not as_json:
                typer.echo(f"{report.readings} readings; training", err=True)
            durable.warm_up([name], wall_ms())
            durable.checkpoint()
            table = durable.engine.streams[name].table
            ready, series = int((table.rows["status"] == READY).sum()), len(table)
    if not report.readings:
        fail(f"{history}: no reading was accepted, rejected were {report.rejected}")
    if as_json:
        result = {"readings": report.readings, "rejected": report.rejected, "ready": ready, "series": series}
        typer.echo(orjson.dumps(result).decode())
    else:
        typer.echo(f"{ready} of {series} series are ready after {report.readings} readings in {settings.state_dir}")
