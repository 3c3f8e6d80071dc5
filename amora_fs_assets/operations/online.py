"""Serving: entity rows in, the newest feature values and a status for each out. Knows neither Ibis nor Arrow."""

from __future__ import annotations

import math
import operator
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Literal

from amora_fs_assets.domain.errors import InvalidRequest
from amora_fs_assets.domain.feature_service import FeatureService
from amora_fs_assets.domain.feature_view import FeatureViewProjection
from amora_fs_assets.domain.ports import OnlineRow, OnlineStore
from amora_fs_assets.domain.time import utc
from amora_fs_assets.domain.types import DataType

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

Status = Literal["PRESENT", "NULL_VALUE", "NOT_FOUND", "OUTSIDE_MAX_AGE"]
EntityRows = Sequence[Mapping[str, Any]] | Mapping[str, Sequence[Any]]
_EPOCH = utc("1970-01-01")
_MICROSECOND = timedelta(microseconds=1)


@dataclass(frozen=True)
class OnlineResponse:
    """Values and statuses by column, rows as asked for; the join keys come first."""

    columns: Mapping[str, list[Any]]
    statuses: Mapping[str, list[Status]]
    """Of each feature: PRESENT, NULL_VALUE, NOT_FOUND, or OUTSIDE_MAX_AGE (older than the ttl: not given out)."""
    types: Mapping[str, DataType]

    def to_dict(self) -> dict[str, list[Any]]:
        """`{name: [values]}`, join keys first."""
        return dict(self.columns)

    def to_arrow(self) -> pa.Table:
        """The same as an Arrow table, in the catalogue's types, all-null columns too."""
        import pyarrow as pa

        kinds = {
            DataType.INT64: pa.int64(),
            DataType.FLOAT64: pa.float64(),
            DataType.STRING: pa.string(),
            DataType.BOOLEAN: pa.bool_(),
            DataType.BYTES: pa.binary(),
            DataType.DATE: pa.date32(),
            DataType.TIMESTAMP: pa.timestamp("us", tz="UTC"),
            DataType.DECIMAL: pa.decimal128(38, 9),
        }
        arrays = {}
        for name, values in self.columns.items():
            type_ = self.types[name]
            kind = pa.list_(kinds[type_.item]) if type_.is_list else kinds[type_]
            # A NaN among the join keys means null, as pandas has it; among the features it is a value.
            arrays[name] = pa.array(values, kind, from_pandas=name not in self.statuses)
        return pa.table(arrays)

    def to_df(self) -> pd.DataFrame:
        """The same as a data frame; integers and truth values stay such when null."""
        import pandas as pd
        import pyarrow as pa

        kinds = {pa.int64(): pd.Int64Dtype(), pa.bool_(): pd.BooleanDtype()}
        frame: pd.DataFrame = self.to_arrow().to_pandas(types_mapper=kinds.get)
        return frame


def online_features(
    service: FeatureService,
    entity_rows: EntityRows,
    *,
    online: OnlineStore,
    clock: datetime,
    full_feature_names: bool = False,
) -> OnlineResponse:
    """N entity rows in, n values for each feature out, same order, in one round trip.

    Raises InvalidRequest for a missing join key, one of a wrong type, or names that collide, and
    OnlineStoreUnavailable where Redis is out of reach.
    """
    asked = _asked(entity_rows, service)
    keys = [_keys(projection, asked) for projection in service.projections]
    found = online.read([(p.view, k) for p, k in zip(service.projections, keys, strict=True)])
    now = (clock - _EPOCH) // _MICROSECOND
    columns: dict[str, list[Any]] = {key: list(asked[key]) for key in service.join_keys}
    statuses: dict[str, list[Status]] = {}
    types = {
        key: column.type
        for projection in service.projections
        for key, column in zip(projection.join_keys, projection.view.key_columns, strict=True)
    }
    for projection, rows in zip(service.projections, found, strict=True):
        ttl = projection.view.ttl
        oldest = None if ttl is None else now - ttl // _MICROSECOND
        place = {feature.name: i for i, feature in enumerate(projection.view.features)}
        for feature in projection.features:
            name = f"{projection.name}__{feature}" if full_feature_names else feature
            if name in columns:
                raise InvalidRequest(
                    f"Feature '{projection.name}:{feature}' has the name of another column, '{name}'. "
                    "Ask with full_feature_names=True."
                )
            index = place[feature]
            pairs = [_value(row, index, oldest) for row in rows]
            columns[name] = [value for value, _ in pairs]
            statuses[name] = [status for _, status in pairs]
            types[name] = projection.view.features[index].type
    return OnlineResponse(columns, statuses, types)


def _value(row: OnlineRow | None, index: int, oldest: int | None) -> tuple[Any, Status]:
    if row is None:
        return None, "NOT_FOUND"
    if oldest is not None and row.event_timestamp < oldest:
        return None, "OUTSIDE_MAX_AGE"
    value = row.values[index]
    return value, "NULL_VALUE" if value is None else "PRESENT"


def _asked(entity_rows: EntityRows, service: FeatureService) -> dict[str, Sequence[Any]]:
    """The join keys as columns of one length."""
    if isinstance(entity_rows, Mapping):
        columns: dict[str, Sequence[Any]] = {key: list(values) for key, values in entity_rows.items()}
    else:
        rows = list(entity_rows)
        columns = {}
        for key in service.join_keys:
            if any(key not in row for row in rows):
                raise _missing(key, sorted(rows[[key in row for row in rows].index(False)]))
            columns[key] = [row[key] for row in rows]
        if not service.join_keys:  # one answer per row all the same
            columns[""] = [None] * len(rows)
    for key in service.join_keys:
        if key not in columns:
            raise _missing(key, sorted(columns))
    lengths = {len(values) for values in columns.values()}
    if len(lengths) > 1:
        raise InvalidRequest(f"entity_rows: columns of different lengths: { {k: len(v) for k, v in columns.items()} }.")
    return columns


def _missing(key: str, there: list[str]) -> InvalidRequest:
    return InvalidRequest(f"entity_rows lack join key '{key}'. They have: {', '.join(map(repr, there)) or 'nothing'}.")


def _keys(projection: FeatureViewProjection, asked: Mapping[str, Sequence[Any]]) -> list[tuple[Any, ...] | None]:
    """Each row's key; None where a part of it is null."""
    if not projection.join_keys:
        return [() for _ in next(iter(asked.values()), [None])]
    types = [column.type for column in projection.view.key_columns]
    parts = [
        [_key(value, type_, name) for value in asked[name]]
        for name, type_ in zip(projection.join_keys, types, strict=True)
    ]
    return [None if None in key else key for key in zip(*parts, strict=True)]


def _key(value: Any, type_: DataType, name: str) -> int | str | None:
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return None
    if type_ is DataType.STRING and isinstance(value, str):
        return value
    if type_ is DataType.INT64 and not isinstance(value, bool):
        try:
            return operator.index(value)
        except TypeError:
            pass
    raise InvalidRequest(f"Join key '{name}' takes {type_}; {value!r} is {type(value).__name__}.")
