"""Whether the tables, queries and files of other systems have the columns that their definitions declare."""

from __future__ import annotations

from amora_fs_assets.domain.column import Column
from amora_fs_assets.domain.errors import SourceMismatch, TableNotFound
from amora_fs_assets.domain.ibis_types import IBIS_TYPES
from amora_fs_assets.domain.places.external import cast_of, column_in, fits
from amora_fs_assets.domain.places.place import Place
from amora_fs_assets.domain.ports.offline import OfflineStore, StoredTable


def check_place(name: str, place: Place, stored: StoredTable | None, store: OfflineStore) -> None:
    """Refuse a place without rows' table, or whose columns lose values in the declared types.

    Raises TableNotFound, SourceMismatch, with the cast that a query needs.
    """
    if stored is None:
        if place.table is None:
            raise TableNotFound(f"{place.owner}: there is no {place}{store.looked_for(place)}.")
        loaded = (
            f", or materialize asset raw/{name} if the project loads it" if place.owner.startswith("Source") else ""
        )
        raise TableNotFound(f"{place.owner}: there is no {place}{store.looked_for(place)}; fill it{loaded}.")
    for column in place.columns:
        _check_column(place, column, stored, store)


def _check_column(place: Place, column: Column, stored: StoredTable, store: OfflineStore) -> None:
    name, declared = column_in(place, column.name, stored.columns), IBIS_TYPES[column.type]
    if name is None:
        wanted = place.stored_name(column.name)
        hint = "" if wanted != column.name else " or name the column that has the values in field_mapping"
        raise SourceMismatch(
            f"{place.owner}: {place} has no column '{wanted}'. Its columns: {', '.join(stored.columns)}. "
            f"Fix the table or the schema{hint}."
        )
    if not fits(stored.columns[name], declared):
        cast = cast_of(name, column.name, declared, store.dialect)
        raise SourceMismatch(
            f"{place.owner}: column '{name}' of {place} is {stored.columns[name]}, but {declared} in the schema, which "
            f"does not hold every value. Fix the schema, or cast in a query: query='SELECT {cast}, ... FROM ...'."
        )
