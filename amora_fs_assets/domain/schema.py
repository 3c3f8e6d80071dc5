"""Schemas: the type, checks, unit and description of each column. Schemas are Pandera models over Ibis types."""

from __future__ import annotations

import inspect
import json
import math
import typing
from collections.abc import Mapping
from dataclasses import replace
from datetime import date, datetime
from typing import Annotated, Any

import ibis
import ibis.expr.datatypes as dt
import pandera.ibis as pa
from pandera.api.checks import Check
from pandera.engines import ibis_engine

from amora_fs_assets.domain import arguments
from amora_fs_assets.domain.column import Column, Rule
from amora_fs_assets.domain.errors import DefinitionError, UnsupportedType
from amora_fs_assets.domain.ibis_types import IBIS_TYPES, Timestamp, data_type_of
from amora_fs_assets.domain.identity.fingerprint import function_hash
from amora_fs_assets.domain.names import check_column
from amora_fs_assets.domain.rules.checks import is_builtin, keeps
from amora_fs_assets.domain.rules.trial import trial
from amora_fs_assets.domain.types import DataType
from amora_fs_assets.domain.windows.durations import Windows
from amora_fs_assets.domain.windows.fields import WINDOWS, expand


def Field(*arguments: Any, tags: Mapping[str, str] | None = None, **options: Any) -> Any:  # noqa: N802  (a column's)
    """Pandera's Field, and `tags`: labels of the column to search by."""
    if tags is not None:
        options["metadata"] = {**(options.get("metadata") or {}), _TAGS: tags}
    return pa.Field(*arguments, **options)


_TAGS = "amora_fs_tags"
"""The name of the tags in the metadata of Pandera's column."""


class _Schema(pa.DataFrameModel):
    """The common base of the schemas of sources and feature views."""

    def __init_subclass__(cls, *, windows: Windows | None = None, **options: Any) -> None:
        """Let Pandera read the class. Raises DefinitionError for an annotation that is not valid Python."""
        expand(cls, windows)
        try:
            super().__init_subclass__(**options)  # type: ignore[no-untyped-call]
        except Exception as error:
            raise UnsupportedType(f"Schema {cls.__name__}{_unread(cls)}: {error}. {_SUPPORTED}") from error

    @classmethod
    def columns_of(cls, owner: str) -> tuple[Column, ...]:
        """The declared columns, in order. Raises DefinitionError, which names `owner`, the column and the fix."""
        try:
            fields = cls._collect_fields()
        except Exception as error:  # Pandera raises many types of errors for a wrong annotation or Field()
            reason = f"{type(error).__name__}: {error}".rstrip(".")
            raise UnsupportedType(f"{owner}: schema {cls.__name__}{_unread(cls)}: {reason}. {_SUPPORTED}") from error
        for name, (annotation, _) in fields.items():
            _check_annotation(owner, name, annotation.raw_annotation, optional=bool(annotation.optional))
        try:
            schema = cls.to_schema()
        except Exception as error:
            reason = f"{type(error).__name__}: {error}".rstrip(".")
            raise DefinitionError(f"{owner}: Pandera refuses schema {cls.__name__}: {reason}. Fix it.") from error
        columns = []
        for name, column in schema.columns.items():
            check_column(owner, name)
            data_type = _declared_type(getattr(column.dtype, "type", None))
            if data_type is None:
                raise _unsupported(owner, name, fields[name][0].raw_annotation)
            if column.unique or column.regex:
                raise DefinitionError(
                    f"{owner}: column '{name}': unique= and regex= are not supported. The gate always checks that "
                    "keys are unique. Drop the argument."
                )
            words = arguments.text(f"{owner}: column '{name}'", "description", column.description or "")
            tags = arguments.tags_of(f"{owner}: column '{name}'", (column.metadata or {}).get(_TAGS))
            columns.append(Column(name, data_type, bool(column.nullable), words, tags=tags))
        table = ibis.table({column.name: IBIS_TYPES[column.type] for column in columns}, name="rows")
        columns = [
            replace(column, rules=tuple(_rule(owner, table, column.name, check, cls) for check in checks.checks))
            for column, checks in zip(columns, schema.columns.values(), strict=True)
        ]
        for check in schema.checks:
            _rule(owner, table, None, check, cls)
        lower = [column.name.lower() for column in columns]
        for column in columns:
            if lower.count(column.name.lower()) > 1:
                raise DefinitionError(f"{owner}: two columns '{column.name}' differ only in case. Rename one.")
        return tuple(columns)

    @classmethod
    def windows_of(cls) -> Windows | None:
        """The windows of the schema's Windowed features."""
        return getattr(cls, WINDOWS, None)

    @classmethod
    def description_of(cls) -> str:
        """The docstring of the schema, on one line."""
        return " ".join((cls.__doc__ or "").split()) if "__doc__" in vars(cls) else ""


