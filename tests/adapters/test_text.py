from __future__ import annotations

import os

import orjson
from hypothesis import example, given
from hypothesis import strategies as st

from adapters.formats.csv import CsvFormat
from adapters.formats.influx import InfluxFormat
from adapters.formats.jsonl import JsonlFormat
from adapters.text import is_name, printable, series_of, shown

texts = st.text(st.characters(blacklist_categories=()), max_size=40)
names = st.binary(min_size=1, max_size=40).filter(lambda raw: not set(raw) & set(b"\0/") and raw not in (b".", b".."))
values = st.recursive(
    texts | st.integers(-9, 9) | st.none(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=8,
)


@given(texts)
@example("z\udce4hler \ud800 \u202e \u2028 \x1b[2J \x85 \0")
def test_whatever_is_shown_is_printable(text: str) -> None:
    """Any text becomes one printable line of UTF-8, and what is printable stays as it is."""
    found = printable(text)
    assert found.isprintable()
    found.encode()
    assert printable(found) == found
    assert (found == text) == text.isprintable()


@given(values)
def test_whatever_is_written_as_json_is_json(value: object) -> None:
    """Any value becomes one that JSON can hold, with nothing in it that a terminal would obey."""
    assert orjson.dumps(shown(value)).decode().isprintable()


@given(names)
@example(b"z\xe4hler.csv")
@example(b"a\nb.csv")
def test_a_file_of_any_name_has_a_series(raw: bytes) -> None:
    """The series of a file is printable, and two files of other stems, one of them escaped, have other series."""
    found = series_of(os.fsdecode(raw))
    assert found.isprintable()
    found.encode()


def test_undecoded_bytes_are_shown_as_they_are() -> None:
    """A byte that is not UTF-8 is shown as that byte, not as the half character that Python keeps it as."""
    assert printable(os.fsdecode(b"z\xe4hler")) == r"z\xe4hler"
    assert printable("\ud800") == r"\ud800"


def lines_with(name: str) -> list[tuple[object, bytes]]:
    """The name as each format carries one."""
    raw = name.encode("utf-8", "surrogatepass")
    escaped = name.translate({ord(c): f"\\{c}" for c in " ,="}).encode("utf-8", "surrogatepass")
    quoted = name.replace('"', '""').encode("utf-8", "surrogatepass")
    dumped = b'"' + "".join(f"\\u{unit:04x}" for unit in utf16(name)).encode() + b'"'
    return [
        (CsvFormat(series="s"), b'timestamp,s,value\n1700000000,"' + quoted + b'",1\n'),
        (CsvFormat(series="s"), b"timestamp,s,value\n1700000000," + raw + b",1\n"),
        (JsonlFormat(series="s"), b'{"timestamp":1700000000,"s":' + dumped + b',"value":1}\n'),
        (JsonlFormat(series="s"), b'{"timestamp":1700000000,"s":"' + raw + b'","value":1}\n'),
        (InfluxFormat(tags=["s"]), b"m,s=" + escaped + b" value=1 1700000000000000000\n"),
    ]


def utf16(name: str) -> list[int]:
    raw = name.encode("utf-16-be", "surrogatepass")
    return [int.from_bytes(raw[i : i + 2]) for i in range(0, len(raw), 2)]


@given(texts)
@example("\ud800")
@example("\udce4")
@example("a\u202eb")
@example("a\u2028b")
@example("a\x85b")
@example("a\x1b[31mb")
def test_no_format_lets_another_name_in(name: str) -> None:
    """Whatever a line carries as a series: what becomes a reading has a name that may be one."""
    for form, data in lines_with(name):
        readings, _ = form.parse(data, "x", None)  # type: ignore[attr-defined]
        assert all(is_name(each) for each in readings.series), (form, data)
        assert name.isprintable() or name not in readings.series


@given(texts)
def test_a_name_of_a_file_is_refused_or_kept(name: str) -> None:
    """The series that a chunk brings is judged by the same rule, on the fast path and the slow one."""
    for vouch in (True, False):
        readings, _ = CsvFormat(vouch=vouch).parse(b"timestamp,value\n1700000000,1\n", name, None)
        clean = name.strip(" \t")
        fits = is_name(clean) and len(clean.encode("utf-8", "surrogatepass")) <= 256
        assert (len(readings) == 1) == fits
