"""BigQuery refuses for a moment, a quota is used up, the network goes: tried again, or said, and never half a table."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import google.api_core.retry.retry_unary as google_retry
import ibis
import pyarrow as pa
import pytest
from google.auth.credentials import AnonymousCredentials
from google.auth.exceptions import RefreshError
from google.cloud import bigquery

from amora_fs_assets.domain.errors import OfflineStoreError, SettingsError
from amora_fs_assets.domain.job_costs import Meter
from amora_fs_assets.settings import Settings
from amora_fs_assets.stores.bigquery.jobs import JobOptions
from amora_fs_assets.stores.bigquery.offline_store import BigQueryOfflineStore
from amora_fs_assets.stores.google_clients import bigquery_client, bigquery_storage_client, storage_client
from amora_fs_assets_tests.emulators.bigquery import BigQueryEmulator
from amora_fs_assets_tests.emulators.faulty import Choose, Cut, Fault, FaultyTcp, Refusal, faulty_http
from amora_fs_assets_tests.small import at
from amora_fs_assets_tests.stores.offline_store_contract import OfflineStoreContract, rows

pytestmark = pytest.mark.google
ROWS = 300_000
FAULTS: dict[str, Fault] = {
    "rate limit": Refusal(429, "rateLimitExceeded"),
    "unavailable": Refusal(503, "backendError"),
    "cut before": Cut(done=False),
    "cut after": Cut(done=True),
}
_numbers = itertools.count()


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """How long Google's retries would pause [s]; they do not."""
    waited: list[float] = []
    monkeypatch.setattr(google_retry, "time", SimpleNamespace(monotonic=time.monotonic, sleep=waited.append))
    return waited


@pytest.fixture
def store_behind(bigquery_emulator: BigQueryEmulator) -> Iterator[Callable[..., BigQueryOfflineStore]]:
    """Makes a store whose requests go through a network with the faults that are chosen."""
    opened: list[Any] = []

    def behind(choose: Choose, **options: Any) -> BigQueryOfflineStore:
        opened.append(faulty_http(bigquery_emulator.host, choose))
        client = replace(bigquery_emulator, host=opened[-1].__enter__()).client()
        return BigQueryOfflineStore(client, dataset=f"faults_{next(_numbers)}", options=JobOptions(**options))

    yield behind
    for each in opened:
        each.__exit__(None, None, None)


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[pytest.mark.slow] * (name != "cut after")) for name in FAULTS]
)
def test_a_publication_of_which_every_request_fails_once_is_published_once(
    name: str, store_behind: Callable[..., BigQueryOfflineStore], pauses: list[float]
) -> None:
    requests = itertools.count(1)

    def choose(method: str, path: str) -> Fault:
        if method == "PUT" and name == "cut after":  # of an upload that was done the emulator knows nothing any more
            return None
        return FAULTS[name] if next(requests) % 2 else None

    store, contract = store_behind(choose), OfflineStoreContract()
    with Meter("spending", "run"):
        contract.publish(store, rows((1, at(1), 1.0), (2, at(2), 2.0)))
    assert [publication.rows for publication in store.publications()] == [2]
    assert contract.read(store) == [(1, at(1), 1.0), (2, at(2), 2.0)]
    assert len(pauses) > 20


def test_a_rate_limit_that_does_not_pass_is_said_after_a_while(
    store_behind: Callable[..., BigQueryOfflineStore],
) -> None:
    asked: list[str] = []

    def choose(method: str, path: str) -> Fault:
        asked.append(path)
        return FAULTS["rate limit"]

    store = store_behind(choose, timeout=2.0)
    with pytest.raises(OfflineStoreError, match=r"(?s)rateLimitExceeded.*All retries failed.*request a higher quota"):
        store.stage("SELECT 1 AS n", name="numbers", run_id="run")
    assert len(asked) > 1


def test_a_quota_that_is_used_up_is_said_at_once(
    store_behind: Callable[..., BigQueryOfflineStore], pauses: list[float]
) -> None:
    store = store_behind(lambda method, path: Refusal(403, "quotaExceeded") if "jobs" in path else None)
    with pytest.raises(
        OfflineStoreError, match=r"(?s)quotaExceeded.*A quota of the project is used up.*request a higher quota"
    ):
        store.stage("SELECT 1 AS n", name="numbers", run_id="run")
    assert pauses == []


def test_a_server_that_cannot_be_reached_is_said(store_behind: Callable[..., BigQueryOfflineStore]) -> None:
    store = store_behind(lambda *_: FAULTS["cut before"], timeout=1.0)
    for work in (store.publications, lambda: store.stage("SELECT 1 AS n", name="n", run_id="run")):
        with pytest.raises(OfflineStoreError, match="cannot be reached.*network"):
            work()


