"""The README's picture: drawn by our own code, of what the demonstration shows."""

from __future__ import annotations

from xml.etree import ElementTree

from daemon.engine.messages.events import Event
from docs.demonstration import Point, picture
from tests.conftest import ROOT
from tests.daemon.web.pictures import NOW, event

_TEXT = "{http://www.w3.org/2000/svg}text"


def texts(svg: str) -> list[str]:
    """What is written in a drawing."""
    return [str(each.text) for each in ElementTree.fromstring(svg).iter(_TEXT)]


def test_the_picture_shows_what_the_readme_says() -> None:
    """It has the reasons of the known disturbances, and the README shows it."""
    said = texts((ROOT / "docs/images/demonstration.svg").read_text(encoding="utf-8"))
    assert {"model, novelty", "novelty", "model", "gap", "warm-up", "adopted as normal (drift)"} <= set(said)
    assert "](docs/images/demonstration.svg)" in (ROOT / "README.md").read_text(encoding="utf-8")


def test_any_readings_can_be_drawn() -> None:
    """A drawing is well formed; an episode that nobody was told of has no reason written above it."""
    nothing = float("nan")
    points: list[Point] = [(NOW - 3600 * (50 - hour), 10.0 + hour % 3, nothing, nothing) for hour in range(10)]
    points += [(NOW - 3600 * (50 - hour), 10.0 + hour % 3, 8.0, 14.0) for hour in range(10, 50)]
    told = Event.from_json(event(notified=True, reasons=["limit"]))
    hushed = Event.from_json(
        event(notified=False, reasons=["flatline"], started_at=NOW - 90_000, ended_at=NOW - 80_000)
    )
    said = texts(picture(points, [told, hushed]))
    assert "limit" in said and "flatline" not in said
