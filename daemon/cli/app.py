"""The application object, the options every command shares, and how errors become lines and exit codes."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, NoReturn

import typer

from adapters.text import printable
from daemon.config.change import RefusedError
from daemon.config.file import COMMAND_LINE, ConfigError
from daemon.presentation.console import say

FAILED, USAGE, CONFIGURATION = 1, 2, 78
DEFAULT_CONFIGS = (Path("tidegauge.yaml"), Path("/etc/tidegauge/tidegauge.yaml"))

app = typer.Typer(
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="Watches readings that arrive at a fixed interval, and says when one is not normal.",
)

Config = Annotated[
    Path | None, typer.Option("--config", "-c", help="Configuration; default ./tidegauge.yaml, then /etc/tidegauge/.")
]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]
Stream = Annotated[str | None, typer.Option(help="Stream of the configuration; needed when it has several.")]
Timezone = Annotated[str | None, typer.Option(help="Zone of stamps without one.")]
Time = Annotated[str | None, typer.Option(help="Column of the time stamp.")]
Series = Annotated[str | None, typer.Option(help="Column of the series' name.")]


@app.callback(invoke_without_command=True)
def _options(version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False) -> None:
    if version:
        say(f"tidegauge {importlib.metadata.version('tidegauge')}")
        raise typer.Exit


def fail(text: str, status: int = FAILED) -> NoReturn:
    """End with a line on standard error."""
    say(f"tidegauge: {text}", err=True)
    raise typer.Exit(status)


def needs(*packages: str) -> None:
    """End with a line when a package of the extra `offline` is not installed, before any work that would be lost."""
    missing = [package for package in packages if importlib.util.find_spec(package) is None]
    if missing:
        fail(
            f"this needs {' and '.join(missing)}, which a plain install leaves out; install tidegauge[offline], or "
            f"run: {sys.executable} -m pip install {' '.join(missing)}"
        )


@contextmanager
def errors() -> Iterator[None]:
    """Turns the errors that a user can do something about into one line each and an exit code."""
    from adapters.base import DocumentError
    from daemon.store import StoreError
    from models.bundle_errors import BundleError

    try:
        yield
    except ConfigError as error:
        for problem in error.problems:
            say(str(problem), err=True)
        of_options = all(problem.file == COMMAND_LINE for problem in error.problems)
        raise typer.Exit(USAGE if of_options else CONFIGURATION) from None
    except (RefusedError, BundleError) as error:
        fail(str(error), CONFIGURATION)
    except UnicodeEncodeError as error:
        fail(f"{printable(error.object):.200} is not valid UTF-8; write it in UTF-8", USAGE)
    except (StoreError, DocumentError) as error:
        fail(str(error))
    except BrokenPipeError:
        sys.stdout = open(os.devnull, "w")  # noqa: PTH123, SIM115 - nobody reads on; keep the interpreter's exit quiet
        raise typer.Exit(FAILED) from None
    except OSError as error:
        fail(f"{error.filename or ''}: {error.strerror or error}".lstrip(": "))


def find_config(config: Path | None) -> Path:
    """The file to use: the one named, or the first default that exists."""
    if config is not None:
        return config
    for path in DEFAULT_CONFIGS:
        if path.exists():
            return path
    fail(f"no configuration: neither {DEFAULT_CONFIGS[0]} nor {DEFAULT_CONFIGS[1]} exists; run tidegauge init", 2)
