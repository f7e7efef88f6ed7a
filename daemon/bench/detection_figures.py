"""What the bench of detection measured, as figures: by corpus, kind of fault, budget and detector."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from daemon.bench.detection import OURS, QUIET, PartResult
from daemon.bench.meter_faults import KINDS, LIBRARY, Fault
from models import nab_score

DRAWS, LEVEL = 400, 0.95  # of the bootstrap over series

Floats = npt.NDArray[np.float64]


def summarise(found: Sequence[PartResult], budgets: Sequence[float]) -> dict[str, Any]:
    """Everything measured, as JSON."""
    corpora = list(dict.fromkeys(result.part.corpus for result in found))
    out: dict[str, Any] = {"library": LIBRARY, "budgets": list(budgets), "corpora": {}}
    for corpus in corpora:
        own = [result for result in found if result.part.corpus == corpus]
        fleet = {result.part.name: result for result in own if result.part.name in ("clean", "faults")}
        out["corpora"][corpus] = fleet_figures(fleet, budgets) if fleet else labelled_figures(own, budgets)
    return out


# -- unlabelled --------------------------------------------------------------------------------------------------


def fleet_figures(fleet: dict[str, PartResult], budgets: Sequence[float]) -> dict[str, Any]:
    """Episodes on clean pieces and faults found, by detector and budget."""
    clean, faulty = fleet["clean"], fleet["faults"]
    detectors = [OURS, *clean.scores]
    out: dict[str, Any] = {"series": len(set(clean.names)), "pieces": len(clean.names), "rates": [], "found": []}
    for name in detectors:
        for budget in budgets:
            limit = _threshold(clean, name, budget * clean.months)
            opened = _opened(clean, name, budget, limit)
            out["rates"].append(
                {"detector": name, "budget": budget} | _rate(clean, opened, _notified(clean, name, budget, opened))
            )
            out["found"] += [
                {"detector": name, "budget": budget} | each
                for each in _found(faulty, _opened(faulty, name, budget, limit))
            ]
    return out


def _threshold(result: PartResult, name: str, episodes: float) -> float:
    """Score that a rival exceeds in so many episodes over all its series; 0 for ours, whose threshold is its own."""
    if name == OURS:
        return 0.0
    series, slot, score = result.scores[name]
    limits = np.quantile(score, np.linspace(0.5, 1.0, 2000)) if len(score) else np.zeros(1)
    low, high = 0, len(limits) - 1
    while low < high:
        middle = (low + high) // 2
        if len(_episodes(series, slot, score, float(limits[middle]))[0]) > episodes:
            low = middle + 1
        else:
            high = middle
    return float(limits[low])


def _episodes(
    series: npt.NDArray[np.int64], slot: npt.NDArray[np.int64], score: Floats, limit: float
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Series and slot of the first of each run of readings above a limit, not more than `QUIET` slots apart."""
    over = score > limit
    series, slot = series[over], slot[over]
    begins = np.ones(len(series), bool)
    begins[1:] = (np.diff(series) != 0) | (np.diff(slot) > QUIET)
    return series[begins], slot[begins]


