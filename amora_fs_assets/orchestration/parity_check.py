"""Parity as an asset check: online rows equal the newest rows of the offline store."""

import dagster as dg

from amora_fs_assets.domain.feature_view import FeatureView
from amora_fs_assets.operations.online.parity import FAULTS, Parity
from amora_fs_assets.operations.runs import parity
from amora_fs_assets.orchestration.failures import said_in_dagster
from amora_fs_assets.orchestration.names import NAMES, Names
from amora_fs_assets.orchestration.resources import stores_of

SAMPLE = 1_000
"""The number of compared keys."""
_WORDS = {
    "equal": "the same row online and offline",
    "missing": "fault: only offline has a row",
    "extra": "fault: only online has a row",
    "stale": "fault: the online row is older",
    "different": "fault: equal times, but other values",
    "ahead": "the online row is newer: pushed, or offline after the load's clock",
    "behind": "published after the load, not online yet",
    "outside": "only offline has a row: no window load has loaded the key",
    "aged_out": "only offline has a row: Redis may have collected rows of its age",
}


def parity_check(
    view: FeatureView, retry_policy: dg.RetryPolicy | None = None, names: Names = NAMES
) -> dg.AssetChecksDefinition:
    """`parity` of `online/<view>`, on a sample of keys. A failure does not block anything."""

    @dg.asset_check(
        name="parity",
        asset=names.key("online", view.name),
        description="The online rows of a sample of keys equal the newest rows of the offline store.",
        retry_policy=retry_policy,
        required_resource_keys={names.store},
    )
    def check(context: dg.AssetCheckExecutionContext) -> dg.AssetCheckResult:
        stores = stores_of(context.resources, names)
        with said_in_dagster():
            found = parity(
                stores.applied.feature_view(view.name),
                store=stores.offline,
                online=stores.online,
                registry=stores.registry,
                run_id=context.run.run_id,
                sample=SAMPLE,
                expire=stores.settings.now is None,
            )
        examples = "\n".join(f"- `{example}`" for example in found.examples)
        faults = ", ".join(f"{getattr(found, name):,} {name}" for name in FAULTS if getattr(found, name))
        return dg.AssetCheckResult(
            passed=found.passed,
            description=f"Of {found.sampled:,} keys {faults or f'{found.equal:,} equal, no fault'}.",
            metadata={
                "keys": _counts(found),
                "publication": found.published_through,
                "examples": dg.MetadataValue.md(examples or "none"),
            },
        )

    return check


def _counts(found: Parity) -> dg.TableMetadataValue:
    """The number of sampled keys per verdict, with its meaning."""
    rows = [
        dg.TableRecord({"keys": getattr(found, name), "are": name.replace("_", " "), "meaning": words})
        for name, words in _WORDS.items()
    ]
    columns = [dg.TableColumn("keys", "int"), dg.TableColumn("are", "string"), dg.TableColumn("meaning", "string")]
    return dg.MetadataValue.table(rows, schema=dg.TableSchema(columns=columns))
