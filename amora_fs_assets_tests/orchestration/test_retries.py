"""A team's RetryPolicy: what may pass by itself is tried again; failed checks and wrong definitions are not."""

from __future__ import annotations

import fcntl
import inspect
from dataclasses import replace
from pathlib import Path

import dagster as dg
import pytest
from google.api_core import exceptions as google
from google.auth.exceptions import TransportError

from amora_fs_assets.domain import errors
from amora_fs_assets.domain.errors import FINAL, FeatureStoreError
from amora_fs_assets.domain.ports.offline import Draft
from amora_fs_assets.domain.records import Publication
from amora_fs_assets.orchestration.failures import failure
from amora_fs_assets.stores.bigquery.errors import explained
from amora_fs_assets.stores.duckdb.offline_store import DuckDBOfflineStore
from amora_fs_assets_tests import small
from amora_fs_assets_tests.emulators.process import free_ports
from amora_fs_assets_tests.orchestration.project import BOUGHT, ONLINE, RAW, VIEW, Project, error_of, in_a_process
from amora_fs_assets_tests.servers import RedisServer, bundled_valkey, eventually

AGAIN = dg.RetryPolicy(max_retries=100)
TRANSIENT = {
    "RegistryError", "RegistryConflict", "RegistryCorrupt", "OfflineStoreError", "OfflineStoreBusy",
    "PublicationRefused", "OnlineStoreError", "OnlineStateLost", "OnlineStoreUnavailable", "TableNotFound",
}  # fmt: skip


def retries(result: dg.ExecuteInProcessResult) -> int:
    return sum(event.is_step_up_for_retry for event in result.all_events)


def test_every_error_of_a_step_is_either_final_or_tried_again() -> None:
    tree = [each for each in vars(errors).values() if inspect.isclass(each) and issubclass(each, FeatureStoreError)]
    assert {each.__name__ for each in tree if issubclass(each, errors.OfflineStoreError | errors.OnlineStoreError
            | errors.RegistryError | errors.TableNotFound) and not issubclass(each, FINAL)} == TRANSIENT  # fmt: skip
    for each in FINAL:
        assert not failure(each("wrong")).allow_retries
    for name in TRANSIENT:
        assert failure(getattr(errors, name)("away")).allow_retries


@pytest.mark.parametrize(
    "refusal",
    [
        google.TooManyRequests("slow down"),
        google.ServiceUnavailable("away"),
        google.Forbidden("quota", errors=[{"reason": "quotaExceeded"}]),
        google.RetryError("it took too long", ConnectionError("refused")),
        TransportError("the token's server is away"),
    ],
    ids=["429", "503", "quota", "network", "token"],
)
def test_what_google_refuses_for_a_while_is_tried_again(refusal: Exception) -> None:
    with pytest.raises(FeatureStoreError) as raised, explained("ours"):
        raise refusal
    assert failure(raised.value).allow_retries


@pytest.mark.parametrize(("key", "name"), [(RAW, "orders"), (VIEW, "spending"), (BOUGHT, "bought")])
def test_a_busy_file_is_waited_for_by_the_policy(project: Project, key: dg.AssetKey, name: str) -> None:
    assert project.run(RAW, VIEW).success
    before = len(project.records(name))

    def run() -> bool:
        own = Project(project.settings.home)
        own.settings = replace(own.settings, lock_timeout=0.1)
        own.use(own.code, retry_policy=AGAIN)
        result = own.run(key)
        return result.success and retries(result) > 0

    with (project.settings.home / "offline.lock").open("r+b") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        running = in_a_process(run)
        eventually(lambda: len(project.records(name)) > before, 60)
        assert "Another process" in project.records(name)[0].error
        fcntl.flock(held, fcntl.LOCK_UN)  # closing is not enough: the other process has the open file, too
    running.join(timeout=60)
    assert running.exitcode == 0
    assert project.records(name)[0].status == "succeeded"


def test_a_server_that_comes_back_gets_its_load(project: Project, tmp_path: Path) -> None:
    assert project.run(RAW, VIEW).success
    (port,) = free_ports(1)
    server = RedisServer(bundled_valkey(), tmp_path, port)

    def run() -> bool:
        own = Project(project.settings.home)
        own.settings = replace(own.settings, online_store_url=server.url)
        own.use(own.code, retry_policy=AGAIN)
        result = own.run(ONLINE)
        return result.success and retries(result) > 0

    running = in_a_process(run)
    eventually(lambda: any(each.kind == "materialize" for each in project.records("spending")), 60)
    server.start()
    try:
        running.join(timeout=60)
    finally:
        server.kill()
    assert running.exitcode == 0
    assert project.records("spending")[0].status == "succeeded"


class RefusingOnce(DuckDBOfflineStore):
    """A store whose first publication of the view fails as a network does."""

    refused = False

    def publish(self, staged: str, draft: Draft) -> Publication:
        if draft.name == "spending" and not self.refused:
            self.refused = True
            raise errors.OfflineStoreError("BigQuery cannot be reached")
        return super().publish(staged, draft)


def test_a_publication_that_does_not_get_through_is_computed_again(project: Project) -> None:
    project.use(project.code, retry_policy=AGAIN, offline=RefusingOnce(project.settings.home))
    result = project.run(RAW, VIEW)
    assert result.success
    assert retries(result) == 1
    assert len(project.offline.publications("spending")) == 1


def test_failed_checks_are_final(project: Project) -> None:
    project.use(small.catalogue([(1, small.at(4), -1.0)]), retry_policy=AGAIN)
    result = project.run(RAW, VIEW)
    assert retries(result) == 0
    assert "was not published" in error_of(result)


def test_a_definition_that_is_not_applied_is_final(project: Project) -> None:
    assert project.run(RAW, VIEW).success
    project.use(small.catalogue(lookback=small.at(2) - small.at(1)), applied=False, retry_policy=AGAIN)
    result = project.run(VIEW)
    assert retries(result) == 0
    assert "Run `amora-fs apply` first" in error_of(result)


def test_a_transform_that_fails_is_final(project: Project) -> None:
    project.use(small.catalogue(transform=lambda orders: orders.nosuch), retry_policy=AGAIN)
    assert retries(project.run(RAW, VIEW)) == 0
