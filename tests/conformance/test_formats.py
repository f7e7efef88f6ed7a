"""The contracts of `base.Format` and `base.DocumentFormat`, held against every format of the registry.

A new format joins by its line there and one in `EXAMPLES`: a file of it, written from readings. Without that it fails.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple
from xml.sax.saxutils import quoteattr

import numpy as np
import pandas as pd
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from pytest import TempPathFactory

from adapters.base import DocumentError, DocumentFormat, Format, Readings
from adapters.formats.format_registry import FORMATS, LINES, of_suffix
from daemon.config.document import ConfigError
from daemon.config.file import load
from daemon.config.format_settings import FormatSettings

START = 1_767_225_600
NAMES = ["m1", "zähler", "a b", '"q"']


class Reading(NamedTuple):
    """What a file is written from."""

    series: str
    at: int
    value: float


def _stamp(at: int) -> str:
    return datetime.fromtimestamp(at, UTC).isoformat()


def csv(path: Path, readings: Sequence[Reading]) -> None:
    quoted = ((_stamp(r.at), r.value, r.series.replace('"', '""')) for r in readings)
    path.write_text("timestamp,kwh,meter\n" + "".join(f'{at},{value!r},"{name}"\n' for at, value, name in quoted))


def jsonl(path: Path, readings: Sequence[Reading]) -> None:
    rows = ({"at": _stamp(r.at), "kwh": r.value, "meter": r.series} for r in readings)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))


def influx(path: Path, readings: Sequence[Reading]) -> None:
    escaped = ((r.series.replace(" ", "\\ "), r.value, r.at * 10**9) for r in readings)
    path.write_text("".join(f"m,host={name},cpu=0 usage_idle={value!r} {at}\n" for name, value, at in escaped))


def parquet(path: Path, readings: Sequence[Reading]) -> None:
    at = pd.to_datetime([r.at for r in readings], unit="s", utc=True)
    columns = {"timestamp": at, "kwh": [r.value for r in readings], "meter": [r.series for r in readings]}
    pd.DataFrame(columns).astype({"kwh": "float64", "meter": "str"}).to_parquet(path)


def nem12(path: Path, readings: Sequence[Reading]) -> list[Reading]:
    """A record 200 and one of a day with a single interval for each: of the market's midnight, called `NMI/SUFFIX`."""
    lines, written = ["100,NEM12,202404010000,A,B"], []
    for r in readings:
        day = datetime.fromtimestamp(r.at + 36_000, UTC)
        nmi = r.series.strip('"')
        lines += [f"200,{nmi},E1,1,E1,N1,SERIAL,kWh,1440,", f"300,{day:%Y%m%d},{r.value!r},A,,,20240401120000,"]
        midnight = day.replace(hour=0, minute=0, second=0)
        written.append(Reading(f"{nmi}/E1", round(midnight.timestamp()) - 36_000, r.value))
    path.write_text("".join(f"{line}\n" for line in [*lines, "900"]))
    return written


def espi(path: Path, readings: Sequence[Reading]) -> list[Reading]:
    """An entry for each reading's block, and one for each meter."""
    base = "https://utility.example/UsagePoint"

    def entry(own: str, up: str, content: str, related: str = "") -> str:
        links = f"<link rel='self' href={quoteattr(own)}/><link rel='up' href={quoteattr(up)}/>{related}"
        return f"<entry>{links}<content>{content}</content></entry>"

    meters = [f"{base}/{name}/MeterReading/1" for name in NAMES]
    blocks = [f"<link rel='related' href={quoteattr(f'{own}/IntervalBlock')}/>" for own in meters]
    entries = [entry(own, base, "<MeterReading/>", more) for own, more in zip(meters, blocks, strict=True)]
    entries.append(entry(f"{base}/x/IntervalBlock/0", f"{base}/x", "<IntervalBlock/>"))
    for number, r in enumerate(readings):
        up = f"{base}/{r.series}/MeterReading/1/IntervalBlock"
        inner = f"<timePeriod><duration>60</duration><start>{r.at}</start></timePeriod><value>{r.value!r}</value>"
        block = f"<IntervalBlock><IntervalReading>{inner}</IntervalReading></IntervalBlock>"
        entries.append(entry(f"{up}/{number}", up, block))
    path.write_text(f"<feed xmlns='http://www.w3.org/2005/Atom'>{''.join(entries)}</feed>")
    return [Reading(f"{r.series}/1", r.at, r.value) for r in readings]


def wide(path: Path, readings: Sequence[Reading]) -> list[Reading]:
    """A day for each reading, of 24 hours that all have its value."""
    rows, written = [], []
    for r in readings:
        midnight = r.at - r.at % 86_400
        name = r.series.replace('"', '""')
        rows.append(f'"{name}",{datetime.fromtimestamp(midnight, UTC):%Y-%m-%d},{",".join([repr(r.value)] * 24)}\n')
        written += [Reading(r.series, midnight + 3600 * hour, r.value) for hour in range(24)]
    path.write_text(f"meter,date,{','.join(map(str, range(1, 25)))}\n{''.join(rows)}")
    return written


EXAMPLES: dict[str, Callable[[Path, Sequence[Reading]], Sequence[Reading] | None]] = {
    "csv": csv,
    "jsonl": jsonl,
    "influx": influx,
    "parquet": parquet,
    "nem12": nem12,
    "espi": espi,
    "wide": wide,
}
"""Each writes a file of readings, and gives back what is in it where that is not the same."""

every_format = pytest.mark.parametrize("name", FORMATS)
every_format_of_lines = pytest.mark.parametrize("name", LINES)


def made(name: str) -> Format | DocumentFormat:
    """The format of its sample."""
    choices = FormatSettings.model_construct(**yaml.safe_load(FORMATS[name].sample))
    return FORMATS[name].make(choices, "UTC", 256)