def _opened(
    result: PartResult, name: str, budget: float, limit: float
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    if name == OURS:
        own = result.openings[OURS, budget]
        return own.series, own.slot
    return _episodes(*result.scores[name], limit)


def _notified(result: PartResult, name: str, budget: float, opened: Any) -> npt.NDArray[np.int64]:
    """Series of each notification; a rival notifies at most once a day, as ours does."""
    if name == OURS:
        own = result.openings[OURS, budget]
        return own.series[own.notified]
    series, slot = opened
    said: list[int] = []
    last: dict[int, int] = {}
    for which, at in zip(series.tolist(), slot.tolist(), strict=True):
        if at - last.get(which, -(1 << 40)) >= 86400 // result.interval_s:
            last[which] = at
            said.append(which)
    return np.array(said, np.int64)


def _rate(result: PartResult, opened: Any, notified: npt.NDArray[np.int64]) -> dict[str, Any]:
    """Episodes a series and month, over all and by series."""
    pieces = len(result.names)
    count = np.bincount(opened[0], minlength=pieces)
    by_series = {
        name: float(count[[i for i in range(pieces) if result.names[i] == name]].mean() / (result.months / pieces))
        for name in dict.fromkeys(result.names)
    }
    spread = _bootstrap(np.array(list(count / (result.months / pieces))), np.array(result.names))
    return {
        "per_month": float(count.sum() / result.months),
        "interval": spread,
        "notified_per_month": float(len(notified) / result.months),
        "by_series": by_series,
    }


def _found(result: PartResult, opened: Any) -> list[dict[str, Any]]:
    """Of each kind: how many were found, with an interval over series, and the median delay in slots."""
    series, slot = opened
    out = []
    for kind in KINDS:
        own = [i for i, fault in enumerate(result.faults) if fault.kind == kind]
        if own:
            delays = [_delay(result.faults[i], slot[series == i]) for i in own]
            hit = np.array([delay is not None for delay in delays], np.float64)
            known = [delay for delay in delays if delay is not None]
            out.append(
                {
                    "kind": kind,
                    "faults": len(own),
                    "share": float(hit.mean()),
                    "interval": _bootstrap(hit, np.array([result.names[i] for i in own])),
                    "median_delay_slots": float(np.median(known)) if known else None,
                }
            )
    return out


def _delay(fault: Fault, slots: npt.NDArray[np.int64]) -> int | None:
    """Slots until an episode opened that counts as having found a fault; None: none did."""
    within = slots[(slots >= fault.start) & (slots < fault.until)]
    return int(within.min()) - fault.start if len(within) else None


def _bootstrap(values: Floats, of: npt.NDArray[np.str_]) -> list[float]:
    """Interval of the mean when series are drawn anew, all pieces of one together; pieces where there is one."""
    names = np.unique(of)
    groups = (
        [values[of == name] for name in names] if len(names) > 1 else [values[i : i + 1] for i in range(len(values))]
    )
    rng = np.random.default_rng(0)
    means = [
        float(np.mean(np.concatenate([groups[i] for i in rng.integers(0, len(groups), len(groups))])))
        for _ in range(DRAWS)
    ]
    return [float(q) for q in np.quantile(means, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])]


# -- labelled ----------------------------------------------------------------------------------------------------


def labelled_figures(results: Sequence[PartResult], budgets: Sequence[float]) -> dict[str, Any]:
    """Windows found and false episodes by budget; ranking; NAB's profiles; rows; a file's greatest score."""
    windows = sum(len(r.windows) for r in results)
    detectors = list(results[0].ranks)
    out: dict[str, Any] = {
        "files": len(results),
        "windows": windows,
        "months": sum(r.months for r in results),
        "rank": {
            name: {
                "vus_pr": _mean([r.ranks[name] for r in results]),
                "interval": _interval_of([r.ranks[name] for r in results]),
                "top": _mean([float(r.top[name]) for r in results if len(r.windows) == 1]) or 0.0,
            }
            for name in detectors
        },
        "events": [],
        "nab": {},
        "rows": {},
    }
    for budget in budgets:
        ours = [_events(r, r.openings[OURS, budget].series, r.openings[OURS, budget].slot) for r in results]
        false = sum(each["false"] for each in ours)
        out["events"].append({"detector": OURS, "budget": budget} | _totals(ours, windows, results))
        for name in (n for n in detectors if n != OURS):
            theirs = _at_equal(results, name, false)
            out["events"].append({"detector": name, "budget": budget} | _totals(theirs, windows, results))
        out["nab"][f"{budget:g}"] = {
            profile: nab_score.normalise(float(sum(r.nab[budget, profile] for r in results)), windows, of)
            for profile, of in nab_score.PROFILES.items()
            if windows
        }
        out["rows"][f"{budget:g}"] = _rows([r.rows[OURS, budget] for r in results])
    return out


