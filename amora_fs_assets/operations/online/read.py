"""Serving: for entity rows, the newest feature values and a status for each. Imports neither Ibis nor Arrow."""

from __future__ import annotations

import math
import operator
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from itertools import groupby
from typing import TYPE_CHECKING, Any, Literal, Protocol

from amora_fs_assets.domain.arrow import arrow_table, arrow_type, is_arrow
from amora_fs_assets.domain.callers import refused
from amora_fs_assets.domain.errors import InvalidRequest, OnlineStoreError, shown
from amora_fs_assets.domain.feature_service import FeatureService
from amora_fs_assets.domain.feature_view import FeatureView
from amora_fs_assets.domain.ports.online import NEVER, OnlineRequest, OnlineRows
from amora_fs_assets.domain.projection import FeatureViewProjection
from amora_fs_assets.domain.time import EPOCH, MICROSECOND, from_microseconds
from amora_fs_assets.domain.types import DataType

if TYPE_CHECKING:
    import os

    import pandas as pd
    import polars as pl
    import pyarrow as pa

Status = Literal["PRESENT", "NULL_VALUE", "NOT_FOUND", "OUTSIDE_MAX_AGE"]
EntityRows = Sequence[Mapping[str, Any]] | Mapping[str, Sequence[Any]]
EntityColumns = dict[str, list[Any]]
"""The caller's join keys by column."""
_PYTHON = {DataType.INT64: int, DataType.STRING: str}
_NOTHING = type(None)
_NULLS = {"NAType", "NaTType"}  # pandas' types, by name, since pandas is not imported


@dataclass(slots=True)
class ViewAnswer:
    """The part of an answer that comes from one view."""

    view: str
    names: Sequence[str]
    """The names of the view's features in the answer."""
    event_timestamps: Sequence[int]
    """The event_timestamps of the view's rows, in microseconds since 1970; NEVER for a missing row."""
    complete: bool
    """Whether every value is PRESENT."""