@pytest.fixture
def numbers(bigquery_emulator: BigQueryEmulator) -> str:
    dataset = f"faults_{next(_numbers)}"
    with bigquery_emulator.client() as client:
        store = BigQueryOfflineStore(client, dataset=dataset)
        select = f"SELECT n, TO_HEX(SHA256(CAST(n AS STRING))) AS text FROM UNNEST(GENERATE_ARRAY(1, {ROWS})) AS n"
        return store.stage(select, name="numbers", run_id="run")


def read(emulator: BigQueryEmulator, proxy: FaultyTcp, table: str, **options: Any) -> pa.Table:
    reader = replace(emulator, grpc_address=proxy.address).read_client()
    dataset, _, name = table.rpartition(".")
    query = ibis.table({"n": "int64", "text": "string"}, name=name, database=dataset)
    with emulator.client() as client:
        store = BigQueryOfflineStore(client, dataset=dataset, options=JobOptions(**options), storage_client=reader)
        with store.read(query) as batches:
            return batches.read_all()


def test_a_read_that_is_cut_again_and_again_goes_on_where_it_was(
    bigquery_emulator: BigQueryEmulator, numbers: str
) -> None:
    proxy = FaultyTcp(bigquery_emulator.grpc_address, cuts=3, after=2_000_000)
    found = read(bigquery_emulator, proxy, numbers)
    proxy.close()
    assert proxy.cut == 3
    assert sorted(found["n"].to_pylist()) == list(range(1, ROWS + 1))


def test_a_read_from_a_network_that_is_gone_is_said_and_gives_no_half_table(
    bigquery_emulator: BigQueryEmulator, numbers: str
) -> None:
    proxy = FaultyTcp(bigquery_emulator.grpc_address, cuts=1, after=2_000_000, then_gone=True)
    with pytest.raises(OfflineStoreError, match="cannot be reached.*network"):
        read(bigquery_emulator, proxy, numbers, timeout=3.0)
    assert proxy.cut == 1


@pytest.mark.parametrize(
    "refusal",
    [
        Refusal(404, "notFound", "Not found: Project no-such-project"),
        Refusal(403, "accessDenied", "Access Denied: Project no-such-project: User does not have bigquery.jobs.create"),
    ],
)
def test_a_project_that_is_not_ours_is_said(
    refusal: Refusal, store_behind: Callable[..., BigQueryOfflineStore], pauses: list[float]
) -> None:
    store = store_behind(lambda *_: refusal)
    for work in (
        store.publications,
        lambda: store.columns(f"{store.dataset}.spending"),
        lambda: store.stage("SELECT 1 AS n", name="n", run_id="run"),
        lambda: OfflineStoreContract().read(store),
    ):
        with pytest.raises((SettingsError, OfflineStoreError), match=r"(?s)no-such-project.*AMORA_FS_BIGQUERY_PROJECT"):
            work()
    assert pauses == []


def test_a_dataset_in_another_location_is_said_and_nothing_is_published(
    bigquery_emulator: BigQueryEmulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    with bigquery_emulator.client() as client:
        made = bigquery.Dataset(f"{client.project}.faults_{next(_numbers)}")
        made.location = "EU"
        client.create_dataset(made, timeout=60)
        store = BigQueryOfflineStore(client, dataset=made.dataset_id, options=JobOptions(location="us-central1"))
        said = rf"Dataset {made.dataset_id} is in EU, but AMORA_FS_BIGQUERY_LOCATION is us-central1.*set AMORA_FS"
        with pytest.raises(SettingsError, match=said):
            OfflineStoreContract().publish(store, rows((1, at(1), 1.0)))
        assert list(client.list_tables(made)) == []


def test_without_credentials_it_says_how_to_get_some(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("BIGQUERY_EMULATOR_HOST", "BIGQUERY_STORAGE_GRPC_ENDPOINT", "STORAGE_EMULATOR_HOST",
                 "GOOGLE_APPLICATION_CREDENTIALS"):  # fmt: skip
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("CLOUDSDK_CONFIG", str(tmp_path))
    monkeypatch.setenv("NO_GCE_CHECK", "true")
    settings = Settings(offline_store="bigquery", bigquery_project="ours")
    for settings_ in (settings, replace(settings, bigquery_impersonate="reader@ours.iam.gserviceaccount.com")):
        for client in (bigquery_client, bigquery_storage_client, storage_client):
            with pytest.raises(SettingsError, match="gcloud auth application-default login"):
                client(settings_)


def test_credentials_that_google_does_not_take_any_more_are_said() -> None:
    class Expired(AnonymousCredentials):
        def before_request(self, *_: Any) -> None:
            raise RefreshError("invalid_grant: Token has been expired or revoked.")

    with bigquery.Client(project="ours", credentials=Expired()) as client:  # type: ignore[no-untyped-call]
        store = BigQueryOfflineStore(client, dataset="features")
        with pytest.raises(SettingsError, match="expired or revoked.*gcloud auth application-default login"):
            store.publications()
