"""Bundles to an ensemble's bundle, and back to its members'."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path

import numpy as np
import numpy.typing as npt

from models.architecture_names import ENSEMBLE, UNTUNED
from models.bundle import Bundle, Floats
from models.ensemble_members import Member, members_of, members_option
from models.manifest import Manifest
from models.scorer import Scorer

_SAME = ("width", "interval_s", "daily", "weekly")


def distinct_names(files: Sequence[Path]) -> list[str]:
    """What events call the members of an ensemble: each file's name, or what tells it from others of that name.

    `train --compare` writes `dense-3/bundle.pt` beside `lstm/bundle.pt`: these are `dense-3` and `lstm`.

    Returns:
        As many names, in their order; two are equal only where two files are the same.
    """
    parts = [(*file.absolute().parent.parts, file.stem) for file in files]
    if len(files) > 1 and len({each[-1] for each in parts}) == 1:
        parts = [each[:-1] for each in parts]
    for count in range(1, max(map(len, parts), default=0) + 1):
        names = ["/".join(each[-count:]) for each in parts]
        if len(set(names)) == len(names):
            return names
    return [str(file) for file in files]


def combine(bundles: dict[str, Bundle]) -> Bundle:
    """One bundle of several; each member's errors weigh inversely to its usual error, the root of its training loss.

    Args:
        bundles: The members by the names that events are to call them.

    Returns:
        The ensemble; its window is the longest member's. It has no optimiser's state: a tuning begins anew.

    Raises:
        ValueError: There are fewer than two, they do not fit together, or one cannot be a member.
    """
    if len(bundles) < 2:
        raise ValueError("an ensemble needs at least two bundles")
    first = next(iter(bundles.values())).manifest
    for name, bundle in bundles.items():
        m = bundle.manifest
        if m.architecture in UNTUNED or m.architecture == ENSEMBLE:
            raise ValueError(
                f"{name} is of architecture {m.architecture}, which cannot be a member; name other bundles"
            )
        for key in _SAME:
            if getattr(m, key) != getattr(first, key):
                raise ValueError(
                    f"{name} has {key} {getattr(m, key)}, but the first has {getattr(first, key)}; "
                    "combine bundles that were trained for one stream"
                )
    usual = np.array([max(b.manifest.loss, 1e-12) for b in bundles.values()]) ** 0.5
    weights = (1 / usual / (1 / usual).sum()).tolist()
    members = [
        Member(name, b.manifest.architecture, b.manifest.network, weight)
        for (name, b), weight in zip(bundles.items(), weights, strict=True)
    ]
    content = {f"members.{i}.{key}": array for i, b in enumerate(bundles.values()) for key, array in b.weights.items()}
    return Bundle(_manifest([b.manifest for b in bundles.values()], members), content, {})


def _manifest(manifests: list[Manifest], members: list[Member]) -> Manifest:
    since = [m.trained_from for m in manifests if m.trained_from is not None]
    upto = [m.trained_to for m in manifests if m.trained_to is not None]
    return replace(
        manifests[0],
        architecture=ENSEMBLE,
        window=max(m.window for m in manifests),
        masked=max(m.masked for m in manifests),
        copies=max(m.copies for m in manifests),
        options={"members": members_option(members)},
        kind="fresh",
        trained_from=min(since, default=None),
        trained_to=max(upto, default=None),
        windows=sum(m.windows for m in manifests),
        parent=None,
        loss=float(np.mean([m.loss for m in manifests])),
    )


def split(bundle: Bundle) -> list[tuple[Member, Bundle]]:
    """An ensemble's members, each with a bundle of its own."""
    m = bundle.manifest
    out = []
    for i, member in enumerate(members_of(m.network)):
        start = f"members.{i}."
        n = member.network
        own = replace(
            m,
            architecture=member.architecture,
            window=n.window,
            masked=n.masked,
            copies=n.copies,
            options=dict(n.options),
        )
        weights = {key.removeprefix(start): w for key, w in bundle.weights.items() if key.startswith(start)}
        out.append((member, Bundle(own, weights, {})))
    return out


class Contributions:
    """What each member of a bundle adds to the error of a window; made when first asked, at an anomaly."""

    def __init__(self, bundle: Bundle) -> None:
        self.bundle = bundle

    @cached_property
    def _scorers(self) -> list[tuple[Member, Scorer]]:
        if self.bundle.manifest.architecture != ENSEMBLE:
            return []
        return [(member, Scorer(own)) for member, own in split(self.bundle)]

    def shares(self, x: Floats, observed: npt.NDArray[np.bool_], calendar: Floats) -> list[tuple[str, float]]:
        """Each member's name and its share of the error, greatest first; none for a network that is no ensemble.

        Args:
            x: One window as Scorer.score takes it, shape (1, W, F).
            observed: Shape (1, W).
            calendar: Shape (1, 4).
        """
        errors = []
        for member, scorer in self._scorers:
            own = x.shape[1] - scorer.manifest.window
            scores = scorer.score(x[:, own:], observed[:, own:], calendar)
            errors.append((member.name, member.weight * (float(scores.newest.mean()) + float(scores.rms[0]))))
        total = sum(error for _, error in errors)
        ordered = sorted(errors, key=lambda each: -each[1])
        return [(name, error / total) for name, error in ordered] if total > 0 else []
