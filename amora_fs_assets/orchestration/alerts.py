"""Alerts: runs that failed and checks that begin to fail, told to a notifier of the team.

Dagster reads the annotations of sensors' contexts, so that they are no strings here.
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
    """Something that people should look at."""

    title: str
    """In one line, such as `feature_view/spending: check 'amount' fails`."""
    text: str
    """What Dagster's page says of it."""
    assets: tuple[str, ...]
    """The assets concerned, such as `online/spending`."""
    run_id: str
    """The run, as in the UI's `/runs/<id>`; of a check that a sensor told, its id is of no run."""


Notifier = Callable[[Alert], None]
"""Tells people. What it raises fails the sensor's tick, which shows it in the UI."""


def alert_sensors(notify: Notifier, names: Names = NAMES) -> list[dg.SensorDefinition]:
    """`feature_store_failed_runs` and `feature_store_failed_checks`, which run as soon as a daemon does."""

    @dg.run_failure_sensor(
        name=names.failed_runs,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="Tells the notifier of each run of this code location that failed.",
    )
    def failed_runs(context: dg.RunFailureSensorContext) -> None:
        run = context.dagster_run
        failed = {event.step_key for event in context.get_step_failure_events()}
        keys = [key for key in run.asset_selection or () if "__".join(key.path) in failed] or run.asset_selection or ()
        assets = tuple(sorted(key.to_user_string() for key in keys))
        notify(
            Alert(
                title=f"{', '.join(assets) or run.job_name}: a run failed",
                text="\n".join(_said(context)) or context.failure_event.message or "",
                assets=assets,
                run_id=run.run_id,
            )
        )

    @dg.sensor(
        name=names.failed_checks,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="Tells the notifier of each asset check that begins to fail.",
    )
    def failed_checks(context: dg.SensorEvaluationContext) -> dg.SensorResult:
        assert context.repository_def is not None, "Dagster gives it"
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
        said = "\n".join(f"{name} fails." for name in sorted(failing)) or "No check fails."
        return dg.SensorResult(cursor=json.dumps(sorted(failing)), skip_reason=dg.SkipReason(said))

    return [failed_runs, failed_checks]


def _said(context: dg.RunFailureSensorContext) -> Iterator[str]:
    for event in context.get_step_failure_events():
        data = event.step_failure_data
        if data.user_failure_data is not None and data.user_failure_data.description:
            yield f"{event.step_key}: {data.user_failure_data.description}"
        elif data.error is not None:
            yield f"{event.step_key}: {data.error.message.strip()}"


def _description(record: AssetCheckExecutionRecord) -> str:
    event = record.event.dagster_event if record.event is not None else None
    return (event.asset_check_evaluation_data.description or "") if event is not None else ""
