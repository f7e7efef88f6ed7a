from __future__ import annotations

import hashlib
import io
import pickle
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import orjson
import pytest
import safetensors.numpy
import torch

from models.archive import pack, unpack
from models.bundle import Bundle, BundleError
from models.bundle_content import BundleContent
from models.bundle_file import read_bundle, write_bundle
from models.safetensors_archive import write
from models.scorer import Scorer
from models.scripted_network import torchscript_bytes
from tests.models.samples import bundle

KINDS = ["a.safetensors", "a.pt"]


@pytest.mark.parametrize("name", KINDS)
def test_content_survives_bytes_and_file(name: str, tmp_path: Path) -> None:
    """A bundle equals what comes back from its bytes and from its files, optimiser and manifest included."""
    original = bundle()
    sha256 = write_bundle(tmp_path / name, original)
    for back in (Bundle.from_bytes(original.to_bytes()), read_bundle(tmp_path / name, sha256)):
        assert back.manifest == original.manifest
        assert back.to_bytes() == original.to_bytes()
    assert hashlib.sha256((tmp_path / name).read_bytes()).hexdigest() == sha256
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_digest_is_of_the_content() -> None:
    """Equal content has one digest; one bit of one weight, or one word of the manifest, changes it."""
    original = bundle()
    copy = Bundle.from_bytes(original.to_bytes())
    assert copy == original
    assert len({copy, original}) == 1
    copy.weights["layers.0.weight"][0, 0, 0] = np.nextafter(copy.weights["layers.0.weight"][0, 0, 0], np.float32(9))
    assert Bundle.from_bytes(copy.to_bytes()) != original
    assert replace(original, manifest=replace(original.manifest, stream="other")) != original


def test_equal_content_has_equal_files() -> None:
    """The file of data is a function of the content, whatever order its arrays are in."""
    one = bundle()
    other = replace(
        one,
        weights=dict(reversed(one.weights.items())),
        manifest=replace(one.manifest, versions=dict(reversed(one.manifest.versions.items()))),
    )
    assert one.to_file_bytes() == other.to_file_bytes()


def test_the_file_is_a_safetensors_file_for_others_too() -> None:
    """Whoever has the library gets the weights, by the names of the network's parameters."""
    arrays = safetensors.numpy.load(bundle().to_file_bytes())
    np.testing.assert_array_equal(arrays["weights/layers.0.weight"], bundle().weights["layers.0.weight"])
    assert {name for name in arrays if name.startswith("optimiser/")} == {
        f"optimiser/{name}" for name in bundle().optimiser
    }


def test_a_pt_file_is_a_torchscript_file_for_others(tmp_path: Path) -> None:
    """Anything that runs TorchScript gets the scorer's numbers from the file."""
    write_bundle(tmp_path / "a.pt", bundle())
    rng = np.random.default_rng(0)
    x, seen, at = rng.random((32, 16, 1), np.float32), np.ones((32, 16), bool), rng.random((32, 4), np.float32)
    with pytest.warns(DeprecationWarning, match="torch.jit"):
        module = torch.jit.load(str(tmp_path / "a.pt"))
    outputs = module(*(torch.from_numpy(part) for part in (x, seen, at)))
    for mine, theirs in zip(Scorer(bundle()).score(x, seen, at), outputs, strict=True):
        np.testing.assert_allclose(mine, theirs.detach().numpy(), rtol=1e-5)


@pytest.mark.parametrize("name", KINDS)
def test_a_changed_file_is_refused(name: str, tmp_path: Path) -> None:
    """A file whose checksum is not the recorded one does not load, and the message names file and checksums."""
    path = tmp_path / name
    sha256 = write_bundle(path, bundle())
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    with pytest.raises(BundleError, match=rf"{name}: bundle has checksum .* but {sha256} is recorded"):
        read_bundle(path, sha256)


def zipped(files: dict[str, bytes], compression: int = zipfile.ZIP_STORED) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", compression) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return out.getvalue()


def unzipped(data: bytes) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        return {i.filename: archive.read(i) for i in archive.infolist()}


