"""`tidegauge state`: is the state directory sound; the state as one file, and back."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from daemon.cli.app import FAILED, Config, Json, app, errors
from daemon.cli.known_state import directory_of
from daemon.presentation.console import say, say_json

state_app = typer.Typer(no_args_is_help=True, help="The state directory: check it, copy it, move it.")
app.add_typer(state_app, name="state")

State = Annotated[Path | None, typer.Option(help="State directory; default: the configuration's.")]


@state_app.command("check")
def check(config: Config = None, state: State = None, as_json: Json = False) -> None:
    """Read every byte of the state and say what is wrong, while the daemon runs or not; exit 1 if anything is."""
    from daemon.store import open_reader

    with errors():
        directory = directory_of(config, state)
        aside = sorted(str(path) for path in directory.rglob("*.quarantined-*"))
        with open_reader(directory) as reader:
            problems, entries = reader.check(), reader.last_seq - reader.first_seq + 1
            lost = [] if problems else reader.lost_runs
        if as_json:
            say_json({"problems": problems, "entries": entries, "set_aside": aside, "lost": lost})
        else:
            for problem in problems:
                say(problem)
            for path in aside:
                say(f"{path}: was set aside at a start; keep it to look into, or remove it")
            for first, last in lost:
                say(f"{directory}: journal entries {first} to {last} are lost, as was told at the start after")
            if not problems:
                say(f"{directory}: sound, journal entries: {entries:,}")
        if problems:
            raise typer.Exit(FAILED)


@state_app.command("export")
def export_state(
    file: Annotated[Path, typer.Argument(help="File to write, a tar archive.")],
    config: Config = None,
    state: State = None,
) -> None:
    """Write the state to one file, while the daemon runs or not."""
    from daemon.store import transfer

    with errors():
        last = transfer.export(directory_of(config, state), file)
        say(f"wrote {file}, the state after journal entry {last}")


@state_app.command("import")
def import_state(
    file: Annotated[Path, typer.Argument(help="File that `state export` wrote.")],
    config: Config = None,
    state: State = None,
) -> None:
    """Make the state directory, which must not hold anything, from an exported file that is sound."""
    from daemon.store import transfer

    with errors():
        directory = directory_of(config, state)
        last = transfer.restore(file, directory)
        say(f"made {directory}, the state after journal entry {last}; next: tidegauge run")
