"""NEM12, Green Button and rows of a day: what they say, and what of it is refused."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adapters.base import DocumentError, DocumentFormat, Readings
from adapters.formats.espi import EspiFormat
from adapters.formats.nem12 import Nem12Format
from adapters.formats.number_text import NumberReader
from adapters.formats.stamps import StampReader
from adapters.formats.wide import WideFormat, periods_of
from tests.field_exports import Export, elexon, green_button, nem12

HOME = "200,6001,E1,1,E1,N1,SERIAL,kWh,30,"


def london(quality: str | None = None) -> WideFormat:
    return WideFormat("date", None, None, ",", StampReader("Europe/London"), "Europe/London", NumberReader(), quality)


def whole(fmt: DocumentFormat, path: Path) -> tuple[dict[str, list[tuple[int, float]]], list[int], Counter[str]]:
    """Readings by series, qualities and rejections of a file."""
    found: dict[str, list[tuple[int, float]]] = {}
    qualities: list[int] = []
    rejected: Counter[str] = Counter()
    for piece in fmt.read(path):
        qualities += piece.quality.tolist()
        rejected.update(piece.rejected())
        for code, at, value in zip(piece.codes, piece.at_ms, piece.values, strict=True):
            found.setdefault(piece.series[code], []).append((int(at) // 1000, float(value[0])))
    return found, qualities, rejected


@pytest.mark.parametrize(
    ("make", "fmt", "counts"),
    [
        (nem12, Nem12Format(), [1864, 96, 56]),
        (green_button, EspiFormat(), [1916, 96]),
        (
            elexon,
            WideFormat(
                *("Settlement Date", None, None, ",", StampReader("Europe/London", "%d/%m/%Y")),
                *("Europe/London", NumberReader()),
            ),
            [1006],
        ),
    ],
)
def test_round_trip(make: Callable[[Path], Export], fmt: DocumentFormat, counts: list[int], tmp_path: Path) -> None:
    """Every reading of a file comes back with series, instant, value and quality, over a change of the clock."""
    export = make(tmp_path)
    found, qualities, rejected = whole(fmt, export.path)
    assert found == dict(export.readings)
    assert (np.bincount(qualities).tolist(), rejected) == (counts, {})


def test_nem12_of_other_lengths(tmp_path: Path) -> None:
    """Five and fifteen minutes; blank values and quality N are missing; what is no record is malformed."""
    path = tmp_path / "a.csv"
    day5 = ",".join(["1"] * 287 + [""])
    day15 = ",".join(["2"] * 96)
    path.write_text(
        "100,NEM12,202404010000,A,B\n200,6001,E1Q1,1,E1,N1,S,kWh,5,\n"
        f"300,20240101,{day5},A,,,,\n200,6001,E1Q1,2,Q1,N1,S,kVArh,15,\n300,20240101,{day15},N,,,,\n"
        f"300,20240102,{day15},S14,51,,,\n300,20240103,1,2,A\n300,20241301,{day15},A\n400,1,2,A\n777\n900\n"
    )
    found, qualities, rejected = whole(Nem12Format(), path)
    assert {name: len(each) for name, each in found.items()} == {"6001/E1": 287, "6001/Q1": 96}
    assert found["6001/E1"][:2] == [(1704031200, 1.0), (1704031500, 1.0)]  # 14:00 UTC of the day before
    assert np.bincount(qualities).tolist() == [287, 0, 96]
    assert rejected == {"missing_value": 97, "malformed": 4}


def test_nem12_quality_of_parts_of_a_day(tmp_path: Path) -> None:
    """Records 400 say the quality of a day of V; a part they leave out is `bad_quality`."""
    path = tmp_path / "a.csv"
    values = ",".join(["1"] * 48)
    path.write_text(f"{HOME}\n300,20240101,{values},V,,,,\n400,1,10,A\n400,11,47,E52\n300,20240102,{values},V,,,,\n")
    _, qualities, rejected = whole(Nem12Format(), path)
    assert (np.bincount(qualities).tolist(), rejected) == ([10, 37], {"bad_quality": 49})


def test_nem12_is_known_by_its_first_record(tmp_path: Path) -> None:
    """NEM13 and anything else is refused by name; a given series goes in place of the NMI."""
    path = tmp_path / "a.csv"
    path.write_text("100,NEM13,202404010000,A,B\n")
    with pytest.raises(DocumentError, match="not a NEM12 file: line 1 is '100,NEM13"):
        list(Nem12Format().read(path))
    path.write_text(f"{HOME}\n300,20240101,{','.join(['1'] * 48)},A,,,,\n")
    assert list(whole(Nem12Format(series_of=lambda path, otherwise: "home"), path)[0]) == ["home/E1"]


@pytest.mark.parametrize(
    "evil",
    [
        '<!DOCTYPE feed [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]><feed><IntervalBlock>&b;</IntervalBlock></feed>',
        '<!DOCTYPE feed SYSTEM "file:///etc/passwd"><feed><IntervalBlock/></feed>',
        '<!DOCTYPE feed [<!ENTITY x SYSTEM "file:///etc/passwd">]><feed><IntervalBlock>&x;</IntervalBlock></feed>',
        "<feed>" + "<a>" * 100 + "</a>" * 100 + "<IntervalBlock/></feed>",
    ],
)
def test_green_button_defines_nothing(evil: str, tmp_path: Path) -> None:
    """A document type, an entity, another file or endless depth ends the reading with a line of words."""
    path = tmp_path / "a.xml"
    path.write_text(evil)
    with pytest.raises(DocumentError, match=r"a\.xml: (defines a document type|is nested deeper)"):
        list(EspiFormat().read(path))


def test_green_button_faults_of_readings(tmp_path: Path) -> None:
    """A reading without value, start or number is refused; one without an entry's links is of the file's one series."""
    path = tmp_path / "meter.xml"
    inner = ["<value>5</value>", "<timePeriod><start>1704067200</start></timePeriod>", ""]
    odd = "<timePeriod><start>1704067200</start></timePeriod><value>x</value>"
    good = odd.replace("x", "7") + "<ReadingQuality><quality>8</quality></ReadingQuality>"
    rows = "".join(f"<IntervalReading>{each}</IntervalReading>" for each in [*inner, odd, good])
    path.write_text(f"<IntervalBlock>{rows}</IntervalBlock>")
    found, qualities, rejected = whole(EspiFormat(), path)
    assert (found, qualities) == ({"meter": [(1704067200, 7.0)]}, [1])
    assert rejected == {"bad_time": 2, "missing_value": 1, "bad_value": 1}


def test_rows_of_a_day(tmp_path: Path) -> None:
    """Days of 46, 48 and 50 half hours; a value that a day cannot have is refused, and a missing one missed."""
    path = tmp_path / "site.csv"
    names = ",".join(f"SP{i:02}" for i in range(1, 51))

    def row(day: str, count: int, quality: str = "A") -> str:
        return f"{day},{quality}," + ",".join(["1"] * count + [""] * (50 - count)) + "\n"

    text = row("2024-03-31", 46) + row("2024-04-01", 48, "E") + row("2024-10-27", 50) + row("2024-03-30", 49)
    path.write_text(f"Title\ndate,flag,{names}\n{text}{row('2024-04-02', 47)}never,A{',1' * 50}\n2024-04-03,A,1\n")
    found, qualities, rejected = whole(london("flag"), path)
    assert len(found["site"]) == 46 + 48 + 50 + 48 + 47
    assert np.bincount(qualities).tolist() == [46 + 50 + 48 + 47, 48]
    assert rejected == {"preamble": 1, "bad_time": 2, "missing_value": 1, "malformed": 1}
    at = np.array([at for at, _ in found["site"]])
    assert set(np.diff(at[:46]).tolist()) == set(np.diff(at[94:144]).tolist()) == {1800}


def test_rows_of_a_day_by_the_clock(tmp_path: Path) -> None:
    """Columns named by times of day are local times; the hour that a clock skips must be empty."""
    names = [f"{i // 2:02}:{i % 2 * 30:02} - {(i + 1) // 2 % 24:02}:{(i + 1) % 2 * 30:02}" for i in range(48)]
    path = tmp_path / "site.csv"
    spring = ["1"] * 48
    spring[2] = spring[3] = ""  # 01:00 to 02:00
    path.write_text(
        f"NMI,date,{','.join(names)}\nx,2024-03-31,{','.join(spring)}\nx,2024-04-01,{','.join(['2'] * 48)}\n"
    )
    found, _, rejected = whole(london(), path)
    assert (len(found["site"]), rejected) == (94, {})
    assert set(np.diff([at for at, _ in found["site"]]).tolist()) == {1800}


@pytest.mark.parametrize("count", [23, 24, 25, 46, 48, 50, 96, 100, 288])
def test_numbered_periods(count: int) -> None:
    """As many periods as a day has, or two hours' more or less; anything else is none."""
    names = ["date", *(f"Period {i}" for i in range(1, count + 1)), "total"]
    found = periods_of(names)
    assert found is not None
    assert found.interval_min == {23: 60, 24: 60, 25: 60, 46: 30, 48: 30, 50: 30, 96: 15, 100: 15, 288: 5}[count]
    assert periods_of(["date", *map(str, range(1, 31))]) is None
    assert periods_of(["date", *(f"x{i}" for i in (1, 2, 4, *range(5, 30)))]) is None


