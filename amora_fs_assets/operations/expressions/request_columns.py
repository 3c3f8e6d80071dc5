"""The columns of entity rows that on-demand features read, in the types that the features declare."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import ibis.expr.datatypes as dt
import pyarrow as pa
from ibis.expr.types import Table, Value

from amora_fs_assets.domain.arrow import arrow_type
from amora_fs_assets.domain.errors import InvalidRequest
from amora_fs_assets.domain.feature_service import FeatureService
from amora_fs_assets.domain.ibis_types import IBIS_TYPES
from amora_fs_assets.domain.types import DataType


def check_request(spine: Table, service: FeatureService) -> None:
    """Raise InvalidRequest unless the spine has the request columns of the service, with fitting types."""
    for name, type_ in service.request.items():
        if name not in spine.columns:
            raise InvalidRequest(
                f"The entity rows have no column '{name}', a column of the request that on-demand features read. "
                f"Columns: {list(spine.columns)}."
            )
        given = spine[name].type()
        if not given.is_null() and not _fits(given, type_):
            raise _wrong(name, given, type_)


def request_value(value: Value, type_: DataType) -> Value:
    """A column of the spine in the declared type. NaN is null, since pandas writes nulls as NaN."""
    if value.type() != IBIS_TYPES[type_]:
        value = value.cast(IBIS_TYPES[type_])
    return value.isnan().ifelse(None, value) if type_ is DataType.FLOAT64 else value


def request_array(values: pa.ChunkedArray, name: str, type_: DataType) -> pa.ChunkedArray:
    """A column of a caller's frame in the declared type. Raises InvalidRequest for a value that would change."""
    if not pa.types.is_null(values.type):
        try:
            given = dt.DataType.from_pyarrow(values.type)
        except (KeyError, NotImplementedError, TypeError):
            raise _wrong(name, values.type, type_) from None
        # pandas has floats for integers with nulls.
        if not _fits(given, type_) and not (type_ is DataType.INT64 and given.is_floating()):
            raise _wrong(name, given, type_)
    try:
        return values.cast(arrow_type(type_))
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        raise InvalidRequest(f"entity_df: column '{name}' is not {type_}: {error}. Convert it.") from error


def _wrong(name: str, given: Any, type_: DataType) -> InvalidRequest:
    return InvalidRequest(
        f"Column '{name}' of the entity rows is {given}; on-demand features need {type_}. Convert it."
    )


def _fits(given: dt.DataType, type_: DataType) -> bool:
    """Whether every value of a type can be converted to the declared type."""
    if type_.is_list:
        return given.is_array() and _fits(given.value_type, type_.item)
    kind = _KINDS.get(type_)
    return kind(given) if kind is not None else given == IBIS_TYPES[type_]


_KINDS: Mapping[DataType, Callable[[dt.DataType], bool]] = {
    DataType.INT64: lambda given: given.is_integer(),
    DataType.FLOAT64: lambda given: given.is_numeric() and not given.is_boolean(),
    DataType.DECIMAL: lambda given: given.is_integer() or given.is_decimal(),
    DataType.STRING: lambda given: given.is_string(),
    DataType.DATE: lambda given: given.is_date(),
    DataType.TIMESTAMP: lambda given: given.is_timestamp() or given.is_date(),
}
"""The accepted types, for types that other types fit into."""
