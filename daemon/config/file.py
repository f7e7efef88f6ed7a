"""Reading the configuration: a file to `Settings`, every mistake to one line that says where and what to do.

Paths in the file are relative to the file's directory; paths in overrides, which come from the command line, to the
working directory.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import orjson
from pydantic import ValidationError

from adapters.text import is_name
from daemon.config.change import pattern
from daemon.config.combinations import impossible
from daemon.config.document import ConfigError, Document, Problem, Where
from daemon.config.explanation import explain, shown
from daemon.config.schema import keys
from daemon.config.settings import Settings
from daemon.config.sink_settings import FILE_KEYS
from models.own_files import allow

__all__ = ["ConfigError", "Problem", "effective", "from_effective", "load", "of_options"]

COMMAND_LINE = "command line"
"""Stands for a file's name in problems with options."""


def load(path: Path, overrides: Mapping[str, object] | None = None, *, serving: bool = False) -> Settings:
    """Read and check a configuration file.

    Args:
        path: The file.
        overrides: Values from the command line by dotted key path, such as `{"streams.taxi.interval": "30m"}`;
            they replace what the file says, and complain as `command line: ...`.
        serving: Whether the daemon is to run from it, so that every stream needs a source.

    Returns:
        The settings, every path in them absolute. The own models that the file names may run from now on in this
        process, and no others.

    Raises:
        ConfigError: The file cannot be read, or does not describe a possible configuration.
    """
    base = path.absolute().parent
    if not is_name(str(base)):
        raise ConfigError(
            [Problem(str(path), None, f"its directory {base} is not printable UTF-8; give it another name")]
        )
    document = Document(path)
    overridden = {_override(document.data, key, value) for key, value in (overrides or {}).items()}

    def problem(where: Where, text: str) -> Problem:
        if any(where[: len(key)] == key for key in overridden):
            return Problem(COMMAND_LINE, None, text)
        return document.problem(where, text)

    version = document.data.get("version")
    if type(version) is not int or version != 1:
        raise ConfigError([problem(("version",), _version(document.data))])
    try:
        settings = Settings.model_validate_json(
            orjson.dumps(document.data, default=str), strict=True, context={"file": True}
        )
    except ValidationError as error:
        found = dict.fromkeys(problem(*explain(detail, document.data)) for detail in error.errors())
        raise ConfigError(sorted(found, key=lambda each: each.line or 0)) from None
    settings = _absolute(settings, base)
    if found := dict.fromkeys(problem(where, text) for where, text in impossible(settings, serving)):
        raise ConfigError(list(found))
    models = [stream.model for stream in settings.streams.values()]
    allow({model.sha256: model.torchscript for model in models if model.sha256 and model.torchscript})
    return settings


def of_options(stream: str, options: Mapping[str, object]) -> Settings:
    """The settings of one stream that the command line describes, everything else at its default.

    Args:
        stream: The stream's name.
        options: Values by dotted key path within the stream, such as `{"format.time": "at"}`.

    Raises:
        ConfigError: They do not describe a possible stream; the problems name the keys within it.
    """
    data: dict[str, Any] = {"version": 1, "streams": {stream: {}}}
    for key, value in options.items():
        _override(data["streams"][stream], key, value)
    try:
        return Settings.model_validate_json(orjson.dumps(data), strict=True, context={"file": True})
    except ValidationError as error:
        texts = dict.fromkeys(explain(detail, data, hidden=2)[1] for detail in error.errors())
        raise ConfigError([Problem(COMMAND_LINE, None, text) for text in texts]) from None


def effective(settings: Settings) -> dict[str, Any]:
    """The settings with every default filled in, as JSON: what is journaled and what `tidegauge check` prints."""
    return settings.model_dump(mode="json")


def from_effective(config: Mapping[str, Any]) -> Settings:
    """The settings that `effective` wrote.

    Raises:
        pydantic.ValidationError: `config` is not what this version's `effective` writes.
    """
    return Settings.model_validate(dict(config))


def _override(data: dict[str, Any], key: str, value: object) -> Where:
    where = tuple(key.split("."))
    if isinstance(value, str | Path) and not str(value).replace("\t", "").isprintable():
        raise ConfigError([Problem(COMMAND_LINE, None, f"{key} is {str(value)!a}, which is not printable text")])
    for name in where[:-1]:
        inner = data.get(name)
        data[name] = dict(inner) if isinstance(inner, dict) else {}
        data = data[name]
    is_path = any(each.path == pattern(key) and each.type == "path" for each in keys())
    data[where[-1]] = str(Path(str(value)).absolute()) if is_path and value is not None else value
    return where


def _version(data: Mapping[str, Any]) -> str:
    if data.get("version") is None:
        return "version is missing; add version: 1"
    return (
        f"version is {shown(data['version'])}, but this tidegauge reads version 1; set version: 1 or use its tidegauge"
    )


def _absolute(settings: Settings, base: Path) -> Settings:
    """The settings with the file's paths made absolute."""
    config = settings.model_dump()
    config["state_dir"] = base / config["state_dir"]
    if config["events"]["file"]:
        config["events"]["file"] = base / config["events"]["file"]
    for sinks in (*config["events"].values(), config["metrics"]["remote_write"]):
        for sink in sinks if isinstance(sinks, list) else ():
            for key in FILE_KEYS & sink.keys():
                sink[key] = sink[key] and str(base / sink[key])
    if config["rejects"]["file"]:
        config["rejects"]["file"] = base / config["rejects"]["file"]
    for key in ("web_config", "token_file"):
        if config["http"][key]:
            config["http"][key] = base / config["http"][key]
    for stream in config["streams"].values():
        for key in ("bundle", "torchscript"):
            stream["model"][key] = stream["model"][key] and base / stream["model"][key]
        for source in stream["sources"]:
            for section, key in ((source, "path"), (source, "ca"), *((source["tls"], key) for key in source["tls"])):
                section[key] = section[key] and str(base / section[key])
    return Settings.model_validate(config)
