"""The part of a feature store that imports Ibis. FeatureStore loads this module at the first use."""

from __future__ import annotations

from amora_fs_assets.operations import runs
from amora_fs_assets.operations.expressions.tables import owners_of
from amora_fs_assets.operations.frames import to_pandas, to_polars
from amora_fs_assets.operations.offline.audit import Audit, audit, audit_if_quick, recent
from amora_fs_assets.operations.offline.corrections import corrections
from amora_fs_assets.operations.registry import applied_table, removal
from amora_fs_assets.operations.registry.apply import apply_anew, apply_plan, collect
from amora_fs_assets.operations.registry.daily_reads import day
from amora_fs_assets.operations.registry.plan import Plan, plan, with_coverage, with_scans
from amora_fs_assets.operations.registry.scan_estimate import scans
from amora_fs_assets.operations.registry.unfit import unfit
from amora_fs_assets.operations.several import Several
from amora_fs_assets.operations.training.build import build, load
from amora_fs_assets.operations.training.historical import historical_features
from amora_fs_assets.operations.training.retention import hold, prune, release
from amora_fs_assets.stores.registry import feast_registry

__all__ = [
    "Audit",
    "Plan",
    "Several",
    "applied_table",
    "apply_anew",
    "apply_plan",
    "audit",
    "audit_if_quick",
    "build",
    "collect",
    "corrections",
    "day",
    "feast_registry",
    "historical_features",
    "hold",
    "load",
    "owners_of",
    "plan",
    "prune",
    "recent",
    "release",
    "removal",
    "runs",
    "scans",
    "to_pandas",
    "to_polars",
    "unfit",
    "with_coverage",
    "with_scans",
]
