"""`tidegauge man`: the manual page, made of the commands there are."""

from __future__ import annotations

import importlib.metadata
from collections.abc import Iterator
from typing import Any

import typer

from daemon.cli.app import app, errors
from daemon.presentation.console import say


@app.command()
def man() -> None:
    """Print the manual page: `tidegauge man > tidegauge.1`, then `man ./tidegauge.1`."""
    with errors():
        say("\n".join(_page(typer.main.get_command(app))))


def _page(command: Any) -> Iterator[str]:
    """The page's lines, in the macros of man(7)."""
    version = importlib.metadata.version("tidegauge")
    yield f'.TH TIDEGAUGE 1 "" "tidegauge {version}" "User Commands"'
    yield ".SH NAME"
    yield "tidegauge \\- watches readings that arrive at a fixed interval, and says when one is not normal"
    yield ".SH SYNOPSIS"
    yield ".B tidegauge"
    yield "COMMAND [OPTION]..."
    yield ".SH COMMANDS"
    yield from _commands("tidegauge", command)
    yield ".SH EXIT STATUS"
    for status, meaning in (("0", "done"), ("1", "it failed"), ("2", "usage"), ("78", "the configuration is wrong")):
        yield from (".TP", f".B {status}", meaning)
    yield ".SH FILES"
    for path, meaning in (
        ("./tidegauge.yaml, /etc/tidegauge/tidegauge.yaml", "the configuration, the first that there is"),
        ("/var/lib/tidegauge", "the state, where the service runs"),
    ):
        yield from (".TP", f".I {_plain(path)}", meaning)


def _commands(name: str, command: Any) -> Iterator[str]:
    """Each command below one, with its arguments and options."""
    for part, each in command.commands.items():
        if hasattr(each, "commands"):
            yield from _commands(f"{name} {part}", each)
            continue
        arguments = [p for p in each.params if p.param_type_name == "argument"]
        yield f".SS {_plain(' '.join([f'{name} {part}', *(p.name.upper() for p in arguments)]))}"
        yield _plain(" ".join((each.help or "").split()))
        for option in each.params:
            if option.param_type_name == "option" and not option.hidden:
                taken = "" if option.is_flag else " VALUE"
                yield from (".TP", f".B {_plain(', '.join(option.opts) + taken)}")
                yield _plain(" ".join((option.help or "").split())) or "-"


def _plain(text: str) -> str:
    """Text that no macro is made of."""
    safe = text.replace("\\", "\\e").replace("-", "\\-")
    return f"\\&{safe}" if safe[:1] in (".", "'") else safe
