"""One DuckDB file for many processes: whoever opens it waits his turn, and holds it for one operation."""

from __future__ import annotations

import fcntl
import os
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import duckdb

from amora_fs_assets.domain.errors import OfflineStoreBusy, OfflineStoreError

_POLL = 0.01  # seconds


@contextmanager
def opened(home: Path, *, write: bool, timeout: float) -> Iterator[duckdb.DuckDBPyConnection]:
    """A connection to `<home>/offline.duckdb`: the only one, or for readers one beside other readers.

    DuckDB takes one writing process and no reader beside it. `<home>/offline.lock` (flock, given back by the kernel
    when a process dies) lets this package's processes wait for each other; others that hold the file, such as a
    notebook, are retried until `timeout` [s]. Readers of a file that is not there yet see an empty database.
    Raises OfflineStoreBusy, which names the holder.
    """
    path = home / "offline.duckdb"
    deadline = time.monotonic() + timeout
    if not write and not path.exists():
        with duckdb.connect(":memory:") as connection:
            yield _prepared(connection, write=write)
        return
    try:
        home.mkdir(parents=True, exist_ok=True)
        lock = os.open(home / "offline.lock", os.O_RDWR | os.O_CREAT, 0o644)
    except OSError as error:
        raise OfflineStoreError(
            f"{home} cannot be used: {error}. Set AMORA_FS_HOME to a folder that you may write."
        ) from error
    try:
        _wait_for(lock, fcntl.LOCK_EX if write else fcntl.LOCK_SH, path, deadline, timeout)
        connection = _connected(path, write=write, deadline=deadline, timeout=timeout)
        try:
            yield _prepared(connection, write=write)
        finally:
            connection.close()
    finally:
        os.close(lock)


def _wait_for(lock: int, kind: int, path: Path, deadline: float, timeout: float) -> None:
    while True:
        try:
            fcntl.flock(lock, kind | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > deadline:
                holder = os.pread(lock, 32, 0).decode(errors="replace").strip()
                raise _busy(path, holder, timeout) from None
            time.sleep(_POLL)
        else:
            # For the message of whoever waits in vain; a stale one is better than none.
            os.pwrite(lock, f"{os.getpid():<31}\n".encode(), 0)
            return


def _connected(path: Path, *, write: bool, deadline: float, timeout: float) -> duckdb.DuckDBPyConnection:
    while True:
        try:
            return duckdb.connect(str(path), read_only=not write)
        except duckdb.ConnectionException as error:  # this process has it open itself, in the other mode
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
    connection.execute("SET enable_progress_bar = false")  # it would go to standard output, among what commands say
    if write:  # less memory; whoever reads a table twice gets its rows in the same order, though
        connection.execute("SET preserve_insertion_order = false")
    # A registered Arrow table counts as one row in the planner's eyes, and a spine of a million rows would be joined
    # in nested loops.
    connection.execute("SET asof_loop_join_threshold = 0")
    return connection


def _busy(path: Path, holder: str, timeout: float) -> OfflineStoreBusy:
    return OfflineStoreBusy(
        f"{path} is held by another process{f' (PID {holder})' if holder else ''}; waited {timeout:g} s. "
        "Close its connection (a notebook: con.close()), or wait longer with AMORA_FS_LOCK_TIMEOUT."
    )
