from __future__ import annotations

import json
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from daemon.cli.main import app
from daemon.engine.messages.inputs import Promoted
from models.bundle import Bundle
from models.bundle_file import read_bundle, write_bundle
from models.combination import Contributions, combine, distinct_names, split
from models.scorer import Scorer
from models.training import train
from tests.daemon.engine.small_engines import STREAM, engine, feed, noise, the
from tests.daemon.engine.small_engines import bundle as of_stream
from tests.models.samples import request


@cache
def members() -> dict[str, Bundle]:
    """Two networks of windows of 16 and 8 slots, of different architectures."""
    long, short = request(), request(window=8)
    return {"long": train(long), "short": train(replace(short, architecture="dense-3", copies=1))}


def scores(bundle: Bundle, skipped: int = 0) -> tuple[np.ndarray, ...]:
    """What a bundle says of the sample windows, without the oldest slots."""
    r = request()
    return tuple(Scorer(bundle).score(r.x[:, skipped:], r.observed[:, skipped:], r.calendar))


def test_an_ensemble_is_the_weighted_mean_of_its_members() -> None:
    """Each score is the members' on their own windows with their weights, which are inverse to the usual errors."""
    both = combine(members())
    (a, long), (b, short) = split(both)
    assert (a.name, b.name) == ("long", "short")
    assert a.weight + b.weight == pytest.approx(1)
    assert a.weight / b.weight == pytest.approx(
        (members()["short"].manifest.loss / members()["long"].manifest.loss) ** 0.5
    )
    expected = zip(scores(long), scores(short, 8), strict=True)
    padded = [(x, y if y.shape == x.shape else np.pad(y, ((0, 0), (8, 0)))) for x, y in expected]
    for mine, (x, y) in zip(scores(both), padded, strict=True):
        np.testing.assert_allclose(mine, a.weight * x + b.weight * y, rtol=1e-4, atol=1e-6)


def test_splitting_is_the_way_back() -> None:
    """The parts have the members' weights, shapes and scores."""
    for (_, back), member in zip(split(combine(members())), members().values(), strict=True):
        assert back.manifest.network == member.manifest.network
        assert {n: w.tobytes() for n, w in back.weights.items()} == {n: w.tobytes() for n, w in member.weights.items()}


def test_contributions_add_up() -> None:
    """The members' shares of one window's error sum to 1, the greatest first; a single network has none."""
    r = request()
    shares = Contributions(combine(members())).shares(r.x[:1], r.observed[:1], r.calendar[:1])
    assert {name for name, _ in shares} == {"long", "short"}
    assert sum(share for _, share in shares) == pytest.approx(1)
    assert shares[0][1] >= shares[1][1]
    assert Contributions(members()["long"]).shares(r.x[:1], r.observed[:1], r.calendar[:1]) == []


def test_what_does_not_fit_is_refused() -> None:
    """One bundle alone, another interval, and an ensemble of ensembles are errors that say what to do."""
    one = members()["long"]
    with pytest.raises(ValueError, match="at least two"):
        combine({"a": one})
    other = replace(one, manifest=replace(one.manifest, interval_s=60))
    with pytest.raises(ValueError, match=r"b has interval_s 60, but the first has 1800; combine bundles"):
        combine({"a": one, "b": other})
    with pytest.raises(ValueError, match="b is of architecture ensemble, which cannot be a member"):
        combine({"a": one, "b": combine(members())})


def test_the_command_writes_a_bundle(tmp_path: Path) -> None:
    """`models combine` names the members by their files; `models show` counts all parameters."""
    for name, bundle in members().items():
        write_bundle(tmp_path / f"{name}.pt", bundle)
    out = tmp_path / "both.pt"
    run = CliRunner().invoke
    files = [str(tmp_path / f"{name}.pt") for name in members()]
    result = run(app, ["models", "combine", *files, "--out", str(out), "--json"])
    assert result.exit_code == 0
    assert json.loads(result.stdout)["window"] == 16
    assert read_bundle(out) == combine(members())
    shown = json.loads(run(app, ["models", "show", str(out), "--json"]).stdout)
    assert shown["members"] == 2
    assert [layer["name"] for layer in shown["layers"] if layer["depth"] == 1] == ["long", "short"]
    assert shown["parameters"] == sum(w.size for b in members().values() for w in b.weights.values())
    assert run(app, ["models", "combine", files[0], "--out", str(out)]).exit_code == 1


def test_events_say_what_each_network_added() -> None:
    """A stream serves an ensemble; an event names its networks with their shares, and the ensemble is tuned whole."""
    settings: dict[str, Any] = {"model": {"retrain_every": 40, "gate": {"enabled": False}}}
    parts = {"masked": of_stream(), "lstm": of_stream(model={"architecture": "lstm"})}
    made = engine(**settings)
    made.step(Promoted(STREAM, combine(parts).to_bytes()))
    events = feed(made, [*noise(range(90)), ("a", 90, 60.0), *noise(range(91, 100))])
    champion = the(made).learner.champion
    assert champion is not None
    assert (champion.manifest.architecture, champion.manifest.kind) == ("ensemble", "tune")
    (opened,) = [event for event in events if event.value == (60.0,) and event.state == "open"]
    assert {each["network"] for each in opened.networks} == {"masked", "lstm"}
    assert sum(each["share"] for each in opened.networks) == pytest.approx(1)


@pytest.mark.parametrize(
    ("files", "names"),
    [
        (["a.pt", "b.pt"], ["a", "b"]),
        (["out/dense-3/bundle.pt", "out/lstm/bundle.pt"], ["dense-3", "lstm"]),
        (["x/dense-3/seed-0/bundle.pt", "x/lstm/seed-0/bundle.pt"], ["dense-3/seed-0", "lstm/seed-0"]),
        (["x/a.pt", "y/a.pt", "b.pt"], ["x/a", "y/a", None]),
        (["a.pt", "a.pt"], ["a.pt", "a.pt"]),
    ],
)
def test_members_are_called_by_what_tells_their_files_apart(files: list[str], names: list[str | None]) -> None:
    """Equal file names, as `train --compare` writes them, are told apart by their directories."""
    found = distinct_names([Path(file) for file in files])
    assert [name for name, want in zip(found, names, strict=True) if want] == [want for want in names if want]
    assert (len(set(found)) == len(found)) == (len(set(files)) == len(files))
