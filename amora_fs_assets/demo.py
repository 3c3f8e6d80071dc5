"""The sample from sources to online features, run through the Dagster code location."""

from __future__ import annotations

import os
import time
import uuid
from pathlib import Path

import click
import dagster as dg
import pandas as pd

from amora_fs_assets.domain.errors import FeatureStoreError, InvalidRequest
from amora_fs_assets.domain.time import Period
from amora_fs_assets.feature_store import FeatureStore
from amora_fs_assets.features import nycflights
from amora_fs_assets.orchestration.code_location import JOB

TRAINING_SET = "departure_delay"
FEATURES = [f"carrier_punctuality:{name}_24h" for name in ("departures", "mean_delay", "late_share")]
CARRIERS = ["AA", "B6", "UA", "OO", "??"]
_QUIET = "telemetry:\n  enabled: false\nnux:\n  enabled: false\n"


def run(store: FeatureStore) -> None:
    """Apply, run the job over the sample's months up to the clock, load the training set, read features online.

    The job is skipped if a run of the same definitions has computed everything. Raises FeatureStoreError if it fails.
    """
    began = time.perf_counter()
    running, moved = store.settings.now is None, nycflights.moved()
    # On a running clock, the end of the data identifies the run of a day.
    clock = nycflights.END + moved if running else store.settings.clock()
    begin, last = nycflights.BEGIN + moved, Period.MONTH.floor(store.settings.clock())
    if clock <= begin:
        raise InvalidRequest(
            f"The sample's flights begin on {begin:%Y-%m-%d}: there are none before the clock, {clock:%Y-%m-%d}."
        )
    from amora_fs_assets.definitions import defs

    home = store.settings.home / "dagster"
    _prepare(home)
    tags = {
        "dagster/asset_partition_range_start": f"{Period.MONTH.floor(begin):%Y-%m-%d}",
        "dagster/asset_partition_range_end": f"{last:%Y-%m-%d}",
        "amora_fs/definitions": store.apply().hash[:12],
        "amora_fs/clock": f"{clock:%Y-%m-%dT%H.%M}{' and on' if running else ''}",
    }
    click.echo(f"Definitions applied to {store.registry.url}.")
    with dg.DagsterInstance.from_config(str(home)) as instance:
        if _has_run(store, instance, tags):
            click.echo(f"Computed before, in {store.settings.home}: nothing has changed since.")
        else:
            click.echo(f"Computing {begin:%Y-%m-%d} to {clock:%Y-%m-%d}, in {store.settings.home}:")
            _run_job(defs, instance, tags, began)
        _show(store, defs, instance)
    # `make dev` sets the clock to the end of 2013 by default.
    dev = f"AMORA_FS_NOW= {nycflights.DAYS_LATER}={moved.days} make dev" if running else "make dev"
    if os.environ.get("BIGQUERY_EMULATOR_HOST"):
        click.echo(f"\nDone in {time.perf_counter() - began:.0f} s. The emulators, and all that they hold, end now.")
        return
    click.echo(f"\nDone in {time.perf_counter() - began:.0f} s. Look around: {dev}, then http://localhost:3000")


def _prepare(home: Path) -> None:
    """Create Dagster's folder, which `make dev` uses too."""
    home.mkdir(parents=True, exist_ok=True)
    if not (home / "dagster.yaml").exists():
        (home / "dagster.yaml").write_text(_QUIET)
    os.environ["DAGSTER_HOME"] = str(home)


def _has_run(store: FeatureStore, instance: dg.DagsterInstance, tags: dict[str, str]) -> bool:
    """Whether the newest version of the training set comes from a run with these tags, and its table exists."""
    like = dg.RunsFilter(job_name=JOB, statuses=[dg.DagsterRunStatus.SUCCESS], tags=tags)
    versions = store.registry.manifests(TRAINING_SET)
    newest = store.registry.manifest(TRAINING_SET, versions[-1]) if versions else None
    if newest is None or store.offline.columns(newest["table"]) is None:
        return False
    return newest["run_id"] in {each.run_id for each in instance.get_runs(like)}


def _run_job(defs: dg.Definitions, instance: dg.DagsterInstance, tags: dict[str, str], began: float) -> None:
    def progress(event: dg.EventLogEntry) -> None:
        if not event.is_dagster_event and event.level == 20:  # the assets' own INFO messages
            click.echo(f"  {time.perf_counter() - began:5.1f} s  {event.user_message}")

    run_id = str(uuid.uuid4())
    instance.add_event_listener(run_id, progress)
    result = defs.resolve_job_def(JOB).execute_in_process(
        instance=instance,
        run_id=run_id,
        tags=tags,
        run_config={"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}},
        raise_on_error=False,
    )
    if not result.success:
        failures = [str(event.message) for event in result.all_events if event.is_step_failure]
        raise FeatureStoreError("The run failed: " + " ".join(failures) + " See it in the Dagster UI: make dev.")


def _show(store: FeatureStore, defs: dg.Definitions, instance: dg.DagsterInstance) -> None:
    key = dg.AssetKey(["training_set", TRAINING_SET])
    rows = defs.load_asset_value(key, python_type=pd.DataFrame, instance=instance)
    assert isinstance(rows, pd.DataFrame), "the requested type"
    examples = rows[rows["late_share_24h"].notna()].head(3)
    click.echo(
        f"\nTraining set: {len(rows):,} rows, {len(rows.columns)} columns. Three with features, side by side:\n"
        f'defs.load_asset_value(AssetKey(["training_set", "{TRAINING_SET}"]), python_type=pd.DataFrame)\n'
    )
    click.echo(_text(examples).T.to_string(header=False))
    response = store.get_online_features(FEATURES, {"carrier": CARRIERS})
    frame = _text(response.to_df())
    frame["status"] = response.statuses["mean_delay_24h"]
    click.echo(
        f"\nOnline features of some carriers, as a model server reads them:\n"
        f'store.get_online_features({FEATURES}, {{"carrier": {CARRIERS}}})\n\n{frame.to_string(index=False)}'
    )


def _text(frame: pd.DataFrame) -> pd.DataFrame:
    return frame.round(2).astype(object).where(frame.notna(), "-")
