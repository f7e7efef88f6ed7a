"""`tidegauge train`: start a daemon from history, or train a network on recorded readings."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperCommand

from daemon.cli.app import Config, Json, Series, Stream, Time, Timezone, app, errors, fail, find_config
from daemon.cli.selection import choose_stream, given
from daemon.cli.train_networks import RecordedReadings, train_networks
from daemon.config.file import load
from daemon.presentation.console import progress, say, say_json
from daemon.presentation.words import plural, tally

if TYPE_CHECKING:
    from adapters.base import DocumentFormat, Format
    from daemon.config.settings import Settings

train_app = typer.Typer(
    invoke_without_command=True, help="Start a daemon from history (--from), or train a network on recorded readings."
)
app.add_typer(train_app, name="train")

OUT = Path("tidegauge-training")


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
Value = Annotated[list[str] | None, typer.Option(help="Column of the value; several times for a vector.")]


@train_app.callback()
def train(
    ctx: typer.Context,
    history: Annotated[
        str | None,
        typer.Option("--from", help="File of past readings, or prometheus://HOST:PORT?query=PROMQL&start=30d."),
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


def _start_from(history: str, config: Path | None, stream: str | None, as_json: bool) -> None:
    """Drive a stream with its past readings and end its warm-up."""
    from daemon.clock import wall_ms
    from daemon.engine.table.series import READY
    from daemon.replay.replay import replay
    from daemon.runtime.durable import DurableEngine
    from daemon.store import Store
    from daemon.trainer.trainer import InlineTrainer

    with errors():
        settings = load(find_config(config))
        name = choose_stream(settings, stream)
        trainer = InlineTrainer()
        with Store.open(settings.state_dir) as store:
            durable = DurableEngine(store, trainer)
            with progress("recovering", as_json) as step:
                durable.recover(step)
            with _past(history, settings, name, as_json) as (file, fmt), progress("reading history", as_json) as step:
                report = replay(
                    file, settings, name, trainer, durable=durable, fmt=fmt, now_ms=wall_ms(), progress=step
                )
            if not as_json:
                say(f"{plural(report.readings, 'reading')}; training", err=True)
            durable.warm_up([name], wall_ms())
            durable.checkpoint()
            table = durable.engine.streams[name].table
            ready, series = int((table.rows["status"] == READY).sum()), len(table)
    if not report.readings:
        fail(f"{history}: no reading was accepted, rejected: {tally(report.rejected)}; look at the columns' names")
    if as_json:
        result = {"readings": report.readings, "rejected": report.rejected, "ready": ready, "series": series}
        say_json(result)
    else:
        after = plural(report.readings, "reading")
        say(f"{ready} of {series} series are ready after {after} in {settings.state_dir}")


@contextmanager
def _past(
    history: str, settings: Settings, name: str, as_json: bool
) -> Iterator[tuple[Path, Format | DocumentFormat | None]]:
    """The file of past readings, and how to read it where that is another way than the stream's."""
    from adapters.name_template import template
    from adapters.uploads.selector import notation
    from daemon.clock import wall_s
    from daemon.config.source_settings import SourceSettings
    from daemon.intake.construction import make_own_format
    from daemon.replay.range_query import RangeQuery, is_query

    if not is_query(history):
        yield Path(history), None
        return
    stream = settings.streams[name]
    try:
        query = RangeQuery.of(history, stream.interval, wall_s())
    except ValueError as error:
        fail(f"--from: {error}", 2)
    named = next((each.series for each in stream.sources if each.type == "prometheus" and each.series), None)
    with TemporaryDirectory() as directory:
        file = Path(directory, "history.jsonl")
        with progress("asking Prometheus", as_json) as step:
            query.write(file, notation if named is None else template(named), step)
        yield file, make_own_format(SourceSettings(type="prometheus"), settings.limits)


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
    columns = _columns(interval, timezone, time, value, series)
    readings = RecordedReadings(files or [], labels, journal, config, stream, columns)
    train_networks("reconstruct", compare or [recipe], seed, 0, readings, out, device, jobs, as_json)


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
    trees: Annotated[
        bool, typer.Option("--trees", help="With classify: gradient-boosted trees beside it, which takes minutes.")
    ] = False,
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
    if trees and task != "classify":
        fail("--trees goes with --task classify; trees reconstruct nothing", 2)
    columns = _columns(interval, timezone, time, value, series)
    readings = RecordedReadings(files or [], labels, journal, config, stream, columns)
    names = compare or [recipe or default[task]]
    train_networks(task, names, seed, folds, readings, out, device, jobs, as_json, trees=trees)


def _columns(
    interval: str | None, timezone: str | None, time: str | None, value: list[str] | None, series: str | None
) -> dict[str, Any]:
    """The options that say how readings are read, by configuration key."""
    one = value[0] if value is not None and len(value) == 1 else value or None
    return given(interval=interval, timezone=timezone, format_time=time, format_value=one, format_series=series)
