"""Mutants of the store."""

from __future__ import annotations

from tests.mutants.mutant import Mutant

STORE: tuple[Mutant, ...] = (
    Mutant(
        "daemon/store/store.py",
        "        self._mark.note(seq=self._last)\n",
        "",
        "tests/daemon/store/test_lost_commits.py",
    ),
    Mutant(
        "daemon/store/store.py", "            self._ledger.add(rows)\n", "", "tests/daemon/store/test_lost_commits.py"
    ),
    Mutant(
        "daemon/store/store.py",
        "            self._mark.note(row=rows[-1][0])\n",
        "",
        "tests/daemon/store/test_lost_commits.py",
    ),
    Mutant(
        "daemon/store/store.py",
        "        self._mark.note_sink(name, last_row, committed_bytes)\n",
        "",
        "tests/daemon/store/test_lost_commits.py",
    ),
    Mutant(
        "daemon/store/store.py",
        "if not 0 <= seq <= self._last:",
        "if not 0 <= seq:",
        "tests/daemon/store/test_checkpoints.py",
    ),
    Mutant(
        "daemon/store/store.py",
        "        self._ledger.turn()\n",
        "",
        "tests/daemon/store/test_lost_commits.py tests/daemon/store/test_ledger.py",
    ),
    Mutant(
        "daemon/store/store.py",
        'served = {"served_seq": seq} if status == "promoted" else {}',
        'served = {"served_seq": seq}',
        "tests/daemon/store/test_records.py tests/daemon/runtime/test_model_versions.py",
    ),
    Mutant(
        "daemon/store/store.py",
        "startup.carry(self._database, seq)",
        "startup.carry(self._database, self._last)",
        "tests/daemon/store/test_checkpoints.py tests/daemon/store/test_damage.py",
    ),
    Mutant(
        "daemon/store/checkpoints.py",
        "if rank >= 2 and not",
        "if rank >= 1 and not",
        "tests/daemon/store/test_checkpoints.py",
    ),
    Mutant(
        "daemon/store/checkpoints.py",
        "if high is not None and seq > high:",
        "if high is not None and seq > high + 1:",
        "tests/daemon/store/test_checkpoints.py tests/daemon/store/test_damage.py",
    ),
    Mutant(
        "daemon/store/checkpoints.py",
        "if _digest(raw[:_SIGNED], body) != digest:",
        "if False:",
        "tests/daemon/store/test_checkpoints.py",
    ),
    Mutant(
        "daemon/store/checkpoints.py",
        "if len(body) != header_bytes + data_bytes or found != seq:",
        "if len(body) != header_bytes + data_bytes:",
        "tests/daemon/store/test_checkpoints.py",
    ),
    Mutant(
        "daemon/store/journal.py",
        "    if after < floor:\n",
        "    if after < floor - 1:\n",
        "tests/daemon/store/test_journal.py",
    ),
    Mutant(
        "daemon/store/journal.py",
        "if first_of(row) > after + 1:",
        "if first_of(row) > after + 2:",
        "tests/daemon/store/test_journal.py tests/daemon/store/test_damage.py",
    ),
    Mutant(
        "daemon/store/journal.py",
        "by_age = last if young is None else int(young[0]) - 1",
        "by_age = last if young is None else young",
        "tests/daemon/store/test_journal.py tests/daemon/store/test_checkpoints.py",
    ),
    Mutant(
        "daemon/store/event_table.py",
        "if key not in known and not there:",
        "if key not in known:",
        "tests/daemon/store/test_records.py tests/daemon/store/test_crash.py",
    ),
    Mutant(
        "daemon/store/event_table.py",
        "return max(given or 0, ",
        "return max(0, ",
        "tests/daemon/store/test_lost_commits.py tests/daemon/store/test_flipped_bits.py",
    ),
    Mutant("daemon/store/mark.py", "self._number % 2 * _PLACE", "0", "tests/daemon/store/test_lost_commits.py"),
    Mutant(
        "daemon/store/mark.py",
        "zlib.crc32(half[8 : _HEAD.size] + body) != crc or ",
        "",
        "tests/daemon/store/test_lost_commits.py",
    ),
    Mutant(
        "daemon/store/mark.py",
        "return max(found, default=None)",
        "return min(found, default=None)",
        "tests/daemon/store/test_lost_commits.py",
    ),
    Mutant(
        "daemon/store/ledger.py",
        'self._size = path.read_bytes().rfind(b"\\n") + 1',
        "self._size = len(path.read_bytes())",
        "tests/daemon/store/test_ledger.py",
    ),
    Mutant(
        "daemon/store/ledger.py",
        "if os.pwrite(self._descriptor, data, self._size) != len(data):",
        "if os.pwrite(self._descriptor, data, self._size) < 0:",
        "tests/daemon/store/test_ledger.py",
    ),
    Mutant(
        "daemon/store/ledger.py",
        "for name in (BEFORE, NAME):",
        "for name in (NAME,):",
        "tests/daemon/store/test_lost_commits.py tests/daemon/store/test_flipped_bits.py",
    ),
    Mutant(
        "daemon/store/database.py",
        "PRAGMA synchronous=FULL",
        "PRAGMA synchronous=NORMAL",
        "tests/simulation/test_simulation.py -k nothing_is_lost",
    ),
    Mutant(
        "daemon/store/database.py",
        "(code in _PERHAPS_FULL and self._no_room())",
        "code in _PERHAPS_FULL",
        "tests/daemon/store/test_damage.py",
    ),
    Mutant(
        "daemon/store/database.py",
        "            self._roll_back()\n            raise",
        "            raise",
        "tests/daemon/store/test_journal.py",
    ),
    Mutant(
        "daemon/store/files.py",
        "_NO_SPACE = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)",
        "_NO_SPACE = (errno.ENOSPC,)",
        "tests/daemon/store/test_damage.py tests/daemon/store/test_journal.py tests/daemon/store/test_checkpoints.py",
    ),
    Mutant(
        "daemon/store/lock.py",
        "with contextlib.suppress(OSError):  # on a full disk",
        "with contextlib.suppress(ValueError):  # on a full disk",
        "tests/daemon/store/test_damage.py -k lock",
    ),
    Mutant(
        "daemon/store/lock.py",
        "            os.close(self._descriptor)\n            self._descriptor = -1",
        "            self._descriptor = -1",
        "tests/daemon/store/test_damage.py -k lock",
    ),
)
