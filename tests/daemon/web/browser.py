"""A headless Chromium that is driven as a person would, over its DevTools protocol."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Self
from urllib.parse import urlsplit

import aiohttp

from tests.conftest import need

LIMIT_S = 120
OPTIONS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--remote-debugging-port=0"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync", "--disable-dev-shm-usage"),
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
)


class Browser:
    """One tab.

    Attributes:
        complaints: What its console said: exceptions, warnings, refused requests.
        hosts: Hosts that it asked for anything.
    """

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self._socket = socket
        self._number = 0
        self._answers: dict[int, asyncio.Future[dict[str, Any]]] = {}
        self._loaded = asyncio.Event()
        self.complaints: list[str] = []
        self.hosts: set[str] = set()
        self._reader = asyncio.ensure_future(self._read())

    @classmethod
    async def begun(cls, socket: aiohttp.ClientWebSocketResponse, width: int, dark: bool) -> Self:
        """A tab of so many pixels, in light or in dark."""
        made = cls(socket)
        for domain in ("Page", "Runtime", "Log", "Network"):
            await made.call(f"{domain}.enable")
        metrics = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 600}
        await made.call("Emulation.setDeviceMetricsOverride", **metrics)
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        await made.call("Emulation.setEmulatedMedia", features=[scheme])
        return made

    async def call(self, method: str, **params: Any) -> dict[str, Any]:
        """What the browser answers."""
        self._number += 1
        answer = self._answers[self._number] = asyncio.get_running_loop().create_future()
        await self._socket.send_str(json.dumps({"id": self._number, "method": method, "params": params}))
        async with asyncio.timeout(LIMIT_S):
            found = await answer
        assert "error" not in found, (method, found)
        result: dict[str, Any] = found["result"]
        return result

    async def open(self, url: str) -> None:
        """Go to an address, and wait until the page is there."""
        self._loaded.clear()
        await self.call("Page.navigate", url=url)
        async with asyncio.timeout(LIMIT_S):
            await self._loaded.wait()

    async def press(self, selector: str) -> None:
        """Click on what a selector finds first, which leads to another page, and wait until that is there."""
        self._loaded.clear()
        await self.run(f"document.querySelector({json.dumps(selector)}).click()")
        async with asyncio.timeout(LIMIT_S):
            await self._loaded.wait()

    async def fill(self, selector: str, text: str) -> None:
        """Put text into a field."""
        await self.run(f"document.querySelector({json.dumps(selector)}).value = {json.dumps(text)}")

    async def run(self, script: str) -> Any:
        """The value of an expression in the page."""
        found = await self.call("Runtime.evaluate", expression=script, returnByValue=True, userGesture=True)
        assert "exceptionDetails" not in found, (script, found["exceptionDetails"])
        return found["result"].get("value")

    async def text(self) -> str:
        """What a reader sees, spaces evened out; nothing between two pages."""
        return " ".join(str(await self.run("document.querySelector('main')?.innerText ?? ''")).split())

    async def close(self) -> None:
        """End reading."""
        self._reader.cancel()
        await asyncio.gather(self._reader, return_exceptions=True)

    async def _read(self) -> None:
        async for message in self._socket:
            found = json.loads(message.data)
            if "id" in found:
                self._answers.pop(found["id"]).set_result(found)
                continue
            method, params = found["method"], found["params"]
            if method == "Page.loadEventFired":
                self._loaded.set()
            elif method == "Runtime.exceptionThrown":
                self.complaints.append(params["exceptionDetails"]["text"])
            elif method == "Runtime.consoleAPICalled":
                self.complaints.append(str(params["args"]))
            elif method == "Log.entryAdded" and params["entry"]["level"] != "verbose":  # which no console shows
                self.complaints.append(params["entry"]["text"])
            elif method == "Network.requestWillBeSent":
                address = urlsplit(params["request"]["url"])
                if address.scheme != "data":
                    self.hosts.add(address.netloc)


@asynccontextmanager
async def browser(profile: Path, width: int = 1280, dark: bool = False) -> AsyncIterator[Browser]:
    """A browser of its own, ended afterwards."""
    command = (str(need("chromium")), *OPTIONS, f"--user-data-dir={profile}", "about:blank")
    quiet = asyncio.subprocess.DEVNULL
    process = await asyncio.create_subprocess_exec(*command, stdin=quiet, stdout=quiet, stderr=quiet)
    try:
        async with asyncio.timeout(LIMIT_S):
            while not (port := _port(profile)):
                await asyncio.sleep(0.1)
        async with aiohttp.ClientSession() as session:
            async with session.get(f"http://127.0.0.1:{port}/json/list") as answer:
                tab = next(each for each in await answer.json() if each["type"] == "page")
            async with session.ws_connect(tab["webSocketDebuggerUrl"], max_msg_size=0) as socket:
                made = await Browser.begun(socket, width, dark)
                try:
                    yield made
                finally:
                    await made.close()
    finally:
        process.terminate()
        await process.wait()


def _port(profile: Path) -> str:
    """Where a browser of this profile listens; "" while it does not."""
    file = profile / "DevToolsActivePort"
    return file.read_text().split("\n")[0] if file.exists() else ""
