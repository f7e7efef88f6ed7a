"""The gate: what helps passes, what harms is refused with its numbers, and both learned on other windows."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np
import pytest

from models import gate
from models.bundle import Bundle, BundleError
from models.gate import GateRule, held_back, judge
from models.gate_windows import GateSample, injected, separation
from models.injection import KINDS
from models.scorer import Scorer
from models.training import train
from models.training_request import TrainingRequest

RULE = GateRule(worse_error=0.10, worse_detection=0.03)
WINDOW, SLOTS = 16, 700


def request(seed: int = 0) -> TrainingRequest:
    """A tuning of nothing yet, on windows of a daily season with a little noise."""
    rng = np.random.default_rng(seed)
    values = 0.5 + 0.4 * np.sin(2 * np.pi * np.arange(SLOTS + WINDOW) / 48) + 0.03 * rng.standard_normal(SLOTS + WINDOW)
    x = np.lib.stride_tricks.sliding_window_view(values.astype(np.float32), WINDOW)[:SLOTS, :, None].copy()
    return TrainingRequest(
        stream="s",
        slot=SLOTS,
        seed=seed,
        kind="fresh",
        architecture="masked-autoencoder",
        window=WINDOW,
        width=1,
        masked=2,
        copies=2,
        interval_s=1800,
        daily=False,
        weekly=False,
        trained_from=None,
        trained_to=None,
        parent=None,
        x=x,
        observed=np.ones(x.shape[:2], np.bool_),
        calendar=np.zeros((len(x), 4), np.float32),
        recent=400,
    )


@cache
def champion() -> Bundle:
    """A network that knows the season."""
    return train(request())


def tuned(x: np.ndarray | None = None) -> Scorer:
    """The champion after a tuning on the same windows, or on `x`."""
    asked = replace(request(), kind="tune", parent=champion())
    return Scorer(train(asked if x is None else replace(asked, x=x.astype(np.float32))))


def sample(count: int = 128) -> GateSample:
    """Windows of other noise than the training's."""
    other = request(seed=1)
    at = np.linspace(0, SLOTS - 1, count).astype(int)
    return GateSample(other.x[at], other.observed[at], at.astype(np.int64) * 1800, -3.0, 4.0, (0, SLOTS))


NONE = sample(0)


def test_a_tuning_on_good_data_passes() -> None:
    """Its numbers say how both did; the champion tells anomalies apart, so detection is worth comparing."""
    verdict = judge(Scorer(champion()), tuned(), sample(), NONE, RULE)
    assert (verdict.passed, verdict.reason) == (True, "passed")
    n = verdict.numbers
    assert n["windows"] == 128
    assert n["champion_detection"] > 0.75
    assert 0.3 < n["champion_recall"] < 1
    assert {f"candidate_detection_{kind}" for kind in KINDS} < set(n)


def test_a_verdict_is_a_pure_function() -> None:
    """The same networks and windows give the same numbers, bit for bit."""
    first, second = (judge(Scorer(champion()), tuned(), sample(), NONE, RULE) for _ in range(2))
    assert first == second


@pytest.mark.parametrize("poison", ["garbage", "half_garbage", "shifted", "constant", "shuffled", "taught_fault"])
def test_a_poisoned_training_is_refused(poison: str) -> None:
    """Twenty steps on windows that are not the series' own, and the gate says no."""
    rng, x = np.random.default_rng(0), request().x.copy()
    if poison == "garbage":
        x = rng.uniform(-3, 4, x.shape).astype(np.float32)
    elif poison == "half_garbage":
        x[::2] = rng.uniform(-3, 4, x[::2].shape)
    elif poison == "shifted":
        x += 0.4
    elif poison == "constant":
        x[:] = 0
    elif poison == "shuffled":
        rng.shuffle(x, axis=1)
    else:
        x[::2, -4:] -= 0.4
    verdict = judge(Scorer(champion()), tuned(x), sample(), NONE, RULE)
    assert not verdict.passed
    assert verdict.reason in ("worse_error", "worse_detection")
    assert verdict.numbers["candidate_error"] > verdict.numbers["champion_error"]


def faults(by: float) -> GateSample:
    """Windows of episodes: the newest four slots are low."""
    s = sample(64)
    x = s.x.copy()
    x[:, -4:] -= by
    return replace(s, x=x)


def test_a_model_that_would_miss_the_taught_fault_is_refused() -> None:
    """Its error and its detection of other anomalies may pass: the stream's own faults decide by themselves."""
    x = request().x.copy()
    x[::2, -4:] -= 0.4
    lenient = GateRule(worse_error=10.0, worse_detection=0.05)
    sample_, before = sample(), Scorer(champion())
    verdict = judge(before, tuned(x), sample_, faults(0.4), GateRule(10.0, 0.5))
    n = verdict.numbers
    assert n["faults"] == 64
    assert n["champion_faults"] > 0.95
    assert n["candidate_faults"] < n["champion_faults"] - 0.05
    deciding = n | {"candidate_detection": n["champion_detection"]}
    assert gate._decide(deciding, lenient).reason == "worse_faults"
    assert judge(before, tuned(), sample_, faults(0.4), RULE).passed, "good data does not unlearn it"


def test_what_neither_network_finds_is_no_fault_any_more() -> None:
    """Episodes at the beginning of a drift are like any other window once the drift has gone on."""
    verdict = judge(Scorer(champion()), tuned(), sample(), sample(), RULE)
    assert verdict.passed
    assert verdict.numbers["faults"] < 30, "one in ten is above the clean ones' 90 % quantile"
    few = judge(Scorer(champion()), tuned(), sample(), sample(40), RULE)
    assert "champion_faults" not in few.numbers


