"""Real processes for tests: the installed command, the daemon, a file that grows, and what they said."""

from __future__ import annotations

import contextlib
import json
import os
import random
import re
import signal
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, TypeVar

from daemon.replay.expectations import read_events
from daemon.web.control_client import SOCKET

TIDEGAUGE = Path(sys.executable).with_name("tidegauge")
START_S = 240.0  # the first daemon after a change compiles, on a machine that may be busy
T = TypeVar("T")


def tidegauge(
    *arguments: str | Path, cwd: Path, status: int | None = 0, timeout: float = 200.0
) -> subprocess.CompletedProcess[str]:
    """Run the installed command to its end; the test fails when its exit status is another than `status`."""
    command = [str(TIDEGAUGE), *map(str, arguments)]
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False, timeout=timeout)
    assert status is None or done.returncode == status, (
        f"{arguments} ended with {done.returncode}\n{done.stdout}\n{done.stderr}"
    )
    return done


def json_of(*arguments: str | Path, cwd: Path) -> Any:
    """What a command prints with `--json`."""
    return json.loads(tidegauge(*arguments, "--json", cwd=cwd).stdout)


def revisions(config: Path) -> list[dict[str, Any]]:
    """Every revision in the store of a configuration, as `events list` prints them."""
    return list(json_of("events", "list", "--revisions", "--config", config, cwd=config.parent))


def lines_of(path: Path) -> list[dict[str, Any]]:
    """A file of JSON lines, each of them an event."""
    return [json.loads(json.dumps(event.to_json())) for event in read_events(path)]


def freeze(pid: int) -> None:
    """SIGSTOP, and wait until every thread has stopped: the signal alone leaves them some time."""
    os.kill(pid, signal.SIGSTOP)
    tasks = Path(f"/proc/{pid}/task")
    while not all(_state(each) in "TZ" for each in tasks.iterdir()):
        time.sleep(0.0005)


