"""A computation on BigQuery that is killed around any request that it sends, and is run again."""

from __future__ import annotations

import itertools
import os
import signal
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import psutil
import pytest
import urllib3.connection
from google.api_core.exceptions import NotFound
from google.cloud import bigquery

from amora_fs_assets import Source
from amora_fs_assets.domain.catalogue import Catalogue
from amora_fs_assets.operations import runs
from amora_fs_assets.operations.expressions.tables import unbound
from amora_fs_assets.operations.offline.load_source import load
from amora_fs_assets.operations.registry.apply import apply
from amora_fs_assets.stores.bigquery.offline_store import BigQueryOfflineStore
from amora_fs_assets.stores.registry.folder import FolderObjectStore
from amora_fs_assets.stores.registry.object_registry import ObjectRegistry
from amora_fs_assets_tests import small
from amora_fs_assets_tests.emulators.bigquery import BigQueryEmulator
from amora_fs_assets_tests.servers import eventually
from amora_fs_assets_tests.small import at
from amora_fs_assets_tests.stores.at_once import ended
from amora_fs_assets_tests.stores.offline_store_contract import COLUMNS

pytestmark = [pytest.mark.google, pytest.mark.slow]
CLOCK = at(1, month=3)
ORDERS = Source(
    "orders", small.Orders, table="kill_raw.orders", timestamp_field="at",
    loader=lambda: small.orders_table([(1, at(1), 0.0), (2, at(2), 0.0)]),
)  # fmt: skip
VIEW = small.spending(ORDERS)


class Project:
    """A dataset with a view over a source of two orders."""

    def __init__(self, emulator: BigQueryEmulator, dataset: str, home: Path) -> None:
        self.emulator, self.dataset = emulator, dataset
        self.registry = ObjectRegistry(FolderObjectStore(home / dataset))
        apply(Catalogue.of([VIEW]), self.registry, clock=at(1))

    def change(self, amount: float) -> None:
        """Let the source's orders be of this amount."""
        with self.emulator.client() as client:
            client.query_and_wait(f"UPDATE kill_raw.orders SET amount = {amount} WHERE true", wait_timeout=60)

    def compute(self, run_id: str) -> list[str]:
        """Compute January; what each request held that may change something."""
        sent: list[str] = []

        def note(response: Any, **_: Any) -> None:
            if changes(response.request.method, response.request.body):
                sent.append(str(response.request.body))

        with self.emulator.client() as client:
            client._http.hooks["response"].append(note)
            store = BigQueryOfflineStore(client, dataset=self.dataset)
            interval = (at(1), at(1, month=2))
            runs.compute(VIEW, *interval, store=store, registry=self.registry, run_id=run_id, clock=CLOCK)
        return sent

    def seen(self) -> tuple[list[Any], list[str]]:
        """The table's rows, and the runs that published, in order."""
        with self.emulator.client() as client:
            store = BigQueryOfflineStore(client, dataset=self.dataset)
            published = [publication.run_id for publication in store.publications()]
            if store.columns(f"{self.dataset}.spending") is None:
                return [], published
            query = unbound(COLUMNS, f"{self.dataset}.spending").order_by("customer")
            with store.read(query) as batches:
                return [tuple(row.values()) for row in batches.read_all().to_pylist()], published

    def staged(self) -> list[bigquery.Table]:
        with self.emulator.client() as client, suppress(NotFound):  # the dataset is made with the first
            names = [table.reference for table in client.list_tables(self.dataset) if "_staged_" in table.table_id]
            return [client.get_table(name) for name in names]
        return []


@pytest.fixture(autouse=True)
def source(bigquery_emulator: BigQueryEmulator, tmp_path: Path) -> None:
    with bigquery_emulator.client() as client:
        registry = ObjectRegistry(FolderObjectStore(tmp_path / "raw"))
        load(ORDERS, run_id="load", store=BigQueryOfflineStore(client, dataset="kill_raw"), registry=registry)


def rows(amount: float) -> list[Any]:
    return [(1, at(1), amount), (2, at(2), amount)]


def changes(method: str, body: str | bytes | None) -> bool:
    """Whether the request may change something: the store's jobs say in their ids which of them only read."""
    return method != "GET" and b"amora_fs-read-" not in (body.encode() if isinstance(body, str) else body or b"")


def killed_at_request(number: int, work: Callable[[], object]) -> bool:
    """Do `work` in a process that gets SIGKILL once it has sent `number` requests that may change something.

    False where it was done before. A kill at a request that only reads leaves what the kill at the request before it
    leaves.
    """

    def run() -> None:
        numbers = itertools.count(1)
        connection = urllib3.connection.HTTPConnection
        send, receive = connection.request, connection.getresponse

        def request(self: Any, method: str, url: str, body: Any = None, *args: Any, **options: Any) -> None:
            self.changes = changes(method, body)
            send(self, method, url, body, *args, **options)

        def getresponse(self: Any) -> Any:
            if self.changes and next(numbers) == number:
                os.kill(os.getpid(), signal.SIGKILL)
            return receive(self)

        connection.request = request  # type: ignore[method-assign]
        connection.getresponse = getresponse  # type: ignore[method-assign]
        work()

    return ended(run) == -signal.SIGKILL


def settled(emulator: BigQueryEmulator) -> None:
    """Wait until the server has done what was sent to it: it has closed the connections of the dead and runs no job."""
    port = int(emulator.host.rpartition(":")[2])
    eventually(
        lambda: (
            not any(
                each.laddr[1:] == (port,) and each.status == psutil.CONN_CLOSE_WAIT
                for each in psutil.net_connections("tcp")
            )
        ),
        60,
    )
    with emulator.client() as client:
        eventually(lambda: not list(client.list_jobs(state_filter="running")), 60)


def test_killed_at_any_request_of_its_first_publication_it_is_published_once_when_run_again(
    bigquery_emulator: BigQueryEmulator, tmp_path: Path
) -> None:
    for number in itertools.count(1):
        project = Project(bigquery_emulator, f"kill_{number}", tmp_path)
        if not killed_at_request(number, partial(project.compute, "run")):
            break
        check(project, 0.0, "run", before=([], []))
    assert number > 7


def test_killed_at_any_request_of_a_republication_readers_see_the_old_rows_or_the_new(
    bigquery_emulator: BigQueryEmulator, tmp_path: Path
) -> None:
    project = Project(bigquery_emulator, "kill", tmp_path)
    project.compute("first")
    sent = project.compute("run 0")
    (transaction,) = (number for number, what in enumerate(sent, 1) if "BEGIN TRANSACTION" in what)
    for number in range(transaction, len(sent) + 1):
        run_id = f"run {number}"
        project.change(float(number))
        before = project.seen()
        assert killed_at_request(number, partial(project.compute, run_id))
        check(project, float(number), run_id, before=before)


def check(project: Project, amount: float, run_id: str, *, before: tuple[list[Any], list[str]]) -> None:
    """That readers see one whole state, and that a run of the same id ends what was begun."""
    settled(project.emulator)
    after = (rows(amount), [*before[1], run_id])
    seen, left = project.seen(), project.staged()
    assert seen in (before, after)
    assert all(table.expires - datetime.now(UTC) < timedelta(days=8) for table in left)

    project.compute(run_id)
    # What was published and let go of is published once more: nobody can tell that its rows are still the newest.
    again = [run_id] if seen == after and not left else []
    assert project.seen() == (after[0], [*after[1], *again])
    assert project.staged() == []
    recorded = {r.sequence for r in project.registry.records("spending", run_id=run_id, status="succeeded")}
    assert len(recorded) == 1 + len(again)