def test_a_network_that_calls_everything_normal_is_refused_for_its_detection() -> None:
    """Better on clean windows, blind to anomalies: the error alone would let it pass."""
    numbers = {"windows": 128.0, "champion_error": 0.05, "candidate_error": 0.04}
    numbers |= {"champion_detection": 0.80, "candidate_detection": 0.76}
    verdict = gate._decide(numbers, RULE)
    assert (verdict.passed, verdict.reason) == (False, "worse_detection")
    assert "0.7600" in verdict.text
    assert gate._decide(numbers | {"candidate_detection": 0.775}, RULE).passed


def test_a_little_worse_is_allowed() -> None:
    """Up to `worse_error` more error and `worse_detection` less area, of injected anomalies and of episodes alike."""
    numbers = {"windows": 128.0, "champion_error": 0.050, "candidate_error": 0.0549}
    numbers |= {"champion_detection": 0.80, "candidate_detection": 0.78}
    numbers |= {"faults": 8.0, "champion_faults": 0.9, "candidate_faults": 0.88}
    assert gate._decide(numbers, RULE).passed
    for worse, reason in (
        ({"candidate_error": 0.0551}, "worse_error"),
        ({"candidate_detection": 0.769}, "worse_detection"),
        ({"candidate_faults": 0.869}, "worse_faults"),
    ):
        assert gate._decide(numbers | worse, RULE).reason == reason


@pytest.mark.parametrize(("found", "told"), [(7, False), (8, True)])
def test_few_faults_say_nothing(found: int, told: bool) -> None:
    """Eight windows of episodes that one of the two finds are the least that the gate goes by."""
    clean = np.linspace(0.0, 1.0, 100)
    faults = np.r_[np.full(found, 2.0), np.zeros(20)]
    seen = gate._Measured(clean, np.zeros((len(KINDS), 1)), faults)
    blind = gate._Measured(clean, np.zeros((len(KINDS), 1)), np.zeros_like(faults))
    numbers = gate._faults([seen, blind])
    assert numbers == (
        {"faults": 8.0, "champion_faults": 1.0, "candidate_faults": numbers["candidate_faults"]} if told else {}
    )


def test_what_is_not_finite_never_passes() -> None:
    """Neither a weight nor an error, with a champion or without, with windows or without."""
    bad = replace(champion(), weights={n: w * np.float32(np.nan) for n, w in champion().weights.items()})
    with pytest.raises(BundleError, match="not finite") as caught:
        Scorer(bad)
    assert (gate.unusable(caught.value).passed, gate.unusable(caught.value).reason) == (False, "not_finite")
    huge = Scorer(replace(champion(), weights={n: w * np.float32(1e30) for n, w in champion().weights.items()}))
    for before in (Scorer(champion()), None):
        verdict = judge(before, huge, sample(), NONE, RULE)
        assert (verdict.passed, verdict.reason) == (False, "not_finite")
        assert all(np.isfinite(list(verdict.numbers.values())))


def test_the_first_model_and_one_without_windows_pass_when_finite() -> None:
    """There is nothing to compare with, or nothing to compare on."""
    assert judge(None, tuned(), sample(), NONE, RULE).reason == "first"
    few = judge(Scorer(champion()), tuned(np.zeros((SLOTS, WINDOW, 1))), sample(15), NONE, RULE)
    assert (few.passed, few.reason) == (True, "few_windows")
    assert judge(Scorer(champion()), tuned(), sample(0), NONE, RULE).passed


def test_held_back_is_one_stretch_in_eight() -> None:
    """Whole stretches of a window's length, one of every eight, drawn differently for each seed; before 1970 too."""
    slots = np.arange(-4096, 4096)
    held = held_back(slots, WINDOW, 3)
    stretches = held.reshape(-1, WINDOW)
    assert (stretches.all(axis=1) | ~stretches.any(axis=1)).all()
    assert (stretches[:, 0].reshape(-1, 8).sum(axis=1) == 1).all()
    assert len(set(np.flatnonzero(stretches[:, 0]) % 8)) == 8, "no time of day is held back for ever"
    assert not np.array_equal(held, held_back(slots, WINDOW, 4))
    assert np.array_equal(held[100:200], held_back(slots[100:200], WINDOW, 3)), "a slot's answer is its own"


@pytest.mark.parametrize("width", [1, 3])
def test_injected_windows_keep_their_past(width: int) -> None:
    """Every kind changes the newest half at most, within the range of scaled values, for one variable or more."""
    s = sample()
    s = replace(s, x=np.repeat(s.x, width, axis=2))
    x = injected(s)
    assert x.shape == (len(KINDS), 128, WINDOW, width)
    assert np.array_equal(x[:, :, : WINDOW // 2], np.broadcast_to(s.x, x.shape)[:, :, : WINDOW // 2])
    assert x.min() >= -3
    assert x.max() <= 4
    changed = (x != s.x).any(axis=(2, 3)).mean(axis=1)
    assert (changed > 0.9).all(), dict(zip(KINDS, changed, strict=True))


def test_separation_is_the_area_under_the_roc_curve() -> None:
    """The share of pairs in the right order, ties counting half."""
    rng = np.random.default_rng(0)
    clean, anomalous = rng.integers(0, 20, 50).astype(float), rng.integers(5, 25, 70).astype(float)
    pairs = (anomalous[:, None] > clean) + 0.5 * (anomalous[:, None] == clean)
    assert separation(clean, anomalous) == pytest.approx(pairs.mean())
    assert separation(clean, clean) == 0.5
