"""`tidegauge train autoencoder` and `transformer`: readings in, trainings, a report."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.table import Table as Shown

from daemon.cli.app import errors, fail, needs
from daemon.cli.label_windows import Windows, windows_of
from daemon.cli.selection import settings_of
from daemon.config.file import load
from daemon.presentation.console import progress, say, say_json, table_console
from daemon.presentation.words import tally

if TYPE_CHECKING:
    from models.offline.history import History
    from models.report.figures import Report, Table

INTERRUPTED = 130  # exit status of a command that Ctrl-C ended, as shells give it
SHOWN_SECTIONS = 1  # of the report, on the terminal; the page has all


@dataclass(frozen=True, slots=True)
class RecordedReadings:
    """What is trained on: files, or a state directory's journal.

    Attributes:
        files: Files of readings.
        labels: Their labelled windows.
        journal: State directory whose journal has the readings.
        config: The configuration; None for defaults.
        stream: Its stream that they are of.
        columns: How files are read, by key within the stream.
    """

    files: list[Path]
    labels: Path | None
    journal: Path | None
    config: Path | None
    stream: str | None
    columns: Mapping[str, Any]


def train_networks(
    task: str,
    names: Sequence[str],
    seeds: Sequence[int],
    folds: int,
    readings: RecordedReadings,
    out: Path,
    device: str,
    at_once: int,
    as_json: bool,
    *,
    trees: bool = False,
) -> None:
    """Read, train, report.

    Args:
        task: `reconstruct` or `classify`.
        names: Recipes to train side by side.
        seeds: Seeds to train each with.
        folds: Folds of a classifier's test; 0: none.
        readings: What is trained on.
        out: Directory of checkpoints, bundles and report.
        device: `auto`, `cpu` or `cuda`.
        at_once: Trainings at once.
        as_json: Whether one JSON object is printed instead of tables.
        trees: Whether a classifier stands beside gradient-boosted trees.
    """
    if device not in ("auto", "cpu", "cuda"):
        fail(f"--device {device}: use auto, cpu or cuda", 2)
    needs("plotly", "matplotlib")
    with errors():
        from daemon.offline import recipes, trainings
        from daemon.offline.train_report import figures_of, of_training
        from daemon.presentation.frame import write_figures
        from models.offline import boosted_trees, devices
        from models.offline.epochs import TrainingError
        from models.offline.history import HistoryError
        from models.offline.training_checkpoints import CheckpointError
        from models.report.report_files import write_report

        if trees and not boosted_trees.is_installed():
            fail(f"--trees needs scikit-learn; run: {sys.executable} -m pip install scikit-learn")
        try:
            devices.choose(device)
            chosen = [recipes.read(name) for name in names]
            histories, labelled, name, rejected = _read(readings, as_json)
            recipes.check(chosen, task, histories)
            jobs = trainings.plan(chosen, sorted(set(seeds)), folds, out, device, name)
            results = trainings.run(jobs, histories, labelled, at_once, as_json)
            report = of_training(jobs, results, histories, labelled, rejected, trees=trees)
            out.mkdir(parents=True, exist_ok=True)
            paths = write_report(report, out)
            paths.append(out / "report.csv")
            write_figures(paths[-1], (figures_of(job, result) for job, result in zip(jobs, results, strict=True)))
        except (HistoryError, CheckpointError, TrainingError, devices.NoDevice) as error:
            fail(str(error))
        except recipes.RecipeError as error:
            fail(str(error), 2)
        except KeyboardInterrupt:
            begun = any(out.glob(f"*/{trainings.CHECKPOINT}"))
            goes_on = f"; the same command goes on from the checkpoints in {out}" if begun else ""
            fail(f"interrupted{goes_on}", INTERRUPTED)
    bundles = [path for job in jobs for path in sorted(job.directory.glob("bundle*.safetensors"))]
    _say(report, bundles, paths, as_json)


def _say(report: Report, bundles: Sequence[Path], paths: Sequence[Path], as_json: bool) -> None:
    """Print what came of it."""
    from models.report.figures import Table
    from models.report.report_files import plain

    if as_json:
        say_json(plain(report.data) | {"files": [str(path) for path in paths]})
        return
    for section in report.sections[:SHOWN_SECTIONS]:
        for part in section.parts:
            if isinstance(part, Table):
                _show(part)
    for bundle in bundles:
        say(f"bundle: {bundle}")
    say(f"report: {paths[0]}")


def _read(readings: RecordedReadings, quiet: bool) -> tuple[list[History], list[Windows], str, Counter[str]]:
    """The series, their labelled windows, the name of the stream they are of, and lines that are no readings."""
    if bool(readings.files) == (readings.journal is not None):
        fail("give either files of readings, or --journal DIR", 2)
    if readings.journal is None:
        return _of_files(readings, quiet)
    return *_of_journal(readings, readings.journal, quiet), Counter()


def _of_journal(readings: RecordedReadings, directory: Path, quiet: bool) -> tuple[list[History], list[Windows], str]:
    from daemon.offline.histories import of_journal

    if readings.columns or readings.labels is not None:
        fail("--journal goes without --labels, which name files, and without options on how files are read", 2)
    settings = None if readings.config is None else load(readings.config)
    with progress("reading", quiet) as step:
        found, name = of_journal(directory, settings, readings.stream, step)
    return found, [[] for _ in found], name


def _of_files(readings: RecordedReadings, quiet: bool) -> tuple[list[History], list[Windows], str, Counter[str]]:
    from daemon.offline.histories import of_file

    settings, name = settings_of(readings.config, readings.stream, "offline", readings.columns)
    own = settings.streams[name]
    interval_s = own.interval if readings.config is not None or "interval" in readings.columns else None
    histories: list[History] = []
    spans: list[Windows] = []
    rejected: Counter[str] = Counter()
    with progress("reading", quiet) as step:
        for file in readings.files:
            read, bad = of_file(file, settings, name, interval_s, step)
            if bad:
                say(f"tidegauge: {file}: rejected {tally(bad)}; trained without them", err=True)
            rejected.update(bad)
            windows = windows_of(readings.labels, file, own.timezone) or []
            histories += read
            spans += [windows for _ in read]
    return histories, spans, name, rejected


def _show(table: Table) -> None:
    """Print a table; one that is wider than the terminal as several, its first column in each."""
    from models.report.figures import cells

    console, rows = table_console(), cells(table)
    widths = [
        max(len(text) for text in (head, *(row[i] for row in rows))) + 3  # two blanks and a line
        for i, head in enumerate(table.columns)
    ]
    for number, columns in enumerate(fitting(widths, console.width - 1)):
        shown = Shown(title=table.title if number == 0 and table.title else None, title_justify="left")
        for i in columns:
            shown.add_column(table.columns[i], justify="left" if i < table.words else "right")
        for row in rows:
            shown.add_row(*(row[i] for i in columns))
        console.print(shown)


def fitting(widths: Sequence[int], room: int) -> list[list[int]]:
    """Columns of each part of a table, the first column in all of them, so that a part is not wider than `room`.

    >>> fitting([10, 8, 8, 8], 30)
    [[0, 1, 2], [0, 3]]
    """
    parts: list[list[int]] = [[0]]
    for i in range(1, len(widths)):
        if len(parts[-1]) > 1 and sum(widths[j] for j in parts[-1]) + widths[i] > room:
            parts.append([0])
        parts[-1].append(i)
    return parts
