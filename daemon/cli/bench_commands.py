"""`tidegauge bench`: measure this machine."""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table

from daemon.cli.app import Json, app, errors, fail
from daemon.presentation.console import progress, say, say_json, table_console
from daemon.presentation.words import plural

SEED_COLUMNS = ("detector", "seed", "standard", "low FP", "low FN", "windows", "false")
RANKING_COLUMNS = ("detector", "VUS-PR", "AUC-PR", "recall", "false/week", "delay")
FAULT_COLUMNS = ("fault", "faults", "AUC of the error", "AUC of the rank", "found", "sensor named")
RATE_COLUMNS = ("budget", "noise", "series", "months", "episodes", "a month", "reasons")
FLEET_COLUMNS = (
    "faults a day",
    "told at most",
    "episodes a day",
    "told a day",
    "at most in one",
    "true of those told",
    "faults",
    "found",
    "told of",
)
PART_COLUMNS = ("detector", "standard", "low FP", "low FN", "windows", "false", "VUS-PR")
FILE_COLUMNS = ("file", "detector", "seed", "windows", "false", "raw", "VUS-PR", "delays")

LIFECYCLE_COLUMNS = (
    "change",
    "lifecycle",
    "seed",
    "days found of 14",
    "slots",
    "notified",
    "adopted",
    "error, last week",
    "promoted / refused / taken back",
)

Csv = Annotated[Path | None, typer.Option(help="Write the figures here, too, a row each.")]

bench_app = typer.Typer(no_args_is_help=True, help="Measure this machine.")
app.add_typer(bench_app, name="bench")


@bench_app.command()
def throughput(
    series: Annotated[int, typer.Option(help="Number of series.", min=1)] = 10_000,
    slots: Annotated[int, typer.Option(help="Slots over which the rate is measured.", min=1)] = 200,
    as_json: Json = False,
) -> None:
    """Readings per second from file to committed events, journal on, after 14 days of history."""
    from daemon.bench.throughput import throughput as measure

    with errors(), tempfile.TemporaryDirectory(prefix="tidegauge-bench-") as directory:
        try:
            found = measure(Path(directory), series, slots, lambda line: say(line, err=True))
        except subprocess.CalledProcessError as error:
            fail(f"{' '.join(error.cmd)} ended with {error.returncode}: {error.output}")
    if as_json:
        say_json(found.to_json())
        return
    say(f"{found.readings_per_second:,.0f} readings/s over {found.readings:,} readings of {found.series:,} series")
    say(f"{found.ratio:.1f} times river HalfSpaceTrees on one series ({found.peer_readings_per_second:,.0f}/s)")
    say(f"{found.peak_bytes / 2**20:,.0f} MiB at most, {found.bytes_per_series:,} bytes of state a series")
    say(f"train --from: {found.history_readings:,} readings in {found.train_seconds:.1f} s")
    for phase, share in sorted(found.phases.items(), key=lambda item: -item[1]):
        say(f"  {100 * share:4.1f} %  {phase}")


@bench_app.command()
def vectors(
    slots: Annotated[
        int, typer.Option(help="Vectors, one a minute; the first two thirds are trained on.", min=500)
    ] = 6000,
    sensors: Annotated[int, typer.Option(help="Numbers in a vector.", min=20)] = 1000,
    epochs: Annotated[int, typer.Option(help="Epochs of the training, at most.", min=1)] = 60,
    seed: Annotated[int, typer.Option(help="Seed of the vectors, the faults and the training.", min=0)] = 0,
    as_json: Json = False,
) -> None:
    """Faults that `manufacturing` finds in made vectors of many sensors, and how many a second a daemon scores."""
    from daemon.bench.vectors import vectors as measure

    with errors(), tempfile.TemporaryDirectory(prefix="tidegauge-bench-") as directory:
        try:
            found = measure(Path(directory), slots, epochs, seed, lambda line: say(line, err=True), sensors)
        except RuntimeError as error:
            fail(str(error))
    if as_json:
        say_json(found.to_json())
        return
    table = Table(*FAULT_COLUMNS)
    for kind in found.kinds:
        figures = (f"{kind.auc_error:.3f}", f"{kind.auc_rank:.3f}", str(kind.found), str(kind.named))
        table.add_row(kind.kind, str(kind.faults), *figures)
    table_console().print(table)
    losses = ", ".join(f"{part} {loss:.5f}" for part, loss in found.losses.items())
    say(f"{found.parameters:,} parameters, {found.train_windows:,} windows in {found.train_seconds:.0f} s: {losses}")
    say(f"{plural(found.false_events, 'event')} without a fault; generator {found.generator}")
    say(
        f"standard input to exit: {found.readings_per_second:,.0f} vectors/s, "
        f"{found.readings_per_cpu_second:,.0f} a second of one core"
    )


