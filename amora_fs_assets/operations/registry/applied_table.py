"""Updates `_applied` in the offline store after the registry's head has moved."""

from __future__ import annotations

from collections.abc import Iterator

from amora_fs_assets.domain.catalogue import Catalogue
from amora_fs_assets.domain.identity.definition import applied_of
from amora_fs_assets.domain.ports.offline import OfflineStore
from amora_fs_assets.domain.ports.registry import Registry
from amora_fs_assets.domain.protocol import Applied


def sync(registry: Registry, store: OfflineStore) -> None:
    """Write the definitions of the registry's head to `_applied`. Raises OfflineStoreError.

    If `_applied` has a greater number, another apply has moved the head since: the head is read again. If the number is
    still greater, the registry was restored, and its own number replaces the greater one.
    """
    catalogue, stored = registry.catalogue(), store.applied()
    if max((row.applied_number for row in stored), default=0) > catalogue.number:
        catalogue = registry.catalogue()
    known = {row.view: row for row in stored}
    changed = [row for row in _rows_for(catalogue, stored) if known.get(row.view) != row]
    if changed:
        store.write_applied(changed)


def _rows_for(catalogue: Catalogue, stored: tuple[Applied, ...]) -> Iterator[Applied]:
    """The expected rows, and one without identity per view that no longer exists.

    Expected are computed views, and external views that have a row: views to which rows were pushed.
    """
    known = {row.view for row in stored}
    expected = [name for name, view in catalogue.feature_views.items() if view.table is None or name in known]
    yield from (applied_of(catalogue, name) for name in expected)
    for row in stored:
        if row.view not in expected:
            yield Applied(view=row.view, view_id=row.view_id, identity="", applied_number=catalogue.number)
