"""A person walks through the page of a daemon that runs: finds, looks, says, takes back, plans, asks."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from tests.daemon.web.browser import Browser, browser
from tests.daemon.web.live_daemon import asked

TOKEN = "input[name=token]"


async def find_a_series(tab: Browser, address: str) -> None:
    """From the overview by its search to a series, and from two days to a year."""
    await tab.open(f"{address}/")
    assert "Alarms a day" in await tab.text()
    await tab.fill("input[name=q]", "harb")
    await tab.press("form.search button")
    assert "harbour" in await tab.text()
    await tab.press("table a[href^=series]")
    for span in ("2w", "2m", "1y", "2d"):
        await tab.press(f".spans a[href*='span={span}']")
        assert await tab.run("document.querySelectorAll('svg path').length") > 1


async def label(tab: Browser, address: str, token: str) -> None:
    """From an event's page: it was normal; after all it was a fault; no, nothing is said."""
    event = asked(address, "/events", series="harbour")[1]["events"][0]["id"]
    await tab.open(f"{address}/event?id={event}")

    async def press(form: str, button: str) -> str:
        await tab.fill(f"form[action={form}] {TOKEN}", token)
        await tab.press(f"form[action={form}] {button}")
        return await tab.text()

    assert "Labelled normal" in await press("label", "button[value=normal]")
    assert "Labelled fault" in await press("label", "button[value=fault]")
    assert "Labelled" not in await press("unlabel", "button")
    assert [each["kind"] for each in asked(address, "/labels")[1]["labels"]] == ["none", "fault", "normal"]


async def roll_back(tab: Browser, address: str, token: str) -> None:
    """The version before serves; then the newest one again."""
    await tab.open(f"{address}/models")
    serving = "[...document.querySelectorAll('tbody tr')].find(r => r.innerText.includes('in service')).innerText"
    before = int(str(await tab.run(serving)).split()[0])
    await tab.fill(f"form[action=serve] {TOKEN}", token)
    await tab.press("form[action=serve] button")
    assert int(str(await tab.run(serving)).split()[0]) < before
    await tab.fill(f"form[action=serve] {TOKEN}", token)
    await tab.press(f"button[name=version][value='{before}']")
    assert int(str(await tab.run(serving)).split()[0]) == before


async def plan(tab: Browser, address: str, token: str) -> None:
    """A window is added, and ended."""
    await tab.open(f"{address}/maintenance")
    form = "form[action=maintenance]"
    for name, text in (("series", "quay*"), ("duration", "2h"), ("note", "painting"), ("token", token)):
        await tab.fill(f"{form} input[name={name}]", text)
    await tab.press(f"{form} button")
    assert "painting" in await tab.text()
    if await tab.run("document.querySelector('#end') !== null"):  # the readings may be past it already
        await tab.fill(f"#end {TOKEN}", token)
        await tab.press("button[form=end]")
    assert all(each["state"] == "over" for each in asked(address, "/maintenance")[1]["windows"])


async def ask(tab: Browser, address: str, token: str) -> None:
    """What if the budget were greater; the page looks again until the answer is there."""
    await tab.open(f"{address}/what-if")
    form = "form[action=what-if]"
    await tab.fill(f"{form} input[name=false_alarms_per_month]", "30")
    await tab.fill(f"{form} {TOKEN}", token)
    await tab.press(f"{form} button")
    for _ in range(200):
        text = await tab.text()
        if "Gained" in text:
            return
        assert "not done" not in text, text
        await asyncio.sleep(1)
    pytest.fail(f"no answer: {text}")


@pytest.mark.parametrize(("width", "dark"), [(1280, False), (480, True)])
def test_a_person_walks_through_it(writable: tuple[str, str], tmp_path: Path, width: int, dark: bool) -> None:
    """By clicks alone, wide and light, narrow and dark: nothing to complain of, no request to another host."""
    address, token = writable

    async def walk() -> None:
        async with browser(tmp_path, width, dark) as tab:
            await find_a_series(tab, address)
            if not dark:
                await label(tab, address, token)
                await roll_back(tab, address, token)
                await plan(tab, address, token)
                await ask(tab, address, token)
            assert tab.complaints == []
            assert tab.hosts == {address.removeprefix("http://")}

    asyncio.run(walk())
