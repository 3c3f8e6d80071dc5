"""Parity as an asset check: what is served of a view equals the newest rows of the offline store."""

from typing import Any

import dagster as dg

from amora_fs_assets.domain.feature_view import FeatureView
from amora_fs_assets.operations.parity import FAULTS, NO_FAULTS
from amora_fs_assets.operations.runs import parity
from amora_fs_assets.orchestration.failures import said_in_dagster
from amora_fs_assets.orchestration.parts import PARTS, Parts

SAMPLE = 1_000
"""Keys that are compared."""


def parity_check(view: FeatureView, retry_policy: dg.RetryPolicy | None = None) -> dg.AssetChecksDefinition:
    """`parity` of `online/<view>`, on a sample of keys. A failure is shown; it takes nothing offline."""

    @dg.asset_check(
        name="parity",
        asset=dg.AssetKey(["online", view.name]),
        description="What is served of a sample of keys equals the newest rows of the offline store.",
        retry_policy=retry_policy,
        required_resource_keys={PARTS},
    )
    def check(context: dg.AssetCheckExecutionContext) -> dg.AssetCheckResult:
        parts = getattr(context.resources, PARTS)
        assert isinstance(parts, Parts), "the resource gives the parts"
        with said_in_dagster():
            found = parity(
                parts.applied.feature_view(view.name),
                store=parts.offline,
                online=parts.online,
                registry=parts.registry,
                run_id=context.run.run_id,
                sample=SAMPLE,
                expire=parts.settings.now is None,
            )
        counts: dict[str, Any] = {name: getattr(found, name) for name in ("sampled", "equal", *FAULTS, *NO_FAULTS)}
        examples = "\n".join(f"- `{example}`" for example in found.examples)
        return dg.AssetCheckResult(
            passed=found.passed,
            metadata={**counts, "publication": found.cursor, "examples": dg.MetadataValue.md(examples or "none")},
        )

    return check
