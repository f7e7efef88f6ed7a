"""`tidegauge bench detection`: what is put in, what is decided again, what the figures count."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from typer.testing import CliRunner

from daemon.bench import pieces, rivals, tape
from daemon.bench.detection import OURS, Openings, Part, PartResult
from daemon.bench.detection_figures import fleet_figures
from daemon.bench.meter_faults import KINDS, Fault, put, spread
from daemon.cli.main import app
from daemon.config.file import effective
from daemon.engine.machine.engine import Engine
from daemon.engine.messages.inputs import Batch, Configured
from daemon.trainer.trainer import InlineTrainer

DAY = 48


def household(days: int, seed: int = 0) -> npt.NDArray[np.float64]:
    """Half-hourly kWh: a daily shape, noise in proportion."""
    rng, t = np.random.default_rng(seed), np.arange(days * DAY)
    return (0.3 + 0.2 * np.sin(2 * np.pi * (t - 16) / DAY)) * np.exp(0.2 * rng.standard_normal(len(t)))


@pytest.mark.parametrize("kind", KINDS)
def test_a_fault_changes_a_series_from_its_start_on_and_nothing_before(kind: str) -> None:
    """Twice the same arguments give the same bits; what lies before the start and after the end stays as it was."""
    values, other = household(90), household(90, 1)
    changed, fault = put(values, other, kind, pieces.START_DAY * DAY, DAY, 2, 7)
    again, _ = put(values, other, kind, pieces.START_DAY * DAY, DAY, 2, 7)
    assert np.array_equal(changed, again, equal_nan=True)
    assert np.array_equal(changed[: fault.start], values[: fault.start])
    assert np.array_equal(changed[fault.end :], values[fault.end :])
    assert not np.array_equal(changed[fault.start : fault.end], values[fault.start : fault.end], equal_nan=True)
    assert fault.start < fault.until <= len(values)


def test_a_spike_is_as_many_local_spreads_high_as_its_turn_says() -> None:
    """Turn 1 is 6 spreads, in spreads of the four weeks before."""
    values = household(90)
    changed, fault = put(values, values, "spike", 0, DAY, 1, 3)
    size = (changed - values)[fault.start] / spread(values[: fault.start], DAY)
    assert size == pytest.approx(6.0)


def test_pieces_begin_on_one_monday_and_keep_their_time_of_week() -> None:
    """A series that begins on a Thursday is cut from its first Monday on; a piece with a hole is left out."""
    at = int(datetime(2015, 1, 1, tzinfo=UTC).timestamp()) + 1800 * np.arange(230 * DAY)
    values = np.arange(len(at), dtype=float)
    holed = (values < 110 * DAY) | (values > 130 * DAY)
    cut = pieces.cut({"a": (at, values), "b": (at[holed], values[holed])}, 1800, None)
    assert cut.series == ("a", "a", "b")
    assert cut.values.shape == (90 * DAY, 3)
    first = datetime.fromtimestamp(int(at[int(cut.values[0, 0])]), UTC)
    assert (first.weekday(), first.hour) == (0, 0)
    assert datetime.fromtimestamp(cut.first * 1800, UTC).weekday() == 0


def test_what_is_decided_again_is_what_the_engine_decided(tmp_path: Path) -> None:
    """A recording kept in a file gives the engine's own ranks, rarities, openings and notifications, bit for bit."""
    values = np.stack([household(24), household(24, 1)], 1)[:, :, None]
    values[18 * DAY : 18 * DAY + 6, 1] += 3.0
    values[20 * DAY : 20 * DAY + 5, 0] = np.nan
    settings = tape.configured({"interval": 1800, "warm_up": 10 * 86400, "model": {"copies": 2}})
    tape.record(settings, ["a", "b"], 0, values).write(tmp_path / "kept.npz")
    kept = tape.Recording.read(tmp_path / "kept.npz")
    again = tape.decide_again(kept, settings.streams[tape.STREAM])

    engine = Engine(InlineTrainer())
    engine.step(Configured(effective(settings)))
    seen = []
    engine.streams[tape.STREAM].scoring.observers.append(
        lambda e, n, _, out: seen.append(
            np.stack([e.row[:n], e.slot[:n], out.rank[:n], out.rarity[:n], out.code[:n] == 1, out.notify[:n]])
        )
    )
    for t, row in enumerate(values[:, :, 0]):
        there = np.flatnonzero(~np.isnan(row)).astype(np.int32)
        at, folds = np.full(len(there), t * 1800_000), np.zeros(len(there), np.int32)
        engine.step(Batch(tape.STREAM, 0, ["a", "b"], there, at, folds, row[there][:, None].copy()))
    want = np.concatenate(seen, axis=1)
    got = np.stack([again.row, again.slot, again.rank, again.rarity, again.opened, again.notified])
    assert np.array_equal(got, want)
    assert again.opened.any()
    assert again.episode[again.opened].all()


def fleet(openings: list[tuple[int, int]], faults: list[Fault]) -> PartResult:
    """Two series of one piece each, judged for a month each."""
    part = Part("made", "faults" if faults else "clean", Path(), 1, 0, (1.0,), False, None)
    series, slots = (np.array([o[i] for o in openings], np.int64) for i in range(2))
    result = PartResult(part, ["a", "b"], months=2.0, interval_s=1800, faults=faults)
    result.openings[OURS, 1.0] = Openings(series, slots, np.ones(len(series), bool))
    return result


