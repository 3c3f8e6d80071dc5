"""One DuckDB file for many processes: each process waits for its turn, and holds the file for one operation."""

from __future__ import annotations

import fcntl
import os
import re
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import duckdb

from amora_fs_assets.domain.errors import OfflineStoreBusy, OfflineStoreError

_POLL = 0.01  # seconds
_reading = threading.local()  # .homes: the homes whose file this thread reads at the moment, one entry per read


@contextmanager
def opened(home: Path, *, write: bool, timeout: float) -> Iterator[duckdb.DuckDBPyConnection]:
    """A connection to `<home>/offline.duckdb`: exclusive for a writer, shared between readers.

    DuckDB allows either one writing process or several readers. `<home>/offline.lock` (flock, released by the kernel
    when a process dies) lets this package's processes wait for each other. If another process holds the file, such as a
    notebook, opening is retried until `timeout` [s]. A process that waits for the lock holds `<home>/offline.turn`, so
    that later readers queue behind a waiting writer. A read inside a read of the same thread does not queue, since the
    writer waits for that thread. Readers of a missing file see an empty database. Raises OfflineStoreBusy, which names
    the holder.
    """
    path = home / "offline.duckdb"
    deadline = time.monotonic() + timeout
    if not write and not path.exists():
        with duckdb.connect(":memory:") as connection:
            yield _prepared(connection, write=write)
        return
    with _files(home) as (lock, turn):
        homes: list[Path] = vars(_reading).setdefault("homes", [])
        if write or home not in homes:
            _wait_for(turn, fcntl.LOCK_EX, lock, path, deadline, timeout)
        _wait_for(lock, fcntl.LOCK_EX if write else fcntl.LOCK_SH, lock, path, deadline, timeout)
        fcntl.flock(turn, fcntl.LOCK_UN)
        # For the message of a process whose wait times out. The holder may be stale.
        os.pwrite(lock, f"{os.getpid():<31}\n".encode(), 0)
        connection = _connected(path, write=write, deadline=deadline, timeout=timeout)
        homes.append(home)
        try:
            yield _prepared(connection, write=write)
        finally:
            homes.remove(home)
            connection.close()


@contextmanager
def _files(home: Path) -> Iterator[tuple[int, int]]:
    """The open lock file and turn file. Closing them releases their locks."""
    opened_files: list[int] = []
    try:
        try:
            home.mkdir(parents=True, exist_ok=True)
            names = ("offline.lock", "offline.turn")
            opened_files.extend(os.open(home / name, os.O_RDWR | os.O_CREAT, 0o644) for name in names)
        except OSError as error:
            raise OfflineStoreError(
                f"{home} cannot be used: {error}. Set AMORA_FS_HOME to a folder that you may write to."
            ) from error
        yield opened_files[0], opened_files[1]
    finally:
        for file in opened_files:
            os.close(file)


def _wait_for(file: int, kind: int, lock: int, path: Path, deadline: float, timeout: float) -> None:
    """Lock `file`, or raise OfflineStoreBusy at the deadline with the holder that `lock` names."""
    while True:
        try:
            fcntl.flock(file, kind | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > deadline:
                holder = os.pread(lock, 32, 0).decode(errors="replace").strip()
                raise _busy(path, holder, timeout) from None
            time.sleep(_POLL)
        else:
            return


def _connected(path: Path, *, write: bool, deadline: float, timeout: float) -> duckdb.DuckDBPyConnection:
    while True:
        try:
            return duckdb.connect(str(path), read_only=not write)
        except duckdb.ConnectionException as error:  # this process has the file open in the other mode
            if time.monotonic() > deadline:
                raise _busy(path, str(os.getpid()), timeout) from error
        except duckdb.IOException as error:
            if "lock" not in str(error).lower():
                raise OfflineStoreError(f"{path} cannot be opened: {error}") from error
            if time.monotonic() > deadline:
                holder = re.search(r"PID (\d+)", str(error))
                raise _busy(path, holder[1] if holder else "", timeout) from error
        time.sleep(_POLL * 5)


def _prepared(connection: duckdb.DuckDBPyConnection, *, write: bool) -> duckdb.DuckDBPyConnection:
    connection.execute("SET TimeZone = 'UTC'")
    connection.execute("SET enable_progress_bar = false")  # the bar would mix with the output of commands
    if write:  # needs less memory; two reads of a table still have the same order
        connection.execute("SET preserve_insertion_order = false")
    # The planner estimates a registered Arrow table as one row, and would join a spine of a million rows in nested
    # loops.
    connection.execute("SET asof_loop_join_threshold = 0")
    return connection


def _busy(path: Path, holder: str, timeout: float) -> OfflineStoreBusy:
    return OfflineStoreBusy(
        f"Another process{f' (PID {holder})' if holder else ''} holds {path}; waited {timeout:g} s. "
        "Close its connection (a notebook: con.close()), or wait longer with AMORA_FS_LOCK_TIMEOUT."
    )
