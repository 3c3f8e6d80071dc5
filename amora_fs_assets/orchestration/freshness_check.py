"""Freshness as an asset check: the age of the newest online row, independent of runs.

No `from __future__ import annotations` here, since Dagster reads the annotation of the check's context.
"""

from datetime import datetime, timedelta

import dagster as dg

from amora_fs_assets.domain.feature_view import FeatureView
from amora_fs_assets.domain.ports.online import Generation
from amora_fs_assets.orchestration.failures import said_in_dagster
from amora_fs_assets.orchestration.names import NAMES, Names
from amora_fs_assets.orchestration.resources import stores_of

FRESHNESS = "freshness"


def aged(
    view: FeatureView, generation: Generation | None, *, clock: datetime, limit: timedelta, names: Names = NAMES
) -> dg.AssetCheckEvaluation:
    """The check's result for a generation: its newest row is at most `limit` old at the clock."""
    newest = generation.newest_event if generation is not None else None
    age = clock - newest if newest is not None else None
    text = f"The newest row is of {newest.isoformat()}, {age} ago" if newest is not None else "No row is online"
    passed = age is not None and age <= limit
    return dg.AssetCheckEvaluation(
        asset_key=names.key("online", view.name),
        check_name=FRESHNESS,
        passed=passed,
        description=f"{text}{'.' if passed else f'; the limit is {limit}.'}",
        metadata={
            "newest event": newest.isoformat() if newest is not None else "none",
            "age [s]": age.total_seconds() if age is not None else -1.0,
            "limit [s]": limit.total_seconds(),
        },
    )


def freshness_check(
    view: FeatureView, limit: timedelta, retry_policy: dg.RetryPolicy | None = None, names: Names = NAMES
) -> dg.AssetChecksDefinition:
    """`freshness` of `online/<view>`. Automation reports its result; the check can also be run by hand."""

    @dg.asset_check(
        name=FRESHNESS,
        asset=names.key("online", view.name),
        description=f"The newest online row is at most {limit} old.",
        retry_policy=retry_policy,
        required_resource_keys={names.store},
    )
    def check(context: dg.AssetCheckExecutionContext) -> dg.AssetCheckResult:
        stores = stores_of(context.resources, names)
        with said_in_dagster():
            generation = stores.online.generation(view)
        found = aged(view, generation, clock=stores.settings.clock(), limit=limit, names=names)
        return dg.AssetCheckResult(passed=found.passed, description=found.description, metadata=found.metadata)

    return check
