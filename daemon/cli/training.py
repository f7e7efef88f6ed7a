"""`tidegauge train`: start a daemon from history, or train a network trainings."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import orjson
import typer
from rich.table import Table as Shown
from typer.core import TyperCommand

from daemon.cli.app import Config, Json, Stream, app, errors, fail, find_config, needs
from daemon.cli.replaying import choose_stream
from daemon.config.file import from_effective, load
from daemon.config.settings import Settings
from daemon.showing import progress, table_console

if TYPE_CHECKING:
    from models.offline.history import History
    from models.report.figures import Table

train_app = typer.Typer(
    invoke_without_command=True, help="Start a daemon from history (--from), or train a network trainings."
)
app.add_typer(train_app, name="train")

OUT = Path("tidegauge-training")
SHOWN_SECTIONS = 1  # of the report, on the terminal; the page has all


class _ListsVariants(TyperCommand):
    """Lets `--compare A B C` stand for `--compare A --compare B --compare C`, up to the next option."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        spread, listing = [], False
        for arg in args:
            if arg == "--compare" or arg.startswith("-"):
                listing = arg == "--compare"
                spread += [] if listing else [arg]
            else:
                spread += ["--compare", arg] if listing else [arg]
        return super().parse_args(ctx, spread)


Files = Annotated[list[Path] | None, typer.Argument(help="Readings: .csv, .jsonl or .parquet. Before --compare.")]
Journal = Annotated[
    Path | None, typer.Option(help="State directory whose journal has the readings, as the stream's daemon took them.")
]
Compare = Annotated[
    list[str] | None, typer.Option(help="Recipes to train side by side: --compare dense-3 dense-4 lstm.")
]
Seeds = Annotated[list[int], typer.Option("--seed", help="Seed; give it several times for several trainings.", min=0)]
Out = Annotated[Path, typer.Option(help="Directory of checkpoints, bundles and report; one that is there goes on.")]
Device = Annotated[str, typer.Option(help="auto, cpu or cuda; auto takes a GPU where there is one.")]
Jobs = Annotated[int, typer.Option(help="Trainings at once, each on one core.", min=1)]
Labels = Annotated[Path | None, typer.Option(help="Labelled windows (NAB's format).")]
Interval = Annotated[str | None, typer.Option(help="Time between readings; inferred from each file when not given.")]
Timezone = Annotated[str | None, typer.Option(help="Zone of stamps without one.")]
Time = Annotated[str | None, typer.Option(help="Column of the time stamp.")]
Value = Annotated[list[str] | None, typer.Option(help="Column of the value; several times for a vector.")]
Series = Annotated[str | None, typer.Option(help="Column of the series label.")]


@train_app.callback()
def train(
    ctx: typer.Context,
    history: Annotated[
        Path | None, typer.Option("--from", help="File of past readings, in the stream's format.")
    ] = None,
    config: Config = None,
    stream: Stream = None,
    as_json: Json = False,
) -> None:
    """Learn from history, so that the daemon is ready at once. The daemon must not be running."""
    if ctx.invoked_subcommand is not None:
        if history is not None:
            fail(f"--from goes without a command; train {ctx.invoked_subcommand} takes its files as arguments", 2)
        return
    if history is None:
        fail("nothing to learn from: give --from FILE, or a command: train autoencoder, train transformer", 2)
    _start_from(history, config, stream, as_json)


def _start_from(history: Path, config: Path | None, stream: str | None, as_json: bool) -> None:
    """Drive a stream with its past readings and end its warm-up."""
    from daemon.engine.series import READY
    from daemon.replay.replay import replay
    from daemon.runtime.durable import DurableEngine
    from daemon.runtime.trainer import InlineTrainer
    from daemon.service.pipeline import wall_ms
    from daemon.store import Store

    with errors():
        settings = load(find_config(config))
        name = choose_stream(settings, stream)
        trainer = InlineTrainer()
        with Store.open(settings.state_dir) as store:
            durable = DurableEngine(store, trainer)
            with progress("recovering", as_json) as step:
                durable.recover(step)
            with progress("reading history", as_json) as step:
                report = replay(history, settings, name, trainer, durable=durable, now_ms=wall_ms(), progress=step)
            if not as_json:
                typer.echo(f"{report.readings} readings; training", err=True)
            durable.warm_up([name], wall_ms())
            durable.checkpoint()
            table = durable.engine.streams[name].table
            ready, series = int((table.rows["status"] == READY).sum()), len(table)
    if not report.readings:
        fail(f"{history}: no reading was accepted, rejected were {report.rejected}")
    if as_json:
        result = {"readings": report.readings, "rejected": report.rejected, "ready": ready, "series": series}
        typer.echo(orjson.dumps(result).decode())
    else:
        typer.echo(f"{ready} of {series} series are ready after {report.readings} readings in {settings.state_dir}")


