"""The point-in-time join: for each moment of a spine, the feature values that were valid at the moment.

One lazy expression per service. DuckDB has ASOF joins. On other engines moments and rows are merged, and a running
maximum finds each moment's row: the cost grows with the number of rows, not with the rows per key.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

import ibis
from ibis.expr.types import Table, Value

from amora_fs_assets.domain.column import Column
from amora_fs_assets.domain.errors import InvalidRequest
from amora_fs_assets.domain.feature_service import FeatureService
from amora_fs_assets.domain.feature_view import FeatureView
from amora_fs_assets.domain.ibis_types import IBIS_TYPES
from amora_fs_assets.domain.names import CREATED_TIMESTAMP, EVENT_TIMESTAMP, VALID_TO, unused_prefix
from amora_fs_assets.domain.on_demand_view import OnDemandProjection
from amora_fs_assets.domain.ports.dialect import Dialect
from amora_fs_assets.domain.projection import FeatureViewProjection
from amora_fs_assets.domain.request_time.to_ibis import computed
from amora_fs_assets.domain.row_order import newest_by, newest_when_visible, without
from amora_fs_assets.domain.types import DataType
from amora_fs_assets.operations.expressions.request_columns import check_request, request_value
from amora_fs_assets.operations.expressions.tables import Stored, served_rows

Bounds = tuple[datetime, datetime]
_UTC = IBIS_TYPES[DataType.TIMESTAMP]


@dataclass(frozen=True)
class _Rows:
    """Rows of a view with the columns `<prefix>k<i>` (join keys), `<prefix>time`, `<prefix>visible`, `<prefix>f_<x>`.

    A row counts from the instant `visible`. `<prefix>until` is its valid_to, if it has one. No column of the spine
    begins with the prefix.
    """

    prefix: str
    table: Table

    @property
    def visible(self) -> str:
        return f"{self.prefix}visible"

    def keys(self, count: int) -> list[str]:
        return [f"{self.prefix}k{i}" for i in range(count)]


def output_names(service: FeatureService, *, full: bool, taken: tuple[str, ...] = ()) -> dict[tuple[str, str], str]:
    """The column name of each (projection, feature): `<feature>`, or `<view or alias>__<feature>` if `full`.

    Raises InvalidRequest for equal names, for features whose names differ only in case, which engines do not tell
    apart, or a name in the `taken` columns.
    """
    names: dict[tuple[str, str], str] = {}
    columns = {name: f"a column '{name}' of the entity rows" for name in taken}
    features: dict[str, str] = {}
    for projection in service.parts:
        for feature in projection.features:
            name = f"{projection.name}__{feature}" if full else feature
            if other := columns.get(name) or features.get(name.lower()):
                raise InvalidRequest(
                    f"Feature '{projection.name}:{feature}' has the name of {other}. "
                    + ("Rename the column." if full else "Use full_feature_names=True.")
                )
            features[name.lower()] = f"feature '{projection.name}:{feature}'"
            names[projection.name, feature] = name
    return names


def point_in_time(
    spine: Table,
    service: FeatureService,
    *,
    dialect: Dialect,
    dataset: str,
    full_feature_names: bool = False,
    known_time: bool = False,
    bounds: Bounds | None = None,
    stored: Stored | None = None,
) -> Table:
    """All rows and columns of the spine, with the features of the service at each row's event_timestamp.

    `bounds` are the spine's first and last event_timestamp, if known; with them the engine skips partitions. `stored`
    is the result of `check_tables`: features that were added are null. The order of the rows is undefined. Raises
    InvalidRequest for missing or wrongly typed join keys and for names that collide.
    """
    names = output_names(service, full=full_feature_names, taken=spine.columns)
    check_spine(spine, service)
    given = spine.columns
    own = unused_prefix(given)  # the prefix of every column that the join adds
    moment = EVENT_TIMESTAMP
    if spine[EVENT_TIMESTAMP].type() != _UTC:
        moment = f"{own}moment"
        spine = spine.mutate(**{moment: spine[EVENT_TIMESTAMP].cast(_UTC)})
    groups: dict[tuple[str, ...], list[_Rows]] = {}
    for number, projection in enumerate(service.reads):
        # An ASOF join sorts all rows, so rows of keys that are not in the spine are removed first.
        wanted = spine if dialect.has_asof_join and projection.join_keys else None
        held = served_rows(projection.view, dataset, stored or Stored())
        rows = _rows(projection, held, f"{own}{number}_", known_time=known_time, bounds=bounds, wanted=wanted)
        groups.setdefault(projection.join_keys, []).append(rows)
    join = _asof if dialect.has_asof_join else _running_maximum
    joined = spine
    for keys, views in groups.items():  # views with the same keys share one scan of the spine, if the engine can
        joined = join(joined, moment, keys, views, own)
    held = {
        (number, feature): _held(joined, moment, projection.view, f"{own}{number}_", feature)
        for number, projection in enumerate(service.reads)
        for feature in projection.features
    }
    features = {
        names[projection.name, feature]: held[number, feature]
        for number, projection in enumerate(service.projections)
        for feature in projection.features
    }
    if not service.on_demand:
        return joined.select(*given, **features)
    inputs = {f"{own}{number}_f_{feature}": value for (number, feature), value in held.items()}
    inputs |= {f"{own}r_{name}": request_value(joined[name], type_) for name, type_ in service.request.items()}
    known = joined.select(*given, **{f"{own}moment": joined[moment]}, **features, **inputs)
    for part in service.on_demand:
        formulas = {names[part.name, feature]: formula for feature, formula in part.formulas.items()}
        read = _columns(part, service, own)
        known = computed(known, formulas, read, f"{own}moment", dialect, prefix=f"{own}{part.name}_")
    return known.select(*given, *names.values())


def _columns(part: OnDemandProjection, service: FeatureService, own: str) -> dict[str, str]:
    """The columns of the joined table that the formulas read, by their name in the formulas."""
    columns = {name: each for name, each in part.view.columns.items() if name in part.used}
    return {
        name: f"{own}r_{name}" if isinstance(each, Column) else f"{own}{service.place_in_reads(each[0])}_f_{each[1]}"
        for name, each in columns.items()
    }


def check_spine(spine: Table, service: FeatureService) -> None:
    """Raise InvalidRequest unless the spine has `event_timestamp` and the service's join keys with their types."""
    if EVENT_TIMESTAMP not in spine.columns:
        raise InvalidRequest(f"The entity rows have no column '{EVENT_TIMESTAMP}'. Columns: {list(spine.columns)}.")
    if not spine[EVENT_TIMESTAMP].type().is_timestamp():
        raise InvalidRequest(f"Column '{EVENT_TIMESTAMP}' is {spine[EVENT_TIMESTAMP].type()}; make it a timestamp.")
    for projection in service.reads:
        for column, key in zip(projection.join_keys, projection.view.key_columns, strict=True):
            if column not in spine.columns:
                raise InvalidRequest(
                    f"The entity rows have no column '{column}', a join key of '{projection.name}'. "
                    f"Columns: {list(spine.columns)}."
                )
            given, wanted = spine[column].type(), IBIS_TYPES[key.type]
            if not given.is_null() and not (given.is_integer() if wanted.is_integer() else given.is_string()):
                raise InvalidRequest(f"Join key '{column}' is {given}; '{projection.name}' needs {wanted}.")
    check_request(spine, service)


