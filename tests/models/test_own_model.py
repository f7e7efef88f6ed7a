"""Models of the operator's own: what lets them run, and that their scores can be relied on."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from torch import Tensor, nn

from models import own_files
from models.bundle import Bundle, BundleError, own_bundle
from models.bundle_errors import OwnModelError
from models.bundle_file import read_bundle, write_bundle
from models.network_config import Option
from models.scorer import Scorer, Scores
from models.scripted_network import check, torchscript_bytes
from tests.models.attacks import attack
from tests.models.own_models import own, saved, write
from tests.models.samples import bundle

WINDOW = 8
PRECIOUS = b"precious"


@pytest.fixture(autouse=True)
def _nothing_allowed() -> Iterator[None]:
    own_files.allow({})
    yield
    own_files.allow({})


def named(sha256: str, window: int = WINDOW) -> Bundle:
    return own_bundle(sha256, "tide", window, 1, 3600, calendar=True)


def allowed(path: Path, data: bytes) -> Bundle:
    """The bundle of an own model whose file the configuration would name."""
    sha256 = write(path, data)
    own_files.allow({sha256: path})
    return named(sha256)


def score(scorer: Scorer, last: list[float]) -> Scores:
    x = np.tile(np.linspace(0, 1, WINDOW, dtype=np.float32), (len(last), 1))[..., None]
    x[:, -1, 0] = last
    return scorer.score(x, np.ones((len(last), WINDOW), bool), np.zeros((len(last), 4), np.float32))


def test_an_own_model_scores(tmp_path: Path) -> None:
    """A scripted module of the documented signature scores windows; its bundle survives its bytes and its file."""
    made = allowed(tmp_path / "own.pt", own())
    found = score(Scorer(made), [1.0, 2.0])
    np.testing.assert_allclose(found.rms, np.array([1.0, 2.0]) - 6 / 7, rtol=1e-6)
    write_bundle(tmp_path / "own.safetensors", made)
    assert read_bundle(tmp_path / "own.safetensors") == Bundle.from_bytes(made.to_bytes()) == made


def test_a_bundle_as_an_own_model_scores_the_same(tmp_path: Path) -> None:
    """The `.pt` that Tidegauge writes for others has the signature, and gives the bits that the bundle gives."""
    sha256 = write(tmp_path / "a.pt", torchscript_bytes(bundle()))
    own_files.allow({sha256: tmp_path / "a.pt"})
    rng = np.random.default_rng(0)
    x, seen, at = rng.random((40, 16, 1), np.float32), np.ones((40, 16), bool), rng.random((40, 4), np.float32)
    for mine, theirs in zip(
        Scorer(bundle()).score(x, seen, at), Scorer(named(sha256, 16)).score(x, seen, at), strict=True
    ):
        np.testing.assert_array_equal(mine, theirs)


def test_only_the_named_bytes_run(tmp_path: Path) -> None:
    """A file whose SHA-256 nobody named, or that was replaced since, is not parsed: what it would overwrite stays."""
    (victim := tmp_path / "victim").write_bytes(PRECIOUS)
    sha256 = write(tmp_path / "own.pt", attack(victim))
    with pytest.raises(OwnModelError, match="does not name"):
        Scorer(named(sha256))
    good = allowed(tmp_path / "own.pt", own())
    (tmp_path / "own.pt").write_bytes(attack(victim))
    with pytest.raises(OwnModelError, match=rf"own.pt, whose SHA-256 is {sha256}, but model.sha256 is .*nothing of it"):
        Scorer(good)
    assert victim.read_bytes() == PRECIOUS
    own_files.allow({sha256: tmp_path / "own.pt"})
    with pytest.raises(BundleError, match="cannot score windows"):
        Scorer(named(sha256))
    assert victim.read_bytes() != PRECIOUS  # so the file is one that does harm when it may run


def test_a_file_replaced_later_changes_nothing(tmp_path: Path) -> None:
    """The bytes that were checked are those that run, as often as the model is made; the file is read once."""
    (victim := tmp_path / "victim").write_bytes(PRECIOUS)
    made = allowed(tmp_path / "own.pt", own())
    before = score(Scorer(made), [3.0])
    (tmp_path / "own.pt").write_bytes(attack(victim))
    assert score(Scorer(made), [3.0]).rms == before.rms
    assert victim.read_bytes() == PRECIOUS


class OneArgument(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (own("shape"), r"float32 of shapes"),
        (saved(OneArgument()), "cannot score windows"),
        (b"junk", "no TorchScript file"),
        (own("draws"), "scores differently"),
    ],
    ids=["shape", "signature", "junk", "random"],
)
def test_what_cannot_score_is_refused(data: bytes, why: str, tmp_path: Path) -> None:
    """One line says what is wrong: shapes, signature, no TorchScript, other numbers each time."""
    with pytest.raises(BundleError, match=why):
        Scorer(allowed(tmp_path / "own.pt", data))


def test_bits_do_not_depend_on_the_batch(tmp_path: Path) -> None:
    """A model that scores by a window's place in its batch gets one window at a time."""
    scorer = Scorer(allowed(tmp_path / "own.pt", own("place")))
    together = score(scorer, [1.0, 2.0, 3.0]).rms
    assert together.tolist() == [score(scorer, [each]).rms[0] for each in (1.0, 2.0, 3.0)]


@pytest.mark.parametrize(("worse", "rms"), [("raises", 0.0), ("nan", 1e6)])
def test_a_model_that_fails_on_a_window_fails_on_it_alone(
    worse: str, rms: float, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Where it raises, the window has no scores; an infinite one becomes the greatest. Others keep their bits."""
    scorer = Scorer(allowed(tmp_path / "own.pt", own(worse)))
    last = [1.0, 9.0, 3.0] * 30
    found = score(scorer, last).rms
    assert set(found[1::3]) == {np.float32(rms)}
    np.testing.assert_array_equal(found[0::3], score(scorer, [1.0] * 30).rms)
    score(scorer, last)
    assert caplog.messages.count("own model failed on a window, which counts as unscored") == (worse == "raises")


def test_an_own_models_bundle_holds_no_more(tmp_path: Path) -> None:
    """It is written as no TorchScript file, and one that names no checksum, or more beside it, is refused."""
    made = allowed(tmp_path / "own.pt", own())
    with pytest.raises(BundleError, match="its file is yours"):
        torchscript_bytes(made)
    wrong: list[dict[str, Option]] = [{}, {"sha256": "0" * 63}, {"sha256": "0" * 64, "path": "/tmp/x"}]
    for options in wrong:
        with pytest.raises(BundleError, match="names one SHA-256"):
            check(replace(made, manifest=replace(made.manifest, options=options)))
