"""Random point-in-time joins: views with their rows, and the moments that are asked for."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from functools import partial
from random import Random
from typing import Any
from uuid import UUID

import pyarrow as pa

from amora_fs_assets import Entity, FeatureService, FeatureView
from amora_fs_assets.domain.column import Column
from amora_fs_assets.domain.ibis_types import IBIS_TYPES
from amora_fs_assets.domain.ports.offline import OfflineStore
from amora_fs_assets.domain.projection import FeatureViewProjection
from amora_fs_assets.domain.types import DataType
from amora_fs_assets.operations.training.historical import HistoricalFeatures, historical_features
from amora_fs_assets_tests.operations.oracle import NEVER, Row, brute_force

MICROSECOND = timedelta(microseconds=1)
START = datetime(2020, 2, 28, 23, tzinfo=UTC)
TTLS = (None, timedelta(0), 3 * MICROSECOND, timedelta(milliseconds=500), timedelta(hours=2), timedelta(days=3))
# Pairs of these that differ give one text when joined: (1, "12") and (11, "2"), ("1", "") and ("", "1").
NUMBERS, TEXTS = (1, 11, 1, 11, 1, 11, 111, -1), ("12", "2", "12", "2", "12", "2", "", "1", "1,2", "é'\\")


def _list(item: Callable[[Random], Any], rng: Random) -> list[Any]:
    """Up to three items, nulls among them, and texts with the signs that ties of lists are told by."""
    some = [None if rng.random() < 0.1 else item(rng) for _ in range(rng.randint(0, 3))]
    return [rng.choice(("\x1f", "a\x1f", "\x1e1", each)) if isinstance(each, str) else each for each in some]


VALUES: dict[DataType, Callable[[Random], Any]] = {
    DataType.INT64: lambda rng: rng.choice((0, 1, -1, 2**62, -(2**62))),
    DataType.FLOAT64: lambda rng: rng.choice((0.0, -0.5, 1e300, math.inf, math.nan)),
    DataType.STRING: lambda rng: rng.choice(TEXTS),
    DataType.BOOLEAN: lambda rng: rng.random() < 0.5,
    DataType.BYTES: lambda rng: rng.choice((b"", b"\x00\xff", b"a")),
    DataType.DATE: lambda rng: date(2020, 2, rng.randint(1, 29)),
    DataType.TIMESTAMP: lambda rng: START + rng.randint(0, 5) * MICROSECOND,
    DataType.DECIMAL: lambda rng: Decimal(rng.randint(-5, 5)).scaleb(-9),
    DataType.TIME: lambda rng: time(rng.randint(0, 2), 0, rng.randint(0, 1)),
    DataType.UUID: lambda rng: str(UUID(int=rng.randint(0, 2))),
    DataType.JSON: lambda rng: rng.choice(("null", "{}", "[1]")),
}
VALUES |= {each: partial(_list, VALUES[each.item]) for each in DataType if each.is_list}
# BigQuery has no null arrays: they are empty ones.
NO_NULL_LISTS = [type_ for type_ in VALUES if not type_.is_list]


@dataclass(frozen=True)
class Case:
    """A join, and all that it reads."""

    service: FeatureService
    rows: dict[str, list[Row]]  # of each view
    moments: list[Row]
    known_time: bool

    @property
    def views(self) -> list[FeatureView]:
        return list({p.view.name: p.view for p in self.service.projections}.values())

    @property
    def spine(self) -> pa.Table:
        types = {
            asked: IBIS_TYPES[key.type].to_pyarrow()
            for projection in self.service.projections
            for asked, key in zip(projection.join_keys, projection.view.key_columns, strict=True)
        }
        times = {"event_timestamp": pa.timestamp("us", tz="UTC"), "label": pa.int64()}
        return pa.Table.from_pylist(self.moments, pa.schema({**types, **times}))

    def table(self, view: FeatureView) -> pa.Table:
        stored = {"event_timestamp": view.timestamp_field, "valid_to": view.valid_to_field or "valid_to"}
        columns = [Column(stored.get(c.name, c.name), c.type) for c in view.row_columns]
        schema = pa.schema({column.name: IBIS_TYPES[column.type].to_pyarrow() for column in columns})
        rows = [{**row, **{there: row.get(own) for own, there in stored.items()}} for row in self.rows[view.name]]
        return pa.Table.from_pylist([{name: row[name] for name in schema.names} for row in rows], schema)

    def ask(self, store: OfflineStore, **options: Any) -> HistoricalFeatures:
        return historical_features(
            self.service, self.spine, store=store, full_feature_names=True, known_time=self.known_time, **options
        )

    def truth(self) -> dict[str, list[Any]]:
        """The features' columns, by brute force."""
        columns: dict[str, list[Any]] = {}
        for projection in self.service.projections:
            view = projection.view
            keys = dict(zip(view.join_keys, projection.join_keys, strict=True))
            every = [feature.name for feature in view.features]
            found = brute_force(self.moments, self.rows[view.name], keys, every, view.ttl, self.known_time)
            for feature in projection.features:
                columns[f"{projection.name}__{feature}"] = [row and row[feature] for row in found]
        return columns


