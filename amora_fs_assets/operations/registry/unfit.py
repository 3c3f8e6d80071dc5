"""Sources and external views whose rows cannot be read now: a missing table, or columns that do not fit."""

from __future__ import annotations

from collections.abc import Iterator

from amora_fs_assets.domain.catalogue import Catalogue
from amora_fs_assets.domain.errors import OfflineStoreBusy, OfflineStoreError, SourceMismatch, TableNotFound
from amora_fs_assets.domain.feature_view import FeatureView
from amora_fs_assets.domain.ports.offline import OfflineStore
from amora_fs_assets.domain.source import Source
from amora_fs_assets.operations.expressions.tables import check_tables


def unfit(code: Catalogue, store: OfflineStore) -> tuple[str, ...]:
    """One sentence for each of them, with the fix. A source that the store fills may be empty until its first load."""
    sources = [source for source in code.sources.values() if source.loader is None]
    external = [view for view in code.feature_views.values() if view.table is not None]
    return tuple(_problems([*sources, *external], store))


def _problems(definitions: list[Source | FeatureView], store: OfflineStore) -> Iterator[str]:
    """The problems of the definitions; all are checked at once, and one by one only after a problem."""
    try:
        if definitions:
            check_tables(definitions, store)
    except OfflineStoreBusy:
        raise
    except (TableNotFound, SourceMismatch, OfflineStoreError) as error:
        if len(definitions) == 1:
            yield str(error)
            return
        for each in definitions:
            yield from _problems([each], store)
