"""The columns of an external table with the times of its rows: event_timestamp, created_timestamp and valid_to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from amora_fs_assets.domain.column import Column
from amora_fs_assets.domain.errors import DefinitionError
from amora_fs_assets.domain.names import CREATED_TIMESTAMP, EVENT_TIMESTAMP, RESERVED_COLUMNS, VALID_TO, check_column
from amora_fs_assets.domain.types import DataType

_WORDS = {
    CREATED_TIMESTAMP: "When the values became known (UTC).",
    VALID_TO: "When the values end (UTC); null: they hold until the next row.",
}


@dataclass(frozen=True)
class RowTimes:
    """The arguments of a view that name the columns with the times of a row."""

    timestamp_field: str = EVENT_TIMESTAMP
    created_timestamp_column: str = CREATED_TIMESTAMP
    valid_to_field: str | None = None

    @property
    def stored(self) -> dict[str, str]:
        """The columns of the table by our names."""
        ends = {} if self.valid_to_field is None else {VALID_TO: self.valid_to_field}
        return {EVENT_TIMESTAMP: self.timestamp_field, CREATED_TIMESTAMP: self.created_timestamp_column, **ends}

    @property
    def roles(self) -> dict[str, str]:
        """The arguments by the columns of the table that they name."""
        ends = {} if self.valid_to_field is None else {self.valid_to_field: "valid_to_field"}
        return {
            **ends,
            self.created_timestamp_column: "created_timestamp_column",
            self.timestamp_field: "timestamp_field",
        }

    def names(self, mapping: Mapping[str, str]) -> dict[str, str]:
        """The columns of the table by the names of the schema, where they differ. `mapping` is the field_mapping."""
        names = {name: stored for stored, name in mapping.items()}
        named = {column: names.get(stored, stored) for column, stored in self.stored.items() if stored != column}
        return names | named

    def columns(self, declared: tuple[Column, ...], mapping: Mapping[str, str]) -> tuple[Column, ...]:
        """The columns of a view: its times of other names are no features, and missing times are added."""
        times = {each for each in self.stored.values() if each not in self._ours}
        times |= {mapping[each] for each in times & mapping.keys()} - self._ours
        kept = tuple(column for column in declared if column.name not in times)
        known = {column.name for column in kept}
        added = []
        if CREATED_TIMESTAMP not in {self.created_timestamp_column, *known}:
            added.append(CREATED_TIMESTAMP)
        if self.valid_to_field is not None and VALID_TO not in known:
            added.append(VALID_TO)
        return (*kept, *(Column(n, DataType.TIMESTAMP, nullable=True, description=_WORDS[n]) for n in added))

    @property
    def _ours(self) -> frozenset[str]:
        """The names of times that no feature of the view has."""
        return RESERVED_COLUMNS if self.valid_to_field is None else RESERVED_COLUMNS | {VALID_TO}

    def check(self, owner: str, join_keys: tuple[str, ...]) -> None:
        """Refuse names that are none, and valid_to_field if it names another time. Raises DefinitionError."""
        check_column(f"{owner}: timestamp_field", self.timestamp_field)
        check_column(f"{owner}: created_timestamp_column", self.created_timestamp_column)
        if self.valid_to_field is None:
            return
        check_column(f"{owner}: valid_to_field", self.valid_to_field)
        if self.roles[self.valid_to_field] != "valid_to_field":
            raise DefinitionError(
                f"{owner}: valid_to_field='{self.valid_to_field}' is also {self.roles[self.valid_to_field]}. Name the "
                "column with the time at which a row's values end, or leave valid_to_field out."
            )
        if VALID_TO in join_keys:
            raise DefinitionError(
                f"{owner}: with valid_to_field no join key has the name '{VALID_TO}'. Map the key to another name: "
                f"field_mapping={{'{VALID_TO}': ...}}."
            )
