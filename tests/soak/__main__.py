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
from pathlib import Path
from tempfile import mkdtemp

from tests.e2e.processes import START_S, until
from tests.soak.lives import Lives, small_disk
from tests.soak.numbered import Outcome, configuration, expected, found
from tests.soak.writers import RotatingWriter, RudePeer, Sender

DISK_BYTES = 192 << 20
READ_S = 600.0
SPREAD_KILLS = 100  # from so many kills on, every kind of instant must have been hit; fewer may miss one by chance


def say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def free_port() -> int:
    """A port that nobody listens on now.

    It is below those that the kernel gives out: while the daemon is down, nothing else may be given its port.
    """
    given_out = Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()
    for port in random.Random().sample(range(1024, int(given_out[0])), 100):
        with contextlib.suppress(OSError), socket.create_server(("127.0.0.1", port)):
            return port
    raise OSError("no free port was found")


def run(directory: Path, kills: int, seed: int) -> tuple[dict[str, Outcome], dict[str, Outcome], Lives]:
    """All lives; the outcome, the outcome that was to be, and the lives."""
    port = free_port()
    config = directory / "tidegauge.yaml"
    config.write_text(configuration(port))
    (directory / "disk").mkdir()
    writer, sender = RotatingWriter(directory / "meter.csv", seed), Sender(port, seed)
    rude = [RudePeer(port, seed + number) for number in range(3)]
    with small_disk(directory / "disk", DISK_BYTES) as disk:
        if disk is None:
            say("no disk can be mounted here (that takes root): the disk is not filled in this run")
        lives = Lives(config, disk, random.Random(seed))
        for worker in (writer, sender, *rude):
            worker.start()
        with lives.daemon() as daemon:  # a path that was never read has no rotated files
            until("it reads", lambda: daemon.loaded() and daemon.has_read(1), START_S)
            daemon.end(signal.SIGKILL)
        writer.rotating.set()
        with contextlib.suppress(KeyboardInterrupt):  # what there was until then is judged
            for number in range(1, kills + 1):
                lives.live(number)
                if number % 20 == 0:
                    say(f"{number} kills, {writer.written} lines written, {sender.acknowledged} acknowledged")
        lives.free()
        counts = read_all(lives, writer, sender, rude)
        shutil.copytree(lives.state, directory / "state")
    say(f"rotations: {writer.rotations}; connections: {sender.connections}")
    return found(directory / "state"), expected(config, counts), lives


def read_all(lives: Lives, writer: RotatingWriter, sender: Sender, rude: list[RudePeer]) -> dict[str, int]:
    """The last life, in which all is read and which ends as it should; how many readings each stream was given."""
    with lives.daemon() as daemon:
        daemon.loaded()
        for worker in (writer, sender, *rude):
            worker.end()
        accepted = "tidegauge_readings_accepted_total"
        wanted = {'{stream="files"}': writer.written, '{stream="net"}': sender.acknowledged}
        with contextlib.suppress(AssertionError):  # what is missing is found below
            until("all read", lambda: daemon.metric(accepted) == wanted or None, READ_S)
        assert daemon.end() == 0, daemon.said()
    return {"files": writer.written, "net": sender.acknowledged}


def judge(name: str, outcome: Outcome, wanted: Outcome) -> bool:
    """Print a stream's figures; whether they are as they must be."""
    missing = sum(number >= outcome.kept_from for number in wanted.seen.keys() - outcome.seen.keys())
    lost = max(missing, wanted.accepted - outcome.accepted)
    doubled = outcome.accepted - len(outcome.seen) - outcome.kept_from
    repeated = outcome.seen.total() - len(outcome.seen)
    equal = outcome.state == wanted.state and outcome.events == wanted.events
    said = ", ".join(f"{count} {reason}" for reason, count in sorted(outcome.rejected.items())) or "none"
    say(
        f"{name}: {len(wanted.seen)} readings, {lost} lost, {doubled} doubled, {repeated} read again, "
        f"{outcome.kept_from} dropped from the journal; "
        f"rejected: {said}; {len(outcome.events)} events; state {'equal' if equal else 'DIFFERENT'}"
    )
    strangers = outcome.seen.keys() - wanted.seen.keys()
    again = repeated if name == "files" else 0  # only a peer may send again
    return not (lost or doubled or strangers or again) and equal and outcome.accepted == wanted.accepted


def main() -> int:
    """Exit status 0 when nothing was lost, doubled or different."""
    kills, seed = int(os.environ.get("KILLS", "20")), int(os.environ.get("SEED", str(time.time_ns() % 10**6)))
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell has background jobs ignore it
    say(f"KILLS={kills} SEED={seed}")
    began = time.monotonic()
    directory = Path(mkdtemp(prefix="tidegauge-soak-"))
    outcomes, wanted, lives = run(directory, kills, seed)
    good = [judge(name, outcomes[name], wanted[name]) for name in sorted(wanted)]
    say("killed " + ", ".join(f"{kind}: {count}" for kind, count in lives.instants.items()))
    say("besides " + ", ".join(f"{what}: {count}" for what, count in lives.did.items()))
    if kills >= SPREAD_KILLS and not all(lives.instants.values()):
        say("some kind of instant was never hit")
        good.append(False)
    if all(good):
        shutil.rmtree(directory)
    else:
        say(f"what was written and the state are in {directory}")
    say(f"{'all well' if all(good) else 'FAILED'} after {time.monotonic() - began:.0f} s")
    return 0 if all(good) else 1


if __name__ == "__main__":
    sys.exit(main())
