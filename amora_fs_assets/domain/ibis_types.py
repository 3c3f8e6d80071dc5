"""The Ibis type of each column type, and the types that Pandera's Ibis engine lacks."""

from __future__ import annotations

import types
import uuid
from datetime import date
from typing import Annotated, Any

import ibis.expr.datatypes as dt
from pandera.dtypes import immutable
from pandera.engines import ibis_engine

from amora_fs_assets.domain.types import DataType

_UTC = dt.Timestamp("UTC", 6)
Timestamp = Annotated[dt.Timestamp, "UTC", 6, True]
"""The type of every timestamp column: UTC, microseconds."""


class _IbisTypes(dict[DataType, dt.DataType]):
    """The Ibis types by column type; those of types with parts are made when they are asked for."""

    def __missing__(self, type_: DataType) -> dt.DataType:
        if type_.is_list:
            made: dt.DataType = dt.Array(self[type_.item])
        elif type_.is_map:
            made = dt.Array(dt.Struct({"key": dt.string, "value": self[type_.fields["value"]]}))
        elif type_.is_struct:
            made = dt.Struct({name: self[field] for name, field in type_.fields.items()})
        else:
            raise KeyError(type_)
        return self.setdefault(type_, made)


IBIS_TYPES: dict[DataType, dt.DataType] = _IbisTypes({
    DataType.INT64: dt.int64,
    DataType.FLOAT64: dt.float64,
    DataType.STRING: dt.string,
    DataType.BOOLEAN: dt.boolean,
    DataType.BYTES: dt.binary,
    DataType.DATE: dt.date,
    DataType.TIMESTAMP: _UTC,
    DataType.DECIMAL: dt.Decimal(38, 9),
    DataType.TIME: dt.time,
    DataType.UUID: dt.string,
    DataType.JSON: dt.string,
})  # fmt: skip
"""The Ibis type of each column type. UUIDs and JSON are text in every store, in which both engines agree."""

_DATA_TYPES = {IBIS_TYPES[each]: each for each in DataType if each not in (DataType.UUID, DataType.JSON)}


def nullable(type_: dt.DataType) -> dt.DataType:
    """The type with nulls at every level. Declared types are so, and engines tell nullability differently."""
    if type_.is_struct():
        return dt.Struct({name: nullable(field) for name, field in type_.items()})
    if type_.is_array():
        return dt.Array(nullable(type_.value_type))
    if type_.is_map():
        return dt.Map(nullable(type_.key_type), nullable(type_.value_type))
    return type_.copy(nullable=True)


def data_type_of(type_: dt.DataType) -> DataType | None:
    """The column type of an Ibis type: of a stored one, or of an annotation. None for an unsupported type.

    A list of structs of a text `key` and a `value` is a map, since maps are stored so.
    """
    type_ = type_.copy(nullable=True)
    if type_.is_uuid():
        return DataType.UUID
    if type_.is_json():
        return DataType.JSON
    try:
        if type_.is_map():
            value = data_type_of(type_.value_type)
            return DataType.map_of(value) if value and type_.key_type.is_string() else None
        if type_.is_struct():
            fields = {name: data_type_of(field) for name, field in type_.items()}
            known = {name: field for name, field in fields.items() if field is not None}
            return DataType.struct_of(known) if known and len(known) == len(fields) else None
        if type_.is_array() and type_.value_type.is_struct():
            item = type_.value_type
            if list(item.names) == ["key", "value"] and item["key"].is_string():
                value = data_type_of(item["value"])
                return DataType.map_of(value) if value else None
        if type_.is_array():
            found = data_type_of(type_.value_type)
            return DataType.list_of(found) if found else None
    except ValueError:
        return None
    if type_.is_timestamp() and type_.timezone == "UTC":
        return DataType.TIMESTAMP
    return _DATA_TYPES.get(type_)


def _register_lists() -> None:
    """Register lists and maps with Pandera's Ibis engine, which otherwise reads a list as the type of its items."""
    items: dict[DataType, Any] = {
        DataType.INT64: int,
        DataType.FLOAT64: float,
        DataType.STRING: str,
        DataType.BOOLEAN: bool,
        DataType.BYTES: bytes,
        DataType.DATE: date,
        DataType.TIMESTAMP: Timestamp,
    }
    for each, item in items.items():
        a_list, a_map = dt.Array(IBIS_TYPES[each]), dt.Map(dt.string, IBIS_TYPES[each])
        _box(f"List{each.name.title()}", a_list, types.GenericAlias(list, (item,)), a_list)
        _box(f"Map{each.name.title()}", a_map, types.GenericAlias(dict, (str, item)))


def _box(name: str, type_: dt.DataType, *annotations: Any) -> None:
    boxed = immutable(type(name, (ibis_engine.DataType,), {"type": type_, "__init__": _no_init}))
    ibis_engine.Engine.register_dtype(boxed, equivalents=list(annotations))


def _no_init(self: ibis_engine.DataType) -> None:
    """Replace the initializer of the base class, which warns about types of other classes."""


_register_lists()


@ibis_engine.Engine.register_dtype(equivalents=[uuid.UUID, dt.UUID, dt.uuid])
@immutable
class _Uuid(ibis_engine.DataType):
    """UUIDs in Pandera's Ibis engine, which lacks them."""

    type = dt.uuid
    __init__ = _no_init


@ibis_engine.Engine.register_dtype(equivalents=[dt.JSON, dt.json])
@immutable
class _Json(ibis_engine.DataType):
    """JSON in Pandera's Ibis engine, which lacks it."""

    type = dt.json
    __init__ = _no_init


@ibis_engine.Engine.register_dtype
@immutable(init=True)
class _Nested(ibis_engine.DataType):
    """Structs, maps and lists of structs in Pandera's Ibis engine."""

    type: Any = None

    def __init__(self, type_: dt.DataType | None = None) -> None:
        object.__setattr__(self, "type", type_)

    @classmethod
    def from_parametrized_dtype(cls, type_: dt.Struct | dt.Map | dt.Array) -> Any:
        return cls(type_)
