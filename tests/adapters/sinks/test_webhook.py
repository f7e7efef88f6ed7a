"""Events posted to any address: in order, signed, in words of the operator's choice, whatever the receiver does."""

from __future__ import annotations

import hashlib
import hmac
import json
from dataclasses import replace

import pytest

from adapters.sinks.contract import PartlyError
from adapters.sinks.http_post import HttpPost
from adapters.sinks.webhook import Webhook
from tests.adapters.sinks.receiver import Receiver
from tests.daemon.store.contents import event


def line(id_: str, **changes: object) -> bytes:
    return json.dumps(replace(event(id_), **changes).to_json()).encode()  # type: ignore[arg-type]


def ids(receiver: Receiver) -> list[str]:
    return [json.loads(each.body)["id"] for each in receiver.taken]


def test_a_failure_in_the_middle_repeats_only_the_rest() -> None:
    """The receiver fails at the second of three: one was handed on, and going on there hands on each once, in order."""
    with Receiver() as receiver:
        sink, lines = Webhook(HttpPost(receiver.url, {}, 5)), [line("a"), line("b"), line("c")]
        receiver.statuses = [200, 500]
        with pytest.raises(PartlyError, match="answered 500: no") as failed:
            sink.deliver(lines)
        assert failed.value.done == 1
        sink.deliver(lines[1:])
        assert ids(receiver) == ["a", "b", "c"]
        assert [each.headers["Idempotency-Key"] for each in receiver.taken] == ["a-0", "b-0", "c-0"]


@pytest.mark.parametrize("status", [400, 413, 415, 422])
def test_what_the_receiver_refuses_is_left_out(status: int) -> None:
    """An event that would be refused again holds up none behind it, and is counted."""
    with Receiver() as receiver:
        sink = Webhook(HttpPost(receiver.url, {}, 5))
        receiver.statuses = [status]
        sink.deliver([line("a"), line("b")])
        assert ids(receiver) == ["b"]
        assert sink.status()["refused"] == 1


def test_a_receiver_that_stalls_or_vanishes_is_given_up_in_time() -> None:
    """No answer, or nobody there: OSError in words, and the address with its secrets is not among them."""
    with Receiver() as receiver:
        sink = Webhook(HttpPost(f"{receiver.url}/?token=geheim", {}, 0.3))
        receiver.statuses = [None]
        with pytest.raises(OSError, match=r"no answer within 0\.3 s"):
            sink.deliver([line("a")])
    with pytest.raises(OSError, match="ClientConnector") as gone:
        sink.deliver([line("a")])
    assert "geheim" not in str(gone.value)


def test_the_signature_is_that_of_the_body() -> None:
    """HMAC-SHA256 with the secret over the instant, a full stop and the bytes that came."""
    with Receiver() as receiver:
        Webhook(HttpPost(receiver.url, {"X-Own": "1"}, 5), secret=b"geheim", clock=lambda: 1700.9).deliver([line("a")])
        (posted,) = receiver.got
    digest = hmac.new(b"geheim", b"1700." + posted.body, hashlib.sha256).hexdigest()
    assert posted.headers["X-Tidegauge-Signature"] == f"t=1700,v1={digest}"
    assert posted.headers["X-Own"] == "1"


def test_a_template_makes_the_body() -> None:
    """Keys of an event by their names, quoted as JSON, instants in words; what comes out empty is not sent."""
    said = '{"text": {{ (series ~ ": " ~ reasons|join("+")) | json }}, "at": "{{ at | time }}"}'
    body = "{% if score > 1 %}" + said + "{% endif %}"
    with Receiver() as receiver:
        sink = Webhook(HttpPost(receiver.url, {}, 5), body=body, content_type="application/x")
        sink.deliver([line("a", series='"x"'), line("b", score=0.5)])
        (posted,) = receiver.got
    assert json.loads(posted.body) == {"text": '"x": model+limit', "at": "1970-01-01T00:01:40Z"}
    assert posted.headers["Content-Type"] == "application/x"
    assert sink.status()["empty"] == 1


@pytest.mark.parametrize("body", ["{{ series", "{% for %}"])
def test_a_template_that_is_none_is_refused_at_once(body: str) -> None:
    """What cannot be read as a template is an error when the sink is made, not at the first alarm."""
    with pytest.raises(OSError, match="no template"):
        Webhook(HttpPost("http://127.0.0.1:1", {}, 5), body=body)


@pytest.mark.parametrize("body", ["{{ sereis }}", "{{ ''.__class__.__mro__ }}"])
def test_a_template_that_asks_for_what_is_not_there_loses_nothing(body: str) -> None:
    """A name that no event has, or a way out of the sandbox, is an error in words; the event waits for a better one."""
    with Receiver() as receiver:
        with pytest.raises(PartlyError, match="cannot be made of event a"):
            Webhook(HttpPost(receiver.url, {}, 5), body=body).deliver([line("a")])
        assert receiver.got == []
