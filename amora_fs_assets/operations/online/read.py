"""Serving: for entity rows, the newest feature values and a status for each. Imports neither Ibis nor Arrow."""

from __future__ import annotations

import operator
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import cached_property
from itertools import groupby
from typing import TYPE_CHECKING, Any, Literal, Protocol

from amora_fs_assets.domain import callers
from amora_fs_assets.domain.arrow import arrow_type, arrow_values
from amora_fs_assets.domain.errors import InvalidRequest, OnlineStoreError
from amora_fs_assets.domain.feature_service import FeatureService
from amora_fs_assets.domain.feature_view import FeatureView
from amora_fs_assets.domain.names import VALID_TO
from amora_fs_assets.domain.ports.online import NEVER, OnlineRequest, OnlineRows
from amora_fs_assets.domain.projection import FeatureViewProjection
from amora_fs_assets.domain.time import EPOCH, MICROSECOND, from_microseconds
from amora_fs_assets.domain.types import DataType
from amora_fs_assets.operations.online.entity_keys import EntityColumns, EntityRows, checked_keys, key_columns
from amora_fs_assets.operations.online.json_keys import JsonEntities

if TYPE_CHECKING:
    import os

    import pandas as pd
    import polars as pl
    import pyarrow as pa

Status = Literal["PRESENT", "NULL_VALUE", "NOT_FOUND", "OUTSIDE_MAX_AGE"]


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
        if not callers.flag("include_event_timestamps", include_event_timestamps):
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
                name: pa.array(
                    arrow_values(types[name], values), arrow_type(types[name]), from_pandas=name not in self.statuses
                )
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
        self,
        service: FeatureService,
        *,
        full_feature_names: bool = False,
        references: Sequence[str] = (),
        writer: Writer | None = None,
    ) -> None:
        """The order of the features is that of `references` ("view:feature"), if given; otherwise the service's.

        `writer` is for the responses. Raises InvalidRequest for names that collide.
        """
        self._writer = writer
        self._keys: dict[str, DataType] = {}
        self._parts: list[_Part] = []
        types: dict[str, DataType] = {}
        for projection in service.projections:
            for name, column in zip(projection.join_keys, projection.view.key_columns, strict=True):
                self._keys[name] = types[name] = column.type
        for projection in _in_order(service, references):
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
        json = isinstance(entity_rows, JsonEntities)
        if isinstance(entity_rows, JsonEntities) and not self._keys.keys() <= entity_rows.keys():
            entity_rows = self._with_keys(entity_rows)
        given, count = key_columns(entity_rows, self._keys)
        keys = {name: checked_keys(name, given[name], type_, json=json) for name, type_ in self._keys.items()}
        return given, [OnlineRequest(p.view, [keys[name] for name in p.join_keys], count) for p in self._parts]

    def _with_keys(self, entities: JsonEntities) -> JsonEntities:
        """The entities, with values under an entity's name also for its missing join key: Feast takes both names."""
        named = {e.join_keys[0]: e.name for part in self._parts for e in part.view.entities if len(e.join_keys) == 1}
        more = {key: entities[name] for key, name in named.items() if name in entities and name not in self._keys}
        return JsonEntities({**more, **entities})

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


def _in_order(service: FeatureService, references: Sequence[str]) -> Sequence[FeatureViewProjection]:
    """The service's projections; one for each run of references to the same view, if references alternate."""
    views = {projection.view.name: projection for projection in service.projections}
    unique = [reference.partition(":") for reference in dict.fromkeys(references)]
    runs = [(view, tuple(f for _, _, f in run)) for view, run in groupby(unique, key=operator.itemgetter(0))]
    return [views[view][features] for view, features in runs] if len(runs) > len(views) else service.projections


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

        A feature that was added after the load is NOT_FOUND, without a time; so are all features of a row that ended.
        """
        if self.view.has_valid_to:
            rows = _not_ended(rows, now)
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


def _not_ended(rows: OnlineRows, now: int) -> OnlineRows:
    """The rows, of which those whose valid_to has come are missing."""
    clock = from_microseconds(now)
    ended = [end is not None and end <= clock for end in rows.columns[VALID_TO]]
    if not any(ended):
        return rows
    times = [NEVER if over else time for time, over in zip(rows.event_timestamps, ended, strict=True)]
    return replace(rows, event_timestamps=times, complete=False)
