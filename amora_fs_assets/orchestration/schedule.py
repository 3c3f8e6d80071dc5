"""The schedule of a job by its name."""

from __future__ import annotations

import dagster as dg


def schedule(job: str, cron: str) -> dg.ScheduleDefinition:
    """The job at the times of `cron`, in UTC, under the job's name; running by default."""
    return dg.ScheduleDefinition(
        name=job,
        job_name=job,
        cron_schedule=cron,
        execution_timezone="UTC",
        default_status=dg.DefaultScheduleStatus.RUNNING,
    )
