"""Sources: tables from which features are computed."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cached_property
from os import PathLike
from typing import TYPE_CHECKING, Any

from amora_fs_assets.domain import arguments
from amora_fs_assets.domain.column import Column
from amora_fs_assets.domain.errors import DefinitionError
from amora_fs_assets.domain.names import check_column, check_name
from amora_fs_assets.domain.places.place import UTC_ZONE, Place, Where, check_mapping
from amora_fs_assets.domain.time import Instant
from amora_fs_assets.domain.types import DataType

if TYPE_CHECKING:
    from amora_fs_assets.domain.schema import SourceSchema

Loader = Callable[[], Any]
"""A function without arguments that returns the source's rows as a pyarrow Table with the source's columns."""


@dataclass(frozen=True, init=False)
class Source:
    """A table that transforms read.

    Args:
        name: The source's name: the transform's parameter, and its asset `raw/<name>`.
        schema: The columns that transforms may read; the table may have more.
        table: The source's table, as `dataset.table` or `project.dataset.table`; `raw.<name>` by default.
        timestamp_field: The column with the time at which a row happened.
        available_at: The column with the time at which a row became available; `timestamp_field` by default, and where
            the value is null.
        created_timestamp_column: Feast's name of available_at.
        max_lateness: The longest time between a row's two timestamps. Scans reach back by lookback plus max_lateness.
            None: there is no limit, and each computation scans all rows before the end of its interval.
        valid_from: For a table without timestamps: the instant from which all rows count as known.
        description: What a row is; the schema's docstring by default.
        owner: The person or team that is responsible for the source.
        tags: Labels to search by.
        asset: The key of the Dagster asset that fills the table, such as ["staging", "orders"], in any code location.
            Lineage then leads to that asset, and the source has no asset `raw/<name>` of its own.
        loader: A function that returns the rows, if the store fills the table; by default another system does.
        query: A SELECT of the engine instead of a table.
        path: A Parquet or CSV file, a folder of such files, or a DuckDB file with its `table`, instead of a table; the
            file is read where it is. A relative path starts at the folder that contains AMORA_FS_HOME.
        field_mapping: Names in the schema by columns in the table, for columns with another name.
        timezone: The time zone of timestamps without one, and of dates that the schema declares as Timestamp.

    Raises:
        DefinitionError: a column is missing in the schema or is not a timestamp, the source has neither a timestamp
            nor valid_from, max_lateness is given without available_at, or the place of the rows is given twice.

    """

    name: str
    columns: tuple[Column, ...]
    table: str
    timestamp_field: str | None
    available_at: str | None
    valid_from: datetime | None
    description: str
    owner: str
    max_lateness: timedelta | None = None
    asset: tuple[str, ...] = ()
    query: str | None = None
    path: str | None = None
    path_table: str | None = None  # the table in a DuckDB file
    field_mapping: Mapping[str, str] = field(default_factory=dict, hash=False)
    timezone: str = UTC_ZONE
    tags: Mapping[str, str] = field(default_factory=dict, hash=False)
    loader: Loader | None = field(default=None, compare=False, repr=False)
    schema: type[SourceSchema] | None = field(default=None, compare=False, repr=False)
    applied_loader: str | None = field(default=None, compare=False, repr=False)

    def __init__(
        self,
        name: str,
        schema: type[SourceSchema] | tuple[Column, ...],
        table: str | None = None,
        timestamp_field: str | None = None,
        available_at: str | None = None,
        valid_from: Instant | None = None,
        description: str = "",
        owner: str = "",
        loader: Loader | None = None,
        *,
        created_timestamp_column: str | None = None,
        max_lateness: timedelta | None = None,
        asset: str | Sequence[str] = (),
        query: str | None = None,
        path: str | PathLike[str] | None = None,
        field_mapping: Mapping[str, str] | None = None,
        timezone: str = UTC_ZONE,
        tags: Mapping[str, str] | None = None,
        applied_loader: str | None = None,
    ) -> None:
        """Read the columns from the schema, and check the timestamp columns against them."""
        check_name("Source", name)
        label = f"Source '{name}'"
        from_catalogue = isinstance(schema, tuple)  # the registry has no code
        if isinstance(schema, tuple):
            columns, schema_class = arguments.items(label, "schema", schema, (Column,), "Give a SourceSchema."), None
        else:
            schema_class = arguments.schema(label, schema)
            columns = schema_class.columns_of(label)
            description = arguments.text(label, "description", description) or schema_class.description_of()
        where = Where.of(
            label,
            name,
            table=f"raw.{name}" if table is query is path is None else table,
            query=query,
            path=path,
            field_mapping=field_mapping,
            timezone=timezone,
        )
        if created_timestamp_column is not None and available_at is not None:
            raise DefinitionError(
                f"{label}: created_timestamp_column= is another name of available_at=. Give one of the two."
            )
        available_at = available_at if created_timestamp_column is None else created_timestamp_column
        if (timestamp_field is None) == (valid_from is None):
            raise DefinitionError(
                f"{label}: give either timestamp_field, the column with the time of a row, or, for a table without "
                "times, valid_from, the instant from which all rows count as known."
            )
        types = {column.name: column.type for column in columns}
        check_mapping(label, where.field_mapping, set(types))
        timestamp_field = _in_schema(timestamp_field, where, columns)
        available_at = _in_schema(available_at, where, columns)
        for role, column in (("timestamp_field", timestamp_field), ("available_at", available_at)):
            if column is None:
                continue
            check_column(f"{label}: {role}", column)
            if types.get(column) is not DataType.TIMESTAMP:
                raise DefinitionError(
                    f"{label}: {role} '{column}' is not a Timestamp column of the schema. "
                    f"Declare `{column}: Timestamp`."
                )
        if max_lateness is not None and available_at is None:
            raise DefinitionError(
                f"{label}: max_lateness is for rows that become known later than they happened. Give available_at, "
                "the column with the time at which a row became known, or leave max_lateness out."
            )
        if asset and loader is not None:
            raise DefinitionError(
                f"{label}: the asset {'/'.join(arguments.asset_key(label, asset))} fills its table, and so does its "
                "loader. Give one of the two."
            )
        if loader is not None and (where != Where(where.table) or str(where.table).count(".") > 1):
            raise DefinitionError(
                f"{label}: the loader fills the source's own table, so query=, path=, field_mapping=, timezone= and a "
                "table of another project have no use. Drop them, or the loader."
            )
        vars(self).update(
            vars(where),
            name=name,
            columns=columns,
            timestamp_field=timestamp_field,
            available_at=available_at,
            valid_from=None if valid_from is None else arguments.instant(label, "valid_from", valid_from),
            description=arguments.text(label, "description", description),
            owner=owner if from_catalogue else arguments.owner_of(label, owner),
            tags=arguments.tags_of(label, tags, check=not from_catalogue),
            max_lateness=None
            if max_lateness is None
            else arguments.duration(label, "max_lateness", max_lateness, none="no known limit"),
            asset=arguments.asset_key(label, asset) if asset else (),
            loader=None if loader is None else arguments.function(label, "loader", loader),
            schema=schema_class,
            applied_loader=applied_loader,
        )

    @cached_property
    def place(self) -> Place:
        """Where the rows are."""
        names = {name: stored for stored, name in self.field_mapping.items()}
        return Place(f"Source '{self.name}'", self.where, self.columns, names)

    @property
    def where(self) -> Where:
        """The arguments that say where the rows are."""
        return Where(self.table, self.query, self.path, self.path_table, self.field_mapping, self.timezone)

    @property
    def created_timestamp_column(self) -> str | None:
        """Feast's name of `available_at`."""
        return self.available_at

    @cached_property
    def loader_hash(self) -> str | None:
        """SHA-256 of the loader's code; empty without a loader, None for a source that an old release applied."""
        if self.loader is None:
            return self.applied_loader if self.schema is None else ""
        from amora_fs_assets.domain.identity.code import code_hash

        return code_hash(self.loader)


def _in_schema(column: str | None, where: Where, columns: Sequence[Column]) -> str | None:
    """The column's name in the schema, for a time that is given by its name in the table."""
    if not isinstance(column, str) or any(each.name == column for each in columns):
        return column
    return where.field_mapping.get(column, column)
