"""Sources: tables from which features are computed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cached_property
from typing import TYPE_CHECKING, Any

from amora_fs_assets.domain import arguments
from amora_fs_assets.domain.column import Column
from amora_fs_assets.domain.errors import DefinitionError
from amora_fs_assets.domain.names import check_column, check_name, check_table
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
        table: The source's table, as `dataset.table`; `raw.<name>` by default.
        timestamp_field: The column with the time at which a row happened.
        available_at: The column with the time at which a row became available; `timestamp_field` by default, and where
            the value is null.
        max_lateness: The longest time between a row's two timestamps. Scans reach back by lookback plus max_lateness.
            None: there is no limit, and each computation scans all rows before the end of its interval.
        valid_from: For a table without timestamps: the instant from which all rows count as known.
        description: What a row is; the schema's docstring by default.
        owner: The person or team that is responsible for the source.
        asset: The key of the Dagster asset that fills the table, such as ["staging", "orders"], in any code location.
            Lineage then leads to that asset, and the source has no asset `raw/<name>` of its own.
        loader: A function that returns the rows, if the store fills the table; by default another system does.

    Raises:
        DefinitionError: a column is missing in the schema or is not a timestamp, the source has neither a timestamp
            nor valid_from, or max_lateness is given without available_at.

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
        max_lateness: timedelta | None = None,
        asset: str | Sequence[str] = (),
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
        table = f"raw.{name}" if table is None else table
        check_table(label, table)
        if (timestamp_field is None) == (valid_from is None):
            raise DefinitionError(
                f"{label}: give either timestamp_field, the column with the time of a row, or, for a table without "
                "times, valid_from, the instant from which all rows count as known."
            )
        types = {column.name: column.type for column in columns}
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
        vars(self).update(
            name=name,
            columns=columns,
            table=table,
            timestamp_field=timestamp_field,
            available_at=available_at,
            valid_from=None if valid_from is None else arguments.instant(label, "valid_from", valid_from),
            description=arguments.text(label, "description", description),
            owner=owner if from_catalogue else arguments.owner_of(label, owner),
            max_lateness=None
            if max_lateness is None
            else arguments.duration(label, "max_lateness", max_lateness, none="no known limit"),
            asset=arguments.asset_key(label, asset) if asset else (),
            loader=None if loader is None else arguments.function(label, "loader", loader),
            schema=schema_class,
            applied_loader=applied_loader,
        )

    @cached_property
    def loader_hash(self) -> str | None:
        """SHA-256 of the loader's code; empty without a loader, None for a source that an old release applied."""
        if self.loader is None:
            return self.applied_loader if self.schema is None else ""
        from amora_fs_assets.domain.identity.code import code_hash

        return code_hash(self.loader)
