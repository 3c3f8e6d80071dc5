"""FeatureStoreIOManager: publishes staged rows, records the run in the registry, and loads assets' rows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

import dagster as dg
import ibis
import pandas as pd
import pyarrow as pa
from ibis.expr.types import Table

from amora_fs_assets.domain.errors import FeatureStoreError, PublicationRefused, TableNotFound
from amora_fs_assets.domain.feature_view import FeatureView
from amora_fs_assets.domain.names import EVENT_TIMESTAMP
from amora_fs_assets.domain.protocol import TRIES
from amora_fs_assets.domain.records import Publication
from amora_fs_assets.domain.time import Interval, wall_clock
from amora_fs_assets.operations.expressions.tables import all_rows, check_tables, rows_of, within
from amora_fs_assets.operations.frames import to_pandas
from amora_fs_assets.operations.offline.computation import Computation
from amora_fs_assets.operations.offline.coverage import coverages, publications_for
from amora_fs_assets.operations.offline.coverage_words import lines, summary
from amora_fs_assets.operations.training import versions
from amora_fs_assets.operations.training.build import TrainingSetBuild
from amora_fs_assets.operations.training.retention import prune
from amora_fs_assets.orchestration.failures import said_in_dagster
from amora_fs_assets.orchestration.metadata import DATA_VERSION, column_schema, record_metadata
from amora_fs_assets.orchestration.names import Names
from amora_fs_assets.orchestration.partitions import completed
from amora_fs_assets.orchestration.resources import Stores, stores_of


@dataclass(frozen=True, kw_only=True)
class Staged:
    """The output of an asset: staged rows that passed the gate, to be published."""

    run: Computation | TrainingSetBuild
    rows: Mapping[datetime, int] = field(default_factory=dict)
    """Rows by the start of their period, for a run without partitions. Completed periods are reported to Dagster."""


class FeatureStoreIOManager(dg.IOManager):
    """Output: publish, then record. Input: the published rows in the requested type.

    Inputs are pandas DataFrames (by default), pyarrow Tables or Ibis tables in memory, and hold no lock on the store.
    """

    def __init__(self, stores: Stores) -> None:
        self._stores = stores

    def handle_output(self, context: dg.OutputContext, obj: Staged) -> None:
        """Publish in one transaction, and write the run's record with its lineage to the registry."""
        with said_in_dagster():
            self._publish(context, obj)

    def _publish(self, context: dg.OutputContext, obj: Staged) -> None:
        run = obj.run
        try:
            record = run.publish()
        except PublicationRefused as error:
            raise dg.RetryRequested(max_retries=TRIES - 1) from error
        metadata = record_metadata(record, run.recording.url, self._stores.code, self._stores.names)
        if "warning" in record.details:
            context.log.warning("%s: %s", context.asset_key.to_user_string(), record.details["warning"])
        if isinstance(run, TrainingSetBuild):
            service = run.training_set.service
            words = {column.name: column.description for part in service.on_demand for column in part.columns}
            words |= {column.name: column.description for view in service.views.values() for column in view.row_columns}
            columns = [replace(column, description=words.get(column.name, "")) for column in run.staged.columns]
            context.add_output_metadata({"dagster/column_schema": column_schema(columns)})
            context.add_output_metadata(self._pruned(record.name, record.run_id))
        if isinstance(run, Computation):
            published = publications_for(run.view, self._stores.offline) if record.kind == "compute" else []
            if record.kind == "compute":
                metadata["coverage"] = self._coverage(run.view, published)
            for partition, rows in self._completed(run, obj.rows, published):
                partition_metadata = {
                    "dagster/row_count": rows,
                    "publication": record.sequence,
                    "interval": str(record.interval),
                }
                tags = {DATA_VERSION: str(record.sequence)}
                event = dg.AssetMaterialization(
                    context.asset_key, partition=partition, metadata=partition_metadata, tags=tags
                )
                context.log_event(event)
        _add_metadata(context, metadata)
        done = "checked" if record.sequence is None else "published"
        context.log.info("%s: %s rows %s", context.asset_key.to_user_string(), f"{record.rows:,}", done)

    def _coverage(self, view: FeatureView, published: Sequence[Publication]) -> str:
        """The view's coverage in words."""
        clock, dataset = self._stores.settings.clock(), self._stores.offline.dataset
        found = coverages(view, published, clock=clock, dataset=dataset)[view.name]
        return "\n".join([summary(found), *lines([found])])

    def _completed(
        self, run: Computation, rows: Mapping[datetime, int], published: Sequence[Publication]
    ) -> Iterator[tuple[str, int]]:
        """The partitions that the run has completed, with their rows."""
        if rows and run.interval is not None:
            now, clock = self._stores.settings.now, self._stores.settings.clock()
            dataset = self._stores.offline.dataset
            found = completed(run.view, run.interval, published, now=now, clock=clock, dataset=dataset)
            yield from ((partition, rows[period.start]) for partition, period in found)

    def _pruned(self, name: str, run_id: str) -> dict[str, str]:
        """Remove versions beyond the limit in the settings. A failure is reported, and the next build tries again."""
        settings = self._stores.settings
        if settings.training_set_versions is None:
            return {}
        try:
            found = prune(
                name, keep=settings.training_set_versions, store=self._stores.offline, registry=self._stores.registry,
                run_id=run_id, now=wall_clock(), dry_run=False,
            )  # fmt: skip
        except FeatureStoreError as error:
            return {"versions": f"Older versions were not removed: {error}"}
        return {"versions": str(found)}

    def load_input(self, context: dg.InputContext) -> Any:
        """The asset's rows: of the requested partitions, or of the newest version. Raises NotFound errors."""
        query = self._query(context)
        with self._stores.offline.read(query) as batches:
            rows: pa.Table = batches.read_all()
        type_ = context.dagster_type.typing_type
        if type_ is pa.Table:
            return rows
        if type_ is Table:
            return ibis.memtable(rows)
        if type_ in (Any, pd.DataFrame):
            return to_pandas(rows)
        raise dg.DagsterInvariantViolationError(
            f"{context.asset_key.to_user_string()} is loaded as pandas.DataFrame, pyarrow.Table or ibis Table, "
            f"not as {type_}."
        )

    def _query(self, context: dg.InputContext) -> Table:
        kind, name = self._stores.names.definition_of(context.asset_key)
        code, store = self._stores.code, self._stores.offline
        if kind == "training_set":
            return versions.rows_of_version(name, versions.manifest_of(name, None, self._stores.registry), store)
        if kind == "raw":
            source = code.source(name)
            check_tables([source], store)
            return all_rows(source, store.dataset)
        view = code.feature_view(name)
        stored = check_tables([view], store, self._stores.applied, may_lack_added=True)
        rows = rows_of(view, store.dataset, stored.added.get(view.name, ()))
        if context.has_asset_partitions:
            window = context.asset_partitions_time_window
            interval = Interval(window.start, window.end)
            self._check_published(view, interval)
            rows = rows.filter(within(rows[EVENT_TIMESTAMP], interval))
        return rows

    def _check_published(self, view: FeatureView, interval: Interval) -> None:
        """Refuse an interval with a period that was never published, rather than return fewer rows."""
        assert view.partitions is not None, "only partitioned assets have partitions"
        published = [
            Interval(p.start, p.end)
            for p in self._stores.offline.publications(view.name)
            if p.start is not None and p.end is not None
        ]
        missing = [
            period
            for period in view.partitions.parts(interval.until(self._stores.settings.clock()))
            if not any(p.start < period.end and p.end > period.start for p in published)
        ]
        if missing:
            raise TableNotFound(
                f"{view}: nothing was published in {missing[0]}"
                f"{f' and {len(missing) - 1} periods more' if missing[1:] else ''}. Materialize these partitions of "
                f"asset feature_view/{view.name}, or `amora-fs compute`."
            )


def _add_metadata(context: dg.OutputContext, metadata: Mapping[str, Any]) -> None:
    """Give Dagster the metadata. For a range, only the last partition gets all of the metadata.

    Dagster stores the metadata of each partition twice, and shows the metadata of the newest partition as the asset's.
    """
    partitions = context.asset_partition_keys if context.has_asset_partitions else []
    if len(partitions) < 2:
        context.add_output_metadata(metadata)
        return
    context.add_output_metadata({name: value for name, value in metadata.items() if name in _AT_EACH_PARTITION})
    rest = {name: value for name, value in metadata.items() if name not in _AT_EACH_PARTITION}
    context.step_context.add_asset_metadata(rest, asset_key=context.asset_key, partition_key=partitions[-1])


_AT_EACH_PARTITION = {"dagster/row_count", "interval", "publication", "registry record"}


def feature_store_io_manager(names: Names) -> dg.IOManagerDefinition:
    """The IO manager over the run's stores."""

    @dg.io_manager(required_resource_keys={names.store}, description="Publishes, records, loads.")
    def io_manager(context: dg.InitResourceContext) -> FeatureStoreIOManager:
        return FeatureStoreIOManager(stores_of(context.resources, names))

    return io_manager
