"""`tidegauge models`: what became of trainings, and which of their models serves."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table

from daemon.cli.app import Config, Json, Stream, app, errors, fail
from daemon.cli.dispatch import act
from daemon.cli.known_state import directory_of, settings_of_state
from daemon.cli.selection import choose_stream
from daemon.presentation.console import print_table, say, say_json
from daemon.presentation.words import instant, plural

if TYPE_CHECKING:
    from daemon.runtime.durable import DurableEngine
    from daemon.store import ModelRecord

models_app = typer.Typer(no_args_is_help=True, help="Models, what became of trainings, and going back to one.")
app.add_typer(models_app, name="models")


@models_app.command("list")
def models_list(
    config: Config = None,
    state: Annotated[Path | None, typer.Option(help="State directory; default: the configuration's.")] = None,
    as_json: Json = False,
) -> None:
    """List models with what the gate said, and trainings that made none; `*` marks the one in service."""
    from dataclasses import asdict

    from daemon.store import open_reader

    with errors():
        directory = directory_of(config, state)
        with open_reader(directory) as reader:
            records = reader.models()
        serving = in_service(records)
        if as_json:
            shown = [asdict(r) | {"serving": r.request_id in serving} for r in records]
            say_json(shown)
            return
        if not records:
            say("no models and no trainings", err=True)
            return
        table = Table(
            "stream", "version", "outcome", "kind", "trained to", "loss", "held-back error", "detection", "why"
        )
        for record in records:
            table.add_row(*_cells(record, record.request_id in serving))
        print_table(table)


def in_service(records: list[ModelRecord]) -> set[str]:
    """Trainings whose models serve now: of each stream the one last brought into service, of one step the newest."""
    last: dict[str, ModelRecord] = {}
    for record in records:
        if record.status == "promoted" and _served(record) >= _served(last.get(record.stream)):
            last[record.stream] = record
    return {record.request_id for record in last.values()}


def _served(record: ModelRecord | None) -> int:
    return int(record.manifest.get("served_seq", 0)) if record is not None else 0


def _cells(r: ModelRecord, serves: bool) -> list[str]:
    """A row of the table."""
    m: dict[str, Any] = r.manifest
    verdict: dict[str, Any] = m.get("gate", {})
    numbers: dict[str, float] = verdict.get("numbers", {})

    def change(what: str, digits: int) -> str:
        pair = [numbers.get(f"{who}_{what}") for who in ("champion", "candidate")]
        return " -> ".join(f"{n:.{digits}f}" for n in pair if n is not None)

    version = "" if r.version is None else f"{r.version}{'*' if serves else ''}"
    gone = r.version is not None and r.file is None
    configured = "model.torchscript" if m.get("architecture") == "torchscript" else "model.bundle"
    origin = configured if m.get("configured") else ""
    excluded = "learned what was excluded" if m.get("excluded") else ""
    why = "no longer kept" if gone else r.reason or excluded or verdict.get("reason", origin)
    return [
        r.stream,
        version,
        r.status.replace("_", " "),
        m.get("kind", ""),
        instant(m.get("trained_to")),
        f"{m['loss']:.5f}" if "loss" in m else "",
        change("error", 5),
        change("detection", 3),
        "" if why == "passed" else why.replace("_", " "),
    ]


@models_app.command("show")
def models_show(
    name: Annotated[str, typer.Argument(help="An architecture, such as dense-3, or a bundle's file.")],
    graph: Annotated[Path | None, typer.Option(help="Write the computational graph here, as SVG.")] = None,
    as_json: Json = False,
) -> None:
    """Show a network's layers and parameters."""
    from models.graph import graphs
    from models.graph_svg import draw
    from models.layer_table import network_of, shown

    with errors():
        try:
            architecture, network = network_of(name)
            found = shown(architecture, network)
            if graph is not None:
                graph.write_text(draw(graphs(network), f"{name}: {found.parameters:,} parameters"), "utf-8")
        except ValueError as error:
            fail(str(error))
        if as_json:
            say_json(found.to_json())
            return
        table = Table("layer", "kind", "output", "parameters")
        for layer in found.layers:
            name_cell = "  " * layer.depth + layer.name
            output = str(layer.output) if layer.output else ""
            table.add_row(name_cell, layer.kind, output, f"{layer.parameters:,}" if layer.parameters else "")
        print_table(table)
        made_of = plural(found.members, "member") if found.members else plural(found.copies, "copy")
        say(f"{architecture}: {found.parameters:,} parameters; window {found.window}, width {found.width}, {made_of}")


