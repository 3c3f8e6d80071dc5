"""After the registry's head has moved: `_applied` in the offline store, which says who may publish."""

from __future__ import annotations

from collections.abc import Iterator

from amora_fs_assets.domain.catalogue import Catalogue, applied_of
from amora_fs_assets.domain.ports.offline import OfflineStore
from amora_fs_assets.domain.ports.registry import Registry
from amora_fs_assets.domain.protocol import Applied


def sync(registry: Registry, store: OfflineStore) -> None:
    """Let `_applied` say what the registry's head says. Raises OfflineStoreError where the store cannot be written.

    Rows of a greater number are of an apply that came after this one, which is read then; or the registry was restored,
    and its own number counts from now on.
    """
    catalogue, there = registry.catalogue(), store.applied()
    if max((row.applied_number for row in there), default=0) > catalogue.number:
        catalogue = registry.catalogue()
    known = {row.view: row for row in there}
    changed = [row for row in _wanted(catalogue, there) if known.get(row.view) != row]
    if changed:
        store.write_applied(changed)


def _wanted(catalogue: Catalogue, there: tuple[Applied, ...]) -> Iterator[Applied]:
    """A row for each computed view; one without identity for each that is there no more."""
    computed = [name for name, view in catalogue.feature_views.items() if view.table is None]
    yield from (applied_of(catalogue, name) for name in computed)
    for row in there:
        if row.view not in computed:
            yield Applied(view=row.view, view_id=row.view_id, identity="", applied_number=catalogue.number)
