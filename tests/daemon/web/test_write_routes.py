"""Labels and promotions over HTTP: done by the commands that there are, for whoever has the token, and nobody else."""

from __future__ import annotations

import asyncio
import json
import re
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from daemon.runtime.exclusion import WantedExclusion
from daemon.runtime.label_evidence import UnwantedLabel, WantedLabel
from daemon.runtime.maintenance_windows import UnwantedWindow, WantedWindow
from daemon.store import ModelRecord
from daemon.web.api_document import PREFIX, WRITING
from daemon.web.operator_port import WantedWhatIf
from daemon.web.write_routes import FORMS, HEADER, Commands
from tests.daemon.web.http_server import Answer, ask, server
from tests.daemon.web.live_daemon import asked
from tests.e2e.processes import until

TOKEN = "a token of more than 16 letters"
LABEL = {"stream": "taxi", "series": "nyc", "kind": "fault", "since": 1_785_000_000}


class Recorder:
    """Commands that are written down, and done unless they are to be refused."""

    def __init__(self, token_file: Path | None, problem: str = "", busy: bool = False) -> None:
        self.calls: list[Any] = []
        self._problem, self._busy = problem, busy
        self.commands = Commands(self, lambda: token_file)

    async def serve(self, stream: str, version: int | None) -> ModelRecord | None:
        """See `daemon.web.operator_port`, as for all that follow."""
        made = ModelRecord("r", stream, version or 3, "promoted", "d", "s", "f")
        return made if self._done((stream, version)) else None

    async def label(self, wanted: WantedLabel) -> dict[str, Any] | None:
        """A label."""
        return {"stream": wanted.stream, "threshold": 3.0} if self._done(wanted) else None

    async def take_back(self, unwanted: UnwantedLabel) -> dict[str, Any] | None:
        """None any more."""
        return {"stream": unwanted.stream, "kind": "none"} if self._done(unwanted) else None

    async def what_if(self, wanted: WantedWhatIf) -> dict[str, Any]:
        """It begins."""
        self._done(wanted)
        return {"state": "running"}

    def what_if_so_far(self) -> dict[str, Any]:
        """None so far."""
        return {"state": "none"}

    async def add_window(self, wanted: WantedWindow) -> dict[str, Any] | None:
        """A window more."""
        return {"windows": []} if self._done(wanted) else None

    async def end_window(self, unwanted: UnwantedWindow) -> dict[str, Any] | None:
        """One less."""
        return {"windows": []} if self._done(unwanted) else None

    async def exclude(self, wanted: WantedExclusion) -> dict[str, Any] | None:
        """A period."""
        return {"stream": wanted.stream} if self._done(wanted) else None

    def _done(self, call: Any) -> bool:
        if self._problem:
            raise ValueError(self._problem)
        self.calls.append(call)
        return not self._busy


@pytest.fixture
def token_file(tmp_path: Path) -> Path:
    """A file with the token and a newline, as editors leave it."""
    path = tmp_path / "token"
    path.write_text(TOKEN + "\n")
    return path


def posted(recorder: Recorder, path: str, *, headers: dict[str, str] | None = None, **given: Any) -> Answer:
    """The answer to a POST with the token, unless headers say otherwise."""

    async def run() -> Answer:
        async with server(commands=recorder.commands) as address:
            sent = {HEADER: TOKEN} if headers is None else headers
            return await ask(address + path, "POST", headers=sent, allow_redirects=False, **given)

    return asyncio.run(run())


def test_what_is_posted_is_done(token_file: Path) -> None:
    """A label and a version reach the commands as they were given, and the answer says what came of them."""
    recorder = Recorder(token_file)
    assert json.loads(posted(recorder, "/api/v1/labels", json=LABEL).body)["threshold"] == 3.0
    undo = {"stream": "taxi", "series": "nyc", "since": 1_785_000_000}
    assert json.loads(posted(recorder, "/api/v1/labels/undo", json=undo).body)["kind"] == "none"
    assert recorder.calls.pop() == UnwantedLabel("taxi", "nyc", 1_785_000_000)
    assert posted(recorder, "/api/v1/maintenance", json={"duration": "2h", "learn": False}).status == 200
    assert posted(recorder, "/api/v1/maintenance/end", json={"id": "0a1b"}).status == 200
    assert [recorder.calls.pop(), recorder.calls.pop()] == [
        UnwantedWindow("0a1b"),
        WantedWindow(duration="2h", learn=False),
    ]
    assert posted(recorder, "/api/v1/models/serve", json={"stream": "taxi", "version": 2}).status == 200
    assert json.loads(posted(recorder, "/api/v1/models/serve", json={"stream": "taxi"}).body)["version"] == 3
    assert recorder.calls == [WantedLabel("taxi", "nyc", "fault", 1_785_000_000), ("taxi", 2), ("taxi", None)]


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {HEADER: ""},
        {HEADER: TOKEN[:-1]},
        {HEADER: TOKEN.upper()},
        {HEADER: "x" * 4000},
        {HEADER: TOKEN, "Origin": "http://evil.example"},
        {HEADER: TOKEN, "Sec-Fetch-Site": "cross-site"},
        {HEADER: TOKEN, "Origin": "null"},
    ],
)
@pytest.mark.parametrize("path", [*(PREFIX + each.path for each in WRITING), *(path for path, _ in FORMS)])
def test_whoever_has_no_right_writes_nothing(token_file: Path, headers: dict[str, str], path: str) -> None:
    """Without the token, with another, and from a page of another site with the right one: 403."""
    recorder = Recorder(token_file)
    how: dict[str, Any] = {"json": LABEL} if "api" in path else {"data": {name: str(v) for name, v in LABEL.items()}}
    assert posted(recorder, path, headers=headers, **how).status == 403
    assert recorder.calls == []


