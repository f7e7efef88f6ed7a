"""The page: its words, and what a real browser makes of it."""

from __future__ import annotations

import asyncio
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from daemon.metrics.collector import Picture
from daemon.presentation.words import REASON_WORDS
from daemon.web import page, page_assets, summary
from daemon.web.summary import state_words
from tests.conftest import need
from tests.daemon.web.http_server import ask, server
from tests.daemon.web.pictures import NOW, columns, event, picture, stream

HOSTILE = "<script>document.title='owned'</script><img src=x onerror=\"document.title='owned'\">'\"&amp;"


def rendered(
    shown: Picture,
    events: list[dict[str, Any]] | None = None,
    unready: str | None = None,
    days: dict[int, int] | None = None,
) -> str:
    rows = summary.series_rows(shown, limit=page.SERIES_SHOWN)
    return page.render(shown, rows, events or [], days or {}, unready)


def words(html: str) -> str:
    """The text a reader sees, spaces evened out."""
    return " ".join(re.sub(r"<(style|script)>.*?</\1>|<[^>]*>", " ", html, flags=re.DOTALL).split())


class Strict(HTMLParser):
    """Every element is closed, in order."""

    VOID = frozenset({"meta", "link", "br", "img", "input"})

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.ids: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.ids += [str(value) for name, value in attrs if name == "id"]
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_alarms_a_day_stand_against_the_budget() -> None:
    """A bar for each of thirty days that has any, up to where the stream is, and a line for what is allowed."""
    shown = picture()
    (one,) = shown.streams.values()
    assert one.greatest_at is not None
    newest = one.greatest_at // 86400
    allowed = one.false_alarm_budget * len(one.series) / page.MONTH_DAYS
    html = rendered(shown, days={newest: 3, newest - 29: 1, newest - 30: 7})
    assert re.findall(r"<title>[^<]*: (\d+)</title>", html) == ["1", "3", "1", "3"]  # for a desk and for a phone
    assert f"budgets allow, {allowed:.2g} a day" in words(html)
    assert html.count('class="threshold"') == 2
    assert "alarms of each of 30 days, at most 3" in html
    assert 'class="day"' not in rendered(shown)


def test_it_says_which_part_of_the_series_this_is() -> None:
    """Page and status name the part where there are several; the page is silent where all series are watched."""
    assert "shard" not in words(rendered(picture()))
    shown = replace(picture(), shard=(2, 4))
    assert "shard 2 of 4" in words(rendered(shown))
    assert summary.status(shown, None)["shard"] == {"index": 2, "of": 4}


def test_the_markup_is_sound() -> None:
    """Elements nest, ids are unique, whatever labels and names hold."""
    shown = picture(
        stream(HOSTILE, columns([HOSTILE, "b"])), stream("p", columns(["c"], width=3, status="warming"), model=None)
    )
    parser = Strict()
    parser.feed(rendered(shown, [event(series=HOSTILE, stream=HOSTILE, reasons=(HOSTILE,))], unready=HOSTILE))
    assert parser.open == []
    assert len(parser.ids) == len(set(parser.ids))


def test_hostile_text_is_escaped_everywhere() -> None:
    """No label, stream, source, reason or member reaches the page as markup."""
    shown = picture(
        stream(HOSTILE, columns([HOSTILE])), sources={HOSTILE: {"up": 1, HOSTILE: 2}}, store={"state_dir": HOSTILE}
    )
    group = event(series=None, stream=HOSTILE, members={"count": 3, "series": [HOSTILE]})
    html = rendered(shown, [event(series=HOSTILE, reasons=(HOSTILE,)), group], unready=HOSTILE)
    assert "<img" not in html
    assert html.count("<script>") == 1
    assert html.count("&lt;img src=x onerror=&#34;") >= 8


def test_events_are_told_in_words() -> None:
    """Why, what was read, what was expected and usual, how bad, since when; nothing of it in codes."""
    text = words(
        rendered(picture(), [event(), event(state="closed", notify=False, reasons=("flatline",), score=1.001)])
    )
    assert (
        "The model did not expect it; outside everything seen before. Read 101, expected 60 (usually 40 to 80)" in text
    )
    assert "(usually 40 to 80); score 1.84." in text
    assert "open since 2026-07-25 16:20 UTC The model" in text
    assert "over 2026-07-25 16:20 UTC to 2026-07-25 17:20 UTC Constant for far longer than ever before. Read" in text
    assert text.count("score 1.84") == 1, "a rule's score is no measure"


def test_a_gap_has_no_reading() -> None:
    """An event without value says only what is missing; of many series the first are named."""
    none: dict[str, Any] = {"value": None, "expected": None, "lower": None, "upper": None, "reasons": ("gap",)}
    text = words(
        rendered(picture(), [event(**none), event(**none, series=None, members={"count": 40, "series": ["a"]})])
    )
    assert "nyc taxi open since 2026-07-25 16:20 UTC No readings." in text
    assert "40 series at once taxi open since 2026-07-25 16:20 UTC No readings. a and 39 more." in text


def test_a_vector_shows_its_first_numbers() -> None:
    """A thousand variables do not make a page of thousands of numbers; how many are left out is said."""
    shown = picture(stream("plant", columns(["line"], width=1000)))
    text = words(rendered(shown, [event(value=(1.0,) * 1000, expected=None)]))
    assert "Read 1, 1, 1, 1 and 996 more; score" in text
    assert "100, 100, 100, 100 and 996 more" in text
    assert "97 to 101, 97 to 101, 97 to 101, 97 to 101 and 996 more" in text
    assert len(text) < 2000


