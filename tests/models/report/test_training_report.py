"""What a report of several trainings shows: one line a variant, not one a training."""

from __future__ import annotations

import numpy as np
import pytest

from daemon.offline.train_report import _mean
from models.offline.epochs import Epoch, Progress
from models.report.figures import Table, cells, within
from models.report.training_report import ScoredTraining, Variant, error_figures, learning, report


def variant(name: str, losses: list[float], group: str = "") -> Variant:
    """A variant whose losses of both parts were these."""
    epochs = [Epoch(i + 1, 0.1, loss, loss / 2) for i, loss in enumerate(losses)]
    return Variant(name, 1, 1.0, Progress(epochs, 1, "epochs"), {}, {}, {}, group)


def test_a_group_s_curves_are_one_mean() -> None:
    """Trainings of a group are averaged over those that had not ended; what has no group keeps its own line."""
    made = [variant("a 0", [4.0, 2.0, 1.0], "a"), variant("a 1", [2.0, 1.0], "a"), variant("b", [3.0])]
    (figure,) = learning([*made, Variant("a rule", 0, None, Progress(), {})])
    assert [trace.name for trace in figure.traces] == ["a, train", "a, validation", "b, train", "b, validation"]
    assert figure.traces[0].y.tolist() == pytest.approx([3, 1.5, 1])
    assert figure.traces[1].y.tolist() == pytest.approx([1.5, 0.75, 0.5])
    assert np.array_equal(figure.traces[0].x, [1, 2, 3])
    assert "mean of a variant's trainings" in figure.note


def test_a_single_training_says_nothing_of_means() -> None:
    """One training a variant: its own curve, and no word on others."""
    made = report("t", [], [variant("a", [2.0], "a")], [], [])
    (figure,) = [part for part in made.figures() if part.key == "loss"]
    assert "mean of a variant's" not in figure.note


def test_a_rule_without_a_training_is_no_second_one() -> None:
    """A baseline beside one training does not make its curve a mean."""
    (figure,) = learning([variant("a", [2.0], "a"), Variant("z-score rule", 0, None, Progress(), {})])
    assert "mean of a variant's" not in figure.note


def test_a_column_s_numbers_have_one_number_of_decimals() -> None:
    """As many as one of them needs; whole numbers, words and what is missing stay as they are."""
    table = Table(
        "", ("name", "auc", "slots", "count"), [["a", 0.5, 115.0, 1], ["b", 0.5125, None, 2000], ["c", 1.0, 3.5, 3]]
    )
    assert cells(table) == [["a", "0.5000", "115.0", "1"], ["b", "0.5125", "-", "2,000"], ["c", "1.0000", "3.5", "3"]]


def test_figures_of_time_lie_below_each_other() -> None:
    """Errors begin a window after the readings; both figures show the same stretch of time."""
    at = np.arange(40, dtype=np.int64) * 1800
    scored = ScoredTraining("a", at, np.ones(40), {"test": at[31:]}, {"test": np.linspace(0, 1, 9)}, 0.5, [])
    _, over_time, series = error_figures(scored, 0)
    assert over_time.x_range == series.x_range == (np.datetime64(0, "s"), np.datetime64(39 * 1800, "s"))


def test_spans_end_with_the_readings() -> None:
    """Labelled windows beside the readings are not shown, those that reach out of them are cut off."""
    assert within([(0, 5), (8, 12), (18, 30), (40, 50)], np.array([10, 15, 20])) == [(10, 12), (18, 20)]


def test_means_have_the_digits_that_their_deviation_allows() -> None:
    """Two digits of the deviation; none where all are equal; a dash where a figure is missing."""
    assert _mean([0.5, 0.52, 0.54]) == "0.520 ± 0.020"
    assert _mean([24, 31, 39]) == "31.3 ± 7.5"
    assert _mean([75.5, 75.5]) == "75.5"
    assert _mean([float("nan"), 1.0]) == "-"