def random_case(rng: Random, *, views: int = 3, rows: int = 30, moments: int = 30, null_lists: bool = True) -> Case:
    """A case of at most this many views, rows of each view, and moments. BigQuery holds no null lists."""
    times = _times(rng)
    projections: list[FeatureViewProjection] = []
    tables: dict[str, list[Row]] = {}
    for number in range(rng.randint(1, views)):
        view = _view(rng, f"v{number}", VALUES if null_lists else NO_NULL_LISTS)
        tables[view.name] = _rows(rng, view, times, rng.choice((0, 1, *[rows] * 8)))
        projections.append(view[tuple(f.name for f in view.features if rng.random() < 0.8) or "a"])
        if view.join_keys and rng.random() < 0.3:  # one view twice, for two roles
            asked = {key: f"other_{key}" for key in view.join_keys if rng.random() < 0.7}
            projections.append(view.alias(f"other_v{number}", asked))
    service = FeatureService("random", projections)
    asked_at = [_moment(rng, service, times) for _ in range(rng.choice((0, 1, *[moments] * 8)))]
    asked_at += [dict(each) for each in asked_at if rng.random() < 0.1]
    rng.shuffle(asked_at)
    return Case(service, tables, asked_at, known_time=rng.random() < 0.5)


def _times(rng: Random) -> list[datetime]:
    """Few enough to meet, with the microseconds around each ttl's edge."""
    some = [START + timedelta(hours=rng.randint(0, 100)) for _ in range(4)]
    edges = [time + ttl for time in some for ttl in TTLS if ttl is not None]
    return [time + k * MICROSECOND for time in (*some, *edges) for k in (-1, 0, 1)]


def _view(rng: Random, name: str, values: Iterable[DataType]) -> FeatureView:
    number, text = Column("number", DataType.INT64), Column("text", DataType.STRING)
    keys = rng.choice(([], [number], [text], [number, text], [number, text]))
    types = [rng.choice(list(values)) for _ in range(rng.randint(1, 4))]
    features = [Column("abcd"[i], type_, nullable=True) for i, type_ in enumerate(types)]
    times = [Column("event_timestamp", DataType.TIMESTAMP)]
    if rng.random() < 0.6:
        times.append(Column("created_timestamp", DataType.TIMESTAMP, nullable=True))
    external = rng.random() < 0.4
    where: dict[str, Any] = (
        {"table": f"theirs.{name}", "timestamp_field": "at"} if external else {"start": "2020-01-01"}
    )
    if external:
        times[0] = Column("at", DataType.TIMESTAMP)
        where |= {"valid_to_field": "ended"} if rng.random() < 0.6 else {}
    entities = [Entity(key.name) for key in keys]
    return FeatureView(name, (*keys, *times, *features), entities, ttl=rng.choice(TTLS), **where)


def _rows(rng: Random, view: FeatureView, times: list[datetime], count: int) -> list[Row]:
    """Unique by key and both times where the gate sees to it; with true ties and null keys in external tables."""
    rows: dict[Any, Row] = {}
    for tie in range(count):
        external = view.table is not None
        row = {key: _key(rng, key, nulls=external) for key in view.join_keys}
        row["event_timestamp"] = time = rng.choice(times)
        if view.has_created_timestamp:
            row["created_timestamp"] = rng.choice(
                (None, time, rng.choice(times), time + rng.randint(0, 3) * MICROSECOND)
            )
        if view.has_valid_to:
            row["valid_to"] = rng.choice((None, NEVER, rng.choice(times), time + rng.randint(-1, 3) * MICROSECOND))
        known = row.get("created_timestamp") or time
        identity = (*(row[key] for key in view.join_keys), time, known, tie if external else None)
        rows[identity] = row | {f.name: None if rng.random() < 0.2 else VALUES[f.type](rng) for f in view.features}
    return list(rows.values())


def _moment(rng: Random, service: FeatureService, times: list[datetime]) -> Row:
    keys = {key: _key(rng, key, nulls=True) for key in service.join_keys}
    time = None if rng.random() < 0.1 else rng.choice(times)
    return {**keys, "event_timestamp": time, "label": rng.randint(0, 9)}


def _key(rng: Random, name: str, *, nulls: bool) -> Any:
    if nulls and rng.random() < 0.1:
        return None
    return rng.choice(NUMBERS if name.endswith("number") else TEXTS)