def test_a_foreign_host_writes_nothing(token_file: Path) -> None:
    """A name that somebody's DNS points here is none of ours, whatever token is sent."""
    recorder = Recorder(token_file)
    assert posted(recorder, "/api/v1/labels", headers={HEADER: TOKEN, "Host": "evil.example"}, json=LABEL).status == 421
    assert recorder.calls == []


@pytest.mark.parametrize("content", [None, b"", b"short\n"])
def test_without_a_token_of_some_length_nothing_is_written(tmp_path: Path, content: bytes | None) -> None:
    """No file, none that can be read, an empty one, a short one: closed, not open."""
    path = tmp_path / "token"
    if content is not None:
        path.write_bytes(content)
    given = (content or b"").strip().decode()
    for file in (None, path):
        recorder = Recorder(file)
        assert posted(recorder, "/api/v1/labels", headers={HEADER: given}, json=LABEL).status == 403
        assert recorder.calls == []


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"", 400),
        (b"[]", 400),
        (b"{" * 5000, 400),
        (b'{"stream": "s", "series": "x", "kind": "odd", "since": 1}', 400),
        (b'{"stream": "s", "series": "x", "kind": "fault", "since": -1}', 400),
        (b'{"stream": "s", "series": "x", "kind": "fault", "since": 1e400}', 400),
        (b'{"stream": "s", "series": "x", "kind": "fault", "since": 1, "more": 1}', 400),
        (b'{"stream": "\xff"}', 400),
        (b" " * 70_000, 413),
    ],
)
def test_a_body_that_is_none_is_refused(token_file: Path, body: bytes, status: int) -> None:
    """What is wrong with it is said, and a body beyond 64 KiB is not read."""
    recorder = Recorder(token_file)
    answer = posted(recorder, "/api/v1/labels", headers={HEADER: TOKEN, "Content-Type": "application/json"}, data=body)
    assert answer.status == status
    assert recorder.calls == []


def test_other_content_is_refused(token_file: Path) -> None:
    """JSON says that it is JSON: what a form of another site can send without asking does not."""
    recorder = Recorder(token_file)
    sent = {HEADER: TOKEN, "Content-Type": "text/plain"}
    assert posted(recorder, "/api/v1/labels", headers=sent, data=json.dumps(LABEL).encode()).status == 415
    assert recorder.calls == []


def test_what_cannot_be_done_and_what_waits_are_told(token_file: Path) -> None:
    """409 with the reason where nothing changed, 503 where the daemon is busy and does it next."""
    refused = posted(Recorder(token_file, "there is no series 'nyc'"), "/api/v1/labels", json=LABEL)
    assert (refused.status, json.loads(refused.body)["error"]) == (409, "there is no series 'nyc'")
    assert posted(Recorder(token_file, busy=True), "/api/v1/labels", json=LABEL).status == 503


@pytest.mark.parametrize(
    ("back", "where"),
    [("event?id=0123456789abcdef", "event?id=0123456789abcdef"), ("//evil.example/", "models"), ("", "models")],
)
def test_a_form_leads_back_to_its_page(token_file: Path, back: str, where: str) -> None:
    """The button does the same as the API, and goes back where it was pressed, never to another host."""
    recorder = Recorder(token_file)
    data = {name: str(value) for name, value in LABEL.items()} | {"token": TOKEN, "back": back}
    answer = posted(recorder, "/label", headers={}, data=data)
    assert (answer.status, answer.headers["Location"]) == (303, where)
    assert recorder.calls == [WantedLabel("taxi", "nyc", "fault", 1_785_000_000)]