def _rows(
    projection: FeatureViewProjection,
    rows: Table,
    prefix: str,
    *,
    known_time: bool,
    bounds: Bounds | None,
    wanted: Table | None,
) -> _Rows:
    """The rows that can count: at most one per key and `visible` instant, only for the keys in `wanted`."""
    view = projection.view
    if view.table is not None:  # no gate keeps nulls out of an external table
        # DuckDB's ASOF join (1.5) may match two nulls among several keys.
        rows = rows.filter(*(rows[name].notnull() for name in (EVENT_TIMESTAMP, *view.join_keys)))
    if bounds is not None:
        rows = rows.filter(rows[EVENT_TIMESTAMP] <= ibis.literal(bounds[1]))
        if (oldest := _before(bounds[0], view.ttl)) is not None:
            rows = rows.filter(rows[EVENT_TIMESTAMP] >= ibis.literal(oldest))
    keys = list(view.join_keys)
    if wanted is not None:
        rows = rows.semi_join(
            wanted, [rows[key] == wanted[asked] for key, asked in zip(keys, projection.join_keys, strict=True)]
        )
    if known_time and view.has_created_timestamp:
        created = ibis.coalesce(rows[CREATED_TIMESTAMP], rows[EVENT_TIMESTAMP])
        rows = rows.mutate(_visible=ibis.greatest(rows[EVENT_TIMESTAMP], created))
        # A row that becomes visible after a greater row never counts.
        rows = newest_when_visible(rows, view, "_visible")
    else:
        rows = rows.mutate(_visible=rows[EVENT_TIMESTAMP])
        if view.has_created_timestamp or view.table is not None:  # otherwise the gate has checked uniqueness
            rows = newest_by(rows, view, [*keys, "_visible"])
    named = {f"{prefix}k{i}": rows[key] for i, key in enumerate(keys)}
    times = {f"{prefix}time": rows[EVENT_TIMESTAMP], f"{prefix}visible": rows["_visible"]}
    if view.has_valid_to:
        times[f"{prefix}until"] = rows[VALID_TO]
    features = {f"{prefix}f_{feature}": rows[feature] for feature in projection.features}
    return _Rows(prefix, rows.select(**named, **times, **features))


