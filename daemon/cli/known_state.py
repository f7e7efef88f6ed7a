"""The settings that a command about a state goes by, whatever is wrong with the configuration file on disk."""

from __future__ import annotations

import os
import re
from pathlib import Path

from daemon.cli.app import find_config
from daemon.config.file import ConfigError, from_effective, load
from daemon.config.settings import Settings
from daemon.presentation.console import say

_STATE_DIR = re.compile(r"""^state_dir:[ \t]*(['"]?)([^#'"\n]+?)\1[ \t]*(?:#.*)?$""", re.MULTILINE)
_DEFAULT = "tidegauge-state"


def directory_of(config: Path | None, state: Path | None) -> Path:
    """The state directory that is named, or that of the configuration; raises as `settings_of_state`."""
    return state or settings_of_state(config).state_dir


def settings_of_state(config: Path | None) -> Settings:
    """The configuration's settings; where it cannot be used, those that the daemon of its state last took over.

    Raises:
        ConfigError: It cannot be used, and there is no state that says more.
    """
    path = find_config(config)
    try:
        return load(path)
    except ConfigError:
        if (found := _last_known(path)) is None:
            raise
        say(f"{path} cannot be used (tidegauge check says why); going by what {found.state_dir} knows", err=True)
        return found


def _last_known(path: Path) -> Settings | None:
    """The settings in the state that a broken file seems to name; None where there is none, or it has none."""
    from daemon.store import StoreError, open_reader

    try:
        named = _STATE_DIR.search(path.read_text("utf-8", errors="replace"))
        directory = path.absolute().parent / os.path.expandvars(named[2] if named else _DEFAULT)
        with open_reader(directory) as reader:
            config = reader.last_configuration()
        return None if config is None else from_effective(config | {"state_dir": str(directory)})
    except (OSError, StoreError, ValueError):
        return None