@dataclass
class OnlineResponse:
    """Values and statuses by column, in the order of the request's rows; the join keys come first."""

    columns: Mapping[str, list[Any]]
    statuses: Mapping[str, list[Status]]
    """By feature: PRESENT, NULL_VALUE, NOT_FOUND, or OUTSIDE_MAX_AGE (older than the ttl; the value is withheld)."""
    types: Mapping[str, DataType]
    views: Sequence[ViewAnswer]
    writer: Writer | None = field(default=None, repr=False, compare=False)

    @cached_property
    def event_timestamps(self) -> dict[str, list[datetime | None]]:
        """By feature, the event_timestamp (UTC) of each value; None for a missing row."""
        return {
            name: [None if t == NEVER else from_microseconds(t) for t in each.event_timestamps]
            for each in self.views
            for name in each.names
        }

    def to_dict(self, include_event_timestamps: bool = False) -> dict[str, list[Any]]:  # noqa: FBT001, FBT002
        """The values as `{name: [values]}`, join keys first.

        With `include_event_timestamps`, each feature is followed by `<feature>__ts`: the event_timestamps (UTC) of its
        values, None for a missing row.
        """
        if not include_event_timestamps:
            return dict(self.columns)
        columns: dict[str, list[Any]] = {}
        for name, values in self.columns.items():
            columns[name] = values
            if name in self.statuses:
                stamped = self._stamp(name)
                columns[stamped] = self.event_timestamps[name]
        return columns

    def _stamp(self, feature: str) -> str:
        """The column with the feature's event_timestamps. Raises InvalidRequest if a column has that name."""
        name = f"{feature}__ts"
        if name in self.columns:
            raise InvalidRequest(
                f"include_event_timestamps: there is a column '{name}' already. Use full_feature_names."
            )
        return name

    def to_arrow(self, include_event_timestamps: bool = False) -> pa.Table:  # noqa: FBT001, FBT002
        """The values as an Arrow table with the catalogue's types. `include_event_timestamps` is as in `to_dict`."""
        import pyarrow as pa

        columns = self.to_dict(include_event_timestamps)
        types = {name: self.types.get(name, DataType.TIMESTAMP) for name in columns}
        # pandas writes a null join key as NaN. A NaN feature is a value.
        return pa.table(
            {
                name: pa.array(values, arrow_type(types[name]), from_pandas=name not in self.statuses)
                for name, values in columns.items()
            }
        )

    def to_df(self, include_event_timestamps: bool = False) -> pd.DataFrame:  # noqa: FBT001, FBT002
        """The values as a pandas DataFrame. Integers and booleans with nulls get nullable types."""
        from amora_fs_assets.operations.frames import to_pandas

        return to_pandas(self.to_arrow(include_event_timestamps))

    def to_polars(self, include_event_timestamps: bool = False) -> pl.DataFrame:  # noqa: FBT001, FBT002
        """The values as a polars DataFrame. Raises InvalidRequest if polars is not installed."""
        from amora_fs_assets.operations.frames import to_polars

        return to_polars(self.to_arrow(include_event_timestamps))

    def to_table(self, name: str, include_event_timestamps: bool = False) -> int:  # noqa: FBT001, FBT002
        """Write the values to the table `dataset.table` of the offline store, and return the number of rows.

        Replaces an earlier `to_table` result. Raises OfflineStoreError, with nothing written, for a table of a
        definition, an internal table of the store, or a table that another writer filled.
        """
        return self._writer.to_table(self.to_arrow(include_event_timestamps), name)

    def to_parquet(self, path: str | os.PathLike[str], include_event_timestamps: bool = False) -> int:  # noqa: FBT001, FBT002
        """Write the values to a Parquet file, and return the number of rows. `path` is local, or `gs://bucket/object`.

        Raises InvalidRequest for a path that cannot be written, OfflineStoreError if Cloud Storage refuses.
        """
        return self._writer.to_parquet(self.to_arrow(include_event_timestamps), path)

    @property
    def _writer(self) -> Writer:
        if self.writer is None:
            raise InvalidRequest("This response was made without a FeatureStore, so it cannot be written.")
        return self.writer


class Writer(Protocol):
    """Writes the rows of a response."""

    def to_table(self, rows: pa.Table, name: str) -> int:
        """Write the rows to the table, and return their number."""

    def to_parquet(self, rows: pa.Table, path: str | os.PathLike[str]) -> int:
        """Write the rows to the file, and return their number."""


class OnlineReader:
    """The plan for reading a service's features: made once, used for every request."""

    def __init__(
        self, service: FeatureService, *, full_feature_names: bool = False, writer: Writer | None = None
    ) -> None:
        """Raise InvalidRequest for names that collide. `writer` is for the responses."""
        self._writer = writer
        self._keys: dict[str, DataType] = {}
        self._parts: list[_Part] = []
        types: dict[str, DataType] = {}
        for projection in service.projections:
            for name, column in zip(projection.join_keys, projection.view.key_columns, strict=True):
                self._keys[name] = types[name] = column.type
        for projection in service.projections:
            part = _Part(projection, full_feature_names)
            for name, feature in zip(part.names, projection.columns, strict=True):
                if name in types:
                    raise InvalidRequest(
                        f"Feature '{projection.name}:{feature.name}' has the name of another column, '{name}'. "
                        "Use full_feature_names=True."
                    )
                types[name] = feature.type
            self._parts.append(part)
        self._types = types

    def requests(self, entity_rows: EntityRows) -> tuple[EntityColumns, list[OnlineRequest]]:
        """The entities' join keys and the reads. Raises InvalidRequest for a missing or wrongly typed join key."""
        given, count = _key_columns(entity_rows, self._keys)
        keys = {name: _checked(name, given[name], type_) for name, type_ in self._keys.items()}
        return given, [OnlineRequest(p.view, [keys[name] for name in p.join_keys], count) for p in self._parts]

    def response(self, given: EntityColumns, found: Sequence[OnlineRows], clock: datetime) -> OnlineResponse:
        """The answer for rows that were read. A value is too old if its ttl ended before `clock`.

        Raises OnlineStoreError.
        """
        now = (clock - EPOCH) // MICROSECOND
        columns: dict[str, list[Any]] = {name: given[name] for name in self._keys}
        statuses: dict[str, list[Status]] = {}
        views = [
            answer
            for part, rows in zip(self._parts, found, strict=True)
            for answer in part.answers(rows, now, columns, statuses)
        ]
        return OnlineResponse(columns, statuses, self._types, views, self._writer)


