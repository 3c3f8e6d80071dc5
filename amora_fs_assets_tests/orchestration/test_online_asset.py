"""The online load in shards: Dagster steps that come to what one step comes to, whatever dies on the way."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterable, Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import dagster as dg
import pyarrow as pa
import pytest

from amora_fs_assets import FeatureView
from amora_fs_assets.domain.ports.online import Load, ShardResult
from amora_fs_assets.operations.online.parity import online_rows, parity
from amora_fs_assets.orchestration.code_location import build_definitions
from amora_fs_assets.stores.open import open_registry
from amora_fs_assets.stores.redis.online_store import RedisOnlineStore
from amora_fs_assets_tests import small
from amora_fs_assets_tests.orchestration.project import ONLINE, QUIET, RAW, VIEW, Project, error_of, metadata_of
from amora_fs_assets_tests.servers import RedisServer, bundled_valkey, redis_server
from amora_fs_assets_tests.stores.online_rows import request

CUSTOMERS = range(200)
ORDERS: list[tuple[int, Any, float | None]] = [
    (customer, small.at(1 + customer % 28, month=month), float(customer + month))
    for customer in CUSTOMERS
    for month in (1, 2)
]
FOLDER, URL, SHARDS = "SHARDED_TEST_FOLDER", "SHARDED_TEST_URL", "SHARDED_TEST_SHARDS"


class Deadly(RedisOnlineStore):
    """Kills the process in the middle of a shard, as often as there are files that say so."""

    def write(
        self, view: FeatureView, load: Load, batches: Iterable[pa.RecordBatch], *, lasting: timedelta, expire: bool
    ) -> ShardResult:
        def dying() -> Iterator[pa.RecordBatch]:
            for batch in batches:
                yield batch.slice(0, batch.num_rows // 2)
                for each in sorted(Path(os.environ[FOLDER]).glob("kill-*"))[:1]:
                    each.unlink()
                    os.kill(os.getpid(), signal.SIGKILL)
                yield batch.slice(batch.num_rows // 2)

        return super().write(view, load, dying(), lasting=lasting, expire=expire)


def sharded(folder: Path, url: str, shards: int, *, on_files: bool = False) -> Project:
    """A project whose views are loaded in that many shards."""
    project = Project(folder, small.catalogue(ORDERS, ttl=None), on_files=on_files)
    project.settings = replace(project.settings, online_store_url=url, online_shards=shards)
    project.use(project.code)
    return project


def deadly_job() -> dg.JobDefinition:
    """What every process of the multiprocess executor makes anew."""
    folder, url = Path(os.environ[FOLDER]), os.environ[URL]
    project = sharded(folder, url, int(os.environ[SHARDS]))
    online = Deadly(project=project.settings.project, url=url)
    defs = build_definitions(project.settings, definitions=project.code, overrides={"online": online})
    job = dg.define_asset_job(
        "load", selection=dg.AssetSelection.assets(ONLINE), executor_def=dg.multiprocess_executor
    )  # fmt: skip
    return dg.Definitions(assets=defs.assets, resources=defs.resources, jobs=[job]).resolve_job_def("load")


@pytest.fixture
def server(tmp_path: Path) -> Iterator[RedisServer]:
    with redis_server(bundled_valkey(), tmp_path) as running:
        yield running


@pytest.fixture
def url(server: RedisServer) -> str:
    return server.url


def served(project: Project, url: str) -> tuple[list[Any], Any]:
    """What readers get of every customer, and what the store says of the generation."""
    store = RedisOnlineStore(project=project.settings.project, url=url)
    view = open_registry(project.settings).catalogue().feature_view("spending")
    (found,) = store.read([request(view, CUSTOMERS)])
    live = store.state("spending").live
    assert live is not None
    assert store.state("spending").filling == ()
    assert parity(view, project.offline, store).passed
    return online_rows(view, found), (live.published_through, live.clock, live.newest_event)


def steps(result: dg.ExecuteInProcessResult) -> list[str]:
    """The steps of the load that were done; its parity check is another."""
    done = [str(event.step_key) for event in result.all_events if event.is_step_success]
    return [key for key in done if not key.endswith("_parity")]


def test_any_number_of_shards_comes_to_the_same(tmp_path: Path, url: str) -> None:
    seen = []
    for shards in (1, 5):
        folder = tmp_path / str(shards)
        project = sharded(folder, f"{url}/{shards}", shards)
        project.settings = replace(project.settings, project=f"p{shards}")
        project.use(project.code)
        assert project.run(RAW, VIEW).success
        result = project.run(ONLINE)
        assert result.success, error_of(result)
        assert len(steps(result)) == (1 if shards == 1 else shards + 2)
        said = metadata_of(result, ONLINE)
        assert (said["dagster/row_count"], said["new generation"]) == (len(CUSTOMERS), True)
        (record, *_) = [each for each in project.records("spending") if each.kind == "materialize"]
        assert (record.status, record.rows) == ("succeeded", len(CUSTOMERS))
        seen.append(served(project, f"{url}/{shards}"))
        project.close()
    assert seen[0] == seen[1]
    assert len(seen[0][0]) == len(CUSTOMERS)
    assert None not in seen[0][0]


def test_what_is_new_goes_into_the_generation_and_nothing_new_is_no_shard(tmp_path: Path, url: str) -> None:
    project = sharded(tmp_path / "home", url, 2)
    assert project.run(RAW, VIEW, ONLINE, last=small.CLOCK[:10]).success
    first = served(project, url)
    again = project.run(ONLINE)
    assert again.success, error_of(again)
    assert metadata_of(again, ONLINE)["rows written"] == 0
    assert len(steps(again)) == 2
    assert project.run(VIEW, first="2020-02-01", last="2020-02-01").success
    some = project.run(ONLINE)
    assert (metadata_of(some, ONLINE)["rows written"], metadata_of(some, ONLINE)["new generation"]) == (200, False)
    assert served(project, url)[0] == first[0]
    full = project.run(ONLINE, config={**QUIET, "ops": {"online__spending": {"config": {"full": True}}}})
    assert metadata_of(full, ONLINE)["new generation"] is True
    assert served(project, url)[0] == first[0]
    project.close()


def test_nothing_staged_is_left(tmp_path: Path, url: str) -> None:
    project = sharded(tmp_path / "home", url, 2)
    assert project.run(RAW, VIEW, ONLINE).success
    with project.offline._open() as connection:  # type: ignore[attr-defined]
        tables = [name for (name,) in connection.execute("SELECT table_name FROM duckdb_tables()").fetchall()]
    assert not [name for name in tables if name.startswith("_staged_")]
    project.close()


@pytest.fixture
def deadly(tmp_path: Path, url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Project]:
    """A project in two shards, whose steps have processes of their own and can be killed."""
    folder = tmp_path / "home"
    project = sharded(folder, url, 2, on_files=True)
    assert project.run(RAW, VIEW).success
    for name, value in ((FOLDER, str(folder)), (URL, url), (SHARDS, "2")):
        monkeypatch.setenv(name, value)
    yield project
    project.close()


def run_deadly(project: Project, kills: int, **more: Any) -> tuple[str, dict[str, list[str]]]:
    """The run's id, and what became of each step: STEP_UP_FOR_RETRY, STEP_SUCCESS, STEP_FAILURE."""
    for number in range(kills):
        (project.settings.home / f"kill-{number}").touch()
    became: dict[str, list[str]] = {}
    with dg.execute_job(dg.reconstructable(deadly_job), project.instance, run_config=QUIET, **more) as result:
        for event in result.all_events:
            if event.is_step_success or event.is_step_failure or event.is_step_up_for_retry:
                step = str(event.step_key).rpartition(".online_")[2].replace("__spending", "")
                became.setdefault(step, []).append(event.event_type_value)
    return result.run_id, became


