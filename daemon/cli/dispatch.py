"""A command that changes a stream's state: the daemon does it while one runs, else it is done on the state itself."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from daemon.cli.app import fail
from daemon.presentation.console import progress

if TYPE_CHECKING:
    from daemon.runtime.durable import DurableEngine
    from daemon.store import Store


def act(
    directory: Path, path: str, arguments: dict[str, Any], here: Callable[[DurableEngine], dict[str, Any]], quiet: bool
) -> dict[str, Any]:
    """Have it done.

    Args:
        directory: The state directory.
        path: What to ask of a daemon that runs, such as `/models/serve`.
        arguments: With what.
        here: Does the same through the journal of a state that no daemon holds.
        quiet: Without a progress bar.

    Returns:
        What the one or the other answers.
    """
    from daemon.store import Store, StoreLocked, open_reader

    open_reader(directory).close()  # opening for writing would make a state where there is none
    try:
        store = Store.open(directory)
    except StoreLocked as error:
        return _ask_daemon(directory, path, arguments, error.pid)
    with store:
        return _do_here(store, here, quiet)


def _ask_daemon(directory: Path, path: str, arguments: dict[str, Any], holder: int | None) -> dict[str, Any]:
    """Have the process that holds the state do it."""
    from daemon.web.control_client import CommandRefusedError, NoDaemonError, command

    try:
        return command(directory, path, **arguments)
    except CommandRefusedError as error:
        fail(str(error))
    except NoDaemonError:
        who = "another process" if holder is None else f"process {holder}"
        fail(f"{directory}: {who} has the state and takes no commands; wait until the daemon is ready, or stop it")


def _do_here(store: Store, here: Callable[[DurableEngine], dict[str, Any]], quiet: bool) -> dict[str, Any]:
    """Recover, do it through the journal, and write a checkpoint."""
    from daemon.runtime.durable import DurableEngine
    from daemon.trainer.trainer import InlineTrainer

    durable = DurableEngine(store, InlineTrainer())
    with progress("recovering", quiet) as step:
        durable.recover(step)
    try:
        found = here(durable)
    except ValueError as error:
        fail(str(error))
    durable.checkpoint()
    return found