class _Part:
    """The part of a plan that reads one view."""

    def __init__(self, projection: FeatureViewProjection, full_feature_names: bool) -> None:  # noqa: FBT001
        self.view: FeatureView = projection.view
        self.join_keys = projection.join_keys
        self.features = projection.features
        self.names = [f"{projection.name}__{f}" if full_feature_names else f for f in projection.features]
        self._ttl = None if projection.view.ttl is None else projection.view.ttl // MICROSECOND

    def answers(
        self, rows: OnlineRows, now: int, columns: dict[str, list[Any]], statuses: dict[str, list[Status]]
    ) -> list[ViewAnswer]:
        """Add the features' values and statuses to `columns` and `statuses`; describe them.

        A feature that was added after the load is NOT_FOUND, without a time.
        """
        times = rows.event_timestamps
        complete = self._answer(rows, now, columns, statuses)
        if rows.added.isdisjoint(self.features):
            return [ViewAnswer(self.view.name, self.names, times, complete)]
        answers = []
        for added, pairs in groupby(zip(self.features, self.names, strict=True), lambda pair: pair[0] in rows.added):
            names = [name for _, name in pairs]
            if added:
                statuses.update({name: ["NOT_FOUND"] * len(times) for name in names})
            row_times = [NEVER] * len(times) if added else times
            answers.append(ViewAnswer(self.view.name, names, row_times, complete and not added))
        return answers

    def _answer(
        self, rows: OnlineRows, now: int, columns: dict[str, list[Any]], statuses: dict[str, list[Status]]
    ) -> bool:
        """Add the features' values and statuses to `columns` and `statuses`; return whether all are PRESENT."""
        times = rows.event_timestamps
        oldest = NEVER + 1 if self._ttl is None else now - self._ttl
        try:
            values = [rows.columns[feature] for feature in self.features]
        except KeyError as error:
            raise OnlineStoreError(
                f"{self.view}: feature {error} is in the registry but not online yet. "
                "Compute the view and run `amora-fs materialize-incremental`."
            ) from None
        if rows.complete and (self._ttl is None or not times or min(times) >= oldest):
            present: list[Status] = ["PRESENT"]
            count = len(times)
            columns.update(zip(self.names, values, strict=True))
            statuses.update([(name, present * count) for name in self.names])
            return True
        absent: list[Status | None] = [
            None if time >= oldest else "NOT_FOUND" if time == NEVER else "OUTSIDE_MAX_AGE" for time in times
        ]
        for name, column in zip(self.names, values, strict=True):
            columns[name] = [None if why else value for value, why in zip(column, absent, strict=True)]
            statuses[name] = [
                why or ("NULL_VALUE" if value is None else "PRESENT") for value, why in zip(column, absent, strict=True)
            ]
        return False


