from __future__ import annotations

import threading
from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from models.architectures import build
from models.bundle import BundleError
from models.scorer import Scorer, Scores
from tests.models.samples import bundle

ROWS = 1400
RNG = np.random.default_rng(11)
X = RNG.standard_normal((ROWS, 16, 2)).astype(np.float32)
OBSERVED = RNG.random((ROWS, 16)) < 0.9
CALENDAR = RNG.standard_normal((ROWS, 4)).astype(np.float32)
SCORER = Scorer(bundle(width=2))
WHOLE = SCORER.score(X, OBSERVED, CALENDAR)


def same_bits(a: Scores, b: Scores) -> bool:
    return all(p.tobytes() == q.tobytes() and p.shape == q.shape for p, q in zip(a, b, strict=True))


def at(rows: object) -> Scores:
    return Scores(*(part[rows] for part in WHOLE))  # type: ignore[call-overload]


@settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(0, ROWS), max_size=6))
def test_cuts_do_not_matter(places: list[int]) -> None:
    """However the windows are cut into batches, their scores are bitwise the same."""
    cuts = [0, *sorted(places), ROWS]
    parts = [SCORER.score(X[a:b], OBSERVED[a:b], CALENDAR[a:b]) for a, b in pairwise(cuts)]
    assert same_bits(Scores(*(np.concatenate(part) for part in zip(*parts, strict=True))), WHOLE)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(0, ROWS - 1), max_size=700))
def test_places_do_not_matter(rows: list[int]) -> None:
    """In whatever order, company and number the windows come, each has its own bits."""
    assert same_bits(SCORER.score(X[rows], OBSERVED[rows], CALENDAR[rows]), at(rows))


@pytest.mark.parametrize("count", [0, 1, 16, 17, 32, 33, 64, 65, 128, 129, 256, 257, 512, 513, 1400])
def test_every_number_of_rows_is_scored(count: int) -> None:
    """Around each padded size nothing is lost, repeated or padded into the result; no rows are fine too."""
    assert same_bits(SCORER.score(X[:count], OBSERVED[:count], CALENDAR[:count]), at(slice(count)))


def test_scores_are_the_networks() -> None:
    """The scorer's numbers are those of the plain module with the same weights."""
    net = build("masked-autoencoder", SCORER.manifest.network)
    net.load_state_dict({name: torch.from_numpy(w) for name, w in bundle(width=2).weights.items()})
    with torch.no_grad():
        outputs = net(torch.from_numpy(X), torch.from_numpy(OBSERVED), torch.from_numpy(CALENDAR))
    for mine, theirs in zip(WHOLE, outputs, strict=True):
        np.testing.assert_allclose(mine, theirs.numpy(), rtol=1e-4, atol=1e-6)


def test_first_and_later_runs_and_other_threads_agree() -> None:
    """A new scorer's first runs, its later ones, and those in another thread have the same bits."""
    scorer, runs = Scorer(bundle(width=2)), []
    for _ in range(4):
        runs.append(scorer.score(X[:40], OBSERVED[:40], CALENDAR[:40]))
    thread = threading.Thread(target=lambda: runs.append(SCORER.score(X[:40], OBSERVED[:40], CALENDAR[:40])))
    thread.start()
    thread.join()
    assert len(runs) == 5
    assert all(same_bits(run, at(slice(40))) for run in runs)


def test_scorers_of_one_shape_keep_their_own_weights() -> None:
    """A second bundle of the same shape does not change what the first scorer says."""
    changed = {name: array * np.float32(0.5) for name, array in bundle(width=2).weights.items()}
    other = Scorer(type(bundle())(bundle(width=2).manifest, changed, {}))
    assert not same_bits(other.score(X[:9], OBSERVED[:9], CALENDAR[:9]), at(slice(9)))
    assert same_bits(SCORER.score(X[:9], OBSERVED[:9], CALENDAR[:9]), at(slice(9)))


def test_views_and_read_only_arrays_are_scored() -> None:
    """Neither a stride nor a write protection of the caller's arrays matters, and they are not changed."""
    x = X[::2].copy()
    x.flags.writeable = False
    assert same_bits(SCORER.score(x, OBSERVED[::2], CALENDAR[::2]), at(slice(None, None, 2)))


def test_a_window_without_a_single_reading_has_no_error() -> None:
    """All gaps give errors of 0 over observed slots, never NaN."""
    scores = SCORER.score(X[:3], np.zeros((3, 16), bool), CALENDAR[:3])
    assert scores.rms.tolist() == [0, 0, 0]
    assert not scores.slot_error.any()


def test_windows_of_another_shape_are_refused() -> None:
    """A window of another length or width is an error that names both."""
    with pytest.raises(ValueError, match=r"windows of \(16, 2\)"):
        SCORER.score(X[:, 1:], OBSERVED[:, 1:], CALENDAR)


def test_a_machine_whose_bits_depend_on_the_place_does_not_serve(monkeypatch: pytest.MonkeyPatch) -> None:
    """The self-test notices one differing bit in one place of one size."""
    run = Scorer._run

    def faulty(self: Scorer, size: int, *parts: np.ndarray) -> tuple[torch.Tensor, ...]:
        outputs = tuple(part.clone() for part in run(self, size, *parts))
        if size == 512:
            outputs[1][511] = torch.nextafter(outputs[1][511], torch.tensor(9.0))
        return outputs

    monkeypatch.setattr(Scorer, "_run", faulty)
    with pytest.raises(BundleError, match="not serving"):
        Scorer(bundle(width=2))
