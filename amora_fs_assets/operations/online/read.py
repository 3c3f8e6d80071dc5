"""Serving: for entity rows, the newest feature values and a status for each. Imports neither Ibis nor Arrow."""

from __future__ import annotations

import operator
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from itertools import groupby
from typing import TYPE_CHECKING, Any, Protocol

from amora_fs_assets.domain import callers
from amora_fs_assets.domain.arrow import arrow_type, arrow_values
from amora_fs_assets.domain.errors import InvalidRequest
from amora_fs_assets.domain.feature_service import FeatureService
from amora_fs_assets.domain.ports.online import NEVER, OnlineRequest, OnlineRows
from amora_fs_assets.domain.projection import FeatureViewProjection
from amora_fs_assets.domain.time import EPOCH, MICROSECOND, from_microseconds
from amora_fs_assets.domain.types import DataType
from amora_fs_assets.operations.online.entity_keys import Entities, EntityRows, entities_of
from amora_fs_assets.operations.online.json_keys import JsonEntities
from amora_fs_assets.operations.online.on_demand import OnDemandReader
from amora_fs_assets.operations.online.part import Part, Status, ViewAnswer

if TYPE_CHECKING:
    import os

    import pandas as pd
    import polars as pl
    import pyarrow as pa


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
        self._parts: list[Part] = []
        types: dict[str, DataType] = {}
        for projection in service.reads:
            for name, column in zip(projection.join_keys, projection.view.key_columns, strict=True):
                self._keys[name] = types[name] = column.type
        for projection in _in_order(service, references):
            part = Part(projection, full_feature_names=full_feature_names)
            for name, feature in zip(part.names, projection.columns, strict=True):
                if name in types:
                    raise _taken(f"{projection.name}:{feature.name}", name)
                types[name] = feature.type
            self._parts.append(part)
        self._types = types
        self._request = service.request
        self._reads: Sequence[Part] = self._parts
        self._on_demand: OnDemandReader | None = None
        if service.on_demand:
            self._on_demand = OnDemandReader(service, self._parts, full_feature_names=full_feature_names)
            self._add_types(self._on_demand)
            self._reads = [*self._parts, *self._on_demand.more]

    def _add_types(self, computed: OnDemandReader) -> None:
        for name, reference, type_ in computed.features:
            if name in self._types:
                raise _taken(reference, name)
            self._types[name] = type_

    def requests(self, entity_rows: EntityRows) -> tuple[Entities, list[OnlineRequest]]:
        """The entities and the reads. Raises InvalidRequest for a missing column or a value of another type."""
        json = isinstance(entity_rows, JsonEntities)
        if isinstance(entity_rows, JsonEntities) and not self._keys.keys() <= entity_rows.keys():
            entity_rows = self._with_keys(entity_rows)
        entities = entities_of(entity_rows, self._keys, self._request, json=json)
        keys, count = entities.keys, entities.count
        return entities, [OnlineRequest(p.view, [keys[name] for name in p.join_keys], count) for p in self._reads]

    def _with_keys(self, entities: JsonEntities) -> JsonEntities:
        """The entities, with values under an entity's name also for its missing join key: Feast takes both names."""
        named = {e.join_keys[0]: e.name for part in self._reads for e in part.view.entities if len(e.join_keys) == 1}
        more = {key: entities[name] for key, name in named.items() if name in entities and name not in self._keys}
        return JsonEntities({**more, **entities})

    def response(self, entities: Entities, found: Sequence[OnlineRows], clock: datetime) -> OnlineResponse:
        """The answer for rows that were read. A value is too old if its ttl ended before `clock`.

        Raises OnlineStoreError.
        """
        now = (clock - EPOCH) // MICROSECOND
        columns: dict[str, list[Any]] = {name: entities.columns[name] for name in self._keys}
        statuses: dict[str, list[Status]] = {}
        seen = [part.seen(rows, now) for part, rows in zip(self._reads, found, strict=True)]
        views = [
            answer
            for part, rows in zip(self._parts, seen, strict=False)
            for answer in part.answers(rows, columns, statuses)
        ]
        if self._on_demand is not None:
            views += self._on_demand.answers(entities, seen, now, columns, statuses)
        return OnlineResponse(columns, statuses, self._types, views, self._writer)


def _in_order(service: FeatureService, references: Sequence[str]) -> Sequence[FeatureViewProjection]:
    """The service's projections; one for each run of references to the same view, if references alternate."""
    views = {projection.view.name: projection for projection in service.projections}
    unique = [reference.partition(":") for reference in dict.fromkeys(references)]
    unique = [each for each in unique if each[0] in views]  # without on-demand features, which come last
    runs = [(view, tuple(f for _, _, f in run)) for view, run in groupby(unique, key=operator.itemgetter(0))]
    return [views[view][features] for view, features in runs] if len(runs) > len(views) else service.projections


def _taken(reference: str, name: str) -> InvalidRequest:
    return InvalidRequest(
        f"Feature '{reference}' has the name of another column, '{name}'. Use full_feature_names=True."
    )