def test_an_event_is_labelled_and_labelled_otherwise(writable: tuple[str, str]) -> None:
    """On a daemon that runs, by the buttons of the page: the later label stands beside the first."""
    address, token = writable
    _, found = asked(address, "/events", series="harbour")
    event = found["events"][0]
    with urllib.request.urlopen(f"{address}/event?id={event['id']}", timeout=60) as answer:
        form = answer.read().decode()
    hidden = dict(re.findall(r'type="hidden" name="(\w+)" value="([^"]*)"', form))

    def press(kind: str) -> str:
        data = urllib.parse.urlencode({**hidden, "token": token, "kind": kind, "note": "as seen"}).encode()
        with urllib.request.urlopen(f"{address}/label", data, timeout=60) as answer:
            text: str = answer.read().decode()
            return text

    assert ">normal</span>" in press("normal")
    assert [each["kind"] for each in asked(address, "/labels", series="harbour")[1]["labels"]] == ["normal"]
    page = press("fault")
    assert ">fault</span>" in page
    assert [each["kind"] for each in asked(address, "/labels", series="harbour")[1]["labels"]] == ["fault", "normal"]
    (undoing,) = re.findall(r'<form[^>]*action="unlabel".*?</form>', page, re.DOTALL)
    undo = dict(re.findall(r'type="hidden" name="(\w+)" value="([^"]*)"', undoing)) | {"token": token}
    with urllib.request.urlopen(f"{address}/unlabel", urllib.parse.urlencode(undo).encode(), timeout=60) as answer:
        text = answer.read().decode()
    assert ">fault</span>" not in text
    assert "Take the label back" not in text
    kinds = [each["kind"] for each in asked(address, "/labels", series="harbour")[1]["labels"]]
    assert kinds == ["none", "fault", "normal"]
    assert asked(address, f"/events/{event['id']}")[1]["labels"] == []


def test_a_window_is_added_and_ended(writable: tuple[str, str]) -> None:
    """On a daemon that runs, by the forms of the page; the list shows it, and what cannot be is said in words."""
    address, token = writable

    def send(path: str, **given: str) -> str:
        data = urllib.parse.urlencode({"token": token, "back": "maintenance", **given}).encode()
        with urllib.request.urlopen(f"{address}/{path}", data, timeout=60) as answer:
            assert answer.url == f"{address}/maintenance"
            text: str = answer.read().decode()
            return text

    page = send("maintenance", series="quay*", duration="2h", learn="false", note="painting", start="", stream="")
    assert "painting" in page
    assert "nothing is learned" in page
    (window,) = asked(address, "/maintenance")[1]["windows"]
    assert (window["series"], window["learn"], window["stream"]) == ("quay*", False, "tide")
    send("maintenance/end", id=window["id"][:4])
    left = asked(address, "/maintenance")[1]["windows"]
    assert [each["state"] for each in left if each["id"] == window["id"]] in ([], ["over"])
    with pytest.raises(urllib.error.HTTPError, match="409"):
        send("maintenance", series="quay*", start="2001-01-01T00:00", end="2001-01-02T00:00")
    with pytest.raises(urllib.error.HTTPError, match="409"):
        send("maintenance", series="quay*", weekly="Sun 02:00")


def test_the_past_is_asked_what_would_have_been(writable: tuple[str, str]) -> None:
    """By the form of the page: it runs beside the daemon, one at a time, and page and API show what came of it."""
    address, token = writable
    given = {"token": token, "back": "what-if", "stream": "tide", "false_alarms_per_month": "30", "days": ""}
    data = urllib.parse.urlencode(given).encode()
    with urllib.request.urlopen(f"{address}/what-if", data, timeout=60) as answer:
        assert answer.url == f"{address}/what-if"
    with pytest.raises(urllib.error.HTTPError, match="409"):
        urllib.request.urlopen(f"{address}/what-if", data, timeout=60)
    found = until("an answer", lambda: (said := asked(address, "/what-if")[1])["state"] != "running" and said, 500)
    assert (found["state"], found["error"]) == ("done", None)
    assert found["asked"] == {"stream": "tide", "alerts": {"false_alarms_per_month": 30.0}, "days": None}
    assert found["found"]["events"] > 0
    with urllib.request.urlopen(f"{address}/what-if", timeout=60) as answer:
        page = answer.read().decode()
    assert "Gained: " in page
    with pytest.raises(urllib.error.HTTPError, match="400"):
        urllib.request.urlopen(f"{address}/what-if", urllib.parse.urlencode(given | {"days": "0"}).encode(), timeout=60)


def test_a_model_is_rolled_back_and_promoted(writable: tuple[str, str]) -> None:
    """On a daemon that runs: the version before serves, then the one that is named."""
    address, token = writable

    def serve(version: int | None) -> int:
        body = json.dumps({"stream": "tide", "version": version}).encode()
        sent = {HEADER: token, "Content-Type": "application/json"}
        with urllib.request.urlopen(
            urllib.request.Request(f"{address}/api/v1/models/serve", body, sent), timeout=60
        ) as answer:
            return int(json.loads(answer.read())["version"])

    newest = max(each["version"] for each in asked(address, "/models")[1]["models"] if each["status"] == "promoted")
    before = serve(None)
    assert before < newest
    assert serve(newest) == newest