def _key_columns(entity_rows: Any, keys: Mapping[str, DataType]) -> tuple[EntityColumns, int]:
    """The join keys as columns of equal length, and this length."""
    if isinstance(entity_rows, Mapping):
        columns: dict[str, list[Any]] = {name: _column(name, values) for name, values in entity_rows.items()}
    elif (frame := _frame(entity_rows)) is not None:
        columns = frame
    elif isinstance(entity_rows, str | bytes):
        raise _no_rows(entity_rows)
    else:
        rows: list[Any] = []
        try:
            rows += entity_rows
            return {key: [row[key] for row in rows] for key in keys}, len(rows)
        except KeyError as error:
            key = error.args[0] if error.args else None
            lacking = next((row for row in rows if isinstance(row, Mapping) and key not in row), {})
            raise _missing(key, list(lacking)) from None
        except Exception:
            if rows and all(isinstance(row, Mapping) for row in rows):
                raise
            raise _no_rows(entity_rows) from None
    for key in keys:
        if key not in columns:
            raise _missing(key, list(columns))
    lengths = {len(values) for values in columns.values()}
    if len(lengths) > 1:
        raise InvalidRequest(f"entity_rows: columns of different lengths: { {k: len(v) for k, v in columns.items()} }.")
    return columns, lengths.pop() if lengths else 1


def _frame(entity_rows: Any) -> dict[str, list[Any]] | None:
    """The columns of a DataFrame or an Arrow table; None for another object."""
    if hasattr(entity_rows, "columns") and hasattr(entity_rows, "iloc"):  # pandas
        names = list(map(str, entity_rows.columns))
    else:
        if not hasattr(entity_rows, "to_pydict") and is_arrow(entity_rows):  # polars and others
            entity_rows = arrow_table(entity_rows)
        if not hasattr(entity_rows, "to_pydict"):
            return None
        names = entity_rows.schema.names
    twice = next((name for place, name in enumerate(names) if name in names[:place]), None)
    if twice is not None:
        raise InvalidRequest(f"entity_rows have two columns '{twice}'. Rename or drop one.")
    found: dict[str, list[Any]]
    found = entity_rows.to_pydict() if hasattr(entity_rows, "to_pydict") else entity_rows.to_dict("list")
    return found


def _no_rows(entity_rows: object) -> InvalidRequest:
    return InvalidRequest(
        f"entity_rows is {type(entity_rows).__name__}; give a list of dicts, a dict of columns, a DataFrame or an "
        "Arrow table."
    )


def _column(name: str, values: Any) -> list[Any]:
    if isinstance(values, str | bytes) or not hasattr(values, "__iter__"):
        raise refused(f"entity_rows: column '{name}'", values, "a list of values, one per entity")
    return list(values.to_pylist() if hasattr(values, "to_pylist") else values)


def _missing(key: object, names: list[Any]) -> InvalidRequest:
    have = ", ".join(sorted(map(repr, names))) or "nothing"
    return InvalidRequest(f"entity_rows lack join key '{key}'. They have: {have}.")


def _checked(name: str, values: list[Any], type_: DataType) -> list[Any]:
    """The values converted to the join key's type; None for null."""
    if set(map(type, values)) <= {_PYTHON[type_], _NOTHING}:
        keys = values
    else:
        keys = [_key(value, type_, name) for value in values]
    if type_ is DataType.INT64:
        wide = [key for key in keys if key is not None and not -(2**63) <= key < 2**63] if keys else []
        if wide:
            raise InvalidRequest(f"Join key '{name}' takes int64; {wide[0]} does not fit into 64 bits.")
    return keys


def _key(value: Any, type_: DataType, name: str) -> int | str | None:
    """A value converted without loss: a NumPy scalar, an integral float."""
    if value is None or type(value).__name__ in _NULLS or (isinstance(value, float) and math.isnan(value)):
        return None
    if type_ is DataType.STRING and isinstance(value, str):
        return str(value)
    if type_ is DataType.INT64 and not isinstance(value, bool):
        if isinstance(value, float) and value.is_integer() and abs(value) < 2**53:
            return int(value)
        try:
            return operator.index(value)
        except TypeError:
            pass
    raise InvalidRequest(f"Join key '{name}' takes {type_}; {shown(value)} is {type(value).__name__}.")
