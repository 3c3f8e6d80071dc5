"""What was published, kept between two looks: a row comes with each run, and a look each half minute."""

from __future__ import annotations

from collections.abc import Sequence
from threading import Lock

from amora_fs_assets.domain.ports import OfflineStore
from amora_fs_assets.domain.records import Publication


class Published:
    """The rows of `_publications`, of which each look reads those that came since the one before.

    They live as long as the code server's process. The newest one that is known is read again with them: where it is
    not there, or is another one (the store was emptied, or is an older backup), all are read anew. Where the engine
    says for nothing that the table has not changed, as BigQuery does, nothing is read.
    """

    def __init__(self) -> None:
        self._known: list[Publication] = []
        self._modified: str | None = None
        self._lock = Lock()  # two ticks of one process

    def of(self, store: OfflineStore) -> Sequence[Publication]:
        """All publications of the store, in order."""
        with self._lock:
            modified = store.modified(f"{store.dataset}._publications")
            if modified is not None and modified == self._modified:
                return tuple(self._known)
            newest = self._known[-1] if self._known else None
            since = store.publications(after=newest.sequence - 1 if newest is not None else 0)
            if newest is not None and (not since or since[0] != newest):
                newest, since = None, store.publications()
            self._known = [*self._known[:-1], *since] if newest is not None else [*since]
            self._modified = modified
            return tuple(self._known)
