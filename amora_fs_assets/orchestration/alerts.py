"""Alerts: call a team's notifier for failed runs and for checks that begin to fail.

No `from __future__ import annotations` here, since Dagster reads the annotations of sensors' contexts.
"""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import dagster as dg
from dagster._core.storage.asset_check_execution_record import (
    AssetCheckExecutionRecord,
    AssetCheckExecutionRecordStatus,
)

from amora_fs_assets.orchestration.names import NAMES, Names

FAILED_RUNS, FAILED_CHECKS = NAMES.failed_runs, NAMES.failed_checks


@dataclass(frozen=True, kw_only=True)
class Alert:
    """An event that a person should look at."""

    title: str
    """One line, such as `feature_view/spending: check 'amount' fails`."""
    text: str
    """The error or the check's description, as on Dagster's page."""
    assets: tuple[str, ...]
    """The affected assets, such as `online/spending`."""
    run_id: str
    """The id of the run in the UI's `/runs/<id>`. For a check result that a sensor reported, no run has this id."""


Notifier = Callable[[Alert], None]
"""A function that sends an alert. An exception fails the sensor's tick, which the UI shows."""


def alert_sensors(notify: Notifier, names: Names = NAMES) -> list[dg.SensorDefinition]:
    """The sensors `feature_store_failed_runs` and `feature_store_failed_checks`. Both are running by default."""

    @dg.run_failure_sensor(
        name=names.failed_runs,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="Calls the notifier for each failed run of this code location.",
    )
    def failed_runs(context: dg.RunFailureSensorContext) -> None:
        run = context.dagster_run
        failed = {event.step_key for event in context.get_step_failure_events()}
        keys = [key for key in run.asset_selection or () if "__".join(key.path) in failed] or run.asset_selection or ()
        assets = tuple(sorted(key.to_user_string() for key in keys))
        notify(
            Alert(
                title=f"{', '.join(assets) or run.job_name}: a run failed",
                text="\n".join(_error_lines(context)) or context.failure_event.message or "",
                assets=assets,
                run_id=run.run_id,
            )
        )

    @dg.sensor(
        name=names.failed_checks,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="Calls the notifier for each asset check that begins to fail.",
    )
    def failed_checks(context: dg.SensorEvaluationContext) -> dg.SensorResult:
        assert context.repository_def is not None, "Dagster sets it"
        keys = sorted(context.repository_def.asset_graph.asset_check_keys, key=str)
        found = context.instance.event_log_storage.get_latest_asset_check_execution_by_key(keys)
        failing = set(json.loads(context.cursor or "[]"))
        for key, record in found.items():
            name = f"{key.asset_key.to_user_string()}: check '{key.name}'"
            if record.status is AssetCheckExecutionRecordStatus.SUCCEEDED:
                failing.discard(name)
            elif record.status is AssetCheckExecutionRecordStatus.FAILED and name not in failing:
                failing.add(name)
                notify(
                    Alert(
                        title=f"{name} fails",
                        text=_description(record),
                        assets=(key.asset_key.to_user_string(),),
                        run_id=record.run_id,
                    )
                )
        summary = "\n".join(f"{name} fails." for name in sorted(failing)) or "No check fails."
        return dg.SensorResult(cursor=json.dumps(sorted(failing)), skip_reason=dg.SkipReason(summary))

    return [failed_runs, failed_checks]


def _error_lines(context: dg.RunFailureSensorContext) -> Iterator[str]:
    for event in context.get_step_failure_events():
        data = event.step_failure_data
        if data.user_failure_data is not None and data.user_failure_data.description:
            yield f"{event.step_key}: {data.user_failure_data.description}"
        elif data.error is not None:
            yield f"{event.step_key}: {data.error.message.strip()}"


def _description(record: AssetCheckExecutionRecord) -> str:
    event = record.event.dagster_event if record.event is not None else None
    return (event.asset_check_evaluation_data.description or "") if event is not None else ""
