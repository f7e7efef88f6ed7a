"""The deterministic core, floor over floor: machine, learning, detection, table, kernel, messages.

No clock, no disk, no socket, no thread in any of them, and each floor imports only those below it.
"""
