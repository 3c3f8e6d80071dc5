"""From definitions to a Dagster code location."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta
from functools import partial
from types import ModuleType
from typing import Any

import dagster as dg

from amora_fs_assets.domain.catalogue import Catalogue, package_of
from amora_fs_assets.domain.feature_view import FeatureView
from amora_fs_assets.operations.records.git_commit import commit_of
from amora_fs_assets.operations.registry.apply import collect, defined_elsewhere
from amora_fs_assets.orchestration.alerts import Alert, alert_sensors
from amora_fs_assets.orchestration.assets import external_view, feature_view_asset, source_asset, training_set_asset
from amora_fs_assets.orchestration.automation import automation_sensor
from amora_fs_assets.orchestration.cadence import Automation
from amora_fs_assets.orchestration.coverage_check import coverage_check
from amora_fs_assets.orchestration.everything import JOB, everything
from amora_fs_assets.orchestration.freshness_check import freshness_check
from amora_fs_assets.orchestration.io_manager import IO_MANAGER, feature_store_io_manager
from amora_fs_assets.orchestration.late import late_job, late_schedule
from amora_fs_assets.orchestration.online_asset import online_asset
from amora_fs_assets.orchestration.parity_check import parity_check
from amora_fs_assets.orchestration.resources import STORES, google_resources, parts_resource
from amora_fs_assets.settings import Settings, missing_definitions
from amora_fs_assets.store_table import OFFLINE_STORES

__all__ = ["FORKED", "JOB", "Alert", "Automation", "build_definitions"]

FORKED = dg.multiprocess_executor.configured({"start_method": {"forkserver": {}}})
"""Steps side by side, in processes forked off one that has imported Dagster and the definitions."""


def build_definitions(
    settings: Settings,
    *,
    definitions: str | ModuleType | Catalogue | None = None,
    overrides: Mapping[str, Any] | None = None,
    retry_policy: dg.RetryPolicy | None = None,
    automation: bool | Automation = False,
    group: str = "",
) -> dg.Definitions:
    """Assets, checks, the job `feature_store` over everything, and resources.

    `definitions` is the package (or its catalogue) that holds the views; by default the one that the settings name.
    `overrides` replace parts:
    the stores `offline`, `online` and `registry`, dagster-gcp's resources `bigquery` and `gcs` by a team's own, and
    Dagster's `executor` and `loggers`. `retry_policy` is that of every step: it tries again what may pass by itself (a
    busy file, a network, a quota), never failed checks or wrong definitions. `automation` brings the sensor that keeps
    everything up to date: see docs/running-daily.md. `group` puts assets into groups by the tag of that name, or by
    "owner"; what has none is grouped by kind. Raises DefinitionError.
    """
    definitions = definitions or settings.definitions or Settings.from_env().definitions or missing_definitions()
    code = definitions if isinstance(definitions, Catalogue) else collect(definitions)
    package = package_of(definitions)
    overrides = overrides or {}
    running = Automation() if automation is True else automation or None
    google = google_resources(settings, overrides)
    views = [view for view in code.in_order if not defined_elsewhere(view, code)]
    training_sets = [each for each in code.training_sets.values() if not defined_elsewhere(each, code)]
    assets = [
        *(
            source_asset(source, settings, retry_policy, group, external=defined_elsewhere(source, code))
            for source in code.sources.values()
        ),
        *(external_view(view, code, settings, group) for view in code.in_order if view not in views),
        *(feature_view_asset(view, code, settings, retry_policy, group) for view in views),
        *(online_asset(view, settings, retry_policy, group) for view in views),
        *(training_set_asset(each, settings, retry_policy, group) for each in training_sets),
    ]
    single = dg.BackfillPolicy.single_run()
    return dg.Definitions(
        assets=[
            each.with_attributes(backfill_policy=single) if isinstance(each, dg.AssetsDefinition) else each
            for each in assets
        ],
        asset_checks=[
            *(parity_check(view, retry_policy) for view in views),
            *(coverage_check(view, retry_policy, _behind(running, view)) for view in views if view.table is None),
            *(freshness_check(view, limit, retry_policy) for view, limit in _limits(running, views)),
        ],
        jobs=[everything(), *([late_job(views, retry_policy)] if running and running.late else [])],
        schedules=[late_schedule(running.late)] if running and running.late else [],
        sensors=_sensors(running, code) if running else [],
        resources={
            **google,
            STORES: parts_resource(settings, code, overrides, google, partial(commit_of, package)),
            IO_MANAGER: feature_store_io_manager,
        },
        executor=overrides.get("executor") or _executor(settings),
        loggers=overrides.get("loggers"),
    )


def _sensors(automation: Automation, code: Catalogue) -> list[dg.SensorDefinition]:
    return [automation_sensor(automation, code), *(alert_sensors(automation.notify) if automation.notify else [])]


def _behind(automation: Automation | None, view: FeatureView) -> timedelta:
    """How far a view may be behind the clock until that is a fault: the slot that is running, and one more."""
    return 2 * automation.cadence(view) if automation is not None else timedelta(0)


def _limits(automation: Automation | None, views: Sequence[FeatureView]) -> Iterator[tuple[FeatureView, timedelta]]:
    for view in views:
        if automation is not None and (limit := automation.oldest(view)) is not None:
            yield view, limit


def _executor(settings: Settings) -> dg.ExecutorDefinition:
    """Steps side by side; one after the other where the offline store has one writer."""
    return FORKED if OFFLINE_STORES[settings.offline_store].concurrent_writers else dg.in_process_executor