class SourceSchema(_Schema):
    """The columns of a source that transforms can read."""


class FeatureSchema(_Schema):
    """The columns of a feature view: the join keys of the entities, and the features.

    `event_timestamp`, the instant from which the values of a row hold, is always there and is not declared. Declare
    `created_timestamp: Timestamp` if values become known later than event_timestamp.
    """

    event_timestamp: Timestamp


_SUPPORTED = (
    "Use int, float, str, bool, bytes, datetime.date, Timestamp, a list of one of these, dt.Decimal(38, 9), "
    "datetime.time, uuid.UUID, dt.json, dict[str, ...] (a map), dt.Struct({'a': 'int64'}), or dt.Array of a struct."
)


def _unsupported(owner: str, column: str, annotation: object) -> UnsupportedType:
    return UnsupportedType(f"{owner}: column '{column}' has the unsupported type {annotation}. {_SUPPORTED}")


def _check_annotation(owner: str, column: str, annotation: Any, *, optional: bool) -> None:
    """Refuse an annotation that Pandera misreads, such as `set[int]` as int, or refuses without a name."""
    if optional:
        raise DefinitionError(
            f"{owner}: column '{column}' is annotated Optional, which Pandera reads as a column that may be "
            f"absent. For nulls write `{column}: <type> = Field(nullable=True)`."
        )
    origin, inner = typing.get_origin(annotation), typing.get_args(annotation)
    wrapped = origin is Annotated or str(getattr(origin, "__module__", "")).startswith("pandera.typing")
    if wrapped and typing.get_origin(inner[0]) is None:
        return  # a type with parameters, such as Timestamp
    try:
        if origin in {None, list, dict} and getattr(ibis_engine.Engine.dtype(annotation), "type", None) is not None:
            return
    except (TypeError, ValueError) as error:
        raise _unsupported(owner, column, annotation) from error
    raise _unsupported(owner, column, annotation)


def _declared_type(type_: Any) -> DataType | None:
    return data_type_of(type_) if isinstance(type_, dt.DataType) else None


def _unread(schema: type[pa.DataFrameModel]) -> str:
    """The column whose annotation cannot be read, as text for a message."""
    for name, written in vars(schema).get("__annotations__", {}).items():
        alone = type(name, (), {"__annotations__": {name: written}, "__module__": schema.__module__})
        try:
            typing.get_type_hints(alone)
        except Exception:  # noqa: BLE001  (the caller reports the error)
            return f", column '{name}'"
    return ""


_TRIED: set[tuple[str, str, dt.DataType]] = set()
"""Pandera's built-in checks that an engine can run, by column type. Cached, since one trial takes 0.5 ms."""


def _rule(owner: str, table: ibis.Table, column: str | None, check: Check, schema: type[pa.DataFrameModel]) -> Rule:
    where = f"{owner}: column '{column}'" if column else owner
    own_check = not is_builtin(check)
    tried = (str(check.name), repr(check.statistics), table[column].type()) if column and not own_check else None
    try:
        if tried not in _TRIED:
            kept = keeps(check, table, column)
            if tried:
                _TRIED.add(tried)
            else:
                trial(table.select(kept=kept))
    except Exception as error:
        hint = " Write it as an Ibis expression: `return data.table[data.key] > 0`." if own_check else ""
        reason = str(error).strip().rstrip(".")
        raise DefinitionError(f"{where}: the engines cannot run check '{check.name}': {reason}.{hint}") from error
    given = {name: _plain(value) for name, value in (check.statistics or {}).items()}
    if own_check:
        user_check = inspect.getattr_static(schema, str(check.name), None)
        user_check = getattr(user_check, "__func__", user_check) or check._check_fn
        given["code"] = function_hash(user_check)[:12] if inspect.isfunction(user_check) else repr(user_check)
    try:
        json.dumps(given, allow_nan=False, ensure_ascii=False).encode()
    except ValueError as error:
        raise DefinitionError(
            f"{where}: check '{check.name}' has an argument that cannot be stored: {error}. Give "
            "text without half surrogate pairs."
        ) from error
    return Rule(str(check.name), given)


def _plain(value: Any) -> Any:
    match value:
        case float() if not math.isfinite(value):
            return repr(value)  # JSON has no such number
        case None | bool() | int() | float() | str():
            return value
        case list() | tuple() | set() | frozenset():
            items = [_plain(item) for item in value]
            return sorted(items, key=repr) if isinstance(value, set | frozenset) else items
        case datetime() | date():
            return value.isoformat()
        case _:
            return repr(value)
