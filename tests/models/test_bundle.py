from __future__ import annotations

import hashlib
import io
import pickle
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from models.archive import pack, unpack
from models.bundle import Bundle, BundleError, read_bundle, write_bundle
from models.scorer import Scorer
from tests.models.samples import bundle


def test_content_survives_bytes_and_file(tmp_path: Path) -> None:
    """A bundle equals what comes back from its bytes and from its file, optimiser and manifest included."""
    original = bundle()
    sha256 = write_bundle(tmp_path / "a.pt", original)
    for back in (Bundle.from_bytes(original.to_bytes()), read_bundle(tmp_path / "a.pt", sha256)):
        assert back.manifest == original.manifest
        assert back.to_bytes() == original.to_bytes()
    assert hashlib.sha256((tmp_path / "a.pt").read_bytes()).hexdigest() == sha256
    assert [path.name for path in tmp_path.iterdir()] == ["a.pt"]


def test_digest_is_of_the_content() -> None:
    """Equal content has one digest; one bit of one weight, or one word of the manifest, changes it."""
    original = bundle()
    copy = Bundle.from_bytes(original.to_bytes())
    assert copy == original
    assert len({copy, original}) == 1
    copy.weights["layers.0.weight"][0, 0, 0] = np.nextafter(copy.weights["layers.0.weight"][0, 0, 0], np.float32(9))
    assert Bundle.from_bytes(copy.to_bytes()) != original
    assert replace(original, manifest=replace(original.manifest, stream="other")) != original


def test_a_bundle_is_a_torchscript_file_for_others_too(tmp_path: Path) -> None:
    """Anything that runs TorchScript gets the scorer's numbers from the file."""
    write_bundle(tmp_path / "a.pt", bundle())
    rng = np.random.default_rng(0)
    x, seen, at = rng.random((32, 16, 1), np.float32), np.ones((32, 16), bool), rng.random((32, 4), np.float32)
    with pytest.warns(DeprecationWarning, match="torch.jit"):
        module = torch.jit.load(str(tmp_path / "a.pt"))
    outputs = module(*(torch.from_numpy(part) for part in (x, seen, at)))
    for mine, theirs in zip(Scorer(bundle()).score(x, seen, at), outputs, strict=True):
        np.testing.assert_allclose(mine, theirs.detach().numpy(), rtol=1e-5)


def test_a_changed_file_is_refused(tmp_path: Path) -> None:
    """A file whose checksum is not the recorded one does not load, and the message names file and checksums."""
    path = tmp_path / "a.pt"
    sha256 = write_bundle(path, bundle())
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    with pytest.raises(BundleError, match=rf"a\.pt: bundle has checksum .* but {sha256} is recorded"):
        read_bundle(path, sha256)


def zipped(files: dict[str, bytes]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return out.getvalue()


def saved() -> bytes:
    out = io.BytesIO()
    torch.save({"a": torch.zeros(3)}, out)
    return out.getvalue()


@pytest.mark.parametrize(
    "data",
    [b"", b"junk", pickle.dumps(print), zipped({"a/data.pkl": b"x"}), saved(), bundle().to_file_bytes()[:-100]],
    ids=["empty", "junk", "pickle", "zip", "torch.save", "cut"],
)
def test_a_foreign_file_is_refused(data: bytes) -> None:
    """What is no TorchScript file is refused in one clear line."""
    with pytest.raises(BundleError, match=r"^not a TorchScript file: [^\n]+$"):
        Bundle.from_file_bytes(data)


def test_a_foreign_module_is_refused() -> None:
    """A TorchScript file of somebody else's is refused."""
    out = io.BytesIO()
    with pytest.warns(DeprecationWarning, match="torch.jit"):
        torch.jit.save(torch.jit.script(torch.nn.Linear(2, 2)), out)
    with pytest.raises(BundleError, match="no Tidegauge bundle"):
        Bundle.from_file_bytes(out.getvalue())


def test_content_that_is_not_what_was_written_is_refused() -> None:
    """Weights changed inside a file that is otherwise whole do not match the digest in it."""
    other = replace(bundle(), weights={name: array + 1 for name, array in bundle().weights.items()})
    files = {}
    for name, which in (("mine", bundle()), ("other", other)):
        with zipfile.ZipFile(io.BytesIO(which.to_file_bytes())) as archive:
            files[name] = {i.filename: archive.read(i) for i in archive.infolist()}
    mixed = {n: files["other" if "/extra/" not in n else "mine"][n] for n in files["mine"]}
    with pytest.raises(BundleError, match="digest"):
        Bundle.from_file_bytes(zipped(mixed))


def test_bytes_of_something_else_are_refused() -> None:
    """An archive that holds no bundle, and a manifest with other keys or types, are refused."""
    with pytest.raises(BundleError, match="holds no bundle"):
        Bundle.from_bytes(pack({"a": 1}, {}))
    meta, arrays = unpack(bundle().to_bytes())
    meta["manifest"]["colour"] = meta["manifest"].pop("seed")
    with pytest.raises(BundleError, match=r"lacks \['seed'\] and has unknown \['colour'\]"):
        Bundle.from_bytes(pack(meta, arrays))
    meta["manifest"]["seed"] = meta["manifest"].pop("colour")
    for key, value in (("window", "16"), ("window", 16.5), ("kind", "stale"), ("versions", {"torch": 2})):
        changed = {**meta, "manifest": {**meta["manifest"], key: value}}
        with pytest.raises(BundleError, match=f"manifest's {key}"):
            Bundle.from_bytes(pack(changed, arrays))


@pytest.mark.parametrize("change", ["shape", "missing", "nan"])
def test_weights_that_cannot_serve_are_refused(change: str) -> None:
    """A scorer is not built on weights of another shape, on none, or on NaN."""
    weights = dict(bundle().weights)
    first = weights.pop("layers.0.weight")
    if change != "missing":
        weights["layers.0.weight"] = first[:, :-1] if change == "shape" else first * np.float32("nan")
    with pytest.raises(BundleError, match="not finite" if change == "nan" else "do not fit"):
        Scorer(replace(bundle(), weights=weights))
