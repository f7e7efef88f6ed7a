"""One bench for detection: labelled corpora as they are, and unlabelled real series with faults put in, at budgets.

Every part is the engine at shipped defaults, run once for its networks; `daemon.bench.tape` decides for each
budget. Parts run in processes of their own; figures are `daemon.bench.detection_figures`'s job.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import as_completed
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import orjson

from daemon.bench import pieces, rivals
from daemon.bench.corpus import CorpusError, CorpusFile, read_corpus, read_rows
from daemon.bench.meter_faults import Fault
from daemon.bench.nab import warm_up_s
from daemon.bench.tape import STREAM, DecidedAgain, Recording, configured, decide_again, record
from daemon.bench.workers import workers
from models import nab_score
from models.rank_measures import vus_pr

OURS = "tidegauge"
MONTH_S = 30.44 * 86400
QUIET = 3  # slots below its threshold that end a rival's episode, as in the engine
BUFFER = 100  # readings beside an anomaly that VUS-PR counts in part, at most
VECTOR_WARM_UP = 400  # rows at the beginning of a run of vectors that are clean
SMALL_PIECES, SMALL_FILES = 3, 6  # of each series and of each labelled corpus, where not all are asked for
FULL = 1 << 30

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]


class Part(NamedTuple):
    """One run of the engine.

    Attributes:
        corpus: Name of the corpus.
        name: What is run: a file, `clean` pieces or those with `faults`.
        directory: The corpus.
        pieces: Of each series; of a fleet.
        seed: Of everything random.
        budgets: Episodes of a series in a month.
        rivals: Whether they run as well.
        keep: Where recordings are kept; None: nowhere.
    """

    corpus: str
    name: str
    directory: Path
    pieces: int
    seed: int
    budgets: tuple[float, ...]
    rivals: bool
    keep: Path | None


@dataclass(frozen=True)
class Openings:
    """Episodes of one detector under one budget.

    Attributes:
        series: Index of the series, shape (E,).
        slot: Slot counted from the first, shape (E,).
        notified: Whether it was said at once, shape (E,).
    """

    series: npt.NDArray[np.int64]
    slot: npt.NDArray[np.int64]
    notified: Bools


@dataclass
class PartResult:
    """What a part gave.

    Attributes:
        part: The part.
        names: Of the series; those of a fleet as `pieces.Pieces.series`.
        months: Months of one series that were judged, over all series.
        interval_s: Length of a slot.
        openings: By detector and budget; a rival's are those of `scores`.
        scores: Of rivals, by name: the scores of their local peaks, as `_peaks` gives them.
        faults: What had been put in, one a series.
        windows: Labelled ones, slots, ends included.
        ranks: VUS-PR by detector; NaN where nothing is labelled.
        rows: Of a labelled file, per detector and budget: true, false and missed anomalous rows, and normal ones.
        top: Of a file with one anomaly, by detector: whether the greatest score lies in it.
        nab: By budget and profile: raw score, and windows.
    """

    part: Part
    names: list[str] = field(default_factory=list)
    months: float = 0.0
    interval_s: int = 0
    openings: dict[tuple[str, float], Openings] = field(default_factory=dict)
    scores: dict[str, tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], Floats]] = field(default_factory=dict)
    faults: list[Fault] = field(default_factory=list)
    windows: list[tuple[int, int]] = field(default_factory=list)
    ranks: dict[str, float] = field(default_factory=dict)
    rows: dict[tuple[str, float], tuple[int, int, int, int]] = field(default_factory=dict)
    top: dict[str, bool] = field(default_factory=dict)
    nab: dict[tuple[float, str], float] = field(default_factory=dict)


def parts(
    directories: Sequence[Path], faults: bool, full: bool, seed: int, budgets: Sequence[float], rivals: bool,
    keep: Path | None,
) -> list[Part]:  # fmt: skip
    """What there is to run, the longest first as far as is known.

    Raises:
        CorpusError: A directory is no corpus, or nothing of it is to be run.
    """
    found = []
    for directory in directories:
        files = read_corpus(directory)
        name = directory.resolve().name
        common = (directory, FULL if full else SMALL_PIECES, seed, tuple(budgets), rivals, keep)
        if any(file.windows for file in files):
            chosen = files if full else files[:: max(1, -(-len(files) // SMALL_FILES))]
            found += [Part(name, file.name, *common) for file in chosen]
        elif faults:
            found += [Part(name, which, *common) for which in ("faults", "clean")]
        else:
            raise CorpusError(f"{directory}: has no labelled window; --faults puts faults into its series")
    return found


def run(todo: Sequence[Part], processes: int, progress: Callable[[int, int, str], None]) -> list[PartResult]:
    """All parts, in the order given; progress is called with parts done, parts in all and the last one's name."""
    with workers(processes) as pool:
        futures = {pool.submit(measure, part): part for part in todo}
        for done, future in enumerate(as_completed(futures), 1):
            future.result()
            progress(done, len(futures), f"{futures[future].corpus} {futures[future].name}")
        return [future.result() for future in futures]


