"""`tidegauge maintenance`: windows in which nobody is told, added and ended while the daemon runs."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table

from daemon.cli.app import Config, Json, app, errors
from daemon.cli.dispatch import act
from daemon.cli.known_state import settings_of_state
from daemon.config.settings import Settings
from daemon.presentation.console import print_table, say, say_json
from daemon.presentation.words import window_words

if TYPE_CHECKING:
    from daemon.runtime.durable import DurableEngine
    from daemon.runtime.maintenance_windows import UnwantedWindow, WantedWindow

maintenance_app = typer.Typer(
    no_args_is_help=True, help="Windows in which nobody is told, beside those of the configuration."
)
app.add_typer(maintenance_app, name="maintenance")

Stream = Annotated[str | None, typer.Option(help="Stream of the series; default: all.")]
Series = Annotated[str, typer.Option(help="Series that are meant: a name, or a pattern such as 'pump-*'.")]
Start = Annotated[str | None, typer.Option("--from", help="Beginning, such as 2026-12-01T22:00; default: now.")]
End = Annotated[str | None, typer.Option("--to", help="End; of a weekly one, none begins from then on.")]
Lasting = Annotated[str | None, typer.Option("--for", help="How long it lasts, such as 2h, in place of --to.")]
Weekly = Annotated[str | None, typer.Option(help="Days and a time when one begins every week: 'Sun 02:00'.")]
Timezone = Annotated[str | None, typer.Option(help="Zone of these times; default: the stream's.")]
Learn = Annotated[bool, typer.Option("--learn/--no-learn", help="Whether its readings are judged and learned from.")]
Note = Annotated[str, typer.Option(help="Why, for people.")]


@maintenance_app.command("add")
def add(
    series: Series = "*",
    start: Start = None,
    end: End = None,
    lasting: Lasting = None,
    weekly: Weekly = None,
    timezone: Timezone = None,
    learn: Learn = True,
    stream: Stream = None,
    note: Note = "",
    config: Config = None,
    as_json: Json = False,
) -> None:
    """Add a window: nobody is told in it, and what lasts is told when it is over."""
    with errors():
        settings = settings_of_state(config)
        from daemon.runtime.maintenance_windows import WantedWindow

        wanted = WantedWindow(stream, series, start, end, weekly, lasting, timezone, learn, note)
        found = act(settings.state_dir, "/maintenance/add", asdict(wanted), lambda d: _add_here(d, wanted), as_json)
        _say(found["windows"], as_json)


@maintenance_app.command("end")
def end(
    window: Annotated[str, typer.Argument(help="The window, by its id or its beginning; `maintenance list` has it.")],
    config: Config = None,
    as_json: Json = False,
) -> None:
    """End a window that was added now, or take it away before it begins."""
    with errors():
        settings = settings_of_state(config)
        from daemon.runtime.maintenance_windows import UnwantedWindow

        unwanted = UnwantedWindow(window)
        found = act(settings.state_dir, "/maintenance/end", asdict(unwanted), lambda d: _end_here(d, unwanted), as_json)
        _say(found["windows"], as_json)


@maintenance_app.command("list")
def list_windows(stream: Stream = None, config: Config = None, as_json: Json = False) -> None:
    """List the windows: those of the configuration, which have no id, and those that were added."""
    with errors():
        settings = settings_of_state(config)
        found = [each for each in _listed(settings) if stream in (None, each["stream"])]
        if as_json:
            say_json(found)
            return
        if not found:
            say("no windows", err=True)
            return
        table = Table("id", "stream", "series", "when", "state", "learns", "note")
        for each in found:
            learns = "yes" if each["learn"] else "no"
            row = (each["id"] or "-", each["stream"], each["series"], window_words(each), each["state"], learns)
            table.add_row(*row, each["note"])
        print_table(table)


def _listed(settings: Settings) -> list[dict[str, Any]]:
    """What the daemon says that runs; else what the newest checkpoint and the journal since know."""
    from daemon.store import open_reader
    from daemon.web.control_client import CommandRefusedError, NoDaemonError, status

    with open_reader(settings.state_dir) as reader:
        try:
            streams = status(settings.state_dir)["streams"]
            return [window for stream in streams.values() for window in stream["maintenance"]]
        except (NoDaemonError, CommandRefusedError):
            from daemon.runtime.maintenance_windows import recorded

            return recorded(reader, settings)


def _say(windows: list[dict[str, Any]], as_json: bool) -> None:
    if as_json:
        say_json(windows)
        return
    for each in windows:
        learns = "" if each["learn"] else "; nothing of it is learned"
        say(f"{each['id']}  {each['stream']}/{each['series']}, {window_words(each)}: {each['state']}{learns}")


def _add_here(durable: DurableEngine, wanted: WantedWindow) -> dict[str, Any]:
    from daemon.clock import wall_ms
    from daemon.runtime.maintenance_windows import add_window

    return add_window(durable, wanted, wall_ms())


def _end_here(durable: DurableEngine, unwanted: UnwantedWindow) -> dict[str, Any]:
    from daemon.clock import wall_ms
    from daemon.runtime.maintenance_windows import end_window

    return end_window(durable, unwanted, wall_ms())
