"""`KILLS=300 make soak`; prints what was lost, what was doubled, and at which instants the daemon was killed."""

from __future__ import annotations

import contextlib
import os
import random
import shutil
import signal
import socket
import sys
import time
from collections import Counter
from pathlib import Path
from tempfile import mkdtemp

from tests.e2e.running import Daemon, until
from tests.e2e.small_disk import SmallDisk
from tests.soak.killing import KINDS, freeze, kill_when
from tests.soak.numbered import Outcome, configuration, expected, found
from tests.soak.writing import RotatingWriter, RudePeer, Sender

DISK_BYTES = 192 << 20
READ_S = 120.0
STOP_EVERY, FILL_EVERY = 6, 7  # lives with a SIGSTOP, lives with a full disk


def say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def live(daemon: Daemon, number: int, disk: SmallDisk, chance: random.Random) -> str:
    """One life of the daemon, to its kill; what it was doing then."""
    wanted = chance.choices(list(KINDS), list(KINDS.values()))[0]
    state = disk.seen / "state"
    if wanted == "while it starts":
        time.sleep(chance.uniform(0, 1.5))
        return kill_when(daemon, wanted, state, chance)
    if (disk.seen / "ballast").exists():  # the one before died with the disk full
        time.sleep(chance.uniform(1, 3))
        disk.free()
    daemon.loaded()
    time.sleep(chance.uniform(0, 0.5))
    if number % STOP_EVERY == 0:
        freeze(daemon)
        time.sleep(chance.uniform(0.2, 1.5))
        os.kill(daemon.pid, signal.SIGCONT)
    if number % FILL_EVERY == 0:
        disk.fill()
        time.sleep(chance.uniform(0.2, 1.5))
        if chance.random() < 0.5:  # else it dies with the disk full, and starts so
            disk.free()
    return kill_when(daemon, wanted, state, chance)


def free_port() -> int:
    """A port that nobody listens on now."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


def run(directory: Path, kills: int, seed: int) -> tuple[dict[str, Outcome], dict[str, Outcome], Counter[str]]:
    """All lives; the outcome, the outcome that was to be, and the instants of the kills."""
    chance, instants, port = random.Random(seed), Counter[str](), free_port()
    config = directory / "tidegauge.yaml"
    config.write_text(configuration(port))
    (directory / "disk").mkdir()
    writer, sender = RotatingWriter(directory / "meter.csv", seed), Sender(port, seed)
    rude = [RudePeer(port, seed + number) for number in range(3)]
    with SmallDisk(directory / "disk", DISK_BYTES) as disk:
        for worker in (writer, sender, *rude):
            worker.start()
        with Daemon(config, prefix=disk.enter(directory)) as daemon:  # a path that was never read has no rotated files
            until("it reads", lambda: daemon.loaded() and daemon.has_read(1))
            daemon.end(signal.SIGKILL)
        writer.rotating.set()
        for number in range(1, kills + 1):
            with Daemon(config, prefix=disk.enter(directory)) as daemon:
                instants[live(daemon, number, disk, chance)] += 1
            if number % 20 == 0:
                say(f"{number} kills, {writer.written} lines written, {sender.acknowledged} acknowledged")
        disk.free()
        with Daemon(config, prefix=disk.enter(directory)) as daemon:
            daemon.loaded()
            for worker in (writer, sender, *rude):
                worker.end()
            accepted = "tidegauge_readings_accepted_total"
            wanted = {'{stream="files"}': writer.written, '{stream="net"}': sender.acknowledged}
            with contextlib.suppress(AssertionError):  # what is missing is found below
                until("all read", lambda: daemon.metric(accepted) == wanted or None, READ_S)
            assert daemon.end() == 0, daemon.said()
        shutil.copytree(disk.seen / "state", directory / "state")
    say(f"rotations: {writer.rotations}; connections: {sender.connections}")
    counts = {"files": writer.written, "net": sender.acknowledged}
    return found(directory / "state"), expected(config, counts), instants


def judge(name: str, outcome: Outcome, wanted: Outcome) -> bool:
    """Print a stream's figures; whether they are as they must be."""
    lost = len(wanted.seen.keys() - outcome.seen.keys())
    doubled = outcome.accepted - len(outcome.seen)
    repeated = outcome.seen.total() - len(outcome.seen)
    equal = outcome.state == wanted.state and outcome.events == wanted.events
    said = ", ".join(f"{count} {reason}" for reason, count in sorted(outcome.rejected.items())) or "none"
    say(
        f"{name}: {len(wanted.seen)} readings, {lost} lost, {doubled} doubled, {repeated} read again; "
        f"rejected: {said}; {len(outcome.events)} events; state {'equal' if equal else 'DIFFERENT'}"
    )
    strangers = outcome.seen.keys() - wanted.seen.keys()
    again = repeated if name == "files" else 0  # only a peer may send again
    return not (lost or doubled or strangers or again) and equal and outcome.accepted == wanted.accepted


def main() -> int:
    """Exit status 0 when nothing was lost, doubled or different."""
    kills, seed = int(os.environ.get("KILLS", "20")), int(os.environ.get("SEED", str(time.time_ns() % 10**6)))
    say(f"KILLS={kills} SEED={seed}")
    began = time.monotonic()
    directory = Path(mkdtemp(prefix="tidegauge-soak-"))
    outcomes, wanted, instants = run(directory, kills, seed)
    good = [judge(name, outcomes[name], wanted[name]) for name in sorted(wanted)]
    say("killed " + ", ".join(f"{kind}: {instants[kind]}" for kind in KINDS))
    if all(good):
        shutil.rmtree(directory)
    else:
        say(f"what was written and the state are in {directory}")
    say(f"{'all well' if all(good) else 'FAILED'} after {time.monotonic() - began:.0f} s")
    return 0 if all(good) else 1


if __name__ == "__main__":
    sys.exit(main())