def pieces(fmt: Format | DocumentFormat, path: Path) -> list[Readings]:
    """A file's readings, as replay takes them."""
    if isinstance(fmt, DocumentFormat):
        return list(fmt.read(path))
    return [fmt.parse(path.read_bytes(), path.stem, None)[0]]


def rows(found: list[Readings]) -> list[tuple[str, int, float]]:
    return [
        (r.series[code].removesuffix(",0"), int(at) // 1000, float(value[0]))
        for r in found
        for code, at, value in zip(r.codes, r.at_ms, r.values, strict=True)
    ]


readings = st.lists(
    st.builds(
        Reading,
        st.sampled_from(NAMES),
        st.integers(START, START + 10**7),
        st.floats(-1e9, 1e9, allow_nan=False).map(lambda x: x + 0.0),
    ),
    max_size=30,
)


@every_format
@settings(max_examples=25)
@given(data=readings)
def test_what_was_written_is_read(name: str, data: list[Reading], tmp_path_factory: TempPathFactory) -> None:
    """Every reading of a file comes back with its series, its instant and its value to the bit, in its order."""
    path = tmp_path_factory.mktemp("f") / f"input{(FORMATS[name].suffixes or ('.txt',))[0]}"
    written = EXAMPLES[name](path, data) or data
    found = pieces(made(name), path)
    assert rows(found) == [tuple(reading) for reading in written]
    assert not any(len(each.bad_reasons) for each in found)


@every_format
def test_arrays_have_the_shapes_they_promise(name: str, tmp_path: Path) -> None:
    """Types, shapes and order of `Readings` are those of its docstring, also where there is nothing in it."""
    path = tmp_path / "input"
    for count in (0, 3):
        EXAMPLES[name](path, [Reading("m1", START + i, float(i)) for i in range(count)])
        for found in pieces(made(name), path):
            assert [a.dtype.name for a in (found.codes, found.at_ms, found.values)] == ["int32", "int64", "float64"]
            assert (found.quality.dtype.name, found.quality.shape) == ("int8", found.at_ms.shape)
            assert found.values.shape == (len(found), 1)
            assert found.fold_s.shape == found.at_ms.shape == found.ends.shape == (len(found),)
            assert (np.diff(found.ends) > 0).all()
            assert len(set(found.series)) == len(found.series)


@every_format_of_lines
@settings(max_examples=25)
@given(data=readings, cuts=st.lists(st.integers(0, 40), max_size=4))
def test_cuts_do_not_matter(name: str, data: list[Reading], cuts: list[int], tmp_path_factory: TempPathFactory) -> None:
    """However a file is cut into whole lines, with the header that travels, the same readings come of it."""
    fmt = made(name)
    assert not isinstance(fmt, DocumentFormat)
    path = tmp_path_factory.mktemp("f") / "input"
    EXAMPLES[name](path, data)
    lines = path.read_bytes().splitlines(keepends=True)
    bounds = [0, *sorted(min(cut, len(lines)) for cut in cuts), len(lines)]
    header, found = None, []
    for start, stop in pairwise(bounds):
        part, header = fmt.parse(b"".join(lines[start:stop]), "input", header)
        found.append(part)
    assert rows(found) == [tuple(reading) for reading in data]


@every_format_of_lines
@settings(max_examples=50)
@given(noise=st.binary(max_size=200))
def test_noise_is_refused_and_what_follows_is_read(name: str, noise: bytes, tmp_path_factory: TempPathFactory) -> None:
    """Whatever bytes a line has, nothing is raised, and the line after it is a reading as if it had not been there."""
    fmt = made(name)
    assert not isinstance(fmt, DocumentFormat)
    path = tmp_path_factory.mktemp("f") / "input"
    EXAMPLES[name](path, [Reading("m1", START, 1.0), Reading("m1", START + 60, 2.0)])
    *before, last = path.read_bytes().splitlines(keepends=True)
    line = noise.replace(b"\n", b"") + b"\n"
    found, _ = fmt.parse(b"".join([*before, line, last]), "input", None)
    assert rows([found])[-1] == ("m1", START + 60, 2.0)
    assert all(math.isfinite(value) for _, _, value in rows([found]))


@every_format
def test_a_document_that_is_none_is_one_error(name: str, tmp_path: Path) -> None:
    """A file of noise is refused by name with a reason, never by another exception."""
    fmt = made(name)
    if not isinstance(fmt, DocumentFormat):
        return
    path = tmp_path / "noise"
    for noise in (b"", b"PAR1", bytes(range(256)) * 40):
        path.write_bytes(noise)
        with pytest.raises(DocumentError, match="noise"):
            list(fmt.read(path))


@every_format
def test_it_is_configured_by_its_sample(name: str, tmp_path: Path) -> None:
    """A format has a sample that can be run; a document's is refused for a source that gives lines, with what goes."""
    config = tmp_path / "tidegauge.yaml"
    for source in ("{type: file, path: in}", "{type: stdin}"):
        stream = f"{{sources: [{source}], interval: 1h, format: {FORMATS[name].sample}}}"
        config.write_text(f"version: 1\nstreams: {{a: {stream}}}\n")
        if name in LINES or "file" in source:
            assert load(config, serving=True).streams["a"].format.type == name
        else:
            with pytest.raises(ConfigError, match=f"set type: file, or a format of {', '.join(LINES)}"):
                load(config, serving=True)
    for suffix in FORMATS[name].suffixes:
        assert of_suffix(suffix) == name


def test_no_two_formats_claim_one_suffix() -> None:
    """What a file's name says of its format is one thing."""
    suffixes = [suffix for kind in FORMATS.values() for suffix in kind.suffixes]
    assert len(suffixes) == len(set(suffixes))
