"""The pages beside the overview: what they say of a daemon that runs, and what a real browser makes of them."""

from __future__ import annotations

import asyncio
import re
import subprocess
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from daemon.engine.messages.events import Event
from daemon.store import Store
from daemon.web.records import Records
from tests.conftest import need
from tests.daemon.web.http_server import ask, server
from tests.daemon.web.live_daemon import FIRST, ODD, asked, event_ids
from tests.daemon.web.pictures import columns, event, picture, stream
from tests.daemon.web.test_page import HOSTILE, Strict, words

AT = FIRST + 3600 * ODD
HARBOUR = "series?stream=tide&series=harbour"


def page(address: str, path: str) -> tuple[int, str]:
    """Status and text of a page."""
    try:
        with urllib.request.urlopen(f"{address}/{path}", timeout=60) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def jump(address: str) -> str:
    """Id of the event of the jump."""
    _, found = asked(address, "/events", series="harbour", since=AT - 3600, until=AT + 3600)
    return str(found["events"][0]["id"])


@pytest.mark.parametrize("span", ["2d", "2w", "2m", "1y"])
def test_a_series_is_shown_from_two_days_to_a_year(address: str, span: str) -> None:
    """A chart for a screen and one for a phone, the range in words, links to the other ranges and to earlier."""
    status, html = page(address, f"{HARBOUR}&span={span}")
    assert status == 200
    parser = Strict()
    parser.feed(html)
    assert html.count("<svg") == 2
    assert html.count('aria-current="true"') == 1
    for other in ("2d", "2w", "2m", "1y"):
        assert f"span={other}" in html
    assert re.search(r"a point each (\d+ h|\d+ min)", words(html))
    assert html.count('class="reading"') >= 2


def test_earlier_and_later_lead_through_time(address: str) -> None:
    """From the newest range one goes back, and from there forth again to the same."""
    _, html = page(address, HARBOUR)
    back = re.search(r'<a href="(series[^"]+)" rel="prev"', html)
    assert back is not None
    assert 'rel="next"' not in html
    _, earlier = page(address, back[1].replace("&amp;", "&"))
    forth = re.search(r'<a href="(series[^"]+)" rel="next"', earlier)
    assert forth is not None
    _, again = page(address, forth[1].replace("&amp;", "&"))
    assert re.findall("<figcaption.*?</figcaption>", again) == re.findall("<figcaption.*?</figcaption>", html)


def test_an_event_is_told_in_words(address: str) -> None:
    """What was read and expected, that it is the highest for so long, which slots contributed, and the chart around."""
    status, html = page(address, f"event?id={jump(address)}")
    assert status == 200
    said = words(html)
    assert re.search(
        r"Read \d[\d.]* at 2026-07-30 05:00 UTC, expected [\d.-]+ \(usually .* to .*\); the highest in \d+ days\.", said
    )
    assert "What contributed" in said
    assert "Slots" in said
    assert html.count("<meter") >= 1
    assert html.count("<svg") == 2
    assert "Similar events before" in said


def test_every_event_has_a_page(address: str) -> None:
    """Gaps and events without readings, too."""
    for each in event_ids(address):
        status, html = page(address, f"event?id={each}")
        assert status == 200, each
        Strict().feed(html)


def test_series_are_searched_and_filtered(address: str) -> None:
    """The search says how many there are; each leads to its page, whatever letters are in its name."""
    _, html = page(address, "search?q=quay&state=&reason=&order=name&stream=")
    assert "1 series found." in words(html)
    link = re.search(r'<a href="(series\?[^"]+)">quay ü/1</a>', html)
    assert link is not None
    assert page(address, link[1].replace("&amp;", "&"))[0] == 200
    assert "0 series found." in words(page(address, "search?q=nobody")[1])
    assert "silent" in words(page(address, "search?state=silent")[1])


def test_models_and_sources_are_told(address: str) -> None:
    """Versions with what the gate found, and the source that is up."""
    said = words(page(address, "models")[1])
    assert "in service" in said
    assert "tide/0 up" in words(page(address, "sources")[1])


@pytest.mark.parametrize(
    ("path", "status", "text"),
    [
        ("series?stream=tide&series=nobody", 404, "has no series 'nobody'"),
        ("series?stream=tide", 400, "series is missing"),
        (f"{HARBOUR}&span=3y", 400, "give one of 2d, 2w, 2m, 1y"),
        (f"{HARBOUR}&until=x", 400, "give epoch seconds"),
        (f"{HARBOUR}&until=-4398046511104", 200, "Nothing is kept of this range"),
        (f"{HARBOUR}&until=4398046511104&span=1y", 200, "Nothing is kept of this range"),
        ("event?id=0", 404, "there is no event"),
        ("event", 404, "there is no event"),
        ("search?state=odd", 400, "give one of"),
        ("search?cursor=abc", 404, "begin without one"),
    ],
)
def test_what_cannot_be_shown_is_said(address: str, path: str, status: int, text: str) -> None:
    """A page in words with the right status, never an error of ours."""
    found, html = page(address, path)
    assert found == status
    assert text in words(html).replace("&#39;", "'")


def test_no_name_is_markup(tmp_path: Path) -> None:
    """Names of series and reasons that are scripts are text on every page."""
    with Store.open(tmp_path) as store:
        store.record_events([Event.from_json(event(series=HOSTILE))])
    shown = picture(stream(series=columns([HOSTILE])), refusals={"taxi/0": HOSTILE})

    async def work() -> list[str]:
        async with server(shown, records=Records(tmp_path)) as address:
            query = {"stream": "taxi", "series": HOSTILE}
            return [
                (await ask(f"{address}/series", params=query)).text,
                (await ask(f"{address}/event", params={"id": "0123456789abcdef"})).text,
                (await ask(f"{address}/search", params={"q": HOSTILE})).text,
                (await ask(f"{address}/sources")).text,
                (await ask(f"{address}/series", params={"stream": "taxi", "series": HOSTILE + "x"})).text,
            ]

    for html in asyncio.run(work()):
        Strict().feed(html)
        assert "<script" not in html.split("</style>")[1]
        assert "&lt;script&gt;" in html


@pytest.mark.parametrize(("width", "dark"), [(1280, False), (480, True)])
def test_a_browser_has_nothing_to_complain_of(address: str, tmp_path: Path, width: int, dark: bool) -> None:
    """Chromium shows each page, light and dark, wide and narrow: no console message, no request to another host."""
    chromium = need("chromium")
    lists = ["search", "models", "sources", "maintenance", "what-if"]
    paths = ["", f"{HARBOUR}&span=1y", f"event?id={jump(address)}", *lists]
    for path in paths[: None if dark else 1]:
        done = subprocess.run(
            [
                *(str(chromium), "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--dump-dom"),
                *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
                *("--enable-logging=stderr", "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1"),
                *(f"--user-data-dir={tmp_path}", f"--window-size={width},900"),
                *(f"--blink-settings=preferredColorScheme={0 if dark else 1}", f"{address}/{path}"),
            ],
            capture_output=True,
            text=True,
            check=False,
            timeout=200,
        )
        assert "</html>" in done.stdout, path
        said = [line for line in done.stderr.splitlines() if "CONSOLE" in line]
        assert said == [], path
