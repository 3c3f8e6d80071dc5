"""From definitions to a Dagster code location."""

from __future__ import annotations

from collections.abc import Mapping
from types import ModuleType
from typing import Any

import dagster as dg

from amora_fs_assets.domain.catalogue import Catalogue
from amora_fs_assets.operations.definitions import collect
from amora_fs_assets.orchestration.assets import feature_view_asset, online_asset, source_asset, training_set_asset
from amora_fs_assets.orchestration.io_manager import IO_MANAGER, feature_store_io_manager
from amora_fs_assets.orchestration.parity import parity_check
from amora_fs_assets.orchestration.parts import PARTS, google_resources, parts_resource
from amora_fs_assets.settings import Settings

JOB = "feature_store"


def build_definitions(
    settings: Settings,
    *,
    definitions: str | ModuleType | Catalogue = "amora_fs_assets.features",
    overrides: Mapping[str, Any] | None = None,
) -> dg.Definitions:
    """Assets, checks, the job over all of them, and resources.

    `definitions` is the package (or its catalogue) that holds the views. `overrides` replace parts, for tests:
    `offline`, `online`, `registry`, and Dagster's `loggers`. Raises DefinitionError.
    """
    code = definitions if isinstance(definitions, Catalogue) else collect(definitions)
    overrides = overrides or {}
    google = google_resources(settings)
    assets = [
        *(source_asset(source) for source in code.sources.values()),
        *(feature_view_asset(view, code, settings) for view in code.in_order),
        *(online_asset(view, settings) for view in code.in_order),
        *(training_set_asset(each) for each in code.training_sets.values()),
    ]
    return dg.Definitions(
        assets=assets,
        asset_checks=[parity_check(view) for view in code.in_order],
        jobs=[
            dg.define_asset_job(
                JOB, selection=dg.AssetSelection.all(), description="Everything: sources to online and training sets."
            )
        ],
        resources={
            **google,
            PARTS: parts_resource(settings, code, overrides, google),
            IO_MANAGER: feature_store_io_manager,
        },
        executor=dg.in_process_executor,
        loggers=overrides.get("loggers"),
    )