def measure(part: Part) -> PartResult:
    """One part."""
    return _fleet(part) if part.name in ("clean", "faults") else _file(part)


# -- fleets ------------------------------------------------------------------------------------------------------


def _fleet(part: Part) -> PartResult:
    """Pieces of the corpus's series side by side, clean or each with a fault."""
    series = {}
    for file in read_corpus(part.directory):
        rows = read_rows(file.path)
        series[file.name] = (rows.at, rows.values)
    interval = _interval(next(iter(series.values()))[0])
    cut = pieces.cut(series, interval, part.pieces)
    faults: list[Fault] = []
    if part.name == "faults":
        cut, faults = pieces.with_faults(cut, part.seed)
    settings = configured({"interval": interval, "seed": part.seed})
    values = cut.values[:, :, None]
    recording = _recorded(part, lambda: record(settings, cut.names, cut.first, values))
    result = PartResult(part, list(cut.series), interval_s=interval, faults=faults)
    warm_up = settings.streams[STREAM].warm_up_slots
    result.months = (len(values) - warm_up) * len(cut.names) * interval / MONTH_S
    ours = _decisions(part, recording, {"interval": interval, "seed": part.seed})
    for budget, decided in ours.items():
        gaps = recording.gaps if faults else recording.gaps[:0]  # a clean piece's gap is none of the detector's doing
        result.openings[OURS, budget] = _openings(decided, gaps, cut.first)
    if part.rivals:
        rank = _grid(next(iter(ours.values())), cut.first, values.shape[:2])
        table = rivals.SideBySide(values, rank, cut.first, interval, warm_up, True, part.seed)
        for name, score in rivals.scores(table).items():
            result.scores[name] = _peaks(score)
    return result


def _recorded(part: Part, make: Callable[[], Recording]) -> Recording:
    """The part's recording, kept where one is to be kept."""
    if part.keep is None:
        return make()
    path = part.keep / f"{part.corpus}-{part.name.replace('/', '-')}-{part.pieces}-{part.seed}.npz"
    if not path.exists():
        part.keep.mkdir(parents=True, exist_ok=True)
        make().write(path)
    return Recording.read(path)


def _decisions(part: Part, recording: Recording, given: dict[str, Any]) -> dict[float, DecidedAgain]:
    """What is decided under each budget."""
    found = {}
    for budget in part.budgets:
        alerts = {"alerts": {"false_alarms_per_month": budget}}
        found[budget] = decide_again(recording, configured(given | alerts).streams[STREAM])
    return found


def _openings(decided: DecidedAgain, gaps: npt.NDArray[np.int64], first: int) -> Openings:
    """Episodes that open, and gaps, which are said in the slot in which they are noticed."""
    at = np.flatnonzero(decided.opened)
    series = np.concatenate([decided.row[at], gaps[:, 0]]).astype(np.int64)
    slot = np.concatenate([decided.slot[at], gaps[:, 1]]) - first
    return Openings(series, slot, np.concatenate([decided.notified[at], np.ones(len(gaps), bool)]))


def _grid(decided: DecidedAgain, first: int, shape: tuple[int, ...]) -> Floats:
    """Rank by slot and series, shape (T, N); NaN where there is none."""
    out = np.full(shape, np.nan)
    ok = decided.scored
    out[decided.slot[ok] - first, decided.row[ok]] = decided.rank[ok]
    return out


def _peaks(score: Floats) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], Floats]:
    """Readings greater than all of the `QUIET` before them: whatever the threshold, an episode opens at one of them.

    Returns:
        Series, slot and score of each, in order of series and slot.
    """
    before = np.zeros_like(score)
    for back in range(1, QUIET + 1):
        before[back:] = np.maximum(before[back:], score[:-back])
    slot, series = np.nonzero((score > before) & (score > 0))
    order = np.lexsort((slot, series))
    slot, series = slot[order], series[order]
    return series.astype(np.int64), slot.astype(np.int64), score[slot, series]