def saved() -> bytes:
    out = io.BytesIO()
    torch.save({"a": torch.zeros(3)}, out)
    return out.getvalue()


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"junk",
        pickle.dumps(print),
        zipped({"a/data.pkl": b"x"}),
        saved(),
        bundle().to_file_bytes()[:-100],
        torchscript_bytes(bundle())[:-100],
        safetensors.numpy.save({"a": np.zeros(3)}),
        safetensors.numpy.save({"a": np.zeros(3)}, {"tidegauge": "[]"}),
        (1 << 40).to_bytes(8, "little") + b"{}",
    ],
    ids=["empty", "junk", "pickle", "zip", "torch.save", "cut", "cut pt", "safetensors", "text", "header"],
)
def test_a_foreign_file_is_refused(data: bytes) -> None:
    """What is no bundle is refused in one clear line."""
    with pytest.raises(BundleError, match=r"^(not a |a TorchScript file, but no Tidegauge bundle: )[^\n]+$"):
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
    mine, theirs = (unzipped(torchscript_bytes(which)) for which in (bundle(), other))
    with pytest.raises(BundleError, match="digest"):
        Bundle.from_file_bytes(zipped({n: theirs[n] if "/extra/" not in n else mine[n] for n in mine}))
    content = BundleContent(other.manifest.to_json(), other.weights, other.optimiser, bundle().digest)
    with pytest.raises(BundleError, match="digest"):
        Bundle.from_file_bytes(write(content))


def test_a_bundle_whose_numbers_are_compressed_is_refused() -> None:
    """A small file cannot stand for a large one: nothing in it that is read may be compressed."""
    with pytest.raises(BundleError, match="compressed"):
        Bundle.from_file_bytes(zipped(unzipped(torchscript_bytes(bundle())), zipfile.ZIP_DEFLATED))


def test_a_format_to_come_is_named() -> None:
    """A later format is refused by its name, before anything else of it is understood."""
    text = orjson.dumps({"format": "tidegauge-bundle-9"}).decode()
    with pytest.raises(BundleError, match="is of format 'tidegauge-bundle-9', this program reads"):
        Bundle.from_file_bytes(safetensors.numpy.save({}, {"tidegauge": text}))


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
    arrays["weights/layers.0.weight"] = arrays["weights/layers.0.weight"].astype(np.float64)
    with pytest.raises(BundleError, match="not float32"):
        Bundle.from_bytes(pack(meta, arrays))


@pytest.mark.parametrize("change", ["shape", "missing", "nan"])
def test_weights_that_cannot_serve_are_refused(change: str, tmp_path: Path) -> None:
    """Neither a scorer nor a reader takes weights of another shape, none, or NaN."""
    weights = dict(bundle().weights)
    first = weights.pop("layers.0.weight")
    if change != "missing":
        weights["layers.0.weight"] = first[:, :-1] if change == "shape" else first * np.float32("nan")
    broken = replace(bundle(), weights=weights)
    why = "not finite" if change == "nan" else "do not fit"
    with pytest.raises(BundleError, match=why):
        Scorer(broken)
    (tmp_path / "a.safetensors").write_bytes(broken.to_file_bytes())
    with pytest.raises(BundleError, match=f"a.safetensors: .*{why}"):
        read_bundle(tmp_path / "a.safetensors")


@pytest.mark.parametrize(
    "change", [{"width": 16_000, "copies": 16_000}, {"window": 1 << 40}, {"options": {"layers": 3}}], ids=str
)
def test_a_manifest_takes_no_memory(change: dict[str, int], tmp_path: Path) -> None:
    """A manifest that asks for a network of terabytes, or for one that there is not, is refused at once."""
    broken = replace(bundle(), manifest=replace(bundle().manifest, **change))  # type: ignore[arg-type]
    (tmp_path / "a.safetensors").write_bytes(broken.to_file_bytes())
    with pytest.raises(BundleError, match=r"do not fit the manifest|no network has"):
        read_bundle(tmp_path / "a.safetensors")


def test_what_is_no_file_is_refused(tmp_path: Path) -> None:
    """A device, a directory and a file that is too large are refused before they are read."""
    with (tmp_path / "sparse").open("wb") as file:
        file.truncate(1 << 31)
    for path in (Path("/dev/zero"), tmp_path / "sparse", tmp_path):
        with pytest.raises(BundleError, match="no regular file of at most 1024 MiB"):
            read_bundle(path)
