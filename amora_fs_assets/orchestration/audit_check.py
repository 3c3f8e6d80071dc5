"""The leak audit as an asset check, and its schedule.

No `from __future__ import annotations` here, since Dagster reads the annotation of the check's context.
"""

from collections.abc import Sequence

import dagster as dg
from dagster._core.definitions.unresolved_asset_job_definition import UnresolvedAssetJobDefinition

from amora_fs_assets.domain.feature_view import FeatureView
from amora_fs_assets.operations.offline.audit import audit, recent
from amora_fs_assets.orchestration.failures import said_in_dagster
from amora_fs_assets.orchestration.names import NAMES, Names
from amora_fs_assets.orchestration.resources import stores_of

AUDIT = "audit"


def audit_check(
    view: FeatureView, retry_policy: dg.RetryPolicy | None = None, names: Names = NAMES
) -> dg.AssetChecksDefinition:
    """`audit` of `feature_view/<view>`: the last two periods, computed by the code. A failure does not block anything.

    The check runs by hand and on its schedule, not with each run of the asset.
    """

    @dg.asset_check(
        name=AUDIT,
        asset=names.key("feature_view", view.name),
        description="No row depends on source rows that became known after it, or on how the interval is divided.",
        retry_policy=retry_policy,
        required_resource_keys={names.store},
    )
    def check(context: dg.AssetCheckExecutionContext) -> dg.AssetCheckResult:
        stores = stores_of(context.resources, names)
        with said_in_dagster():
            from_code = stores.code.feature_view(view.name)
            found = audit(from_code, recent(from_code, stores.settings.clock(), stores.offline), store=stores.offline)
        findings = "\n\n".join(f"```\n{finding}\n```" for finding in found.findings)
        return dg.AssetCheckResult(
            passed=found.passed,
            description=found.summary,
            metadata={
                "rows": found.rows,
                "interval": str(found.interval),
                "instants": ", ".join(at.isoformat() for at in found.instants) or "none",
                "findings": dg.MetadataValue.md(findings or "none"),
            },
        )

    return check


def audit_job(checks: Sequence[dg.AssetChecksDefinition], names: Names = NAMES) -> UnresolvedAssetJobDefinition:
    """`feature_store_audit`: the audits of all views."""
    return dg.define_asset_job(
        names.audit,
        selection=dg.AssetSelection.checks(*checks),
        description="Tests whether feature views look into the future.",
    )