@bench_app.command()
def nab(
    directory: Annotated[Path, typer.Argument(help="Corpus: data/<group>/<file>.csv, labels/combined_windows.json.")],
    seed: Annotated[list[int], typer.Option(help="Seed of everything random; give it several times.", min=0)] = [0],  # noqa: B006 - typer reads it, nobody changes it
    results: Annotated[Path | None, typer.Option(help="Write our alarms here, in NAB's own layout.")] = None,
    file: Annotated[str | None, typer.Option(help="Only files whose name fits this pattern, such as '*taxi*'.")] = None,
    baselines: Annotated[bool, typer.Option(help="Run other detectors in the same way.")] = True,
    ablate: Annotated[bool, typer.Option(help="Run again without each part; leaves other detectors out.")] = False,
    jobs: Annotated[int, typer.Option(help="Processes.", min=1)] = 2,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Show each file, too.")] = False,
    csv: Csv = None,
    as_json: Json = False,
) -> None:
    """Score detection at shipped defaults on a labelled corpus in NAB's layout; docs/benchmarks.md explains it."""
    from daemon.bench import corpus, scores
    from daemon.bench import nab as measuring

    with errors():
        try:
            files = corpus.read_corpus(directory, file)
            seeds, parts = sorted(set(seed)), list(measuring.WITHOUT) if ablate else []
            with progress(f"{plural(len(files), 'file')}, {plural(len(seeds), 'seed')}", as_json) as step:
                found = measuring.run(files, seeds, baselines and not ablate, parts, jobs, step)
        except corpus.CorpusError as error:
            fail(str(error))
        if results is not None:
            measuring.write_results(results, files, found)
    summary = scores.summarise(files, found)
    write_csv(csv, ({"detector": n, **seed} for n, each in summary["detectors"].items() for seed in each["seeds"]))
    if as_json:
        say_json(summary)
        return
    console = table_console()
    if verbose:
        console.print(_file_table(summary))
    tables = (_part_table,) if ablate else (_score_table, _seed_table, _ranking_table)
    for table in (make(summary) for make in tables):
        console.print(table)


@bench_app.command()
def budget(
    series: Annotated[int, typer.Option(help="Number of series, over three kinds of noise.", min=3)] = 100,
    days: Annotated[int, typer.Option(help="Days of each series; the first 14 are its warm-up.", min=30)] = 182,
    per_month: Annotated[list[float], typer.Option("--budget", help="Budget; several.", min=0.01)] = [0.3, 1.0, 5.0],  # noqa: B006 - typer reads it, nobody changes it
    seed: Annotated[int, typer.Option(help="Seed of the series and of everything random.", min=0)] = 0,
    jobs: Annotated[int, typer.Option(help="Processes.", min=1)] = 2,
    csv: Csv = None,
    as_json: Json = False,
) -> None:
    """New episodes a month on made series without anomalies, and which anomalies put into them are found."""
    from daemon.bench import budget as measuring

    todo = measuring.jobs(series, days, sorted(set(per_month)), seed)
    with errors(), progress(plural(len(todo), "run"), as_json) as step:
        summary = measuring.summarise(measuring.run(todo, jobs, step))
    write_csv(csv, [*summary["rates"], *summary["recall"]])
    if as_json:
        say_json(summary)
        return
    console = table_console()
    for table in (_rate_table(summary), _recall_table(summary)):
        console.print(table)