@train_app.command(cls=_ListsVariants)
def autoencoder(
    files: Files = None,
    recipe: Annotated[str, typer.Option(help="Recipe: a shipped name or a .yaml file.")] = "masked-autoencoder",
    compare: Compare = None,
    seed: Seeds = [0],  # noqa: B006 - typer reads it, nobody changes it
    out: Out = OUT,
    labels: Labels = None,
    device: Device = "auto",
    jobs: Jobs = 1,
    journal: Journal = None,
    config: Config = None,
    stream: Stream = None,
    interval: Interval = None,
    timezone: Timezone = None,
    time: Time = None,
    value: Value = None,
    series: Series = None,
    as_json: Json = False,
) -> None:
    """Train a scorer on recorded readings: a bundle that `model.bundle` serves, and a report."""
    given = _columns(interval, timezone, time, value, series)
    _train(
        "reconstruct",
        compare or [recipe],
        files,
        seed,
        0,
        out,
        labels,
        device,
        jobs,
        journal,
        config,
        stream,
        given,
        as_json,
    )


@train_app.command(cls=_ListsVariants)
def transformer(
    files: Files = None,
    task: Annotated[
        str, typer.Option(help="reconstruct: a stream's scorer; classify: windows told apart.")
    ] = "reconstruct",
    recipe: Annotated[str | None, typer.Option(help="Recipe: a shipped name or a .yaml file.")] = None,
    compare: Compare = None,
    seed: Seeds = [0],  # noqa: B006 - typer reads it, nobody changes it
    folds: Annotated[
        int, typer.Option(help="With classify: every series is tested once, in so many folds.", min=0)
    ] = 0,
    out: Out = OUT,
    labels: Labels = None,
    device: Device = "auto",
    jobs: Jobs = 1,
    journal: Journal = None,
    config: Config = None,
    stream: Stream = None,
    interval: Interval = None,
    timezone: Timezone = None,
    time: Time = None,
    value: Value = None,
    series: Series = None,
    as_json: Json = False,
) -> None:
    """Train a Transformer: as a stream's scorer, or to classify windows with injected anomalies."""
    default = {"reconstruct": "transformer", "classify": "context"}
    if task not in default:
        fail(f"--task {task}: use reconstruct or classify", 2)
    if folds and task != "classify":
        fail("--folds goes with --task classify; a scorer's parts follow each other in time", 2)
    given = _columns(interval, timezone, time, value, series)
    chosen = compare or [recipe or default[task]]
    _train(task, chosen, files, seed, folds, out, labels, device, jobs, journal, config, stream, given, as_json)


def _columns(
    interval: str | None, timezone: str | None, time: str | None, value: list[str] | None, series: str | None
) -> dict[str, Any]:
    """The options that say how readings are read, by configuration key."""
    one = value[0] if value is not None and len(value) == 1 else value
    options = {
        "interval": interval,
        "timezone": timezone,
        "format.time": time,
        "format.value": one,
        "format.series": series,
    }
    return {key: option for key, option in options.items() if option}


