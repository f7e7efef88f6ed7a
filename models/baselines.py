"""Detectors to compare with, each a few lines with a published source, at its natural defaults.

None is tuned on labels. Each reads one series in order, strictly causally, and gives a score and a verdict for every
reading; refractory time and scoring are the caller's and the same for all.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

Values = npt.NDArray[np.float64]


class Verdicts(NamedTuple):
    """What a baseline says of each reading.

    Attributes:
        score: Continuous, greater is more anomalous, comparable between series; 0 on probation, shape (N,).
        anomalous: Whether it is over the baseline's own threshold; false on probation, shape (N,).
    """

    score: Values
    anomalous: npt.NDArray[np.bool_]


class Baseline(Protocol):
    """One detector; a new one for each series."""

    name: str

    def run(self, at: npt.NDArray[np.int64], values: Values, probation: int) -> Verdicts:
        """Read a series from its beginning.

        Args:
            at: Instant of each reading in order, epoch seconds UTC, shape (N,).
            values: Shape (N,), finite.
            probation: Readings at the beginning that may be learned from and are not judged.
        """


class HalfSpaceTrees:
    """River's half-space trees behind its quantile filter, both at the defaults of river's documentation.

    Values are scaled to 0 to 1 by the range seen so far; the filter calls the top 5 % of scores anomalous and keeps
    those from the trees.

    Source:
        Tan, Ting and Liu 2011, IJCAI 22, p. 1511; riverml.xyz, `anomaly.QuantileFilter`, the example's q = 0.95.
    """

    name = "half-space-trees"
    QUANTILE = 0.95

    def __init__(self, seed: int) -> None:
        from river import anomaly, preprocessing

        self._scaler: Any = preprocessing.MinMaxScaler()
        self._filter: Any = anomaly.QuantileFilter(anomaly.HalfSpaceTrees(seed=seed), q=self.QUANTILE)

    def run(self, at: npt.NDArray[np.int64], values: Values, probation: int) -> Verdicts:
        """See Baseline.run."""
        out = Verdicts(np.zeros(len(values)), np.zeros(len(values), bool))
        for i, value in enumerate(values.tolist()):
            self._scaler.learn_one({"value": value})
            x = self._scaler.transform_one({"value": value})
            if i >= probation:
                out.score[i] = self._filter.score_one(x)
                out.anomalous[i] = self._filter.classify(out.score[i])
            self._filter.learn_one(x)
        return out


class WeeklyProfile:
    """An online profile of the week: what is usual at this hour, and how far from it the reading is.

    The mean of each hour of the week is shrunk towards that of the hour of the day, and this towards the overall one,
    by `SHRINK` readings' worth, so that the first weeks have a profile too; means forget by `KEEP` at each visit.
    What a reading teaches is clipped to `CLIP` spreads from what was expected, so that an anomaly teaches little. The
    score is the distance from the expected value in spreads (mean absolute distance, scaled to a normal's deviation).
    Its threshold is where a normal's two tails hold one reading a month.

    Source:
        Seasonal means as in Hyndman and Athanasopoulos, Forecasting: Principles and Practice, 3rd ed., section 5.2;
        clipping after Gelper, Fried and Croux 2010, doi:10.1002/for.1125.
    """

    name = "weekly-profile"
    KEEP, SHRINK, CLIP, SLOW = 0.98, 3.0, 3.0, 0.999
    LEAST = 0.01  # spread, in units of the range seen so far
    MONTH_S = 30.44 * 86400

    def run(self, at: npt.NDArray[np.int64], values: Values, probation: int) -> Verdicts:
        """See Baseline.run."""
        score = np.zeros(len(values))
        week, day = np.zeros((168, 2)), np.zeros((24, 2))  # sum and weight of each hour
        mean, distance = float(values[0]) if len(values) else 0.0, 0.0
        hours, seen = at // 3600, np.maximum.accumulate(values) - np.minimum.accumulate(values)
        for i, value in enumerate(values.tolist()):
            in_day, in_week = day[hours[i] % 24], week[hours[i] % 168]
            usual = (in_day[0] + self.SHRINK * mean) / (in_day[1] + self.SHRINK)
            usual = (in_week[0] + self.SHRINK * usual) / (in_week[1] + self.SHRINK)
            spread = max(distance * math.sqrt(math.pi / 2), self.LEAST * seen[i], 1e-9)
            score[i] = abs(value - usual) / spread
            reach = self.CLIP * spread if i > 32 else math.inf
            taught = usual + min(max(value - usual, -reach), reach)
            in_day[:] = in_day * self.KEEP + (taught, 1.0)
            in_week[:] = in_week * self.KEEP + (taught, 1.0)
            rate = max(1 - self.SLOW, 1 / (i + 1))
            mean += rate * (taught - mean)
            distance += rate * (abs(taught - usual) - distance)
        score[:probation] = 0.0
        return Verdicts(score, score > self._threshold(at))

    def _threshold(self, at: npt.NDArray[np.int64]) -> float:
        """Distance in deviations that a normal exceeds once a month."""
        interval_s = max(float(np.median(np.diff(at))), 1.0) if len(at) > 1 else 1.0
        tails = min(interval_s / self.MONTH_S, 1.0)
        return float(torch.special.ndtri(torch.tensor(1 - tails / 2, dtype=torch.float64)))


class WindowAutoencoder:
    """A plain autoencoder of windows with a static threshold: the greatest error on what it was trained on.

    Values are standardised by the probation period, the network is 32-16-4-16-32 with ReLU, trained on the probation
    period's windows once (Adam, 50 epochs, batches of 128, rate 1e-3) and never again. The score is the window's mean
    absolute error over the threshold.

    Source:
        Malhotra et al. 2016, arXiv:1607.00148, without recurrence; the threshold and the training of
        keras.io/examples/timeseries/timeseries_anomaly_detection.
    """

    name = "window-autoencoder"
    WINDOW, EPOCHS, BATCH, RATE = 32, 50, 128, 1e-3

    def __init__(self, seed: int) -> None:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            sizes = [nn.Linear(self.WINDOW, 16), nn.Linear(16, 4), nn.Linear(4, 16), nn.Linear(16, self.WINDOW)]
        self._net = nn.Sequential(sizes[0], nn.ReLU(), sizes[1], sizes[2], nn.ReLU(), sizes[3])
        self._generator = torch.Generator().manual_seed(seed)

    def run(self, at: npt.NDArray[np.int64], values: Values, probation: int) -> Verdicts:
        """See Baseline.run."""
        score = np.zeros(len(values))
        before = values[:probation]
        if len(before) > self.WINDOW:
            scaled = torch.from_numpy((values - before.mean()) / (before.std() or 1.0)).float()
            windows = scaled.unfold(0, self.WINDOW, 1)  # (N - W + 1, W)
            self._train(windows[: probation - self.WINDOW + 1])
            error = self._errors(windows)
            greatest = float(error[: probation - self.WINDOW + 1].max())
            score[self.WINDOW - 1 :] = error / max(greatest, 1e-9)
        score[:probation] = 0.0
        return Verdicts(score, score > 1.0)

    def _train(self, windows: torch.Tensor) -> None:
        optimiser = torch.optim.Adam(self._net.parameters(), self.RATE)
        for _ in range(self.EPOCHS):
            for batch in torch.split(torch.randperm(len(windows), generator=self._generator), self.BATCH):
                optimiser.zero_grad()
                nn.functional.mse_loss(self._net(windows[batch]), windows[batch]).backward()  # type: ignore[no-untyped-call]
                optimiser.step()

    def _errors(self, windows: torch.Tensor) -> Values:
        """Mean absolute error of each window, shape (N,)."""
        with torch.no_grad():
            return np.asarray((self._net(windows) - windows).abs().mean(1), np.float64)


def baselines(seed: int) -> list[Baseline]:
    """All of them, new."""
    return [HalfSpaceTrees(seed), WeeklyProfile(), WindowAutoencoder(seed)]
