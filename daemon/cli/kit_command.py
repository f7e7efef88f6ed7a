"""`tidegauge kit`: the files that go around a daemon, written where an operator wants them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from daemon.cli.app import Json, app, errors, fail
from daemon.presentation.console import say, say_json


@app.command()
def kit(
    directory: Annotated[Path, typer.Argument(help="Directory to write to; it is made where it is not there.")],
    force: Annotated[bool, typer.Option("--force", help="Replace files that are there.")] = False,
    as_json: Json = False,
) -> None:
    """Write Prometheus rules, a dashboard, an Alertmanager's and sample configurations."""
    from daemon.kit.kit import write_kit

    with errors():
        try:
            paths = write_kit(directory, force=force)
        except FileExistsError as error:
            if force:
                raise
            fail(f"{error.filename} differs from the kit's; name another directory, or replace it with --force")
        if as_json:
            say_json({"directory": str(directory), "files": [str(path.relative_to(directory)) for path in paths]})
            return
        for path in paths:
            say(f"wrote {path}")
        say(f"next: {directory / 'README.md'} says what each is for")
