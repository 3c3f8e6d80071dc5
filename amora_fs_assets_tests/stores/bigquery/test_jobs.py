"""BigQuery's jobs as they are sent: whose they are, how often they run, what they may cost, how they are asked for.

The emulator keeps jobs by their id, and knows neither bytes nor budgets: amounts are put in its mouth where a test
needs some.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import ibis
import pyarrow as pa
import pytest
import requests
from google.api_core.exceptions import Forbidden
from google.cloud import bigquery
from google.oauth2.credentials import Credentials

from amora_fs_assets import Source
from amora_fs_assets.domain.catalogue import Catalogue
from amora_fs_assets.domain.errors import BudgetExceeded, ChecksFailed, OfflineStoreError
from amora_fs_assets.domain.job_costs import Meter
from amora_fs_assets.operations import runs
from amora_fs_assets.operations.offline import compute
from amora_fs_assets.operations.offline.load_source import load
from amora_fs_assets.operations.registry.apply import apply
from amora_fs_assets.settings import Settings
from amora_fs_assets.stores import google_clients
from amora_fs_assets.stores.bigquery.jobs import JobOptions, Jobs, label
from amora_fs_assets.stores.bigquery.offline_store import BigQueryOfflineStore
from amora_fs_assets.stores.registry.folder import FolderObjectStore
from amora_fs_assets.stores.registry.object_registry import ObjectRegistry
from amora_fs_assets_tests import small
from amora_fs_assets_tests.emulators.bigquery import BigQueryEmulator
from amora_fs_assets_tests.emulators.sent import statements
from amora_fs_assets_tests.small import at
from amora_fs_assets_tests.stores.offline_store_contract import OfflineStoreContract

pytestmark = pytest.mark.google
_numbers = itertools.count()


@pytest.fixture
def client(bigquery_emulator: BigQueryEmulator) -> Iterator[bigquery.Client]:
    with bigquery_emulator.client() as client:
        yield client


@pytest.fixture
def sent(client: bigquery.Client) -> list[dict[str, Any]]:
    """The jobs that the client asks for, as it writes them."""
    jobs: list[dict[str, Any]] = []

    def note(response: requests.Response, *_: Any, **__: Any) -> None:
        posted = response.request.body
        if response.request.method == "POST" and isinstance(posted, str | bytes):
            body = json.loads(posted)
            if "configuration" in body:
                jobs.append(body)

    client._http.hooks["response"].append(note)
    return jobs


@pytest.fixture
def dataset() -> str:
    return f"jobs_{next(_numbers)}"


def test_a_job_says_whose_it_is(client: bigquery.Client, sent: list[dict[str, Any]]) -> None:
    with Meter("spending", "Run 7/B"):
        Jobs(client, JobOptions()).query("SELECT 1", step="check")
    assert sent[-1]["configuration"]["labels"] == {
        "amora_fs_step": "check",
        "amora_fs_view": "spending",
        "amora_fs_run": "run_7_b",
    }


@pytest.mark.parametrize(
    ("value", "taken"), [("Ada@Example.com", "ada_example_com"), ("é", "_"), ("x" * 70, "x" * 63), ("a-b_1", "a-b_1")]
)
def test_labels_are_what_bigquery_takes(value: str, taken: str) -> None:
    assert label(value) == taken


def test_the_same_work_of_a_run_is_one_job_however_often_it_is_asked_for(client: bigquery.Client, dataset: str) -> None:
    client.create_dataset(dataset)
    client.query(f"CREATE TABLE {dataset}.counted (n INT64)").result()
    jobs = Jobs(client, JobOptions())
    for _ in range(2):  # the second is a retry that does not know of the first
        with Meter("spending", "run") as meter:
            jobs.query(f"INSERT INTO {dataset}.counted VALUES (1)", step="publish", identity="the same")
        assert len(meter.jobs) == 1
    rows = client.query(f"SELECT count(*) AS n FROM {dataset}.counted").result()
    assert [row.n for row in rows] == [1]


@pytest.mark.parametrize(
    ("run", "view", "identity"),
    [("another", "spending", "the same"), ("run", "another", "the same"), ("run", "spending", "another")],
)
def test_other_work_is_another_job(client: bigquery.Client, run: str, view: str, identity: str) -> None:
    jobs = Jobs(client, JobOptions())
    with Meter("spending", "run"):
        first = jobs._id("publish", "the same", 1)
    with Meter(view, run):
        assert jobs._id("publish", identity, 1) != first


def test_what_was_done_but_is_gone_again_is_done_again(client: bigquery.Client, dataset: str) -> None:
    client.create_dataset(dataset)
    jobs = Jobs(client, JobOptions())
    create = f"CREATE OR REPLACE TABLE {dataset}.staged AS SELECT 1 AS n"

    def there() -> bool:
        return "staged" in [table.table_id for table in client.list_tables(dataset)]

    for _ in range(2):
        with Meter("spending", "run"):
            jobs.query(create, step="stage", identity="staged", remains=there)
        assert there()
        client.delete_table(f"{dataset}.staged")


def test_over_the_budget_nothing_runs_and_the_bytes_and_the_setting_are_said(
    client: bigquery.Client, sent: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bigquery.QueryJob, "total_bytes_processed", 2_000_000)
    jobs = Jobs(client, JobOptions(maximum_bytes_billed=1_999_999))
    with Meter("spending", "run"), pytest.raises(BudgetExceeded) as refused:
        jobs.query("SELECT 1")
    assert "'spending': a query would scan 2,000,000 bytes" in str(refused.value)
    assert "AMORA_FS_BIGQUERY_MAXIMUM_BYTES_BILLED allows 1,999,999" in str(refused.value)
    assert [job["configuration"].get("dryRun") for job in sent] == [True]


def test_within_the_budget_it_runs_and_bigquery_itself_is_told_the_limit(
    client: bigquery.Client, sent: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bigquery.QueryJob, "total_bytes_processed", 2_000_000)
    Jobs(client, JobOptions(maximum_bytes_billed=2_000_000)).query("SELECT 1")
    dry, real = (job["configuration"] for job in sent)
    assert dry["dryRun"] is True
    assert "dryRun" not in real
    assert int(real["query"]["maximumBytesBilled"]) == 2_000_000


def test_options_reach_the_job(client: bigquery.Client, sent: list[dict[str, Any]]) -> None:
    options = JobOptions(location="europe-west3", priority="batch", timeout=7.5)
    Jobs(client, options).query("SELECT 1")
    job = sent[-1]
    assert job["jobReference"]["location"] == "europe-west3"
    assert job["configuration"]["query"]["priority"] == "BATCH"
    assert int(job["configuration"]["jobTimeoutMs"]) == 7_500


def test_what_a_job_cost_is_in_its_account(client: bigquery.Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bigquery.QueryJob, "total_bytes_billed", 2**39)
    with Meter("spending", "run") as meter:
        Jobs(client, JobOptions(price_per_tib=6.0)).query("SELECT 1", step="check")
    (job,) = meter.jobs
    assert (job.step, job.bytes_billed, job.cost) == ("check", 2**39, 3.0)


def test_another_account_is_taken_on_where_the_settings_say_so(monkeypatch: pytest.MonkeyPatch) -> None:
    mine = Credentials("mine")
    monkeypatch.setattr("google.auth.default", lambda **_: (mine, "project"))
    monkeypatch.delenv("BIGQUERY_EMULATOR_HOST", raising=False)
    account = "reader@project.iam.gserviceaccount.com"
    client = google_clients.bigquery_client(Settings(bigquery_project="project", bigquery_impersonate=account))
    taken: Any = client._credentials
    assert taken.service_account_email == account
    assert taken._source_credentials.token == "mine"


@pytest.mark.parametrize("period", [pytest.param("hour", marks=pytest.mark.slow), "month"])
def test_a_table_says_what_its_view_says(client: bigquery.Client, dataset: str, period: str, tmp_path: Any) -> None:
    store = BigQueryOfflineStore(client, dataset=dataset)
    source = Source(
        "orders", small.Orders, table=f"{dataset}.orders", timestamp_field="at",
        loader=lambda: small.orders_table(small.ORDERS),
    )  # fmt: skip
    view = small.spending(source, description="What is spent.", table_partitions=period)
    load(source, run_id="run", store=store, registry=ObjectRegistry(FolderObjectStore(tmp_path)))
    computed = compute.stage(view, compute.interval_of(view, at(1), at(1, month=3), at(1, month=3)), store=store,
                             run_id="run", definition_hash="")  # fmt: skip
    compute.publish(computed, store=store, now=at(1, month=3))
    table = client.get_table(f"{dataset}.spending")
    assert table.description == "What is spent.\nOwner: shop@example.com"
    ours = {name: value for name, value in table.labels.items() if name != "amora-fs-incarnation"}
    assert ours == {"amora_fs_domain": "shop", "amora_fs_owner": "shop_example_com"}
    assert table.labels["amora-fs-incarnation"].startswith("none-")
    assert {field.name: field.description for field in table.schema}["amount"] == "Amount of the order [EUR]."
    assert table.time_partitioning.type_ == period.upper()


def test_staged_rows_are_staged_once_in_a_run(client: bigquery.Client, dataset: str) -> None:
    store = BigQueryOfflineStore(client, dataset=dataset)
    numbers = store.stage(pa.table({"n": [1, 2]}), name="numbers", run_id="source")
    dataset_, _, name = numbers.rpartition(".")
    query = ibis.table({"n": "int64"}, name=name, database=dataset_)
    made = []
    for _ in range(2):
        with Meter("view", "run") as meter:
            staged = store.stage(query, name="view", run_id="run")
        made.append((staged, client.get_table(staged).created, [job.id for job in meter.jobs]))
    assert made[0] == made[1]
    assert client.get_table(staged).num_rows == 2


def test_a_dataset_that_is_there_is_not_made_for_which_not_everybody_has_the_right(
    client: bigquery.Client, dataset: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    client.create_dataset(dataset)

    def refused(*_: Any, **__: Any) -> None:
        raise Forbidden("Access Denied: bigquery.datasets.create")

    monkeypatch.setattr(client, "create_dataset", refused)
    BigQueryOfflineStore(client, dataset=dataset).stage(pa.table({"n": [1]}), name="numbers", run_id="run")
    with pytest.raises(OfflineStoreError, match=r"Access Denied.*docs/bigquery.md"):
        BigQueryOfflineStore(client, dataset=f"{dataset}_absent").stage(pa.table({"n": [1]}), name="n", run_id="run")


def test_a_computation_that_fails_keeps_what_it_cost(client: bigquery.Client, dataset: str, tmp_path: Path) -> None:
    store = BigQueryOfflineStore(client, dataset=dataset)
    registry = ObjectRegistry(FolderObjectStore(tmp_path))
    source = Source("orders", small.Orders, table=f"{dataset}.orders", timestamp_field="at",
                    loader=lambda: small.orders_table([(1, at(1), -5.0)]))  # fmt: skip
    view = small.spending(source)
    load(source, run_id="source", store=store, registry=registry)
    apply(Catalogue.of([view]), registry, clock=at(1))
    with pytest.raises(ChecksFailed):
        runs.compute(view, at(1), at(1, month=2), store=store, registry=registry, run_id="run", clock=at(1, month=2))
    (run,) = registry.records("spending")
    assert (run.status, run.bytes) == ("failed", 0)  # by the emulator's word
    assert "stage" in {job.step for job in run.jobs}


def test_a_column_is_added_in_these_words(client: bigquery.Client, dataset: str) -> None:
    OfflineStoreContract().test_a_new_column_is_null_in_older_rows(BigQueryOfflineStore(client, dataset=dataset))
    added = [sql for sql in statements(client) if "ALTER" in sql and dataset in sql]
    assert added == [f"ALTER TABLE `{dataset}`.`spending` ADD COLUMN IF NOT EXISTS `note` STRING"]
