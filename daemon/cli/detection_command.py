"""`tidegauge bench detection`: budgets, faults and labelled corpora in one run."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table

from daemon.cli.app import Json, errors, fail
from daemon.cli.bench_commands import Csv, bench_app, write_csv
from daemon.presentation.console import progress, say_json, table_console
from daemon.presentation.words import plural

RATE_COLUMNS = ("corpus", "detector", "budget", "a month", "interval", "notified", "least, most of a series")
FOUND_COLUMNS = ("corpus", "kind", "faults")
SCORE_COLUMNS = ("corpus", "budget", "standard", "low FP", "low FN", "F1", "FAR", "MAR")
EVENT_COLUMNS = ("corpus", "detector", "budget", "found", "false", "false a month", "delay", "VUS-PR", "greatest")


@bench_app.command()
def detection(
    directory: Annotated[list[Path], typer.Argument(help="Corpora: data/<group>/<file>.csv, labels/.")],
    faults: Annotated[bool, typer.Option("--faults", help="Put faults into series that have no label.")] = False,
    budget: Annotated[list[float], typer.Option(help="Episodes of a series in a month; several.", min=0.01)] = [  # noqa: B006 - typer reads it, nobody changes it
        0.3,
        1.0,
        5.0,
    ],
    full: Annotated[bool, typer.Option("--full", help="All pieces and files, not a part of each corpus.")] = False,
    baselines: Annotated[bool, typer.Option(help="Run simple detectors beside.")] = True,
    leave_out: Annotated[bool, typer.Option("--leave-out", help="Show means with each corpus left out.")] = False,
    keep: Annotated[Path | None, typer.Option(help="Keep what the networks said here, to decide on it again.")] = None,
    seed: Annotated[int, typer.Option(help="Seed of everything random.", min=0)] = 0,
    jobs: Annotated[int, typer.Option(help="Processes.", min=1)] = 2,
    csv: Csv = None,
    as_json: Json = False,
) -> None:
    """Faults found, events found and false alarms at fixed budgets, over corpora in NAB's layout."""
    from daemon.bench import corpus
    from daemon.bench import detection as measuring
    from daemon.bench.detection_figures import left_out, summarise

    budgets = sorted(set(budget))
    with errors():
        try:
            todo = measuring.parts(directory, faults, full, seed, budgets, baselines, keep)
            with progress(plural(len(todo), "part"), as_json) as step:
                summary = summarise(measuring.run(todo, jobs, step), budgets)
        except corpus.CorpusError as error:
            fail(str(error))
    figures = summary["corpora"].items()
    write_csv(
        csv, ({"corpus": n, **one} for n, each in figures for key in ("rates", "events") for one in each.get(key, ()))
    )
    if leave_out:
        summary["leave_out"] = left_out(summary)
    if as_json:
        say_json(summary)
        return
    console = table_console()
    for table in [
        *_fleet_tables(summary),
        *_labelled_tables(summary),
        *([_left_out_table(summary)] if leave_out else []),
    ]:
        console.print(table)


def _table(title: str, *columns: str, text: int) -> Table:
    table = Table(title=title, title_justify="left", min_width=len(title) + 4)
    for i, column in enumerate(columns):
        table.add_column(column, justify="left" if i < text else "right", no_wrap=True)
    return table


def _fleet_tables(summary: dict[str, Any]) -> list[Table]:
    fleets = {name: figures for name, figures in summary["corpora"].items() if "rates" in figures}
    if not fleets:
        return []
    rates = _table("Episodes of a series in a month, nothing put in", *RATE_COLUMNS, text=2)
    for name, figures in fleets.items():
        for one in figures["rates"]:
            if one["detector"] == "tidegauge":
                by = one["by_series"].values()
                low, high = one["interval"]
                words = f"{one['per_month']:.2f}", f"{low:.2f} to {high:.2f}", f"{one['notified_per_month']:.2f}"
                rates.add_row(name, one["detector"], f"{one['budget']:g}", *words, f"{min(by):.2f}, {max(by):.2f}")
    return [rates, *(_found_table(name, figures, summary["budgets"]) for name, figures in fleets.items())]


def _found_table(name: str, figures: dict[str, Any], budgets: list[float]) -> Table:
    """Faults found: ours at every budget, rivals at the one in the middle."""
    middle = budgets[len(budgets) // 2]
    shown = [("tidegauge", budget) for budget in budgets]
    shown += [(one["detector"], one["budget"]) for one in figures["rates"] if one["budget"] == middle][1:]
    columns = [f"{detector} {budget:g}" if detector == "tidegauge" else detector for detector, budget in shown]
    table = _table(f"Faults found, percent (rivals at {middle:g})", *FOUND_COLUMNS, *columns, "delay", text=2)
    cells = {(one["detector"], one["budget"], one["kind"]): one for one in figures["found"]}
    kinds = list(dict.fromkeys(one["kind"] for one in figures["found"]))
    for kind in kinds:
        own = cells["tidegauge", middle, kind]
        delay = "-" if own["median_delay_slots"] is None else f"{own['median_delay_slots']:.0f}"
        shares = [f"{100 * cells[detector, budget, kind]['share']:.0f}" for detector, budget in shown]
        table.add_row(name, kind, str(own["faults"]), *shares, delay)
    means = [sum(cells[d, b, kind]["share"] for kind in kinds) / len(kinds) for d, b in shown]
    table.add_row(name, "mean", "", *(f"{100 * mean:.1f}" for mean in means), "")
    return table


def _labelled_tables(summary: dict[str, Any]) -> list[Table]:
    labelled = {name: figures for name, figures in summary["corpora"].items() if "events" in figures}
    if not labelled:
        return []
    events = _table("Labelled windows found; rivals at as many false episodes", *EVENT_COLUMNS, text=2)
    scores = _table("NAB's profiles, and rows of ours in an episode", *SCORE_COLUMNS, text=1)
    for name, figures in labelled.items():
        for one in figures["events"]:
            rank = figures["rank"][one["detector"]]
            delay = "-" if one["median_delay_slots"] is None else f"{one['median_delay_slots']:.0f}"
            vus = "-" if rank["vus_pr"] is None else f"{rank['vus_pr']:.3f}"
            counts = f"{one['found']}/{one['windows']}", str(one["false"]), f"{one['false_per_month']:.1f}", delay
            events.add_row(name, one["detector"], f"{one['budget']:g}", *counts, vus, f"{100 * rank['top']:.0f} %")
        events.add_section()
        for budget, profiles in figures["nab"].items():
            rows = figures["rows"][budget]
            words = [f"{score:.1f}" for score in profiles.values()] or ["-"] * 3
            scores.add_row(name, budget, *words, f"{rows['f1']:.2f}", f"{rows['far']:.2f}", f"{rows['mar']:.2f}")
    return [events, scores]


def _left_out_table(summary: dict[str, Any]) -> Table:
    table = _table("Mean over corpora, one left out", "left out", "figure", "tidegauge", "best rival", text=2)
    for one in summary["leave_out"]:
        table.add_row(one["left_out"], one["figure"], f"{one['ours']:.3f}", f"{one['rival']:.3f} ({one['rival_name']})")
    return table