# -- labelled files ----------------------------------------------------------------------------------------------


def _file(part: Part) -> PartResult:
    """One file with its labelled windows."""
    file = next(f for f in read_corpus(part.directory) if f.name == part.name)
    rows = read_rows(file.path, every=True)
    interval = _interval(rows.at)
    slots, where = np.unique(rows.at // interval, return_inverse=True)
    first = int(slots[0])
    values = np.full((int(slots[-1]) - first + 1, 1, rows.values.shape[1]), np.nan)
    values[(rows.at // interval - first)[::-1], 0] = rows.values[::-1]  # of several in a slot the first counts
    given = _given(file, part, rows.at, interval, values.shape[2])
    recording = _recorded(part, lambda: record(configured(given), [file.name], first, values))
    result = PartResult(part, [file.name], interval_s=interval)
    warm_up = int(np.searchsorted(slots - first, given["warm_up"] // interval))
    judged = np.zeros(len(values), bool)
    judged[(slots - first)[warm_up:]] = True
    inside = np.zeros(len(values), bool)
    for a, b in file.windows:
        low, high = int(a) // interval - first, int(b) // interval - first
        result.windows.append((low, high))
        inside[low : high + 1] = True
    result.months = float(judged.sum()) * interval / MONTH_S
    ours = _decisions(part, recording, given)
    rank = np.nan_to_num(_grid(next(iter(ours.values())), first, values.shape[:2]))
    scores = {OURS: rank}
    if part.rivals:
        seasonal = not (part.directory / "probation.json").exists()
        table = rivals.SideBySide(values, rank, first, interval, given["warm_up"] // interval, seasonal, part.seed)
        scores |= rivals.scores(table)
    buffer = int(min(BUFFER, max(1, 86400 // interval)))
    for name, score in scores.items():
        column, labels = score[judged, 0], inside[judged]
        result.ranks[name] = vus_pr(column, labels, buffer)
        result.top[name] = bool(len(column) and inside[np.flatnonzero(judged)[int(column.argmax())]])
        if name != OURS:
            result.scores[name] = _peaks(np.where(judged[:, None], score, 0.0))
    for budget, decided in ours.items():
        result.openings[OURS, budget] = _openings(decided, recording.gaps[:0], first)
        result.rows[OURS, budget] = _row_counts(decided, first, judged, inside)
        at = rows.at.astype(np.float64)
        labelled = nab_score.label_rows(at, file.windows)
        notified = np.zeros(len(values), bool)
        notified[decided.slot[decided.notified] - first] = True
        for name, profile in nab_score.PROFILES.items():
            alarms = notified[slots - first][where]
            result.nab[budget, name] = nab_score.raw_score(labelled, alarms, profile)
    return result


def _given(file: CorpusFile, part: Part, at: npt.NDArray[np.int64], interval: int, width: int) -> dict[str, Any]:
    """Settings of a file's stream: its warm-up is what the corpus calls clean."""
    probation = part.directory / "probation.json"
    if probation.exists():
        warm_up = int(orjson.loads(probation.read_bytes())[file.name]) * interval
    elif width > 1:
        warm_up = VECTOR_WARM_UP * interval
    else:
        warm_up = warm_up_s(at, interval, 32)
    given: dict[str, Any] = {"interval": interval, "seed": part.seed, "warm_up": warm_up}
    if width > 1:
        given["format"] = {"value": [f"v{i}" for i in range(width)]}
    return given


def _row_counts(decided: DecidedAgain, first: int, judged: Bools, inside: Bools) -> tuple[int, int, int, int]:
    """Rows in an episode against those in a window: true, false, missed, and truly normal."""
    said = np.zeros(len(judged), bool)
    said[decided.slot[decided.episode] - first] = True
    said, truth = said[judged], inside[judged]
    return (
        int((said & truth).sum()),
        int((said & ~truth).sum()),
        int((~said & truth).sum()),
        int((~said & ~truth).sum()),
    )


def _interval(at: npt.NDArray[np.int64]) -> int:
    """The most frequent step between two stamps."""
    steps = np.diff(at)
    return int(Counter(steps[steps > 0].tolist()).most_common(1)[0][0])
