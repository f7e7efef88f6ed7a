"""A real systemd in namespaces of its own (`../shared/tools/boot-systemd`), with what the install script needs."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from tests.conftest import ROOT, missing, need

BOOT = ROOT.parent / "shared" / "tools" / "boot-systemd"
SYSTEM_PYTHON = Path("/usr/bin/python3")
SOURCE = "/srv/tidegauge"
PACKAGES = "/srv/packages"

DROP_IN = """\
[Service]
WatchdogSec=10s
"""


class Box:
    """A booted systemd.

    Args:
        pid: Of that systemd, as seen from here.
    """

    def __init__(self, pid: int) -> None:
        self._pid = pid

    def run(self, *command: str, status: int | None = 0, stdin: str = "", timeout_s: float = 200.0) -> str:
        """Run a command inside; its output. The test fails when it ends with another status."""
        done = subprocess.run(
            [
                "nsenter",
                "-t",
                str(self._pid),
                "-a",
                "env",
                "-i",
                "PATH=/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
                *command,
            ],
            input=stdin,
            capture_output=True,
            text=True,
            check=False,
            timeout=timeout_s,
        )
        assert status is None or done.returncode == status, (
            f"{command} ended with {done.returncode}\n{done.stdout}\n{done.stderr}\n{self.log()}"
        )
        return done.stdout

    def write(self, path: str, text: str, append: bool = False) -> None:
        """Write a file inside."""
        self.run("sh", "-c", f'cat {">>" if append else ">"} "$0"', path, stdin=text)

    def log(self) -> str:
        """What the service has logged."""
        command = ["nsenter", "-t", str(self._pid), "-a", "journalctl", "-u", "tidegauge", "-o", "cat", "--no-pager"]
        return subprocess.run(command, capture_output=True, text=True, check=False, timeout=30).stdout

    def show(self, *properties: str) -> list[str]:
        """Properties of the unit."""
        text = self.run("systemctl", "show", "tidegauge", *(f"-p{name}" for name in properties))
        found = dict(line.split("=", 1) for line in text.splitlines())
        return [found[name] for name in properties]

    def get(self, path: str) -> str:
        """What the daemon answers; nothing when it does not."""
        fetch = "import sys, urllib.request as u; print(u.urlopen(sys.argv[1], timeout=10).read().decode())"
        return self.run("/usr/bin/python3", "-c", fetch, f"http://127.0.0.1:9898{path}", status=None)


@contextlib.contextmanager
def booted(directory: Path) -> Iterator[Box]:
    """A box with a wheel of this checkout, its `deploy` and `docs`, and this environment's packages; none of ours."""
    if not BOOT.exists():
        missing(f"there is no {BOOT}")
    if os.geteuid() != 0:
        missing("a systemd of its own needs root")
    for tool in ("systemctl", "nsenter", "unshare", "ip"):
        need(tool)
    version = subprocess.run([SYSTEM_PYTHON, "-c", _VERSION], capture_output=True, text=True, check=False).stdout
    if version != f"{sys.version_info[:2]}\n":
        missing(f"{SYSTEM_PYTHON} is {version.strip()}, the packages here are for {sys.version_info[:2]}")
    with tempfile.TemporaryDirectory(dir="/var/tmp", prefix="tidegauge-test-") as kept, contextlib.ExitStack() as stack:
        packages = _visible_packages(Path(kept))
        process = stack.enter_context(subprocess.Popen([BOOT, _tree(directory)], stdout=subprocess.PIPE, text=True))
        assert process.stdout is not None
        name, _, pid = process.stdout.readline().partition(" ")
        assert name == "systemd-pid"
        stack.callback(os.kill, int(pid), 9)
        box = Box(int(pid))
        box.run("sh", "-c", "until systemctl is-system-running --quiet; do sleep 0.1; done")
        _lend(box, packages)
        yield box


def _lend(box: Box, packages: list[Path]) -> None:
    """Make the environment that the install script will find, and have it see these packages.

    Its dependencies are installed then, so no network is needed and torch is not copied.
    """
    box.run(str(SYSTEM_PYTHON), "-m", "venv", "/opt/tidegauge")
    box.run("/opt/tidegauge/bin/pip", "uninstall", "-q", "-y", "setuptools")  # too old, and would hide the other
    inside = [f"{PACKAGES}/{number}" for number in range(len(packages))]
    for path, name in zip(packages, inside, strict=True):
        box.run("mkdir", "-p", name)
        box.run("mount", "--bind", str(path), name)
    where = "import sysconfig; print(sysconfig.get_path('purelib'))"
    library = box.run("/opt/tidegauge/bin/python", "-c", where).strip()
    box.write(f"{library}/packages.pth", "\n".join(inside) + "\n")


_VERSION = "import sys; print(sys.version_info[:2])"


def _tree(directory: Path) -> Path:
    """What is laid over the box's root: the source to install from, and a drop-in of the unit."""
    tree = directory / "tree"
    source = tree / SOURCE[1:]
    source.mkdir(parents=True)
    wheel = [sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "--no-build-isolation", "-w", str(source)]
    clean = directory / "source"
    for name in ("daemon", "models", "adapters"):
        shutil.copytree(ROOT / name, clean / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, clean)
    subprocess.run([*wheel, str(clean)], check=True, capture_output=True)
    for name in ("deploy", "docs"):
        shutil.copytree(ROOT / name, source / name)
    shutil.copy(ROOT / "constraints.txt", source)
    drop_ins = tree / "etc/systemd/system/tidegauge.service.d"
    drop_ins.mkdir(parents=True)
    (drop_ins / "test.conf").write_text(DROP_IN)
    return tree


def _visible_packages(kept: Path) -> list[Path]:
    """Directories of packages of this environment, at paths that the box sees: its /tmp and /run are its own."""
    found = []
    for number, path in enumerate(Path(p).resolve() for p in sys.path if p.endswith("site-packages")):
        if path.parts[1] in ("tmp", "run"):
            shutil.copytree(path, kept / str(number), copy_function=_link, symlinks=True)
            found.append(kept / str(number))
        else:
            found.append(path)
    return found


def _link(source: str, target: str) -> None:
    try:
        os.link(source, target, follow_symlinks=False)
    except OSError:
        shutil.copy2(source, target, follow_symlinks=False)
