"""Stops the embedded server once nobody holds a lease on it any more.

A script, run by `embedded_server` in the server's folder, with the standard library alone (`python -I -S`): whoever
asks for the first feature waits for it.

    embedded_supervisor.py LOCK COMMAND...

LOCK is a file descriptor that holds `server.lock`. The supervisor and the server both keep it open until they end, so
that whoever gets that lock knows that no server is at work on the data. The supervisor alone holds `supervisor.lock`.
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
    """Run `command` until it ends by itself or `users.lock` is free; does not return."""
    # Orphaned at once: the user's process, which may live for weeks, gets no child that it would have to reap.
    if os.fork():
        os._exit(0)
    # Inherited as ignored, it would leave waitpid with nothing to wait for.
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    # Before the server can answer, or a user would take it for one that lost its supervisor.
    lock("supervisor.lock")
    supervisor, server = os.getpid(), os.fork()
    if server == 0:
        try:
            become_server(supervisor, server_lock, command)
        except OSError as error:
            print(f"{command[0]} cannot be run: {error}", file=sys.stderr, flush=True)
        os._exit(1)
    # A thread, since the server's end and the last user's leave have to be waited for at once.
    threading.Thread(target=stop_when_unused, args=(server,), daemon=True).start()
    os.waitpid(server, 0)
    os._exit(0)


def lock(name: str) -> None:
    """Wait for the file's exclusive lock and hold it until this process ends."""
    fcntl.flock(os.open(name, os.O_RDWR | os.O_CREAT, 0o600), fcntl.LOCK_EX)


def become_server(supervisor: int, server_lock: int, command: list[str]) -> None:
    """Replace this process by `command`, which on Linux is told to save and stop when the supervisor dies."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
        if os.getppid() != supervisor:  # it died before it could be told
            return
    os.pwrite(server_lock, str(os.getpid()).encode(), 0)
    os.execv(command[0], command)


def stop_when_unused(server: int) -> None:
    """Stop the server once no user is left; who comes meanwhile waits at `users.lock` until both of us are gone."""
    lock("users.lock")
    os.kill(server, signal.SIGTERM)
    time.sleep(SECONDS_TO_SAVE)
    # It hangs. What it has acknowledged was handed to the kernel before, and is safe.
    os.kill(server, signal.SIGKILL)


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2:])
