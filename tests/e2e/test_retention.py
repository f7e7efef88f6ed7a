"""Retention is enforced where the journal is written, counts all that takes room, and works on a full disk."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from daemon.store import Store, open_reader
from tests.conftest import need_mounting
from tests.daemon.store.contents import batch
from tests.e2e.small_disk import SmallDisk
from tests.e2e.test_disk_full import run_inside

SIZE = 40 << 20
FILL = """
import sys
from pathlib import Path
from daemon.store import Store
from tests.daemon.store.contents import batch
directory = Path(sys.argv[1]) / "state"
freed = 0
def wait(error):
    global freed
    if not store.make_room(1e9, 1 << 40, 0):
        raise error
    freed += 1
for life in range(2):
    store = Store.open(directory)
    store.when_full = wait
    for _ in range(400):
        number = store.last_seq + 1
        assert store.append([batch(number, 5000)], {"f": {"p": {"offset": number}}}, number) == [number]
        if number % 10 == 0:
            store.write_checkpoint(number, b"state %d" % number)
    assert freed
    assert store.check() == [], store.check()
    assert store.positions("f") == {"p": {"offset": store.last_seq}}
    seq, data = store.load_checkpoint()
    assert data == b"state %d" % seq
    assert [n for n, _ in store.entries(seq)] == list(range(seq + 1, store.last_seq + 1))
    print(life, store.last_seq, freed, store.lost)
    store.close()
"""


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[SmallDisk]:
    need_mounting()
    (tmp_path / "disk").mkdir()
    with SmallDisk(tmp_path / "disk", SIZE) as mounted:
        yield mounted


def test_a_journal_that_fills_the_disk_makes_room_for_itself(disk: SmallDisk) -> None:
    """Twice the disk's size is journaled, over a restart on the full disk: the oldest goes, what was accepted stays."""
    said = run_inside(disk, sys.executable, "-W", "error", "-c", FILL, str(disk.directory))
    assert [line.split()[1] for line in said.splitlines()] == ["400", "800"]


def test_checkpoints_and_models_count(tmp_path: Path) -> None:
    """What they take of `max_bytes` the journal may not have; what recovery needs stays whatever the limit is."""
    with Store.open(tmp_path) as store:
        for number in range(1, 41):
            store.append([batch(number, 1000)], {}, number)
            if number in (20, 30):
                store.write_checkpoint(number, bytes(500_000))
        assert not store.exceeds(3 << 20)
        store.prune(1e9, 3 << 20, 40)
        assert store.first_seq == 1
        store.put_model("taxi", "r", bytes(1_500_000), digest="d", manifest={}, outcome="promoted")
        assert store.exceeds(3 << 20)
        store.prune(1e9, 3 << 20, 40)
        assert 1 < store.first_seq <= 21
        store.prune(1e9, 1, 40)
        assert store.first_seq == 21
    with open_reader(tmp_path) as reader:
        assert reader.check() == []
