"""Writes rows that were read to tables of the offline store, and to Parquet files."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import IO, TYPE_CHECKING

from amora_fs_assets.domain.catalogue import Catalogue
from amora_fs_assets.domain.ports.offline import OfflineStore
from amora_fs_assets.settings import Settings
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

    def writing(self, path: str | os.PathLike[str]) -> AbstractContextManager[IO[bytes]]:
        """A new file; see stores/files.py."""
        return writing(path, self._settings)
