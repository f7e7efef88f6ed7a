"""Commands that look and change nothing: `check`, `schema`, `init`, `status`."""

from __future__ import annotations

import contextlib
import json
import urllib.request
from pathlib import Path
from typing import Annotated, Any

import typer

from daemon.cli.app import CONFIGURATION, Config, Json, app, errors, fail, find_config
from daemon.cli.known_state import settings_of_state
from daemon.config.addresses import join_address
from daemon.config.file import effective, load
from daemon.config.settings import Settings
from daemon.presentation.console import fitted, say, say_json
from daemon.presentation.words import instant, plural, tally, version_words


@app.command()
def check(config: Config = None, as_json: Json = False) -> None:
    """Check a configuration and print the effective one."""
    with errors():
        import yaml

        from daemon.cli.ownership import foreign_owners

        if owners := foreign_owners():
            fail(f"{', '.join(owners)}; install tidegauge into an environment of its own", CONFIGURATION)
        shown = effective(load(find_config(config), serving=True))
        if as_json:
            say_json(shown)
        else:
            say(yaml.safe_dump(shown, sort_keys=False).rstrip())


@app.command("schema")
def print_schema() -> None:
    """Print the JSON Schema of the configuration, for an editor that completes and checks it."""
    with errors():
        from daemon.config.json_schema import json_schema

        say_json(json_schema())


@app.command()
def init(
    path: Annotated[Path, typer.Argument(help="File to write.")] = Path("tidegauge.yaml"),
    force: Annotated[bool, typer.Option("--force", help="Replace a file that is there.")] = False,
    state_dir: Annotated[Path | None, typer.Option(help="Set state_dir; default: beside the file.")] = None,
    readings: Annotated[
        str | None, typer.Option(help="Set the path of the source, such as '/srv/meters/*.csv'.")
    ] = None,
) -> None:
    """Write a commented sample configuration."""
    with errors():
        from daemon.config.sample import sample

        with contextlib.suppress(FileExistsError):
            with path.open("w" if force else "x") as file:
                file.write(sample(state_dir, readings))
            say(f"wrote {path}; next: tidegauge check --config {path}")
            return
        fail(f"{path} exists; name another file, or replace it with --force")


@app.command()
def status(
    config: Config = None,
    digest: Annotated[
        bool, typer.Option("--digest", help="SHA-256 of the state on disk; the daemon must be stopped.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Say how a running daemon is doing."""
    with errors():
        settings = settings_of_state(config)
        if digest:
            found = _digest(settings.state_dir)
            if as_json:
                say_json({"state_sha256": found})
            else:
                say(found)
            return
        answer = _ask_status(settings)
        if as_json:
            say_json(answer)
        else:
            _print_status(answer)


def _ask_status(settings: Settings) -> dict[str, Any]:
    """What the daemon says, by its control socket where this user may enter the state directory, else by HTTP."""
    from daemon.web.control_client import CommandRefusedError, NoDaemonError
    from daemon.web.control_client import status as ask

    with contextlib.suppress(NoDaemonError, CommandRefusedError, OSError):
        return ask(settings.state_dir)
    address = f"http://{join_address(*settings.http.address)}/api/v1/status"
    if settings.http.web_config is not None:
        fail(
            f"no daemon answers in {settings.state_dir}, and HTTP is behind {settings.http.web_config}; "
            "is it running? If it is, run this as its user or root"
        )
    try:
        with urllib.request.urlopen(address, timeout=10) as answer:
            found: dict[str, Any] = json.load(answer)
            return found
    except (OSError, ValueError) as error:
        why = getattr(error, "reason", error)
        said = getattr(why, "strerror", None) or why
        fail(f"no daemon answers at {address}: {said}; is it running? tidegauge run")


def _digest(directory: Path) -> str:
    """SHA-256 of the state that a start would recover."""
    from daemon.runtime.durable import DurableEngine
    from daemon.store import Store, open_reader
    from daemon.trainer.trainer import InlineTrainer

    open_reader(directory).close()  # opening for writing would make a state where there is none
    with Store.open(directory) as store:
        durable = DurableEngine(store, InlineTrainer())
        durable.recover()
        return durable.digest()


def _print_status(found: dict[str, Any]) -> None:
    """The daemon's state in words, stream by stream."""
    say(fitted(f"tidegauge {found['version']}, {'ready' if found['ready'] else 'not ready: ' + found['not_ready']}"))
    for name, stream in found["streams"].items():
        readings, model = stream["readings"], stream["model"]
        say(fitted(f"\n{name}: {stream['state']}"))
        say(fitted(f"  last slot   {instant(stream['last_slot_at'])}"))
        rejected, late = tally(readings["rejected"]), readings["late"]
        say(fitted(f"  readings    {readings['accepted']:,} accepted; rejected: {rejected}; {late:,} late"))
        say(fitted(f"  anomalies   {tally(stream['anomalies'])}; {plural(stream['open_episodes'], 'open episode')}"))
        if stream["warm_up"]["all_ready_at"]:
            share = f"{100 * stream['warm_up']['share']:.0f} %"
            say(fitted(f"  warm-up     {share}; all ready about {instant(stream['warm_up']['all_ready_at'])}"))
        if model:
            trained = f"trained to {instant(model['trained_to'])}, loss {model['loss']:.5f}"
            version, planned = version_words(model["version"]), instant(stream["next_training_at"])
            say(fitted(f"  model       {version}, {trained}; next {planned}"))
    for name, gauges in found["sources"].items():
        up = "up" if gauges.get("up") else "down"
        say(fitted(f"\nsource {name}: {up}, {gauges.get('lag_bytes', 0):,.0f} bytes behind"))
        if gauges.get("rejected_lines"):
            first = found.get("refusals", {}).get(name)
            why = f"; {first}" if first else ""
            say(fitted(f"  refused     {plural(int(gauges['rejected_lines']), 'line')} since the start{why}"))