def _state(task: Path) -> str:
    """State of a thread, `Z` where it is gone."""
    try:
        return (task / "stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return "Z"


def until(what: str, attempt: Callable[[], T | None], limit_s: float = 60.0, every_s: float = 0.1) -> T:
    """The first result of `attempt` that is true; the test fails when there is none in time."""
    deadline = time.monotonic() + limit_s
    while True:
        result = attempt()
        if result:
            return result
        assert time.monotonic() < deadline, f"after {limit_s:g} s still not: {what}"
        time.sleep(every_s)


def get(url: str) -> str:
    """The body that a URL on this machine answers with."""
    with urllib.request.urlopen(url, timeout=10) as answer:
        text: str = answer.read().decode()
        return text


def samples(text: str, name: str) -> dict[str, float]:
    """Samples of one metric in Prometheus' text format: its labels as written -> value."""
    found = re.findall(rf"^{name}(\{{.*\}})? (\S+)$", text, re.MULTILINE)
    return {labels: float(value) for labels, value in found}


def tide(**model: Any) -> dict[str, Any]:
    """A daemon's configuration: one stream of hourly readings from tide.csv, with small networks."""
    return {
        "version": 1,
        "state_dir": "state",
        "streams": {
            "tide": {
                "sources": [{"path": "tide.csv"}],
                "interval": "1h",
                "clock": "event",
                "warm_up": "4d",
                "model": {"window": 8, "copies": 1} | model,
            }
        },
        "http": {"listen": "127.0.0.1:0"},
        "events": {"stdout": False},
    }


class Daemon:
    """A `tidegauge run`; its standard output and its log are appended to files, over several lives.

    Args:
        config: Its configuration; `http.listen` should have port 0 and `log.format` be plain.
        stdin: What it reads.
        prefix: A command that runs the one given to it, in its own process.
        stdout: Where its standard output goes, None for the file.
    """

    def __init__(
        self,
        config: Path,
        stdin: int | None = subprocess.DEVNULL,
        prefix: Sequence[str | Path] = (),
        stdout: int | None = None,
    ) -> None:
        self.directory = config.parent
        self.stdout, self.log = self.directory / "stdout", self.directory / "log"
        self._log_begins = self.log.stat().st_size if self.log.exists() else 0
        with self.stdout.open("ab") as out, self.log.open("ab") as log:
            command = [*map(str, prefix), str(TIDEGAUGE), "run", "--config", str(config)]
            self.process = subprocess.Popen(
                command, cwd=self.directory, stdin=stdin, stdout=out if stdout is None else stdout, stderr=log
            )

    @property
    def pid(self) -> int:
        return self.process.pid

    def said(self) -> str:
        """What this life has logged so far."""
        with self.log.open("rb") as file:
            file.seek(self._log_begins)
            return file.read().decode()

    def address(self) -> str:
        """Where it listens, once it does."""
        return self._logged(r"listening address=(\S+)")[1]

    def loaded(self) -> str:
        """Waits until its state is loaded and its sources are open; its address."""
        self._logged("state loaded")
        return self.address()

    def _logged(self, pattern: str) -> re.Match[str]:
        def look() -> re.Match[str] | None:
            found = re.search(pattern, self.said())
            assert found or self.process.poll() is None, f"ended with {self.process.returncode}:\n{self.said()}"
            return found

        return until(f"{pattern} in the log", look, START_S, 0.02)

    def metric(self, name: str) -> dict[str, float]:
        """Samples of one metric, by their labels."""
        return samples(get(f"{self.address()}/metrics"), name)

    def has_read(self, readings: int) -> bool:
        """Whether it has counted so many readings."""
        counted = self.metric("tidegauge_readings_accepted_total")
        counted |= self.metric("tidegauge_readings_rejected_total")
        return sum(counted.values()) >= readings

    def worker(self) -> int | None:
        """Process id of its training worker, None before it has one."""
        for child in _children(self.pid):
            with contextlib.suppress(OSError):
                if b"spawn_main" in Path(f"/proc/{child}/cmdline").read_bytes():
                    return child
        return None

    def end(self, number: int = signal.SIGTERM, limit_s: float = 60.0) -> int:
        """Send it a signal; the exit status."""
        if self.process.poll() is None:
            self.process.send_signal(number)
        return self.process.wait(limit_s)

    def __enter__(self) -> Daemon:
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()


def _children(pid: int) -> list[int]:
    try:
        tasks = list(Path(f"/proc/{pid}/task").iterdir())
    except OSError:
        return []
    found = []
    for task in tasks:
        with contextlib.suppress(OSError):
            found += [int(child) for child in (task / "children").read_text().split()]
    return found


def running(pid: int) -> bool:
    """Whether a process is there and no zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def cpu_ns(pid: int) -> int:
    """CPU time a process has had, 0 when it is gone."""
    try:
        return sum(int((t / "schedstat").read_text().split()[0]) for t in Path(f"/proc/{pid}/task").iterdir())
    except OSError:
        return 0


class Writer:
    """Appends lines to a file in writes of odd sizes that rarely end where a line does, from a thread of its own.

    Args:
        path: The file, made at once.
        lines: What to write.
        seed: Of the sizes of the writes.
        most: Bytes of the longest write.
        pause_s: Between two writes.
    """

    def __init__(self, path: Path, lines: Sequence[bytes], seed: int, most: int = 4000, pause_s: float = 0.005) -> None:
        self._data = b"".join(lines)
        self._ends = [0]
        for line in lines:
            self._ends.append(self._ends[-1] + len(line))
        self._random, self._most, self._pause_s = random.Random(seed), most, pause_s
        self._written, self._bound = 0, 0
        self._stop = threading.Event()
        self._file = path.open("ab", buffering=0)
        self._thread = threading.Thread(target=self._write, name="writer")

    def allow(self, lines: int) -> None:
        """Let it write up to so many lines, and half of the next."""
        last = min(lines, len(self._ends) - 1)
        half = (self._ends[min(last + 1, len(self._ends) - 1)] - self._ends[last]) // 2
        self._bound = max(self._bound, self._ends[last] + half)

    def finish(self) -> None:
        """Wait until everything is written."""
        self.allow(len(self._ends))
        self._thread.join(120)
        assert not self._thread.is_alive()

    def _write(self) -> None:
        while self._written < len(self._data) and not self._stop.is_set():
            size = min(self._random.randint(1, self._most), self._bound - self._written)
            if size > 0:
                self._written += self._file.write(self._data[self._written : self._written + size])
            self._stop.wait(self._pause_s)

    def __enter__(self) -> Writer:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()
        self._file.close()


PROMETHEUS = """\
global: {{scrape_interval: 200ms, scrape_timeout: 200ms}}
scrape_configs:
  - job_name: tidegauge
    static_configs: [{{targets: ["{target}"]}}]
{more}"""


class Prometheus:
    """A real Prometheus that scrapes one address, with a configuration, port and database of its own.

    Args:
        program: The command.
        directory: For its files, made here.
        target: Host and port to scrape.
        more: Lines for its one job, indented by four.
        options: Added to its command.
        port: Where it listens; 0 is any.
    """

    def __init__(
        self, program: Path, directory: Path, target: str, more: str = "", options: Sequence[str] = (), port: int = 0
    ) -> None:
        directory.mkdir(exist_ok=True)
        config = directory / "prometheus.yml"
        config.write_text(PROMETHEUS.format(target=target, more=more))
        self._log = directory / "log"
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                [
                    str(program),
                    f"--config.file={config}",
                    f"--storage.tsdb.path={directory / 'data'}",
                    f"--web.listen-address=127.0.0.1:{port}",
                    *options,
                ],
                stdout=log,
                stderr=log,
            )

    def port(self) -> int:
        """Where it listens; it was given port 0."""

        def look() -> int | None:
            assert self._process.poll() is None, self._log.read_text()
            return _listening_port(self._process.pid)

        return until("Prometheus listens", look)

    def query(self, expression: str) -> dict[tuple[tuple[str, str], ...], float]:
        """An instant query's result: sorted labels without `job`, `instance` and name -> value."""
        try:
            body = get(f"http://127.0.0.1:{self.port()}/api/v1/query?" + urllib.parse.urlencode({"query": expression}))
        except urllib.error.HTTPError as error:
            if error.code == 503:  # it listens before it is ready
                return {}
            raise
        found = {}
        for each in json.loads(body)["data"]["result"]:
            labels = {k: v for k, v in each["metric"].items() if k not in ("job", "instance", "__name__")}
            found[tuple(sorted(labels.items()))] = float(each["value"][1])
        return found

    def value(self, expression: str) -> float | None:
        """The single value of a query, None when there is none yet."""
        return next(iter(self.query(expression).values()), None)

    def kill(self) -> None:
        """End it as a power cut would."""
        self._process.kill()
        self._process.wait()

    def __enter__(self) -> Prometheus:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        try:
            self._process.wait(20)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


def _listening_port(pid: int) -> int | None:
    """The TCP port a process listens on, None while there is none."""
    inodes = set(_sockets(pid))
    for table in ("tcp", "tcp6"):
        for line in Path(f"/proc/net/{table}").read_text().splitlines()[1:]:
            fields = line.split()
            if fields[3] == "0A" and fields[9] in inodes:
                return int(fields[1].rpartition(":")[2], 16)
    return None


def _sockets(pid: int) -> Iterator[str]:
    for link in Path(f"/proc/{pid}/fd").iterdir():
        with contextlib.suppress(OSError):
            name = os.readlink(link)  # noqa: PTH115 - a socket's name is no path
            if name.startswith("socket:["):
                yield name[8:-1]


@contextlib.contextmanager
def commanded(config: Path, rows: int) -> Iterator[Daemon]:
    """A daemon that has read so many rows and takes commands."""
    with Daemon(config) as started:
        started.loaded()
        until("all readings", lambda: started.has_read(rows))
        until("its control socket", (config.parent / "state" / SOCKET).exists)
        yield started
