"""Builds a Dagster code location from definitions."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta
from functools import partial
from types import ModuleType
from typing import Any

import dagster as dg

from amora_fs_assets.domain.catalogue import Catalogue, package_of
from amora_fs_assets.domain.feature_view import FeatureView
from amora_fs_assets.domain.on_demand_view import OnDemandFeatureView
from amora_fs_assets.domain.source import Source
from amora_fs_assets.domain.training_set import TrainingSet
from amora_fs_assets.operations.records.git_commit import commit_of
from amora_fs_assets.operations.registry.apply import collect, defined_elsewhere
from amora_fs_assets.orchestration.alerts import Alert, alert_sensors
from amora_fs_assets.orchestration.assets import (
    external_view,
    feature_view_asset,
    on_demand_asset,
    source_asset,
    training_set_asset,
)
from amora_fs_assets.orchestration.audit_check import audit_check, audit_job
from amora_fs_assets.orchestration.automation import automation_sensor
from amora_fs_assets.orchestration.cadence import Automation
from amora_fs_assets.orchestration.coverage_check import coverage_check
from amora_fs_assets.orchestration.everything import JOB, everything
from amora_fs_assets.orchestration.freshness_check import freshness_check
from amora_fs_assets.orchestration.io_manager import feature_store_io_manager
from amora_fs_assets.orchestration.late import late_job
from amora_fs_assets.orchestration.names import NAMES, Names
from amora_fs_assets.orchestration.online_asset import online_asset
from amora_fs_assets.orchestration.parity_check import parity_check
from amora_fs_assets.orchestration.resources import google_resources, stores_resource
from amora_fs_assets.orchestration.schedule import schedule
from amora_fs_assets.orchestration.selection import Selection
from amora_fs_assets.orchestration.translator import FeatureStoreTranslator, Specs, names_of, specs_of
from amora_fs_assets.settings import Settings, missing_definitions
from amora_fs_assets.store_table import OFFLINE_STORES

__all__ = ["FORKED", "JOB", "Alert", "Automation", "build_definitions", "executor_for"]

FORKED = dg.multiprocess_executor.configured({"start_method": {"forkserver": {}}})
"""Runs steps in parallel, in processes forked from one that has imported Dagster and the definitions."""


def build_definitions(
    settings: Settings,
    *,
    definitions: str | ModuleType | Catalogue | None = None,
    overrides: Mapping[str, Any] | None = None,
    retry_policy: dg.RetryPolicy | None = None,
    automation: bool | Automation = False,
    audit: bool | str = False,
    group: str = "",
    name: str = NAMES.store,
    key_prefix: str | Sequence[str] = (),
    translator: FeatureStoreTranslator | None = None,
    select: Selection | None = None,
    online: bool = True,
) -> dg.Definitions:
    """Assets, checks, a job over everything, and resources, to be merged with a project's own definitions.

    The result has no executor and no logger unless `overrides` has one, so that the host's are used.

    Args:
        settings: Choose the stores.
        definitions: The package (or its catalogue) with the views; by default the package in the settings.
        overrides: Replacements of the stores `offline`, `online` and `registry`, of dagster-gcp's resources `bigquery`
            and `gcs` (by a resource, or by the key of a host's resource), and Dagster's `executor` and `loggers`.
        retry_policy: Policy of every step. It retries errors that may pass by themselves (a busy file, a network, a
            quota), but not failed checks or wrong definitions.
        automation: Adds the sensor that keeps everything up to date: see docs/running-daily.md.
        audit: Adds an asset check `audit` of each computed view, which tests whether the view looks into the future. A
            cron schedule (UTC), such as "0 4 * * 1", also adds the job `feature_store_audit` and its schedule.
        group: Groups assets by the value of this tag, or by "owner"; other assets are grouped by kind.
        name: Name of the job and the resource, and prefix of the names of sensors, schedule and IO manager. Feature
            stores in one code location need different names.
        key_prefix: Prefix of the assets' keys.
        translator: Changes the assets' specs.
        select: The definitions that this code location runs; the others become external assets.
        online: Whether to define assets for online values.

    Raises:
        DefinitionError: A definition is wrong, or two assets have the same key.
        SettingsError: The package with the definitions is not set.

    """
    definitions = definitions or settings.definitions or Settings.from_env().definitions or missing_definitions()
    code = definitions if isinstance(definitions, Catalogue) else collect(definitions)
    package = package_of(definitions)
    overrides = overrides or {}
    running = Automation() if automation is True else automation or None
    prefix = (key_prefix,) if isinstance(key_prefix, str) else tuple(key_prefix)
    specs = specs_of(code, settings, group=group, key_prefix=prefix, translator=translator)
    hosts = {client: key for client, key in overrides.items() if isinstance(key, str)}
    names = names_of(name, specs, hosts)
    here = [each for each in _all(code) if not defined_elsewhere(each, code) and (select is None or select.takes(each))]
    views = [view for view in code.in_order if view in here]
    own = [
        *(
            source_asset(source, specs["raw", source.name], names, retry_policy)
            for source in code.sources.values()
            if source in here and source.loader is not None
        ),
        *(
            feature_view_asset(view, code, settings, specs["feature_view", view.name], names, retry_policy)
            for view in views
        ),
        *(online_asset(view, settings, specs["online", view.name], names, retry_policy) for view in views if online),
        *(
            training_set_asset(each, specs["training_set", each.name], names, retry_policy)
            for each in code.training_sets.values()
            if each in here
        ),
    ]
    keys = [key for asset in own for key in asset.keys]
    computed = [view for view in views if view.table is None]
    audits = [audit_check(view, retry_policy, names) for view in computed] if audit else []
    single = dg.BackfillPolicy.single_run()
    return dg.Definitions(
        assets=[
            *(each.with_attributes(backfill_policy=single) for each in own),
            *_external(code, here, specs, settings),
            *(on_demand_asset(view, specs["on_demand", view.name], names) for view in _on_demand(code)),
        ],
        asset_checks=[
            *(parity_check(view, retry_policy, names) for view in views if online),
            *(coverage_check(view, retry_policy, _behind(running, view), names) for view in computed),
            *(freshness_check(view, limit, retry_policy, names) for view, limit in _limits(running, views) if online),
            *audits,
        ],
        jobs=[
            everything(names.job, keys, without=audits),
            *([audit_job(audits, names)] if isinstance(audit, str) and audits else []),
            *([late_job(views, retry_policy, names)] if running and running.late else []),
        ],
        schedules=[
            *([schedule(names.audit, audit)] if isinstance(audit, str) and audits else []),
            *([schedule(names.late, running.late)] if running and running.late else []),
        ],
        sensors=_sensors(running, code, keys, names) if running else [],
        resources={
            **google_resources(settings, overrides, names),
            names.store: stores_resource(settings, code, names, overrides, partial(commit_of, package)),
            names.io_manager: feature_store_io_manager(names),
        },
        executor=overrides.get("executor"),
        loggers=overrides.get("loggers"),
    )


def executor_for(settings: Settings) -> dg.ExecutorDefinition:
    """The executor for the offline store: parallel steps, or sequential steps if the store allows only one writer."""
    return FORKED if OFFLINE_STORES[settings.offline_store].concurrent_writers else dg.in_process_executor


def _all(code: Catalogue) -> list[Source | FeatureView | TrainingSet]:
    return [*code.sources.values(), *code.in_order, *code.training_sets.values()]


def _on_demand(code: Catalogue) -> Iterator[OnDemandFeatureView]:
    """The on-demand views of the package."""
    return (view for view in code.on_demand_feature_views.values() if not defined_elsewhere(view, code))


def _external(
    code: Catalogue, here: Sequence[Source | FeatureView | TrainingSet], specs: Specs, settings: Settings
) -> Iterator[dg.AssetSpec]:
    """The assets of other systems, packages and code locations. A source with `asset` has the team's own asset."""
    for source in code.sources.values():
        if not source.asset and (source not in here or source.loader is None):
            yield specs["raw", source.name].replace_attributes(code_version=None)
    for view in code.in_order:
        if view not in here:
            yield external_view(view, specs["feature_view", view.name], settings)


def _sensors(
    automation: Automation, code: Catalogue, keys: Sequence[dg.AssetKey], names: Names
) -> list[dg.SensorDefinition]:
    alerts = alert_sensors(automation.notify, names) if automation.notify else []
    return [automation_sensor(automation, code, keys, names), *alerts]


def _behind(automation: Automation | None, view: FeatureView) -> timedelta:
    """The lag behind the clock at which the coverage check begins to warn: the present slot and one more."""
    return 2 * automation.cadence(view) if automation is not None else timedelta(0)


def _limits(automation: Automation | None, views: Sequence[FeatureView]) -> Iterator[tuple[FeatureView, timedelta]]:
    for view in views:
        if automation is not None and (limit := automation.oldest(view)) is not None:
            yield view, limit