@bench_app.command()
def fleet(
    series: Annotated[int, typer.Option(help="Number of series.", min=3)] = 5000,
    days: Annotated[int, typer.Option(help="Days of each series; those after the third week count.", min=28)] = 35,
    faults: Annotated[int, typer.Option(help="Faults that begin in a day.", min=1)] = 10,
    most: Annotated[int, typer.Option("--alarms", help="Alarms told in a day at most.", min=1, max=1000)] = 20,
    seed: Annotated[int, typer.Option(help="Seed of the series and of everything random.", min=0)] = 0,
    jobs: Annotated[int, typer.Option(help="Processes.", min=1)] = 2,
    csv: Csv = None,
    as_json: Json = False,
) -> None:
    """What is told of many made series in a day, few of them at fault, with a budget of the stream and without."""
    from daemon.bench import fleet as measuring

    todo = measuring.jobs(series, days, faults, most, seed)
    with errors(), progress(plural(len(todo), "run"), as_json) as step:
        found = [result.to_json() for result in measuring.run(todo, jobs, step)]
    write_csv(csv, found)
    if as_json:
        say_json(found)
        return
    table = _table(f"{series:,} series", *FLEET_COLUMNS, text=0)
    for one in found:
        share = "-" if not one["told"] else f"{100 * one['true'] / one['told']:.0f} %"
        bound = "-" if one["most"] is None else str(one["most"])
        counts = f"{one['opened_per_day']:.1f}", f"{one['told_per_day']:.1f}", str(one["most_told"]), share
        table.add_row(str(one["put"]), bound, *counts, str(one["faults"]), str(one["found"]), str(one["told_of"]))
    table_console().print(table)


def write_csv(path: Path | None, rows: Iterable[Mapping[str, Any]]) -> None:
    """Write figures where `--csv` says."""
    if path is not None:
        from daemon.presentation.frame import write_figures

        with errors():
            write_figures(path, rows)


def _rate_table(summary: dict[str, Any]) -> Table:
    table = _table("New episodes of a series in a month, without anomalies", *RATE_COLUMNS, text=2)
    for rate in summary["rates"]:
        reasons = ", ".join(f"{reason} {count}" for reason, count in rate["reasons"].items())
        figures = str(rate["series"]), f"{rate['months']:.0f}", str(rate["episodes"]), f"{rate['per_month']:.2f}"
        table.add_row(f"{rate['budget']:g}", rate["noise"], *figures, reasons)
        if rate["noise"] == "all":
            table.add_section()
    return table


def _recall_table(summary: dict[str, Any]) -> Table:
    strengths = list(dict.fromkeys(one["strength"] for one in summary["recall"]))
    columns = [f"{strength:g} spreads" for strength in strengths]
    table = _table("Anomalies found at a budget of 1, of those put in", "kind", *columns)
    for kind in dict.fromkeys(one["kind"] for one in summary["recall"]):
        own = {one["strength"]: one for one in summary["recall"] if one["kind"] == kind}
        cells = [own.get(strength) for strength in strengths]
        table.add_row(kind, *("-" if cell is None else f"{cell['found']}/{cell['anomalies']}" for cell in cells))
    return table


def _figure(mean: float | None, spread: float | None = None, digits: int = 1) -> str:
    if mean is None:
        return "-"
    return f"{mean:.{digits}f}" + ("" if spread is None else f" ± {spread:.{digits}f}")


def _table(title: str, *columns: str, text: int = 1) -> Table:
    """A table whose first `text` columns are words and whose others are figures."""
    table = Table(title=title, title_justify="left", min_width=len(title) + 4)
    for i, column in enumerate(columns):
        table.add_column(column, justify="left" if i < text else "right", no_wrap=True)
    return table


def _score_title(summary: dict[str, Any]) -> str:
    counts = f"{plural(summary['files'], 'file')}, {plural(summary['windows'], 'window')}"
    title = f"NAB score: {counts}, {'seed' if len(summary['seeds']) == 1 else 'seeds'} "
    return title + ", ".join(map(str, summary["seeds"]))


def _score_table(summary: dict[str, Any]) -> Table:
    from daemon.bench.scores import rules

    table = _table(_score_title(summary), "detector", "alarms", "standard", "low FP", "low FN", text=2)
    for name, detector in summary["detectors"].items():
        for rule, words in rules():
            mean, spread = detector["mean"]["nab"][rule], detector["spread"]["nab"][rule]
            table.add_row(name if rule == "default" else "", words, *(_figure(mean[p], spread[p]) for p in mean))
        table.add_section()
    return table