def _train(
    task: str,
    names: list[str],
    files: list[Path] | None,
    seeds: list[int],
    folds: int,
    out: Path,
    labels: Path | None,
    device: str,
    at_once: int,
    journal: Path | None,
    config: Path | None,
    stream: str | None,
    given: dict[str, Any],
    as_json: bool,
) -> None:
    """Read, train, report."""
    if device not in ("auto", "cpu", "cuda"):
        fail(f"--device {device}: use auto, cpu or cuda", 2)
    needs("plotly", "matplotlib")
    with errors():
        from daemon.offline import recipes, trainings
        from daemon.offline.report import of_training
        from models.offline.checkpoints import CheckpointError
        from models.offline.devices import NoDevice
        from models.offline.history import HistoryError
        from models.report.writing import write_report

        try:
            chosen = [recipes.read(name) for name in names]
            if wrong := [r.name for r in chosen if r.task != task]:
                there = ", ".join(recipes.shipped())
                fail(f"recipe {', '.join(wrong)} is not for this task ({task}); shipped are {there}", 2)
            histories, labelled, name = _read(files or [], journal, config, stream, given, labels, as_json)
            jobs = trainings.plan(chosen, sorted(set(seeds)), folds, out, device, name)
            results = trainings.run(jobs, histories, labelled, at_once, as_json)
            report = of_training(jobs, results, histories, labelled)
            out.mkdir(parents=True, exist_ok=True)
            paths = write_report(report, out)
        except (HistoryError, CheckpointError, NoDevice) as error:
            fail(str(error))
        except recipes.RecipeError as error:
            fail(str(error), 2)
    if as_json:
        from models.report.writing import plain

        typer.echo(orjson.dumps(plain(report.data) | {"files": [str(p) for p in paths]}).decode())
        return
    from models.report.figures import Table

    for section in report.sections[:SHOWN_SECTIONS]:
        for part in section.parts:
            if isinstance(part, Table):
                _show(part)
    for job in jobs if task == "reconstruct" else []:
        typer.echo(f"bundle: {job.directory / trainings.BUNDLE}")
    typer.echo(f"report: {paths[0]}")


def _read(
    files: list[Path],
    journal: Path | None,
    config: Path | None,
    stream: str | None,
    given: dict[str, Any],
    labels: Path | None,
    quiet: bool,
) -> tuple[list[History], list[list[tuple[float, float]]], str]:
    """The series, their labelled windows, and the name of the stream they are of."""
    from daemon.offline.histories import of_file, of_journal

    if bool(files) == (journal is not None):
        fail("give either files of readings, or --journal DIR", 2)
    if journal is not None:
        if given or labels is not None:
            fail("--journal goes without --labels, which name files, and without options on how files are read", 2)
        with progress("reading", quiet) as step:
            found, name = of_journal(journal, None if config is None else load(config), stream, step)
        return found, [[] for _ in found], name
    settings, name = _settings(config, stream, given)
    own = settings.streams[name]
    with progress("reading", quiet) as step:
        interval_s = own.interval if config is not None or "interval" in given else None
        histories: list[History] = []
        spans: list[list[tuple[float, float]]] = []
        for file in files:
            read = of_file(file, settings, name, interval_s, step)
            windows = _labelled(labels, file, own.timezone)
            histories += read
            spans += [windows for _ in read]
    return histories, spans, name


def _labelled(labels: Path | None, file: Path, timezone: str) -> list[tuple[float, float]]:
    from models.evaluation import read_windows

    try:
        return read_windows(labels, str(file), timezone) if labels is not None else []
    except ValueError as error:
        fail(str(error))


def _settings(config: Path | None, stream: str | None, given: dict[str, Any]) -> tuple[Settings, str]:
    """The configuration's stream, or one of defaults, with the command line's options on top."""
    if config is not None:
        name = choose_stream(load(config), stream)
        return load(config, {f"streams.{name}.{key}": value for key, value in given.items()}), name
    name = re.sub(r"[^A-Za-z0-9_-]", "_", stream or "offline")[:64]
    values: dict[str, Any] = {}
    for key, value in given.items():
        section, _, own = key.rpartition(".")
        (values.setdefault(section, {}) if section else values)[own] = value
    return from_effective({"version": 1, "streams": {name: values}}), name


def _show(table: Table) -> None:
    from models.report.figures import cell

    shown = Shown(title=table.title or None, title_justify="left")
    for i, column in enumerate(table.columns):
        shown.add_column(column, justify="left" if i == 0 else "right")
    for row in table.rows:
        shown.add_row(*(cell(value) for value in row))
    table_console().print(shown)