TOKENS = [
    "100,NEM12,1,A,B\n",
    f"{HOME}\n",
    "300,20240101," + "1," * 48 + "A\n",
    "300,20240101,1\n",
    "400,1,48,A\n",
    "400,0,x\n",
]
XML = [
    "<feed>",
    "<entry>",
    "</entry>",
    "<IntervalBlock>",
    "</IntervalBlock>",
    "<IntervalReading>",
    "</IntervalReading>",
]
ROWS = ["date," + ",".join(map(str, range(1, 25))) + "\n", "2024-01-01" + ",1" * 24 + "\n", "2024-01-01,,\n"]


@pytest.mark.parametrize("fmt", [Nem12Format(), EspiFormat(), london()], ids=lambda fmt: type(fmt).__name__)
@settings(max_examples=60, deadline=None)
@given(
    parts=st.lists(st.sampled_from([*TOKENS, *XML, *ROWS, "900\n", "x", ",", '"', "\n", "\0", "<", "é"]), max_size=15)
)
def test_any_text_is_read_or_refused(
    fmt: DocumentFormat, parts: list[str], tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Whatever a file holds, it is readings and rejections within bounds, the same each time, or one error."""
    path = tmp_path_factory.mktemp("d") / "noise"
    path.write_text("".join(parts))

    def pieces() -> list[Readings] | str:
        try:
            return list(fmt.read(path))
        except DocumentError as error:
            return str(error)

    first, again = pieces(), pieces()
    if isinstance(first, str):
        assert first == again
        return
    assert [p.values.tobytes() for p in first] == [p.values.tobytes() for p in again if isinstance(p, Readings)]
    for piece in first:
        assert (np.abs(piece.values) <= 1e30).all()
        assert sorted([*piece.ends.tolist(), *piece.bad_ends.tolist()]) == list(
            range(1, len(piece) + len(piece.bad_ends) + 1)
        )
