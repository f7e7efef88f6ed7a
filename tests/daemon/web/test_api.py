"""The API is what its document says, on a daemon that runs; schemathesis asks it what nobody thought of."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from daemon.web.api_document import PREFIX, READING, WRITING, document
from daemon.web.api_schemas import SCHEMAS
from tests.daemon.web.live_daemon import FIRST, HOURS, ODD, asked, event_ids


def check(answer: Any, schema: str) -> None:
    """Whether an answer is as the document says."""
    whole = {"$ref": f"#/components/schemas/{schema}", "components": {"schemas": SCHEMAS}}
    jsonschema.Draft202012Validator(whole).validate(answer)


def test_every_route_answers_what_the_document_says(address: str) -> None:
    """Each operation of the table, on real readings: status 200 and the schema that the document has for it."""
    event = event_ids(address)[0]
    for operation in READING:
        query = {
            each.name: {"stream": "tide", "series": "harbour"}[each.name]
            for each in operation.parameters
            if each.required
        }
        status, answer = asked(address, operation.path.replace("{id}", event), **query)
        assert status == 200, operation.path
        check(answer, operation.answer)
        assert answer, operation.path


def test_the_document_is_served_and_says_what_is_routed(address: str) -> None:
    """It is valid OpenAPI in what matters, and names each path of the table and no other."""
    status, found = asked(address, "/openapi.json")
    assert status == 200
    assert found == json.loads(json.dumps(document(READING + WRITING, found["info"]["version"])))
    assert set(found["paths"]) == {PREFIX + each.path for each in READING + WRITING}
    used = set(re.findall(r'"#/components/schemas/(\w+)"', json.dumps(found)))
    assert used == set(SCHEMAS)


def test_a_course_has_what_happened(address: str) -> None:
    """The jump is in its readings beyond the band, in its score, in its events; promotions stand beside."""
    at = FIRST + 3600 * ODD
    _, found = asked(address, "/series/course", stream="tide", series="harbour", since=at - 86400, until=at + 86400)
    assert found["step_s"] == 3600
    k = found["at"].index(at)
    assert found["value"][k][0] > 8
    assert found["value"][k][0] > found["upper"][k][0]
    assert found["score"][k] > 1
    assert any(event["started_at"] <= at <= event["ended_at"] for event in found["events"])
    _, long = asked(address, "/series/course", stream="tide", series="harbour", since=FIRST, until=FIRST + 3600 * HOURS)
    assert long["step_s"] > 3600
    assert max(high[0] for high in long["high"]) > 8
    assert [each["version"] for each in long["promotions"]][:1] == [1]
    assert len(long["at"]) <= 512


@pytest.mark.parametrize(
    ("path", "query", "status", "words"),
    [
        ("/series/course", {"stream": "tide"}, 400, "series is missing"),
        ("/series/course", {"stream": "tide", "series": "nobody"}, 404, "has no series 'nobody'"),
        ("/series/course", {"stream": "nowhere", "series": "x"}, 404, "there is no stream 'nowhere'"),
        ("/series", {"state": "odd"}, 400, "state is 'odd'; give one of"),
        ("/series", {"cursor": "###"}, 400, "which no answer gave"),
        ("/series", {"cursor": "abc"}, 404, "begin without one"),
        ("/series", {"q": "x" * 300}, 400, "give at most 256"),
        ("/events", {"before": "0"}, 400, "give a number from 1"),
        ("/events/0123456789abcdef", {}, 404, "there is no event"),
        ("/events/%00", {}, 404, "there is no event"),
    ],
)
def test_what_cannot_be_answered_is_said(
    address: str, path: str, query: dict[str, str], status: int, words: str
) -> None:
    """A parameter that cannot be used is 400, what is not there 404, both with what is wrong."""
    found, answer = asked(address, path, **query)
    assert (found, words in answer["error"]) == (status, True), answer
    check(answer, "Error")


def test_events_come_in_pages(address: str) -> None:
    """`next` leads through all of them, the newest first, each once."""
    whole: list[str] = event_ids(address)
    found: list[str] = []
    before: dict[str, int] = {}
    while True:
        _, answer = asked(address, "/events", limit=1, **before)
        found += [each["id"] for each in answer["events"]]
        if answer["next"] is None:
            break
        before = {"before": answer["next"]}
    assert found == whole
    assert len(whole) >= 2


def test_a_name_of_any_letters_is_asked_for(address: str) -> None:
    """A space, a slash and an umlaut in a name are no more than that."""
    status, found = asked(address, "/series/course", stream="tide", series="quay ü/1")
    assert (status, found["series"], len(found["at"])) == (200, "quay ü/1", 48)


def test_a_silent_series_has_no_score(address: str) -> None:
    """What has stopped is silent, open for a gap, and says nothing of an old score."""
    _, found = asked(address, "/series", state="silent")
    assert [(row["series"], row["score"], row["reasons"]) for row in found["series"]] == [("silent", None, ["gap"])]


def test_schemathesis_finds_nothing(address: str, tmp_path: Path) -> None:
    """No server error and no undocumented answer, whatever is asked: all its checks over every operation."""
    command = (
        *(Path(sys.executable).with_name("schemathesis"), "run", f"{address}{PREFIX}/openapi.json"),
        *("--max-examples", "15", "--seed", "1", "--generation-database", "none", "--no-color"),
    )
    done = subprocess.run(list(map(str, command)), cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-6000:]
    others = len(READING + WRITING) - 1  # it leaves out where it has the document from
    assert f"{others} selected / {others} total" in done.stdout
