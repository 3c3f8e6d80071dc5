"""FeatureStoreIOManager: publishes what an asset staged, records it in the registry, and loads assets' values."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import dagster as dg
import ibis
import pandas as pd
import pyarrow as pa
from ibis.expr.types import Table

from amora_fs_assets.domain.errors import FeatureStoreError, TableNotFound
from amora_fs_assets.domain.names import EVENT_TIMESTAMP
from amora_fs_assets.domain.time import Interval
from amora_fs_assets.operations import compute, training_sets
from amora_fs_assets.operations.compute import Computed
from amora_fs_assets.operations.tables import all_rows, check_tables, rows_of, within
from amora_fs_assets.operations.training_sets import Built
from amora_fs_assets.orchestration.metadata import lineage_metadata
from amora_fs_assets.orchestration.parts import PARTS, Parts

IO_MANAGER = "feature_store_io_manager"


@dataclass(frozen=True, kw_only=True)
class Staged:
    """What an asset hands over: staged, passed by the gate, to be published."""

    work: Computed | Built
    started_at: datetime


class FeatureStoreIOManager(dg.IOManager):
    """Output: publish, then record. Input: the published rows, as the type that is asked for.

    Inputs come as pandas (by default), a pyarrow Table, or a lazy Ibis table, and hold no lock.
    """

    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    def handle_output(self, context: dg.OutputContext, obj: Staged) -> None:
        """Publish in one transaction, and keep the run's record and lineage in the registry."""
        store, registry = self._parts.offline, self._parts.registry
        work = obj.work
        if isinstance(work, Built):
            record = training_sets.publish(
                work, store=store, registry=registry, now=datetime.now(UTC), started_at=obj.started_at
            )
            context.add_output_metadata({"version": work.version, "table": record.details["table"]})
        else:
            publication, error = None, None
            try:
                publication = compute.publish(work, store=store, now=datetime.now(UTC))
            except FeatureStoreError as raised:
                error = raised
            record = compute.record_of(
                work.view,
                run_id=work.run_id,
                started_at=obj.started_at,
                finished_at=datetime.now(UTC),
                interval=work.interval,
                computed=work,
                publication=publication,
                error=error,
            )
            where = registry.record(record)
            context.add_output_metadata(
                {"registry record": f"{registry.url}/{where}", "clipped rows": record.clipped_rows}
            )
            if error is not None:
                raise error
        context.add_output_metadata(
            {
                "dagster/row_count": record.rows,
                **({"publication": record.sequence} if record.sequence is not None else {}),
                **lineage_metadata(record.column_lineage, self._parts.code),
            }
        )
        context.log.info("%s: %s rows published", context.asset_key.to_user_string(), f"{record.rows:,}")

    def load_input(self, context: dg.InputContext) -> Any:
        """The asset's rows: of the partitions asked for, or of the newest version. Raises NotFound errors."""
        query = self._query(context)
        with self._parts.offline.read(query) as batches:
            rows: pa.Table = batches.read_all()
        wanted = context.dagster_type.typing_type
        if wanted is pa.Table:
            return rows
        if wanted is Table:
            return ibis.memtable(rows)
        if wanted in (Any, pd.DataFrame):
            kinds = {pa.int64(): pd.Int64Dtype(), pa.bool_(): pd.BooleanDtype()}
            return rows.to_pandas(types_mapper=kinds.get)
        raise dg.DagsterInvariantViolationError(
            f"{context.asset_key.to_user_string()} is loaded as pandas.DataFrame, pyarrow.Table or ibis Table, "
            f"not as {wanted}."
        )

    def _query(self, context: dg.InputContext) -> Table:
        kind, name = context.asset_key.path
        code, store = self._parts.code, self._parts.offline
        if kind == "training_set":
            return training_sets.table_of(name, version=None, registry=self._parts.registry)
        if kind == "raw":
            source = code.source(name)
            check_tables([source], store)
            return all_rows(source, store.dataset)
        view = code.feature_view(name)
        check_tables([view], store)
        rows = rows_of(view, store.dataset)
        if context.has_asset_partitions:
            window = context.asset_partitions_time_window
            interval = Interval(window.start, window.end)
            self._check_published(name, interval)
            rows = rows.filter(within(rows[EVENT_TIMESTAMP], interval))
        return rows

    def _check_published(self, name: str, interval: Interval) -> None:
        """Refuse an interval of which nothing was ever published, rather than give no rows."""
        published = self._parts.offline.publications(name)
        overlap = [
            p for p in published if p.start is None or (p.end and p.start < interval.end and p.end > interval.start)
        ]
        if not overlap:
            raise TableNotFound(
                f"Feature view '{name}': nothing was published in {interval}. Materialize that partition of "
                f"asset feature_view/{name}, or `amora-fs compute`."
            )


@dg.io_manager(required_resource_keys={PARTS}, description="Publishes, records, loads.")
def feature_store_io_manager(context: dg.InitResourceContext) -> FeatureStoreIOManager:
    """The IO manager over the run's stores."""
    return FeatureStoreIOManager(getattr(context.resources, PARTS))
