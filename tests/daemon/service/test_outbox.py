"""What is handed to sinks at other servers: what they want, within bounds, and again what is open."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from daemon.config.sink_settings import EventSettings
from daemon.engine.messages.events import Event
from daemon.service import delivery as module
from daemon.service.delivery import Delivery
from daemon.store import Store
from tests.adapters.sinks.receiver import Receiver
from tests.daemon.store.contents import event
from tests.e2e.processes import until


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store.open(tmp_path / "state") as opened:
        yield opened


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as running:
        yield running


def revision(id_: str, number: int = 0, *, notify: bool = True, closed: bool = False) -> Event:
    return replace(event(id_, revision=number), notify=notify, state="closed" if closed else "open")


def begun(store: Store, kind: str, **given: Any) -> Delivery:
    delivery = Delivery(store, io.BytesIO())
    settings = EventSettings.model_validate({"stdout": False, kind: [given]})
    delivery.take_over(delivery.prepare(settings))
    return delivery


def posted(receiver: Receiver) -> list[tuple[str, int]]:
    """Id and revision of what was taken."""
    events = [json.loads(each.body) for each in receiver.taken]
    return [(each["id"], each["revision"]) for each in events]


def test_only_what_should_wake_somebody_is_sent(store: Store, receiver: Receiver) -> None:
    """With `send: notify`: revisions that notify and the ends of episodes that did, in a later life too."""
    delivery = begun(store, "webhook", url=receiver.url)
    store.record_events([revision("a"), revision("quiet", notify=False), revision("a", 1, notify=False)])
    store.record_events([revision("quiet", 1, notify=False, closed=True)])
    delivery.close()
    again = begun(store, "webhook", url=receiver.url)
    store.record_events([revision("a", 2, notify=False, closed=True)])
    again.close()
    assert posted(receiver) == [("a", 0), ("a", 2)]
    assert again.status() == {}


def test_only_what_is_severe_enough_is_sent(store: Store, receiver: Receiver) -> None:
    """From the revision on at which an event that was told is so severe, and its end; with `send: all`, too."""

    def mild(id_: str, number: int = 0, **how: Any) -> Event:
        return replace(revision(id_, number, **how), reasons=("model",), members=None)

    delivery = begun(store, "webhook", url=receiver.url, severity="critical")
    grown = replace(mild("grows", 1, notify=False), rarity=9.0)
    store.record_events(
        [mild("mild"), revision("bad"), mild("grows"), replace(mild("quiet", notify=False), rarity=9.0)]
    )
    store.record_events([grown, replace(grown, revision=2, rarity=12.0)])
    closed = [mild("mild", 1, notify=False, closed=True), revision("bad", 1, notify=False, closed=True)]
    store.record_events([*closed, replace(grown, revision=3, state="closed")])
    delivery.close()
    assert posted(receiver) == [("bad", 0), ("grows", 1), ("bad", 1), ("grows", 3)]
    every = begun(store, "webhook", url=f"{receiver.url}/all", severity="critical", send="all")
    store.record_events([mild("more"), revision("more bad", notify=False)])
    every.close()
    assert posted(receiver)[4:] == [("more bad", 0)]


def test_a_new_one_begins_with_what_comes(store: Store, receiver: Receiver) -> None:
    """An address that is added to a state of years is not sent the years, but all from then on, over restarts too."""
    store.record_events([revision("old")])
    begun(store, "webhook", url=receiver.url, send="all").close()
    store.record_events([revision("meanwhile")])
    begun(store, "webhook", url=receiver.url, send="all").close()
    assert posted(receiver) == [("meanwhile", 0)]


def test_other_settings_of_one_address_go_on_where_it_was(store: Store, receiver: Receiver) -> None:
    """A reload with another header neither repeats nor leaves out."""
    delivery = begun(store, "webhook", url=receiver.url, send="all")
    store.record_events([revision("a")])
    delivery.wake()
    until("the first", lambda: posted(receiver) == [("a", 0)])
    changed = {"stdout": False, "webhook": [{"url": receiver.url, "send": "all", "headers": ["X-New: 1"]}]}
    delivery.take_over(delivery.prepare(EventSettings.model_validate(changed)))
    store.record_events([revision("b")])
    delivery.close()
    assert posted(receiver) == [("a", 0), ("b", 0)]
    assert "X-New" in receiver.got[1].headers


def test_what_waits_is_bounded(store: Store, receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    """While the receiver answers 500 only the newest wait; the rest is left out, counted, and the order kept."""
    monkeypatch.setattr(module, "RETRY_S", 0.02)
    receiver.statuses = [500] * 3
    delivery = begun(store, "webhook", url=receiver.url, send="all", outbox=2)
    store.record_events([revision(name) for name in "abcde"])
    delivery.wake()
    until("delivered", lambda: len(posted(receiver)) == 2)
    (status,) = delivery.status().values()
    delivery.close()
    assert posted(receiver) == [("d", 0), ("e", 0)]
    assert status["left_out_outbox_full"] == 3
    assert status["failures"] >= 3


def test_a_receiver_that_stalls_holds_up_no_other(
    store: Store, receiver: Receiver, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One address does not answer: the file is written all the same, what waits is counted, and an end is bounded."""
    monkeypatch.setattr(module, "LEAVE_S", 0.2)
    receiver.statuses = [None]
    file = tmp_path / "events.jsonl"
    delivery = Delivery(store, io.BytesIO())
    delivery.take_over(
        delivery.prepare(
            EventSettings.model_validate({"stdout": False, "file": file, "webhook": [{"url": receiver.url}]})
        )
    )
    store.record_events([revision("a"), revision("b")])
    delivery.wake()
    until("the file", lambda: file.read_bytes().count(b"\n") == 2)
    statuses = {name.partition(":")[0]: status for name, status in delivery.status().items()}
    delivery.close()
    assert statuses["webhook"]["waiting"] == 2
    assert (store.sink_position(f"file:{file}") or (0, 0))[0] == 2


def test_what_is_open_is_told_again_in_a_later_life(store: Store, receiver: Receiver) -> None:
    """An Alertmanager is told at the start what is open and notified, though nothing is new; not what is over."""
    store.record_events([revision("open"), revision("quiet", notify=False), revision("over")])
    store.record_events([revision("over", 1, closed=True)])
    delivery = begun(store, "alertmanager", url=receiver.url)
    until("told", lambda: receiver.got)
    delivery.close()
    (post,) = receiver.got
    assert post.path == "/api/v2/alerts"
    assert [alert["annotations"]["event"] for alert in json.loads(post.body)] == ["open"]
