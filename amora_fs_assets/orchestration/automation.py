"""The automation sensor, which requests the runs that keep everything up to date.

The sensor uses the store's coverage rather than Dagster's partition status: Dagster shows a partition that was computed
five seconds after midnight as materialized, although the rest of its day is missing.
"""

from __future__ import annotations

import json
from collections.abc import Iterable

import dagster as dg

from amora_fs_assets.domain.catalogue import Catalogue
from amora_fs_assets.orchestration.cadence import Automation
from amora_fs_assets.orchestration.facts import Facts
from amora_fs_assets.orchestration.in_progress import assets_in_progress
from amora_fs_assets.orchestration.look import Look
from amora_fs_assets.orchestration.names import NAMES, Names
from amora_fs_assets.orchestration.published import Published
from amora_fs_assets.orchestration.resources import stores_of

SENSOR = NAMES.automation


def automation_sensor(
    automation: Automation, code: Catalogue, keys: Iterable[dg.AssetKey], names: Names = NAMES
) -> dg.SensorDefinition:
    """The sensor `feature_store_automation`, running by default. Raises DefinitionError."""
    automation.check(code)
    published = Published()

    def evaluate(context: dg.SensorEvaluationContext) -> dg.SensorResult:
        parts = stores_of(context.resources, names)
        assert context.repository_def is not None, "Dagster sets it for sensors that target assets"
        busy = assets_in_progress(context.instance, context.repository_def, automation.longest)
        state = json.loads(context.cursor or "{}")
        filling = _filling(context.repository_def, code)
        upstream = {
            key: event.timestamp
            for key, event in context.instance.get_latest_materialization_events(filling).items()
            if event is not None
        }
        facts = Facts(parts, published)
        look = Look(automation, busy, context.repository_def, state, facts, upstream)
        requests = look.requests()
        for line in facts.messages:
            context.log.info(line)
        nothing = "\n".join(facts.messages) or "Everything is up to date."
        return dg.SensorResult(
            run_requests=requests,
            skip_reason=None if requests else dg.SkipReason(nothing),
            cursor=json.dumps(look.state),
            asset_events=list(look.freshness()),
        )

    return dg.SensorDefinition(
        name=names.automation,
        evaluation_fn=evaluate,
        asset_selection=dg.AssetSelection.assets(*keys),
        minimum_interval_seconds=max(1, int(automation.looks.total_seconds())),
        default_status=dg.DefaultSensorStatus.RUNNING,
        required_resource_keys={names.store},
        description="Computes what is missing up to the clock, loads it online, and builds training sets.",
    )


def _filling(repository: dg.RepositoryDefinition, code: Catalogue) -> list[dg.AssetKey]:
    """The assets of this code location that fill sources."""
    keys = {dg.AssetKey(source.asset) for source in code.sources.values() if source.asset}
    return sorted(keys & set(repository.asset_graph.executable_asset_keys))
