"""NAB's scoring against figures worked out by hand from its paper and its scorer's source."""

from __future__ import annotations

import math

import numpy as np
import pytest

from models.nab_score import PROFILES, LabelledRows, best_threshold, label_rows, normalise, probation, raw_score

STANDARD = PROFILES["standard"]


def rows(count: int = 200, windows: tuple[tuple[float, float], ...] = ((100, 109),)) -> LabelledRows:
    """Rows at instants 0, 1, 2, ... with a window of ten rows."""
    return label_rows(np.arange(count, dtype=float), windows)


def alarms(*where: int, count: int = 200) -> np.ndarray:
    """Alarms in these rows."""
    return np.isin(np.arange(count), where)


def test_probation_is_a_share_with_a_limit() -> None:
    """15 % of the file, rounded down, at most 750 rows."""
    assert [probation(n) for n in (0, 99, 4032, 5000, 22_695)] == [0, 14, 604, 750, 750]


def test_an_alarm_is_worth_most_at_its_windows_start() -> None:
    """1 in the first row, falling to a quarter in the last of ten, to nearly nothing in the last of a thousand."""
    worth = rows().worth
    assert worth[100] == 1.0
    assert worth[109] == pytest.approx(0.24492 / 0.98661, abs=1e-5)
    assert (np.diff(worth[100:110]) < 0).all()
    assert rows(3000, ((1000, 1999),)).worth[1999] == pytest.approx(0.0025 / 0.98661, abs=1e-4)


def test_a_false_alarm_costs_less_shortly_after_a_window() -> None:
    """-1 before the first window; after one, from nearly 0 to -1 at three window lengths and beyond."""
    worth = rows().worth
    assert (worth[:100] == -1.0).all()
    assert worth[110] == pytest.approx(2 / (1 + math.exp(5 / 9)) - 1)
    assert worth[109 + 27] == pytest.approx(2 / (1 + math.exp(15)) - 1)
    assert (worth[109 + 28 :] == -1.0).all()


def test_only_the_best_alarm_of_a_window_counts_and_every_false_one_does() -> None:
    """Two alarms in a window are worth the earlier one; two outside cost 0.11 each."""
    assert raw_score(rows(), alarms(100, 105), STANDARD) == pytest.approx(1.0)
    assert raw_score(rows(), alarms(50, 60, 100), STANDARD) == pytest.approx(1.0 - 2 * 0.11)
    assert raw_score(rows(), alarms(50, 60, 100), PROFILES["reward_low_FP_rate"]) == pytest.approx(1.0 - 2 * 0.22)


def test_a_missed_window_costs_what_the_profile_says() -> None:
    """1, and 2 where missing is punished."""
    assert raw_score(rows(), alarms(), STANDARD) == -1.0
    assert raw_score(rows(), alarms(), PROFILES["reward_low_FN_rate"]) == -2.0


def test_alarms_on_probation_are_free() -> None:
    """The first 30 of 200 rows are not scored."""
    assert raw_score(rows(), alarms(0, 29, 100), STANDARD) == 1.0
    assert raw_score(rows(), alarms(30, 100), STANDARD) == pytest.approx(0.89)


@pytest.mark.parametrize("name", PROFILES)
def test_silence_is_0_and_perfection_100(name: str) -> None:
    """The scale of every profile; and half the windows found in their first rows is half of it."""
    profile, two = PROFILES[name], rows(windows=((100, 109), (150, 159)))
    scores = [normalise(raw_score(two, alarms(*where), profile), 2, profile) for where in ((), (100,), (100, 150))]
    assert scores == pytest.approx([0.0, 50.0, 100.0])


def test_a_window_ends_at_the_first_row_of_its_last_instant() -> None:
    """As in NAB's scorer, where stamps repeat."""
    at = np.array([0.0, 1, 2, 3, 3, 4, 5, 6])
    assert label_rows(at, [(2, 3)]).window.tolist() == [-1, -1, 0, 0, -1, -1, -1, -1]
    assert label_rows(at, [(2, 3.5)]).window.tolist() == [-1, -1, 0, 0, 0, -1, -1, -1]


@pytest.mark.parametrize("name", PROFILES)
def test_the_best_threshold_is_the_best_of_all(name: str) -> None:
    """NAB's rule equals trying every threshold on two files with tied scores."""
    rng, profile = np.random.default_rng(0), PROFILES[name]
    for _ in range(20):
        files = [(rows(windows=w), rng.integers(0, 12, 200).astype(float)) for w in (((60, 79), (150, 169)), ())]
        tried = {t: sum(raw_score(r, s >= t, profile) for r, s in files) for t in (*range(12), math.inf)}
        best = best_threshold(files, profile)
        assert best.raw == pytest.approx(max(tried.values()))
        assert best.raw == pytest.approx(tried[best.threshold])


def test_where_nothing_is_anomalous_silence_is_best() -> None:
    """No windows: any alarm costs, so the threshold is infinite; and 0 need not mean a score."""
    assert best_threshold([(rows(windows=()), np.ones(200))], STANDARD).threshold == math.inf
    found = best_threshold([(rows(), np.where(alarms(100), 0.0, -1.0))], STANDARD, lowest=0.0)
    assert (found.threshold, found.raw) == (math.inf, -1.0)