def test_an_episode_counts_as_found_only_from_the_fault_on_and_in_its_time() -> None:
    """One opened two slots after the start of its fault counts, one before its start does not; rates are per month."""
    faults = [Fault("spike", 100, 101, 103), Fault("spike", 100, 101, 103)]
    figures = fleet_figures(
        {"clean": fleet([(0, 5), (0, 900), (1, 7)], []), "faults": fleet([(0, 102), (1, 99)], faults)}, [1.0]
    )
    (rate,) = figures["rates"]
    assert rate["per_month"] == pytest.approx(1.5)
    assert rate["by_series"] == {"a": pytest.approx(2.0), "b": pytest.approx(1.0)}
    (found,) = figures["found"]
    assert (found["faults"], found["share"], found["median_delay_slots"]) == (2, 0.5, 2.0)


def test_rivals_see_a_spike_and_the_chart_of_vectors_a_lasting_shift() -> None:
    """Innovation is greatest at a single reading off, MEWMA within a shift of 1.5 deviations in three of eight."""
    values = household(30)
    values[1200] += 2.0
    table = rivals.SideBySide(values[:, None, None], np.zeros((1440, 1)), 0, 1800, 14 * DAY, True, 0)
    assert int(rivals.scores(table)["innovation"][:, 0].argmax()) in (1200, 1201)
    vectors = np.random.default_rng(0).standard_normal((1000, 1, 8))
    vectors[700:800, :, :3] += 1.5
    chart = rivals.mewma(rivals.SideBySide(vectors, np.zeros((1000, 1)), 0, 1, 400, False, 0))[:, 0]
    assert chart[720:800].min() > np.quantile(chart[400:700], 0.99)


def stamp(row: int) -> str:
    """Of half-hourly rows."""
    return (datetime(2020, 1, 1) + timedelta(minutes=30 * row)).strftime("%Y-%m-%d %H:%M:%S")


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    """One labelled file, whose clock is set back an hour once."""
    rows, values = [*range(300), *range(298, 430)], household(9)
    values[350:360] += 3.0
    (tmp_path / "labels").mkdir()
    (tmp_path / "data/g").mkdir(parents=True)
    lines = [f"{stamp(i)},{values[i]:.3f}" for i in rows]
    (tmp_path / "data/g/a.csv").write_text("timestamp,value\n" + "\n".join(lines) + "\n")
    windows = {"g/a.csv": [[stamp(345), stamp(370)]]}
    (tmp_path / "labels/combined_windows.json").write_text(json.dumps(windows))
    return tmp_path


@pytest.mark.parametrize("command", ["nab", "detection"])
def test_a_corpus_whose_stamps_go_back_an_hour_runs(command: str, corpus: Path) -> None:
    """The hour that comes twice is late to the engine; the fault after it is found."""
    options = ["--no-baselines", "--jobs", "1", *(["--keep", str(corpus / "kept")] if command == "detection" else [])]
    said = CliRunner().invoke(app, ["bench", command, str(corpus), *options, "--json"])
    assert said.exit_code == 0, said.output
    figures = json.loads(said.stdout)
    if command == "nab":
        assert figures["detectors"][OURS]["mean"]["windows_found"] == 1
    else:
        (one,) = [e for e in figures["corpora"][corpus.name]["events"] if e["budget"] == 5.0]
        assert one["found"] == 1
        said = CliRunner().invoke(app, ["bench", command, str(corpus), *options])
        assert (said.exit_code, "Labelled windows found" in said.output) == (0, True), said.output


def test_series_without_labels_need_faults(corpus: Path) -> None:
    """A corpus without windows is refused unless faults are put in."""
    (corpus / "labels/combined_windows.json").write_text(json.dumps({"g/a.csv": []}))
    said = CliRunner().invoke(app, ["bench", "detection", str(corpus)])
    assert said.exit_code == 1
    assert "--faults" in said.output


def test_left_out_means_are_over_the_other_corpora() -> None:
    """With two corpora, leaving one out leaves the other's share."""
    from daemon.bench.detection_figures import left_out

    def events(found: int) -> dict[str, object]:
        return {"events": [{"detector": OURS, "budget": 1.0, "found": found, "windows": 4}]}

    table = left_out({"budgets": [1.0], "corpora": {"a": events(1), "b": events(3)}})
    assert [(one["left_out"], one["ours"]) for one in table] == [("nothing", 0.5), ("a", 0.75), ("b", 0.25)]


def test_processes_that_measure_end_with_the_one_that_asked() -> None:
    """A parent that is killed leaves no worker behind."""
    code = (
        "from daemon.bench.workers import workers\nimport os, time\n"
        "with workers(1) as pool:\n"
        "    print(pool.submit(os.getpid).result(), flush=True)\n    time.sleep(60)\n"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        worker = int(parent.stdout.readline())
        parent.kill()
    deadline = time.monotonic() + 20
    while Path(f"/proc/{worker}/stat").exists() and time.monotonic() < deadline:
        if Path(f"/proc/{worker}/stat").read_text().split()[2] == "Z":
            break
        time.sleep(0.05)
    else:
        assert not Path(f"/proc/{worker}/stat").exists()
