"""Unix sockets: who may connect, and what is done about a file that is there already."""

from __future__ import annotations

import grp
import os
import socket
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from adapters.sockets.endpoint import ListenError
from adapters.sockets.listener import Listener
from adapters.sockets.unix import UnixEndpoint
from tests.adapters.sockets.peers import poll

LISTEN = """\
import socket, sys
listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
listening.bind(sys.argv[1])
listening.listen(0)
print("there", flush=True)
sys.stdin.read()
"""


@contextmanager
def listening(path: Path, mode: int = 0o660, group: str | None = None) -> Iterator[Listener]:
    """An open listener on a socket in the file system."""
    with closing(Listener("s", UnixEndpoint(str(path), mode=mode, group=group))) as listener:
        listener.open({})
        yield listener


@contextmanager
def process(path: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A process that listens on `path` and never accepts; it leaves the file behind when it is killed."""
    with subprocess.Popen(
        [sys.executable, "-c", LISTEN, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == b"there\n"
        try:
            yield other
        finally:
            other.kill()


def send(path: Path, lines: bytes) -> None:
    """Connect, send, close."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as peer:
        peer.connect(str(path))
        peer.sendall(lines)


def test_8_a_stale_socket_is_replaced(tmp_path: Path) -> None:
    """The file that a killed process left is removed after nobody answered there."""
    path = tmp_path / "socket"
    with process(path) as other:
        other.kill()
        other.wait()
    assert path.is_socket()
    with listening(path) as listener:
        send(path, b"a,1\n")
        assert [chunk.data for chunk in poll(listener)] == [b"a,1\n"]
    assert not path.exists(), "closed, it takes its file away"


def test_8_a_live_socket_is_an_error_that_names_its_owner(tmp_path: Path) -> None:
    """A socket that somebody listens on is left alone, even when its owner does not accept just now."""
    path = tmp_path / "socket"
    with process(path) as other:
        inode = path.stat().st_ino
        program = Path(sys.executable).resolve()
        with pytest.raises(ListenError, match=rf"listened on by process {other.pid} \({program}\); stop it"):
            UnixEndpoint(str(path)).listen()
        # by now its queue, which has room for one, is full
        with pytest.raises(ListenError, match=f"{path} is listened on by another process"):
            UnixEndpoint(str(path)).listen()
        assert path.stat().st_ino == inode


def test_8_what_is_no_socket_is_left_alone(tmp_path: Path) -> None:
    """A file that happens to have the name is never removed."""
    path = tmp_path / "socket"
    path.write_text("precious")
    with pytest.raises(ListenError, match="is no socket; move it away"):
        UnixEndpoint(str(path)).listen()
    assert path.read_text() == "precious"


def test_8_a_socket_that_another_has_replaced_is_left_alone(tmp_path: Path) -> None:
    """Closing takes away one's own file only."""
    path = tmp_path / "socket"
    with listening(path):
        path.unlink()
        path.write_text("another's")
    assert path.exists()


@pytest.mark.parametrize("mode", [0o600, 0o660, 0o666])
def test_9_mode_is_set_whatever_the_umask(tmp_path: Path, mode: int) -> None:
    """The socket has exactly the mode of the configuration."""
    before = os.umask(0o077)
    try:
        with listening(tmp_path / "socket", mode):
            assert stat.S_IMODE((tmp_path / "socket").stat().st_mode) == mode
    finally:
        os.umask(before)


def test_9_group_is_set(tmp_path: Path) -> None:
    """The socket has the group of the configuration, by name or number; one that is not there is an error."""
    chosen = (os.getgroups() or [os.getgid()])[-1]
    for named in (str(chosen), grp.getgrgid(chosen).gr_name):
        with listening(tmp_path / "socket", group=named):
            assert (tmp_path / "socket").stat().st_gid == chosen
    with (
        pytest.raises(ListenError, match="there is no group nobody-has-this"),
        listening(tmp_path / "socket", group="nobody-has-this"),
    ):
        pass
    assert not (tmp_path / "socket").exists()


def test_a_path_too_long_is_said_to_be(tmp_path: Path) -> None:
    """The kernel's limit is named, instead of its error."""
    with pytest.raises(ListenError, match="may have 107 bytes"):
        UnixEndpoint(str(tmp_path / ("x" * 120))).listen()


def test_a_directory_that_is_missing_is_said_to_be(tmp_path: Path) -> None:
    """Where, why and what to look at."""
    with pytest.raises(ListenError, match=r"cannot listen on .*none/socket: No such file or directory; see path:"):
        UnixEndpoint(str(tmp_path / "none/socket")).listen()
