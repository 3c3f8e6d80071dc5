"""The embedded offline store: the contract, and processes that share its file."""

from __future__ import annotations

import fcntl
import signal
import subprocess
import sys
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

import duckdb
import pyarrow as pa
import pytest

from amora_fs_assets.domain.column import Column
from amora_fs_assets.domain.errors import OfflineStoreBusy, OfflineStoreError
from amora_fs_assets.domain.ports.offline import OfflineStore
from amora_fs_assets.domain.types import DataType
from amora_fs_assets.operations.expressions.tables import unbound
from amora_fs_assets.stores.duckdb.file import opened
from amora_fs_assets.stores.duckdb.offline_store import DuckDBOfflineStore
from amora_fs_assets_tests.servers import eventually
from amora_fs_assets_tests.small import at
from amora_fs_assets_tests.stores.offline_store_contract import COLUMNS, NEW_COLUMNS, OfflineStoreContract, rows

HOLD = "import duckdb, sys, time; c = duckdb.connect(sys.argv[1]); print('held', flush=True); time.sleep(60)"
WRITE = """
import sys
from pathlib import Path
from amora_fs_assets_tests.stores.offline_store_contract import COLUMNS, OfflineStoreContract, rows
from amora_fs_assets_tests.small import at
from amora_fs_assets.stores.duckdb.offline_store import DuckDBOfflineStore
store = DuckDBOfflineStore(Path(sys.argv[1]))
for i in range(5):
    OfflineStoreContract().publish(store, rows((1, at(1), 1.0)), run_id=f"{sys.argv[2]}-{i}")
"""
READ = """
import sys
from pathlib import Path
from amora_fs_assets.stores.duckdb.file import opened
print("reading", flush=True)
while True:
    with opened(Path(sys.argv[1]), write=False, timeout=60) as connection:
        connection.execute("FROM range(20_000) SELECT sum(range)").fetchall()
"""


@pytest.fixture
def store(tmp_path: Path) -> OfflineStore:
    return DuckDBOfflineStore(tmp_path, lock_timeout=20.0)


class TestDuckDBOfflineStore(OfflineStoreContract):
    """The contract, on DuckDB."""


@pytest.mark.parametrize(
    "value",
    ["TIMESTAMPTZ 'infinity'", "TIMESTAMPTZ '-infinity'", "TIMESTAMPTZ '20000-01-01'", "DATE 'infinity'",
     "[TIMESTAMPTZ '2020-01-01', NULL, TIMESTAMPTZ 'infinity']"],
)  # fmt: skip
def test_a_time_that_python_does_not_have_is_refused_by_its_column(tmp_path: Path, value: str) -> None:
    kinds = {"[": DataType.LIST_TIMESTAMP, "D": DataType.DATE, "T": DataType.TIMESTAMP}
    with opened(tmp_path, write=True, timeout=20) as connection:
        connection.execute(f"CREATE TABLE times AS SELECT {value} AS seen UNION ALL SELECT NULL")
    table = unbound([Column("seen", kinds[value[0]], nullable=True)], "main.times")
    with (
        pytest.raises(OfflineStoreError, match="Column 'seen' holds a time outside the years 1 to 9999"),
        DuckDBOfflineStore(tmp_path).read(table) as batches,
    ):
        batches.read_all()


def test_the_first_and_the_last_time_are_read(tmp_path: Path) -> None:
    ends = "TIMESTAMPTZ '0001-01-01 00:00:00+00', TIMESTAMPTZ '9999-12-31 23:59:59.999999+00'"
    with opened(tmp_path, write=True, timeout=20) as connection:
        connection.execute(f"SET TimeZone = 'UTC'; CREATE TABLE times AS SELECT unnest([{ends}]) AS seen")
    table = unbound([Column("seen", DataType.TIMESTAMP)], "main.times")
    with DuckDBOfflineStore(tmp_path).read(table) as batches:
        assert batches.read_all().num_rows == 2


def test_a_notebook_that_holds_the_file_is_named(tmp_path: Path) -> None:
    store = DuckDBOfflineStore(tmp_path, lock_timeout=0.3)
    OfflineStoreContract().publish(store, rows((1, at(1), 1.0)))
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path / "offline.duckdb")], stdout=subprocess.PIPE, text=True
    )
    try:
        assert holder.stdout is not None
        assert holder.stdout.readline().strip() == "held"
        with pytest.raises(OfflineStoreBusy, match=rf"PID {holder.pid}.*con\.close\(\).*AMORA_FS_LOCK_TIMEOUT"):
            store.publications()
    finally:
        holder.kill()
        holder.wait()
    assert len(store.publications()) == 1