def _part_table(summary: dict[str, Any]) -> Table:
    """An ablation: the scores at the shipped threshold without each part."""
    table = _table(_score_title(summary), *PART_COLUMNS)
    for name, detector in summary["detectors"].items():
        mean, spread = detector["mean"], detector["spread"]
        scores = (_figure(mean["nab"]["default"][p], spread["nab"]["default"][p]) for p in mean["nab"]["default"])
        counts = (_figure(mean[key], spread[key]) for key in ("windows_found", "false_episodes"))
        table.add_row(name, *scores, *counts, _figure(mean["vus_pr"], spread["vus_pr"], 3))
    return table


def _seed_table(summary: dict[str, Any]) -> Table:
    table = _table("Each seed at the shipped threshold", *SEED_COLUMNS, text=2)
    for name, detector in summary["detectors"].items():
        for figures in detector["seeds"]:
            scores = (_figure(score) for score in figures["nab"]["default"].values())
            counts = f"{figures['windows_found']}/{summary['windows']}", str(figures["false_episodes"])
            table.add_row(name, str(figures["seed"]), *scores, *counts)
        table.add_section()
    return table


def _ranking_table(summary: dict[str, Any]) -> Table:
    table = _table("Ranking, and alarms at the shipped threshold", *RANKING_COLUMNS)
    for name, detector in summary["detectors"].items():
        mean, spread = detector["mean"], detector["spread"]
        digits = {"vus_pr": 3, "auc_pr": 3, "event_recall": 2, "false_episodes_per_week": 2, "median_delay_slots": 0}
        table.add_row(name, *(_figure(mean[key], spread[key], n) for key, n in digits.items()))
    return table


def _file_table(summary: dict[str, Any]) -> Table:
    table = _table("Each file at the shipped threshold", *FILE_COLUMNS, text=3)
    for f in summary["per_file"]:
        found = f"{f['windows_found']}/{f['windows']}"
        delays = ", ".join(f"{delay:.0f}" for delay in f["delays_slots"])
        false = f"{f['false_episodes']} of {f['false_episodes_no_refractory']}"
        row = [f["file"], f["detector"], str(f["seed"]), found, false, _figure(f["raw"]["standard"], digits=2)]
        table.add_row(*row, _figure(f["vus_pr"], digits=2), delays)
    return table


@bench_app.command()
def lifecycle(
    seed: Annotated[list[int], typer.Option(help="Seed of series and stream; give it several times.", min=0)] = [0],  # noqa: B006 - typer reads it, nobody changes it
    plot: Annotated[Path | None, typer.Option(help="Draw the first seed's runs here, as SVG.")] = None,
    jobs: Annotated[int, typer.Option(help="Processes.", min=1)] = 2,
    csv: Csv = None,
    as_json: Json = False,
) -> None:
    """What changes, faults and bad data do over weeks, with the lifecycle and without; see docs/lifecycle.md."""
    from daemon.bench.lifecycle import measure
    from daemon.bench.lifecycle_plot import svg

    with errors(), progress("runs", as_json) as step:
        runs = measure(sorted(set(seed)), jobs, step)
        if plot is not None:
            plot.write_text(svg(runs))
    write_csv(csv, (run.to_json() for run in runs))
    if as_json:
        say_json([run.to_json() for run in runs])
        return
    table = _table("With the lifecycle and without", *LIFECYCLE_COLUMNS, text=2)
    for run in runs:
        trainings = f"{run.trainings['promoted']} / {run.trainings['rejected']} / {run.rollbacks}"
        adopted = "-" if run.adopted_after_days is None else f"{run.adopted_after_days:.1f} d"
        figures = [str(run.found_days), str(sum(run.slots)), str(sum(run.said)), adopted]
        last = sum(run.error[-7:]) / 7
        name = run.change.replace("_", " ")
        with_it = "with" if run.lifecycle else "without"
        table.add_row(name, with_it, str(run.seed), *figures, f"{last:.2f}", trainings)
    table_console().print(table)
