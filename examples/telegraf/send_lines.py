"""Two hours of lines as Telegraf's socket_writer sends them; one core is busy for ten minutes."""

import socket
from datetime import UTC, datetime

START = int(datetime(2026, 3, 2, tzinfo=UTC).timestamp())

lines = []
for second in range(0, 7200, 10):
    for core in range(2):
        idle = 1.5 if core == 1 and 5400 <= second < 6000 else 90.0 - second % 60 / 10 - core
        tags = f"cpu,cpu=cpu{core},host=pier"
        lines.append(f"{tags} usage_idle={idle},usage_user={100 - idle} {(START + second) * 10**9}\n")
with socket.create_connection(("127.0.0.1", 9899), timeout=60) as peer:
    peer.sendall("".join(lines).encode())
    peer.shutdown(socket.SHUT_WR)
    peer.recv(1)  # the daemon closes its side when all of it is durable