def _before(first: datetime, ttl: timedelta | None) -> datetime | None:
    """The oldest event_timestamp that is valid at `first`; None without a bound."""
    try:
        return None if ttl is None else first - ttl
    except OverflowError:
        return None


def _asof(spine: Table, moment: str, keys: tuple[str, ...], views: list[_Rows], own: str) -> Table:  # noqa: ARG001
    """The spine with the columns of each view's row that was valid at the moment."""
    for view in views:
        same = [spine[key] == view.table[name] for key, name in zip(keys, view.keys(len(keys)), strict=True)]
        spine = spine.asof_join(view.table, spine[moment] >= view.table[view.visible], same)
    return spine


def _running_maximum(spine: Table, moment: str, keys: tuple[str, ...], views: list[_Rows], own: str) -> Table:
    """As `_asof`. Sorts the moments and the rows of all views together, once per group of views."""
    wanted = {f"{own}s{i}": key for i, key in enumerate(keys)}
    time, asked = f"{own}m", f"{own}moments"
    types = [views[0].table[name].type() for name in views[0].keys(len(keys))]
    given = {s: spine[key].cast(type_) for (s, key), type_ in zip(wanted.items(), types, strict=True)}
    moments = spine.select(**given, **{time: spine[moment]}).distinct()
    never = ibis.null(_UTC)
    # Rows sort before moments of the same instant, so that both ends of the ttl are included.
    parts = [moments.mutate(**{view.visible: never for view in views}, **{asked: ibis.literal(1, "int64")})]
    for view in views:
        rows = view.table
        parts.append(
            rows.select(
                **{s: rows[k] for s, k in zip(wanted, view.keys(len(keys)), strict=True)},
                **{time: rows[view.visible]},
                **{each.visible: rows[view.visible] if each is view else never for each in views},
                **{asked: ibis.literal(0, "int64")},
            )
        )
    merged = ibis.union(*parts)
    before = ibis.window(group_by=list(wanted) or None, order_by=[time, asked], rows=(None, 0))
    found = merged.mutate(**{f"{view.prefix}seen": merged[view.visible].max().over(before) for view in views})
    found = without(found.filter(found[asked] == 1), asked, *(view.visible for view in views))
    for view in views:
        joined = view.keys(len(keys))
        same = [found[s] == view.table[k] for s, k in zip(wanted, joined, strict=True)]
        found = found.left_join(view.table, [found[f"{view.prefix}seen"] == view.table[view.visible], *same])
        found = without(found, f"{view.prefix}seen", view.visible, *joined)
    same = [spine[key] == found[s] for s, key in wanted.items()]
    return without(spine.left_join(found, [spine[moment] == found[time], *same]), time, *wanted)


def _held(joined: Table, moment: str, view: FeatureView, prefix: str, feature: str) -> Value:
    value = joined[f"{prefix}f_{feature}"]
    if view.ttl is None:  # DuckDB's ASOF join (1.5) finds a row for a null moment
        held = joined[moment].notnull()
    else:
        age = ibis.interval(microseconds=view.ttl // timedelta(microseconds=1))
        held = joined[f"{prefix}time"] >= joined[moment] - age
    if view.has_valid_to:
        until = joined[f"{prefix}until"]
        held &= until.isnull() | (until > joined[moment])
    return held.ifelse(value, ibis.null(value.type()))