def _events(result: PartResult, series: npt.NDArray[np.int64], slot: npt.NDArray[np.int64]) -> dict[str, Any]:
    """Windows in which an episode opened, with its delay, and episodes outside."""
    outside, delays = np.ones(len(slot), bool), []
    slack = 0 if all(b > a for a, b in result.windows) else BESIDE
    for low, high in result.windows:
        inside = (slot >= low - slack) & (slot <= high + slack)
        outside &= ~inside
        if inside.any():
            delays.append(int(slot[inside].min()) - low)
    return {"found": len(delays), "false": int(outside.sum()), "delays": delays}


BESIDE = 100  # slots beside a window of a single reading that count, as the UCR archive's own rule has it


def _at_equal(results: Sequence[PartResult], name: str, false: int) -> list[dict[str, Any]]:
    """A rival's events at the threshold, one for all files, at which it raises no more false episodes than ours."""
    scores = np.concatenate([r.scores[name][2] for r in results])
    limits = np.quantile(scores, np.linspace(0.5, 1.0, 2000)) if len(scores) else np.zeros(1)
    low, high = 0, len(limits) - 1
    each: list[dict[str, Any]] = []
    while low <= high:
        middle = (low + high) // 2
        tried = [_events(r, *_episodes(*r.scores[name], float(limits[middle]))) for r in results]
        if sum(one["false"] for one in tried) > false:
            low = middle + 1
        else:
            each, high = tried, middle - 1
    return each or tried


def _totals(each: Sequence[dict[str, Any]], windows: int, results: Sequence[PartResult]) -> dict[str, Any]:
    delays = [delay for one in each for delay in one["delays"]]
    found, months = sum(one["found"] for one in each), sum(r.months for r in results)
    return {
        "found": found,
        "windows": windows,
        "false": sum(one["false"] for one in each),
        "false_per_month": sum(one["false"] for one in each) / months,
        "median_delay_slots": float(np.median(delays)) if delays else None,
    }


def _rows(counts: Sequence[tuple[int, int, int, int]]) -> dict[str, float]:
    """F1 of rows in episodes, false and missed shares."""
    true, false, missed, normal = (int(x) for x in np.sum(counts, axis=0))
    return {
        "f1": 2 * true / max(2 * true + false + missed, 1),
        "far": false / max(false + normal, 1),
        "mar": missed / max(true + missed, 1),
    }


def _interval_of(values: Sequence[float]) -> list[float] | None:
    known = np.array([v for v in values if not np.isnan(v)])
    return _bootstrap(known, np.array(["files"] * len(known))) if len(known) else None


def _mean(values: Sequence[float]) -> float | None:
    known = [v for v in values if not np.isnan(v)]
    return float(np.mean(known)) if known else None


# -- over corpora ------------------------------------------------------------------------------------------------


def left_out(summary: dict[str, Any]) -> list[dict[str, Any]]:
    """Mean share of faults or windows found at the budget in the middle, with each corpus left out, and none.

    Returns:
        For each: which was left out, ours, and the best rival that ran on all the others.
    """
    budgets = summary["budgets"]
    middle = budgets[len(budgets) // 2]
    shares: dict[str, dict[str, float]] = {}
    for corpus, figures in summary["corpora"].items():
        found = shares.setdefault(corpus, {})
        if "found" in figures:
            for name in dict.fromkeys(one["detector"] for one in figures["found"]):
                own = [o for o in figures["found"] if o["detector"] == name and o["budget"] == middle]
                found[name] = float(np.mean([one["share"] for one in own]))
        else:
            for one in figures["events"]:
                if one["budget"] == middle:
                    found[one["detector"]] = one["found"] / max(one["windows"], 1)
    out = []
    for left in ["nothing", *shares]:
        rest = [found for corpus, found in shares.items() if corpus != left]
        if not rest:
            continue
        names = set.intersection(*(set(found) for found in rest))
        means = {name: float(np.mean([found[name] for found in rest])) for name in names}
        rivals = {name: mean for name, mean in means.items() if name != OURS} or {"none": 0.0}
        best = max(rivals, key=lambda name: rivals[name])
        figure = "share found"
        out.append({"left_out": left, "figure": figure, "ours": means[OURS], "rival": rivals[best], "rival_name": best})
    return out
