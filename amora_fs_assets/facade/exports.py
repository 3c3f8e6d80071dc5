"""Writes rows that were read to tables of the offline store, and to Parquet files."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import IO, TYPE_CHECKING

from amora_fs_assets.domain.catalogue import Catalogue
from amora_fs_assets.domain.errors import InvalidRequest, TableNotFound
from amora_fs_assets.domain.feature_view import FeatureView
from amora_fs_assets.domain.ports.offline import OfflineStore
from amora_fs_assets.settings import Settings
from amora_fs_assets.store_table import OFFLINE_STORES
from amora_fs_assets.stores.files import writing

if TYPE_CHECKING:
    import pyarrow as pa


class Exports:
    """Writes the rows of online responses. Loads Ibis and pyarrow at the first use."""

    def __init__(
        self, settings: Settings, *, offline: Callable[[], OfflineStore], catalogue: Callable[[], Catalogue]
    ) -> None:
        self._settings = settings
        self._offline = offline
        self._catalogue = catalogue

    def to_table(self, rows: pa.Table, name: str) -> int:
        """Write the rows to the table `dataset.table`; see HistoricalFeatures.to_table."""
        from amora_fs_assets.operations.expressions.tables import owners_of
        from amora_fs_assets.operations.offline.to_table import check_writable, named_run, write_table

        store = self._offline()
        check_writable(name, store, owners_of(self._catalogue(), store.dataset))
        with named_run() as run_id:
            return write_table(rows, name, store=store, run_id=run_id)

    def to_parquet(self, rows: pa.Table, path: str | os.PathLike[str]) -> int:
        """Write the rows to the Parquet file; see HistoricalFeatures.to_parquet."""
        from amora_fs_assets.operations.frames import write_parquet

        return write_parquet(rows.schema, rows.to_batches(), self.writing(path))

    def for_feast(self, views: Sequence[FeatureView]) -> dict[str, int]:
        """Write the views' rows to the files that Feast's registry.db names; see FeatureStore.export_for_feast."""
        from amora_fs_assets.domain.places.ends import ends_as_rows
        from amora_fs_assets.operations.expressions.tables import rows_there
        from amora_fs_assets.operations.frames import write_parquet
        from amora_fs_assets.stores.registry.feast_json import file_of

        if OFFLINE_STORES[self._settings.offline_store].feast_source:
            raise InvalidRequest("Feast reads the tables of this offline store itself, so nothing is exported.")
        found: dict[str, int] = {}
        store, applied = self._offline(), self._catalogue()
        for view in views:
            path = file_of(view.name, self._settings)
            path.parent.mkdir(parents=True, exist_ok=True)
            try:
                rows = ends_as_rows(rows_there(view, store, applied), view)
            except TableNotFound:
                continue
            with store.read(rows) as batches:
                found[view.name] = write_parquet(batches.schema, batches, self.writing(path))
        return found

    def writing(self, path: str | os.PathLike[str]) -> AbstractContextManager[IO[bytes]]:
        """A new file; see stores/files.py."""
        return writing(path, self._settings)
