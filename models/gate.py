"""The promotion gate: a retrained network serves only if it is not worse than the one in service.

Both score the same windows, which no training saw: as they are, and each with one of every kind of injected anomaly
near its newest slot. Worse means: its error on the clean ones is greater by more than `worse_error`, or it tells the
anomalous from the clean ones less well by more than `worse_detection`. The first catches a network that unlearned what
is normal, the second one that learned to call everything normal. Windows of the stream's own episodes are told apart
too, as long as one of the two networks finds them: what neither does has become usual. What is not finite never passes.

The verdict is a pure function of two networks and a sample: the same everywhere the scores have the same bits.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from models.bundle import BundleError
from models.gate_windows import GateSample, injected, separation, summed, trimmed
from models.injection import KINDS
from models.scorer import Scorer
from models.splitmix import splitmix64

LEAST_FAULTS = 8  # windows of episodes that a network finds; fewer say nothing
FOUND = 0.9  # quantile of the clean errors above which a window is found
LEAST_WINDOWS = 16  # held back; with fewer there is nothing to judge by
MOST_WINDOWS = 128
HELD_BACK = 8  # one stretch in so many
_NETWORKS = ("champion", "candidate")


@dataclass(frozen=True)
class GateRule:
    """How much worse is too much.

    Attributes:
        worse_error: Share by which the candidate's held-back error may exceed the champion's.
        worse_detection: By how much its area under the ROC curve may be below the champion's.
    """

    worse_error: float
    worse_detection: float


@dataclass(frozen=True)
class Verdict:
    """What the gate decided and why.

    Attributes:
        passed: Whether the candidate may serve.
        reason: It passed: `passed`, `first`, `few_windows`, `off`; it did not: `worse_error`, `worse_detection`,
            `worse_faults`, `not_finite`, `unusable`, `outdated`.
        text: The reason in words, with its numbers.
        numbers: `windows`, then for `champion` and `candidate` each `_error` (mean of the sum of newest and root mean
            squared error, units of the scaled windows), `_detection` (area under the ROC curve, 0 to 1), over all kinds
            and, as `_detection_KIND`, for each, and `_recall` (share of all kinds above nine in ten clean windows);
            `_faults`, the same area for those windows of the stream's own episodes that one of the two finds, `faults`
            of them, where they are enough. Empty where nothing was scored.
    """

    passed: bool
    reason: str
    text: str
    numbers: dict[str, float] = field(default_factory=dict)


def judge(
    champion: Scorer | None, candidate: Scorer, sample: GateSample, faults: GateSample, rule: GateRule
) -> Verdict:
    """Whether `candidate` may take the place of `champion`.

    It takes scorers, not bundles, because the engine has the one and needs the other anyway; making one costs as much
    as half of all the scoring here. Of weights that are not finite no scorer can be made: `unusable`.

    Args:
        champion: The network in service; None before the first, whose successor needs only to be finite.
        candidate: The network that a training made.
        sample: Windows that no training saw.
        faults: Windows of episodes, which no training saw either; there may be none.
        rule: How much worse is too much.
    """
    count = len(sample.x)
    if champion is None:
        return _finite_only(candidate, sample, "first", "the stream's first model")
    if count < LEAST_WINDOWS:
        return _finite_only(candidate, sample, "few_windows", f"only {count} held-back windows to judge it by")
    anomalous = injected(sample)
    measured = [_measure(scorer, sample, anomalous, faults) for scorer in (champion, candidate)]
    numbers: dict[str, float] = {"windows": float(count)}
    for name, each in zip(_NETWORKS, measured, strict=True):
        numbers |= {f"{name}_{key}": value for key, value in each.numbers().items()}
    return _decide(numbers | _faults(measured), rule)


def unusable(error: BundleError) -> Verdict:
    """The verdict on a bundle of which no scorer can be made."""
    return Verdict(False, "not_finite" if "not finite" in str(error) else "unusable", str(error))


def outdated() -> Verdict:
    """The verdict on a bundle that continues a model which no longer serves."""
    return Verdict(False, "outdated", "the model it continues no longer serves")


def off() -> Verdict:
    """The verdict where the gate is turned off and the bundle is finite."""
    return Verdict(True, "off", "the gate is off")


def held_back(slots: npt.NDArray[np.int64], window: int, seed: int) -> npt.NDArray[np.bool_]:
    """Which windows no tuning may see: of every `HELD_BACK` stretches of one window's length, one drawn by a hash.

    By stretches, because the windows of neighbouring slots are nearly equal; by their slots and nothing else, so that
    every training of a stream leaves out the same windows, and neither network has an advantage on them.

    Args:
        slots: Newest slot of each window, shape (N,).
        window: Slots in a window.
        seed: The stream's seed.
    """
    stretch = slots // window
    drawn = splitmix64(stretch // HELD_BACK, np.array([seed])) % np.uint64(HELD_BACK)
    return np.asarray((stretch % HELD_BACK).astype(np.uint64) == drawn)


def _decide(n: dict[str, float], rule: GateRule) -> Verdict:
    if not np.isfinite(list(n.values())).all():
        return Verdict(False, "not_finite", "an error on held-back windows is not finite", _jsonable(n))
    error, was = n["candidate_error"], n["champion_error"]
    if error > was * (1 + rule.worse_error):
        by = 100 * (error / was - 1) if was else float("inf")
        text = f"its error on held-back windows is {error:.5f}, {by:.1f} % above the {was:.5f} of the model in service"
        return Verdict(False, "worse_error", text, n)
    found, before = n["candidate_detection"], n["champion_detection"]
    if found < before - rule.worse_detection:
        text = f"it tells injected anomalies apart with an area of {found:.4f}, the model in service with {before:.4f}"
        return Verdict(False, "worse_detection", text, n)
    found, before = n.get("candidate_faults", 1.0), n.get("champion_faults", 0.0)
    if found < before - rule.worse_detection:
        text = f"it tells the stream's own episodes apart with an area of {found:.4f}, not {before:.4f}"
        return Verdict(False, "worse_faults", text, n)
    return Verdict(True, "passed", f"error {was:.5f} to {error:.5f}, detection {before:.4f} to {found:.4f}", n)


def _jsonable(numbers: dict[str, float]) -> dict[str, float]:
    """Those numbers that JSON has."""
    return {key: value for key, value in numbers.items() if np.isfinite(value)}


def _finite_only(scorer: Scorer, sample: GateSample, reason: str, text: str) -> Verdict:
    if not np.isfinite(summed(scorer, sample)).all():
        return Verdict(False, "not_finite", "an error on held-back windows is not finite")
    return Verdict(True, reason, text)


@dataclass(frozen=True, eq=False)
class _Measured:
    """Errors of one network."""

    clean: npt.NDArray[np.float64]  # (N,) of the windows as they are
    anomalous: npt.NDArray[np.float64]  # (KINDS, N) with each kind of anomaly
    faults: npt.NDArray[np.float64]  # (M,) of windows of episodes

    @property
    def finite(self) -> bool:
        return all(bool(np.isfinite(each).all()) for each in (self.clean, self.anomalous, self.faults))

    def numbers(self) -> dict[str, float]:
        """Error and detection; NaN where an error is not finite."""
        if not self.finite:
            return {"error": float("nan")}
        all_kinds = self.anomalous.ravel()
        numbers = {"error": trimmed(self.clean), "detection": separation(self.clean, all_kinds)}
        numbers["recall"] = float(np.mean(all_kinds > self.least_found))
        return numbers | {
            f"detection_{kind}": separation(self.clean, self.anomalous[i]) for i, kind in enumerate(KINDS)
        }

    @property
    def least_found(self) -> float:
        """Error above which a window is found."""
        return float(np.quantile(self.clean, FOUND))


def _measure(scorer: Scorer, sample: GateSample, anomalous: npt.NDArray[np.float32], faults: GateSample) -> _Measured:
    spoilt = summed(scorer, sample, anomalous.reshape(-1, *sample.x.shape[1:]))
    return _Measured(summed(scorer, sample), spoilt.reshape(len(KINDS), -1), summed(scorer, faults))


def _faults(measured: list[_Measured]) -> dict[str, float]:
    """How well each tells apart the episodes that one of them finds; nothing where those are too few.

    One of them, not the model in service: chosen by its errors alone they would favour it.
    """
    if not all(each.finite for each in measured):
        return {}
    found = np.logical_or.reduce([each.faults > each.least_found for each in measured])
    if np.count_nonzero(found) < LEAST_FAULTS:
        return {}
    areas = {f"{n}_faults": separation(m.clean, m.faults[found]) for n, m in zip(_NETWORKS, measured, strict=True)}
    return {"faults": float(np.count_nonzero(found)), **areas}
