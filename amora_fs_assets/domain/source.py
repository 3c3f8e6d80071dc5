"""Tables that features are made from."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any

from amora_fs_assets.domain.column import Column
from amora_fs_assets.domain.errors import DefinitionError
from amora_fs_assets.domain.names import check_name, check_table
from amora_fs_assets.domain.time import Instant, utc
from amora_fs_assets.domain.types import DataType

if TYPE_CHECKING:
    from amora_fs_assets.domain.schema import SourceSchema

Loader = Callable[[], Any]
"""Fills a source that the project loads itself: no arguments, returns a pyarrow Table of the source's columns."""


@dataclass(frozen=True, init=False)
class Source:
    """A table that transforms read.

    Args:
        name: The source's name: the transform's parameter, and its asset `raw/<name>`.
        schema: Its columns; the table may have more.
        table: Where it is, as `dataset.table`; `raw.<name>` by default.
        timestamp_field: The column that says when a row happened.
        available_at: The column that says when a row could be known; `timestamp_field` by default, and where null.
        valid_from: For a table without time: the instant from which all of its rows count as known.
        description: What a row is; the schema's docstring by default.
        owner: Who answers for it.
        loader: Fills the table, where the project itself does; somebody else does by default.

    Raises:
        DefinitionError: a column that the schema lacks or that is no timestamp, or a table without any time.

    """

    name: str
    columns: tuple[Column, ...]
    table: str
    timestamp_field: str | None
    available_at: str | None
    valid_from: datetime | None
    description: str
    owner: str
    loader: Loader | None = field(compare=False, repr=False)
    schema: type[SourceSchema] | None = field(default=None, compare=False, repr=False)

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
    ) -> None:
        """Read the columns off the schema and check the times against them."""
        check_name("Source", name)
        if isinstance(schema, tuple):
            columns, schema_class = schema, None
        else:
            columns, schema_class = schema.columns_of(f"Source '{name}'"), schema
            description = description or schema.description_of()
        table = table or f"raw.{name}"
        check_table(f"Source '{name}'", table)
        if (timestamp_field is None) == (valid_from is None):
            raise DefinitionError(
                f"Source '{name}': say when its rows happened (timestamp_field), or, for a table without time, "
                "from when on they count as known (valid_from): one of the two."
            )
        types = {column.name: column.type for column in columns}
        for role, column in (("timestamp_field", timestamp_field), ("available_at", available_at)):
            if column is not None and types.get(column) is not DataType.TIMESTAMP:
                raise DefinitionError(
                    f"Source '{name}': {role} '{column}' is not a Timestamp column of its schema. "
                    f"Declare `{column}: Timestamp`."
                )
        vars(self).update(
            name=name,
            columns=columns,
            table=table,
            timestamp_field=timestamp_field,
            available_at=available_at,
            valid_from=None if valid_from is None else utc(valid_from),
            description=description,
            owner=owner,
            loader=loader,
            schema=schema_class,
        )