@models_app.command("combine")
def models_combine(
    bundles: Annotated[
        list[Path], typer.Argument(help="Bundles of one stream: windows, seeds or networks may differ.")
    ],
    out: Annotated[Path, typer.Option(help="File to write, .safetensors or .pt.")],
    as_json: Json = False,
) -> None:
    """Make one bundle of several, whose networks score together: an ensemble, served by `model.bundle`."""
    from models.bundle_file import read_bundle, write_bundle
    from models.combination import combine, distinct_names, split

    with errors():
        _check_suffix(out)
        names = distinct_names(bundles)
        if len(set(names)) != len(names):
            fail(f"{max(names, key=names.count)} is named twice; an ensemble needs different bundles", 2)
        try:
            made = combine({name: read_bundle(path) for name, path in zip(names, bundles, strict=True)})
        except ValueError as error:
            fail(str(error))
        write_bundle(out, made)
        m = made.manifest
        weights = {member.name: member.weight for member, _ in split(made)}
        if as_json:
            say_json({"file": str(out), "window": m.window, "weights": weights})
            return
        for name, weight in weights.items():
            say(f"{name}: weight {weight:.3f}")
        say(f"wrote {out}; set model.window: {m.window} and model.bundle: {out} in its stream")


@models_app.command("convert")
def models_convert(
    bundle: Annotated[Path, typer.Argument(help="A bundle's file: .safetensors, or .pt as Tidegauge writes it.")],
    out: Annotated[Path, typer.Option(help="File to write: .safetensors for Tidegauge, .pt for others (TorchScript).")],
) -> None:
    """Write a bundle as the other kind of file; what the file holds is read as data and never run."""
    from models.bundle_file import read_bundle, write_bundle

    with errors():
        _check_suffix(out)
        try:
            write_bundle(out, read_bundle(bundle))
        except ValueError as error:
            fail(str(error))
        say(f"wrote {out}")


def _check_suffix(out: Path) -> None:
    if out.suffix not in (".safetensors", ".pt"):
        fail(f"--out is {out}, whose name says no kind of file; name it .safetensors, or .pt for a TorchScript file", 2)


@models_app.command("promote")
def models_promote(
    version: Annotated[int, typer.Argument(help="Version, as `models list` shows it.", min=1)],
    config: Config = None,
    stream: Stream = None,
    as_json: Json = False,
) -> None:
    """Put a model of any outcome into service; what the series learned is kept."""
    _serve(config, stream, as_json, version)


@models_app.command("rollback")
def models_rollback(config: Config = None, stream: Stream = None, as_json: Json = False) -> None:
    """Put the promoted version before the one in service back."""
    _serve(config, stream, as_json, None)


def _serve(config: Path | None, stream: str | None, as_json: bool, version: int | None) -> None:
    """Change the model in service."""
    with errors():
        settings = settings_of_state(config)
        found = serve(settings.state_dir, choose_stream(settings, stream), version, as_json)
    if as_json:
        say_json(found)
    else:
        say(served_line(found))


def serve(directory: Path, stream: str, version: int | None, quiet: bool) -> dict[str, Any]:
    """Have a version serve, None for the one before; stream, version and digest of what does then."""

    def here(durable: DurableEngine) -> dict[str, Any]:
        from daemon.clock import wall_ms

        record = durable.serve(stream, version, wall_ms())
        return {"stream": stream, "version": record.version, "digest": record.digest}

    return act(directory, "/models/serve", {"stream": stream, "version": version}, here, quiet)


def served_line(found: dict[str, Any]) -> str:
    """What came of it, for people."""
    return f"{found['stream']}: version {found['version']} serves from the next reading on"
