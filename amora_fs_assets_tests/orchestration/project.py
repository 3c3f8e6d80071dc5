"""A Dagster project in a folder: small definitions, embedded stores, a real instance."""

from __future__ import annotations

import atexit
import multiprocessing
import multiprocessing.process
import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import cache, cached_property
from pathlib import Path
from typing import Any

import dagster as dg

from amora_fs_assets import Settings
from amora_fs_assets.domain.catalogue import Catalogue
from amora_fs_assets.domain.records import RunRecord
from amora_fs_assets.operations.registry.apply import apply
from amora_fs_assets.orchestration.code_location import JOB, build_definitions
from amora_fs_assets.stores.open import open_offline_store, open_registry
from amora_fs_assets_tests import small

VIEW = dg.AssetKey(["feature_view", "spending"])
RAW = dg.AssetKey(["raw", "orders"])
ONLINE = dg.AssetKey(["online", "spending"])
BOUGHT = dg.AssetKey(["training_set", "bought"])
QUIET = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}
JANUARY, FEBRUARY, MARCH = "2020-01-01", "2020-02-01", "2020-03-01"


def _instance(folder: Path) -> dg.DagsterInstance:
    return dg.DagsterInstance.local_temp(str(folder), overrides={"telemetry": {"enabled": False}})


@cache
def _empty() -> Path:
    """The folder of an instance in which nothing has run."""
    folder = Path(tempfile.mkdtemp())
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    _instance(folder).dispose()
    return folder


class Project:
    """What `definitions.py` makes of the environment, made of arguments."""

    def __init__(
        self,
        home: Path,
        code: Catalogue | None = None,
        *,
        now: str | None = small.CLOCK,
        applied: bool = True,
        on_files: bool = False,
    ) -> None:
        self.on_files = on_files
        self.settings = Settings(home=home, now=datetime.fromisoformat(now) if now else None, lock_timeout=20.0)
        self.offline = open_offline_store(self.settings)
        self.registry = open_registry(self.settings)
        self.use(code or small.catalogue(), applied=applied)

    @cached_property
    def instance(self) -> dg.DagsterInstance:
        """A real one: in memory, or where other processes look at it, on SQLite files.

        Files cost each run a third more time. They are copies of empty ones, since making their tables takes half a
        second.
        """
        if not self.on_files:
            return dg.DagsterInstance.ephemeral()
        return _instance(Path(shutil.copytree(_empty(), self.settings.home / f"dagster-{os.getpid()}")))

    def close(self) -> None:
        """Let go of the instance."""
        if "instance" in vars(self):
            self.instance.dispose()

    def use(
        self, code: Catalogue, *, applied: bool = True, retry_policy: dg.RetryPolicy | None = None, **overrides: Any
    ) -> None:
        """Go on with other definitions, or with other parts."""
        if applied:
            apply(code, self.registry, clock=datetime.now(UTC))
        self.code = code
        overrides = {"executor": dg.in_process_executor, **overrides}  # DuckDB's file has one writer
        self.defs = build_definitions(self.settings, definitions=code, overrides=overrides, retry_policy=retry_policy)

    def run(
        self, *keys: dg.AssetKey, first: str = JANUARY, last: str = MARCH, config: Mapping[str, Any] = QUIET
    ) -> dg.ExecuteInProcessResult:
        """Materialize the assets, all by default, over a range of partitions."""
        partitioned = any(view.partitions for view in self.code.feature_views.values())
        tags = {"dagster/asset_partition_range_start": first, "dagster/asset_partition_range_end": last}
        return self.defs.resolve_job_def(JOB).execute_in_process(
            instance=self.instance,
            asset_selection=list(keys) or None,
            tags=tags if partitioned else {},
            run_config=dict(config),
            raise_on_error=False,
        )

    def load(self, key: dg.AssetKey, python_type: type | None = None, **partitions: Any) -> Any:
        """An asset's value through Dagster's loader."""
        return self.defs.get_asset_value_loader(instance=self.instance).load_asset_value(
            key, python_type=python_type, **partitions
        )

    def records(self, name: str) -> list[RunRecord]:
        """The registry's records, newest first."""
        return list(self.registry.records(name))

    def spec(self, key: dg.AssetKey) -> dg.AssetSpec:
        """What the definitions say of an asset."""
        return self.defs.resolve_asset_graph().get(key).to_asset_spec()


def in_a_process(work: Callable[[], bool]) -> multiprocessing.process.BaseProcess:
    """Start `work` in a process of its own; its exit code says whether it gave true."""
    process = multiprocessing.get_context("fork").Process(target=lambda: sys.exit(not work()))
    process.start()
    return process


@contextmanager
def in_progress(project: Project, *keys: dg.AssetKey, partition: str = "") -> Iterator[None]:
    """A running run of another user over the assets, or over a partition of them."""
    run = project.instance.create_run_for_job(
        project.defs.resolve_implicit_global_asset_job_def(),
        status=dg.DagsterRunStatus.STARTED,
        asset_selection=frozenset(keys),
        tags={"dagster/partition": partition} if partition else {},
    )
    yield
    project.instance.report_run_canceled(run)


def error_of(result: dg.ExecuteInProcessResult) -> str:
    """The messages of the steps that failed."""
    return "\n".join(
        str(event.step_failure_data.user_failure_data.description if event.step_failure_data.user_failure_data else "")
        + str(event.step_failure_data.error)
        for event in result.all_events
        if event.is_step_failure
    )


def metadata_of(result: dg.ExecuteInProcessResult, key: dg.AssetKey) -> dict[str, Any]:
    """What the last materialization of an asset says."""
    events = [event for event in result.get_asset_materialization_events() if event.asset_key == key]
    return {name: value.value for name, value in events[-1].step_materialization_data.materialization.metadata.items()}
