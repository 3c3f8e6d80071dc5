"""Stops the embedded server once no process holds a lease on it.

A script that `server.py` runs in the server's folder. It uses only the standard library (`python -I -S`), since the
first read of a feature waits for it.

    supervisor.py LOCK COMMAND...

LOCK is a file descriptor that holds `server.lock`. The supervisor and the server both keep it open until they end, so
that a process that gets this lock knows that no server uses the data. Only the supervisor holds `supervisor.lock`.
"""

from __future__ import annotations

import ctypes
import fcntl
import os
import signal
import sys
import threading
import time

SECONDS_TO_SAVE = 5
PR_SET_PDEATHSIG = 1  # <linux/prctl.h>


def main(server_lock: int, command: list[str]) -> None:
    """Run `command` until it ends by itself or `users.lock` is free. Does not return."""
    # Orphaned at once, so that the user's process, which may live for weeks, has no child to reap.
    if os.fork():
        os._exit(0)
    # If SIGCHLD were ignored, as inherited, waitpid would not work.
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    # Before the server can answer. Otherwise a user would think that the server had lost its supervisor.
    lock("supervisor.lock")
    supervisor, server = os.getpid(), os.fork()
    if server == 0:
        try:
            become_server(supervisor, server_lock, command)
        except OSError as error:
            print(f"{command[0]} cannot be run: {error}", file=sys.stderr, flush=True)
        os._exit(1)
    # A thread, since the supervisor waits for the server's end and for the last user at the same time.
    threading.Thread(target=stop_when_unused, args=(server,), daemon=True).start()
    os.waitpid(server, 0)
    os._exit(0)


def lock(name: str) -> None:
    """Wait for the file's exclusive lock and hold it until this process ends."""
    fcntl.flock(os.open(name, os.O_RDWR | os.O_CREAT, 0o600), fcntl.LOCK_EX)


def become_server(supervisor: int, server_lock: int, command: list[str]) -> None:
    """Replace this process by `command`. On Linux the kernel signals it to save and stop when the supervisor dies."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
        if os.getppid() != supervisor:  # the supervisor died before prctl
            return
    os.pwrite(server_lock, str(os.getpid()).encode(), 0)
    os.execv(command[0], command)


def stop_when_unused(server: int) -> None:
    """Stop the server once no user is left. New users wait for `users.lock` until server and supervisor have ended."""
    lock("users.lock")
    os.kill(server, signal.SIGTERM)
    time.sleep(SECONDS_TO_SAVE)
    # The server hangs. Acknowledged writes are safe, since they were passed to the kernel before.
    os.kill(server, signal.SIGKILL)


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2:])
