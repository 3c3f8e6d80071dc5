"""The sample from sources to served features, through the Dagster code location itself."""

from __future__ import annotations

import os
import time
import uuid
from pathlib import Path
from typing import cast

import click
import dagster as dg
import pandas as pd

from amora_fs_assets.domain.errors import FeatureStoreError
from amora_fs_assets.feature_store import FeatureStore
from amora_fs_assets.orchestration.build import JOB

_QUIET = "telemetry:\n  enabled: false\nnux:\n  enabled: false\n"


def run(store: FeatureStore, *, until: str = "") -> None:
    """Apply, run the job over the sample's months, load the training set, read features online.

    Raises FeatureStoreError where the run fails.
    """
    from amora_fs_assets.definitions import defs

    began = time.perf_counter()
    home = store.settings.home / "dagster"
    _prepare(home)
    store.apply()
    click.echo(f"Definitions applied to {store.registry.url}. Computing, in {store.settings.home}:")
    with dg.DagsterInstance.from_config(str(home)) as instance:
        _run_job(defs, instance, until or f"{store.settings.clock():%Y-%m-01}", began)
        _show(store, defs, instance)
    click.echo(f"\nDone in {time.perf_counter() - began:.0f} s. Look around: make dev, then http://localhost:3000")


def _prepare(home: Path) -> None:
    """Dagster's folder, where `make dev` finds the run again."""
    home.mkdir(parents=True, exist_ok=True)
    if not (home / "dagster.yaml").exists():
        (home / "dagster.yaml").write_text(_QUIET)
    os.environ["DAGSTER_HOME"] = str(home)


def _run_job(defs: dg.Definitions, instance: dg.DagsterInstance, until: str, began: float) -> None:
    def progress(event: dg.EventLogEntry) -> None:
        if not event.is_dagster_event and event.level == 20:  # what assets say themselves
            click.echo(f"  {time.perf_counter() - began:5.1f} s  {event.user_message}")

    run_id = str(uuid.uuid4())
    instance.add_event_listener(run_id, progress)
    result = defs.resolve_job_def(JOB).execute_in_process(
        instance=instance,
        run_id=run_id,
        tags={"dagster/asset_partition_range_start": "2013-01-01", "dagster/asset_partition_range_end": until},
        run_config={"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}},
        raise_on_error=False,
    )
    if not result.success:
        failures = [str(event.message) for event in result.all_events if event.is_step_failure]
        raise FeatureStoreError("The run failed: " + " ".join(failures) + " See it in the Dagster UI: make dev.")


def _show(store: FeatureStore, defs: dg.Definitions, instance: dg.DagsterInstance) -> None:
    key = dg.AssetKey(["training_set", "departure_delay"])
    rows = cast("pd.DataFrame", defs.load_asset_value(key, python_type=pd.DataFrame, instance=instance))
    with pd.option_context("display.width", 160, "display.max_columns", 9):
        click.echo(f"\nTraining set departure_delay: {len(rows):,} rows, {len(rows.columns)} columns. Its first:\n")
        click.echo(rows.head(4).to_string(max_cols=9))
    carriers = ["AA", "B6", "UA", "OO", "??"]
    response = store.get_online_features("carrier_punctuality", {"carrier": carriers})
    click.echo("\nOnline features of a few carriers, as a model server reads them:\n")
    frame = response.to_df()
    frame["status"] = response.statuses["mean_delay"]
    click.echo(frame.to_string(index=False))