def test_every_reason_has_words() -> None:
    """No reason an event may have is shown as its code."""
    from daemon.engine.messages.events import REASONS

    assert set(REASON_WORDS) == set(REASONS)


def test_a_silent_series_has_no_score() -> None:
    """What it was worth when it last spoke is no score of now, as `/metrics` has it, and counts for nothing."""
    silent = replace(columns(["a", "b", "c", "d"]), silent=np.array([False, False, False, True]))
    shown = picture(stream(series=silent))
    rows = {row["series"]: row["score"] for row in summary.series_rows(shown)}
    assert rows["d"] is None
    assert rows["c"] == 1.0
    assert summary.stream_status(stream(series=silent))["series"]["anomalous"] == 0


def test_the_state_of_a_stream_in_words() -> None:
    """From the first reading to the first score a reader is told what is waited for, how far it is and when it ends."""
    warming = columns(["a", "b"], status="warming")
    queued = replace(warming, status=("queued",) * 2, ready_at=np.zeros(2, np.int64), warm_up=np.ones(2))
    mixed = replace(warming, status=("ready", "warming"))
    assert state_words(stream(series=columns([]))) == "waiting for the first reading"
    assert state_words(stream(series=warming)) == "warming up: 63 %, ready about 2026-07-26 17:20 UTC"
    assert state_words(stream(series=queued, model=None, training=True)) == "training the first model"
    some = replace(warming, status=("queued", "warming"), ready_at=np.array([0, 1]))
    assert state_words(stream(series=some, model=None, training=True)) == "training the first model, 1 of 2 warming up"
    assert state_words(stream(series=queued, model=None)) == "warm-up complete, waiting for the first model"
    assert state_words(stream(series=queued)) == "joining the model"
    assert state_words(stream(series=mixed)) == "watching 1 series, 1 warming up"
    assert state_words(stream()) == "watching 1 series"


def test_an_empty_daemon_has_a_page() -> None:
    """Before anything is known the page says so and why it is not ready."""
    nothing = Picture(streams={}, sources={}, store={}, process={}, taken_at=float(NOW))
    text = words(rendered(nothing, unready="recovering: 3 of 9 journal entries"))
    for part in ("not ready recovering: 3 of 9", "No streams are configured.", "None so far.", "no checkpoint yet"):
        assert part in text


def test_a_series_without_score_shows_none() -> None:
    """In the warm-up there is a reading and how far it is, and no expected value that would be zero."""
    text = words(rendered(picture(stream(series=columns(["new"], status="warming")))))
    assert "new taxi warming up, 63 % 100 2026-07-25 17:20 UTC" in text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0, "0"),
        (3, "3"),
        (60.04, "60.04"),
        (1234567.8, "1,234,568"),
        (-0.5, "-0.5"),
        (1e-9, "1e-09"),
        (2.5e12, "2.5e+12"),
    ],
)
def test_numbers_are_short(value: float, text: str) -> None:
    """As many digits as a reader needs."""
    assert page.numbers([value]) == text


def test_nothing_comes_from_elsewhere() -> None:
    """The page loads nothing from other machines and works offline."""
    html = rendered(picture(), [event()])
    assert re.findall(r"(?:src|href)=\"(?:https?:)?//", html) == []
    assert "@import" not in page_assets.STYLE
    assert "url(" not in page_assets.STYLE


async def dom(address: str, profile: Path, *flags: str) -> str:
    """What chromium holds after it ran the page's script."""
    command = (
        *("--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"),
        *("--disable-component-update", "--disable-sync", f"--user-data-dir={profile}", *flags, "--dump-dom", address),
    )
    browser = await asyncio.create_subprocess_exec(
        need("chromium"), *command, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL
    )
    try:
        out, _ = await asyncio.wait_for(browser.communicate(), 60)
    except TimeoutError:
        browser.kill()
        await browser.wait()
        raise
    return out.decode()


def test_a_browser_shows_an_event_and_runs_no_label(tmp_path: Path) -> None:
    """In real Chromium the event is there in words, and a label that is a script is text: the title stays ours."""
    need("chromium")

    async def work() -> str:
        shown = picture(stream(series=columns([HOSTILE, "nyc"])))
        async with server(shown, lambda *_: [event(series=HOSTILE)]) as address:
            return await dom(address, tmp_path)

    html = asyncio.run(work())
    assert "<title>Tidegauge</title>" in html
    assert "The model did not expect it; outside everything seen before." in html
    assert "&lt;script&gt;document.title='owned'&lt;/script&gt;" in html
    assert html.count("<script>") == 1


def test_a_browser_keeps_the_page_up_to_date(tmp_path: Path) -> None:
    """The script is allowed to run, polls, and shows a new event and a new label, still inert, without a reload."""
    need("chromium")
    pages: list[int] = []

    def shown() -> Picture:
        late = len(pages) > 1
        series = columns([HOSTILE if late else "nyc"])
        return picture(stream(series=series), taken_at=float(NOW + 10 * late))

    def events(*_: Any) -> list[dict[str, Any]]:
        pages.append(1)
        return [event(reasons=("flatline",) if len(pages) > 2 else ("model",))]

    async def work() -> str:
        async with server(shown, events) as address:
            first = (await ask(address)).text
            assert "Constant for far longer" not in first
            return await dom(address, tmp_path, "--virtual-time-budget=12000")

    html = asyncio.run(work())
    assert "Constant for far longer than ever before." in html
    assert "&lt;script&gt;document.title='owned'" in html
    assert "<title>Tidegauge</title>" in html
    assert 'class="offline"' not in html
