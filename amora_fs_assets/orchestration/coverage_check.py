"""Coverage as an asset check: every interval of a view up to the clock is current."""

from datetime import timedelta

import dagster as dg

from amora_fs_assets.domain.feature_view import FeatureView
from amora_fs_assets.domain.time import before
from amora_fs_assets.operations.offline.coverage import coverages, publications_for
from amora_fs_assets.operations.offline.coverage_words import lines, summary
from amora_fs_assets.orchestration.failures import said_in_dagster
from amora_fs_assets.orchestration.names import NAMES, Names
from amora_fs_assets.orchestration.resources import stores_of


def coverage_check(
    view: FeatureView,
    retry_policy: dg.RetryPolicy | None = None,
    behind: timedelta = timedelta(0),
    names: Names = NAMES,
) -> dg.AssetChecksDefinition:
    """`coverage` of `feature_view/<view>`: a warning that lists stale, missing and part-computed intervals.

    Gaps that begin less than `behind` before the clock do not fail the check, since on a running clock a computation is
    always some seconds behind.
    """

    @dg.asset_check(
        name="coverage",
        asset=names.key("feature_view", view.name),
        description="Every interval up to the clock is computed by the present definition from the present inputs.",
        retry_policy=retry_policy,
        required_resource_keys={names.store},
    )
    def check(context: dg.AssetCheckExecutionContext) -> dg.AssetCheckResult:
        stores = stores_of(context.resources, names)
        store = stores.offline
        clock = stores.settings.clock()
        with said_in_dagster():
            from_code = stores.code.feature_view(view.name)
            found = coverages(from_code, publications_for(from_code, store), clock=clock, dataset=store.dataset)[
                view.name
            ]
        gaps = "\n".join(f"- {line}" for line in lines([found]))
        return dg.AssetCheckResult(
            passed=all(each.interval.start > before(clock, behind) for each in found.gaps),
            severity=dg.AssetCheckSeverity.WARN,
            description=summary(found),
            metadata={"coverage": summary(found), "not current": dg.MetadataValue.md(gaps or "none")},
        )

    return check
