"""Files made to do harm: nothing in them runs, and whatever is wrong with them is one line."""

from __future__ import annotations

import contextlib
import io
import pickle
import zipfile
from dataclasses import replace
from pathlib import Path

import orjson
import pytest
import safetensors.numpy
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from models.archive import pack, unpack
from models.bundle import Bundle, BundleError
from models.bundle_content import BundleContent
from models.safetensors_archive import write
from models.scripted_network import check, torchscript_bytes
from models.torchscript_objects import parameters
from tests.models.attacks import attack, loaded_as_torchscript
from tests.models.samples import bundle
from tests.models.test_bundle import unzipped, zipped

FILES = {"safetensors": bundle().to_file_bytes(), "pt": torchscript_bytes(bundle())}
kinds = st.sampled_from(sorted(FILES))
SLOW = [HealthCheck.too_slow]  # a busy machine is no fault


def test_the_attack_is_one(tmp_path: Path) -> None:
    """torch itself runs the code in the made file while it loads it: the file beside it is overwritten."""
    (victim := tmp_path / "victim").write_bytes(b"precious")
    loaded_as_torchscript(attack(victim))
    assert victim.read_bytes() != b"precious"


def test_the_attack_is_refused(tmp_path: Path) -> None:
    """The made file, dressed as a bundle, is refused, and the file beside it stays."""
    (victim := tmp_path / "victim").write_bytes(b"precious")
    with pytest.raises(BundleError, match=r"^[^\n]+$"):
        Bundle.from_file_bytes(attack(victim))
    assert victim.read_bytes() == b"precious"


def test_code_beside_sound_weights_does_not_run(tmp_path: Path) -> None:
    """A bundle whose code was replaced is the bundle that its data says; the code is not looked at."""
    (victim := tmp_path / "victim").write_bytes(b"precious")
    mine, theirs = unzipped(FILES["pt"]), unzipped(attack(victim))
    code = {name: data for name, data in theirs.items() if "/code/" in name}
    assert code
    kept = {name: data for name, data in mine.items() if "/code/" not in name}
    assert Bundle.from_file_bytes(zipped(kept | code)) == bundle()
    assert victim.read_bytes() == b"precious"


class Caller:
    """Pickled, it is a call."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, tuple[Path]]:
        return Path.touch, (self.path,)


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_a_pickle_in_the_file_is_not_unpickled(protocol: int, tmp_path: Path) -> None:
    """A `data.pkl` that calls something calls nothing here."""
    files = unzipped(FILES["pt"])
    (program,) = (name for name in files if name.endswith("data.pkl"))
    files[program] = pickle.dumps(Caller(tmp_path / "called"), protocol)
    with pytest.raises(BundleError, match="not a TorchScript file"):
        Bundle.from_file_bytes(zipped(files))
    assert not (tmp_path / "called").exists()


def test_an_object_that_holds_itself_ends() -> None:
    """Fields that lead back to their own module, or to one module along many ways, are walked once."""
    new = b"c__torch__.a\nB\n)\x81"
    loop = b"\x80\x02" + new + b"q\x00}(X\x01\x00\x00\x00ah\x00X\x01\x00\x00\x00bh\x00ub."
    assert parameters(loop) == {}


@settings(max_examples=300, deadline=None, suppress_health_check=SLOW)
@given(kinds, st.data())
def test_flipped_bytes_are_refused_or_make_no_difference(kind: str, data: st.DataObject) -> None:
    """A file with bytes changed, cut or doubled is the bundle it was, or refused in one line; nothing else happens."""
    raw = bytearray(FILES[kind])
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.one_of(st.integers(0, len(raw) - 1), st.integers(max(0, len(raw) - 4000), len(raw) - 1)))
        raw[at] = data.draw(st.integers(0, 255))
    end = data.draw(st.one_of(st.just(len(raw)), st.integers(0, len(raw))))
    _read_or_refuse(bytes(raw[:end]))


@settings(max_examples=300, deadline=None, suppress_health_check=SLOW)
@given(st.sampled_from(["data.pkl", "optimiser.tga", "manifest.json"]), st.data())
def test_flipped_bytes_inside_a_sound_archive_are_too(part: str, data: st.DataObject) -> None:
    """The same where the archive's own checksums were made good, so that what is inside is really looked at."""
    files = unzipped(FILES["pt"])
    (name,) = (each for each in files if each.endswith(f"/{part}"))
    raw = bytearray(files[name])
    for _ in range(data.draw(st.integers(1, 4))):
        raw[data.draw(st.integers(0, min(len(raw), 2000) - 1))] = data.draw(st.integers(0, 255))
    _read_or_refuse(zipped(files | {name: bytes(raw)}))


def _read_or_refuse(raw: bytes) -> None:
    try:
        assert Bundle.from_file_bytes(raw) == bundle()
    except BundleError as error:
        assert len(str(error).splitlines()) == 1


json = st.recursive(
    st.none() | st.booleans() | st.integers(-(1 << 63), 1 << 63) | st.text(max_size=4) | st.sampled_from(["<f4", "|O"]),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner, max_size=4),
    max_leaves=12,
)