@pytest.mark.slow
def test_a_shard_whose_process_is_killed_is_run_again_by_itself(deadly: Project, url: str) -> None:
    _, became = run_deadly(deadly, kills=1)
    shards = sorted(became[step] for step in became if step.startswith("shard"))
    assert shards == [["STEP_SUCCESS"], ["STEP_UP_FOR_RETRY", "STEP_SUCCESS"]]
    assert became["finish"] == ["STEP_SUCCESS"]
    rows, _ = served(deadly, url)
    assert [row and row["amount"] for row in rows] == [customer + 2.0 for customer in CUSTOMERS]


@pytest.mark.slow
def test_a_run_whose_shards_are_killed_too_often_serves_nothing_new_and_goes_on_from_there(
    deadly: Project, url: str
) -> None:
    run_id, became = run_deadly(deadly, kills=6)
    shards = {step for step in became if step.startswith("shard")}
    assert all(became[step] == ["STEP_UP_FOR_RETRY", "STEP_UP_FOR_RETRY", "STEP_FAILURE"] for step in shards)
    assert len(shards) == 2
    store = RedisOnlineStore(project=deadly.settings.project, url=url)
    assert store.generation(deadly.code.feature_view("spending")) is None
    again = dg.ReexecutionOptions.from_failure(run_id, deadly.instance)
    _, became = run_deadly(deadly, kills=0, reexecution_options=again)
    assert became == {step: ["STEP_SUCCESS"] for step in (*shards, "finish")}
    rows, _ = served(deadly, url)
    assert [row and row["amount"] for row in rows] == [customer + 2.0 for customer in CUSTOMERS]


def test_a_shard_that_cannot_reach_redis_says_so(tmp_path: Path, server: RedisServer) -> None:
    project = sharded(tmp_path / "home", server.url, 2)
    assert project.run(RAW, VIEW).success
    server.kill()
    result = project.run(ONLINE)
    assert not result.success
    assert "AMORA_FS_ONLINE_STORE_URL" in error_of(result)
    assert project.records("spending")[0].status == "failed"
    project.close()
