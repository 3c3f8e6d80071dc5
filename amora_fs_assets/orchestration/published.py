"""A cache of `_publications` for the automation, which reads them twice a minute."""

from __future__ import annotations

from collections.abc import Sequence
from threading import Lock

from amora_fs_assets.domain.ports.offline import OfflineStore
from amora_fs_assets.domain.records import Publication
from amora_fs_assets.domain.table_names import publications_table


class Published:
    """The rows of `_publications`. Each look reads only the rows that were added since the look before.

    The cache lives in the process of the code server. Each read includes the newest cached row again. If the store no
    longer has that row, because the store was emptied or restored, all rows are read again. If the engine reports that
    the table has not changed, as BigQuery does at no cost, nothing is read.
    """

    def __init__(self) -> None:
        self._known: list[Publication] = []
        self._modified: str | None = None
        self._lock = Lock()  # two evaluations can overlap in one process

    def of(self, store: OfflineStore) -> Sequence[Publication]:
        """All publications of the store, in order."""
        with self._lock:
            modified = store.modified(publications_table(store.dataset))
            if modified is not None and modified == self._modified:
                return tuple(self._known)
            newest = self._known[-1] if self._known else None
            since = store.publications(after=newest.sequence - 1 if newest is not None else 0)
            if newest is not None and (not since or since[0] != newest):
                newest, since = None, store.publications()
            self._known = [*self._known[:-1], *since] if newest is not None else [*since]
            self._modified = modified
            return tuple(self._known)