@settings(max_examples=300, deadline=None, suppress_health_check=SLOW)
@given(json | st.fixed_dictionaries({"meta": json, "arrays": st.lists(st.lists(json, max_size=4), max_size=3)}))
def test_an_archive_with_any_header_is_refused_as_one(head: object) -> None:
    """Whatever JSON a header holds, the error is a ValueError."""
    raw = orjson.dumps(head)
    with contextlib.suppress(ValueError):
        unpack(b"TGA1" + len(raw).to_bytes(8, "little") + raw)


@settings(max_examples=200, deadline=None, suppress_health_check=SLOW)
@given(st.sampled_from([*sorted(bundle().manifest.to_json()), "options", "colour"]), json)
def test_a_manifest_with_any_value_is_refused_or_fits(key: str, value: object) -> None:
    """Whatever stands in a manifest: the bundle is whole, or one line says what is wrong."""
    b = bundle()
    content = BundleContent(b.manifest.to_json() | {key: value}, b.weights, b.optimiser, "")
    try:
        Bundle.from_file_bytes(write(content))
        raise AssertionError("the digest is none")
    except BundleError as error:
        assert len(str(error).splitlines()) == 1
        assert len(str(error)) < 2000


@pytest.mark.parametrize("members", ["[]", "{}", "[1]", "[" * 900 + "]" * 900, '[{"network":{"options":[]}}]', "x"])
def test_an_ensemble_of_nonsense_is_refused(members: str) -> None:
    """What an ensemble's members say is of the file, too."""
    manifest = replace(bundle().manifest, architecture="ensemble", options={"members": members})
    with pytest.raises(BundleError, match="no network has this manifest"):
        check(replace(bundle(), manifest=manifest))


def test_a_manifest_nested_deep_is_refused() -> None:
    """Deeper than it could be written again."""
    text = orjson.dumps(
        {"format": "tidegauge-bundle-2", "digest": "", "manifest": bundle().manifest.to_json()}
    ).decode()
    text = text.replace('"seed":3', f'"seed":{"[" * 600}{"]" * 600}')
    with pytest.raises(BundleError, match="of one level"):
        Bundle.from_file_bytes(safetensors.numpy.save({}, {"tidegauge": text}))


def test_a_header_nested_deep_is_refused() -> None:
    """Lists in lists in lists end in the same error, not in that of a stack."""
    raw = b'{"meta":{},"arrays":[["a",' + b"[" * 900 + b"]" * 900 + b",[1]]]}"
    with pytest.raises(ValueError, match=r"damaged|header|cut"):
        unpack(b"TGA1" + len(raw).to_bytes(8, "little") + raw)


def test_a_shape_of_many_axes_is_refused_unmultiplied() -> None:
    """A hundred thousand great lengths are refused as too many; their product alone would take minutes."""
    shape = b"[" + b",".join([b"9223372036854775807"] * 500_000) + b"]"
    raw = b'{"meta":{},"arrays":[["a","<f4",' + shape + b"]]}"
    with pytest.raises(ValueError, match="of a shape that no array has"):
        unpack(b"TGA1" + len(raw).to_bytes(8, "little") + raw)
    sizes = b"(" + (b"\x8a\xc8" + b"\x7f" * 200) * 10_000 + b"t"
    with pytest.raises(ValueError, match="of a size that no weight has"):
        parameters(_module(_rebuilt(10, sizes)))


def test_one_storage_does_not_make_many_weights() -> None:
    """Weights that all lie in the same numbers may not be more than the file holds."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr("archive/data.pkl", _shared(200, 100_000))
        archive.writestr("archive/data/0", bytes(400_000))
        archive.writestr("archive/extra/manifest.json", b"{}")
        archive.writestr("archive/extra/optimiser.tga", pack({}, {}))
    with pytest.raises(BundleError, match="weights are more than the file holds"):
        Bundle.from_file_bytes(out.getvalue())


def _shared(tensors: int, numbers: int) -> bytes:
    """A program that makes so many parameters of one storage."""
    return _module(*[_rebuilt(numbers, b"(J" + numbers.to_bytes(4, "little") + b"t")] * tensors)


def _text(word: bytes) -> bytes:
    return b"X" + len(word).to_bytes(4, "little") + word


def _rebuilt(numbers: int, shape: bytes) -> bytes:
    """The steps that make a parameter of this shape on a storage of so many numbers."""
    size = b"J" + numbers.to_bytes(4, "little")
    storage = b"(" + _text(b"storage") + b"ctorch\nFloatStorage\n" + _text(b"0") + _text(b"cpu") + size + b"tQ"
    hooks = b"ccollections\nOrderedDict\n)R"
    return b"ctorch._utils\n_rebuild_tensor_v2\n(" + storage + b"K\x00" + shape + b"(K\x01t\x88" + hooks + b"tR"


def _module(*values: bytes) -> bytes:
    """The program of a module with these fields."""
    fields = b"".join(_text(b"w%d" % i) + value for i, value in enumerate(values))
    return b"\x80\x02c__torch__.a\nA\n)\x81}(" + fields + b"ub."


def test_what_a_file_holds_stays_one_line() -> None:
    """Names in a file that would end a line or steer a terminal are shown escaped."""
    files = unzipped(FILES["pt"])
    (program,) = (name for name in files if name.endswith("data.pkl"))
    files[program] = files[program].replace(b"ctorch\nFloatStorage", b"ctor\x0bh\nFloat\x1btorage")
    with pytest.raises(BundleError, match=r"weight of tor\\x0bh Float\\x1btorage"):
        Bundle.from_file_bytes(zipped(files))