def test_an_own_connection_of_another_mode_is_waited_for_and_named(tmp_path: Path) -> None:
    store = DuckDBOfflineStore(tmp_path, lock_timeout=0.3)
    OfflineStoreContract().publish(store, rows((1, at(1), 1.0)))
    with (
        duckdb.connect(str(tmp_path / "offline.duckdb")),
        pytest.raises(OfflineStoreBusy, match="Another process .* holds"),
    ):
        store.publications()


def test_processes_wait_their_turn(tmp_path: Path) -> None:
    writers = [subprocess.Popen([sys.executable, "-c", WRITE, str(tmp_path), str(i)]) for i in range(2)]
    assert [writer.wait(timeout=60) for writer in writers] == [0, 0]
    assert [each.sequence for each in DuckDBOfflineStore(tmp_path).publications()] == list(range(1, 11))


def test_a_writer_among_eight_busy_readers_gets_its_turn(tmp_path: Path) -> None:
    """Readers that come later queue behind the writer: otherwise one of them would always hold the file."""
    store = DuckDBOfflineStore(tmp_path)
    OfflineStoreContract().publish(store, rows((1, at(1), 1.0)))
    command = [sys.executable, "-c", READ, str(tmp_path)]
    readers = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(8)]
    try:
        for reader in readers:
            assert reader.stdout is not None
            assert reader.stdout.readline().strip() == "reading"
        for _ in range(5):
            with opened(tmp_path, write=True, timeout=60):
                pass
    finally:
        for reader in readers:
            reader.kill()
            reader.wait()


def is_locked(path: Path) -> bool:
    with path.open() as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


def test_a_read_inside_a_read_does_not_wait_for_a_writer_that_waits(tmp_path: Path) -> None:
    store = DuckDBOfflineStore(tmp_path, lock_timeout=20.0)
    OfflineStoreContract().publish(store, rows((1, at(1), 1.0)))
    table = unbound(COLUMNS, "feature_store.spending")
    writer = threading.Thread(target=OfflineStoreContract().publish, args=(store, rows((2, at(2), 2.0))))
    with store.read(table) as batches:
        writer.start()
        eventually(lambda: is_locked(tmp_path / "offline.turn"))  # by the writer, which waits for this thread
        assert len(store.publications()) == 1
        assert batches.read_all().num_rows == 1
    writer.join()
    assert len(store.publications()) == 2


def test_a_killed_writer_loses_nothing_that_was_published(tmp_path: Path) -> None:
    store = DuckDBOfflineStore(tmp_path)
    writer = subprocess.Popen([sys.executable, "-c", WRITE.replace("range(5)", "range(10_000)"), str(tmp_path), "k"])
    eventually(lambda: len(store.publications()) >= 3, 60)
    before = store.publications()
    writer.send_signal(signal.SIGKILL)
    writer.wait()
    after = store.publications()
    assert after[: len(before)] == before
    assert [each.sequence for each in after] == list(range(1, len(after) + 1))
    assert OfflineStoreContract().read(store) == [(1, at(1), 1.0)]


def test_what_a_process_staged_that_was_killed_is_swept_days_later(tmp_path: Path) -> None:
    store = DuckDBOfflineStore(tmp_path)
    dead, at_work = (store.stage(rows((1, at(1), 1.0)), name="spending", run_id=run) for run in ("dead", "at work"))
    with duckdb.connect(str(tmp_path / "offline.duckdb")) as connection:
        connection.execute(f"COMMENT ON TABLE {dead} IS '{(datetime.now(UTC) - timedelta(days=8)).isoformat()}'")
    OfflineStoreContract().publish(store, rows((1, at(1), 1.0)))
    assert store.columns(dead) is None
    assert store.columns(at_work) is not None


def test_a_table_gives_its_rows_in_the_same_order_each_time(tmp_path: Path) -> None:
    store = DuckDBOfflineStore(tmp_path)
    staged = store.stage(pa.table({"n": range(2_000_000)}), name="numbers", run_id="a")

    def read() -> pa.Table:
        with store.read(unbound([Column("n", DataType.INT64)], staged)) as batches:
            return batches.read_all()

    first = read()
    assert all(read().equals(first) for _ in range(5))


def test_publications_of_an_earlier_release_are_read_and_its_table_is_widened(store: DuckDBOfflineStore) -> None:
    contract = OfflineStoreContract()
    contract.publish(store, rows((1, at(1), 1.0)))
    with store._open(write=True) as connection:
        for column in NEW_COLUMNS:
            connection.execute(f"ALTER TABLE feature_store._publications DROP COLUMN {column}")
    (before,) = store.publications()
    assert [getattr(before, column) for column in NEW_COLUMNS] == [None] * len(NEW_COLUMNS)
    after = contract.publish(store, rows((1, at(2), 1.0)))
    assert store.publications() == (before, after)
