"""The point-in-time join: for each moment of a spine, the feature values that held then.

One lazy expression per service. DuckDB has ASOF joins. Elsewhere moments and rows are merged and a running maximum
finds each moment's row: cost grows with the rows, not with the rows per key.
"""

from __future__ import annotations

from datetime import datetime, timedelta

import ibis
from ibis.expr.types import Table, Value

from amora_fs_assets.domain.errors import InvalidRequest
from amora_fs_assets.domain.feature_service import FeatureService
from amora_fs_assets.domain.feature_view import FeatureView, FeatureViewProjection
from amora_fs_assets.domain.names import CREATED_TIMESTAMP, EVENT_TIMESTAMP
from amora_fs_assets.domain.ports import Engine
from amora_fs_assets.domain.schema import IBIS_TYPES
from amora_fs_assets.operations.newest import newest_by, newest_first
from amora_fs_assets.operations.tables import rows_of

Bounds = tuple[datetime, datetime]
_TIME, _VISIBLE = "_t", "_v"  # a row's time, and when it can first be seen


def output_names(service: FeatureService, *, full: bool, taken: tuple[str, ...] = ()) -> dict[tuple[str, str], str]:
    """The column of each (projection, feature): `<feature>`, or `<view or alias>__<feature>` where `full`.

    Raises InvalidRequest where two are equal, or one is among the `taken` columns.
    """
    names: dict[tuple[str, str], str] = {}
    seen = {name: f"a column '{name}' of the rows asked for" for name in taken}
    for projection in service.projections:
        for feature in projection.features:
            name = f"{projection.name}__{feature}" if full else feature
            if name in seen:
                raise InvalidRequest(
                    f"Feature '{projection.name}:{feature}' has the name of {seen[name]}. "
                    + ("Rename the column." if full else "Ask with full_feature_names=True.")
                )
            seen[name] = f"feature '{projection.name}:{feature}'"
            names[projection.name, feature] = name
    return names


def point_in_time(
    spine: Table,
    service: FeatureService,
    *,
    engine: Engine,
    dataset: str,
    full_feature_names: bool = False,
    known_time: bool = False,
    bounds: Bounds | None = None,
) -> Table:
    """The spine's columns and rows, duplicates too, and the features of the service at each row's event_timestamp.

    `bounds` are the spine's first and last event_timestamp, where known: they let the engine skip partitions. Rows
    come in no order. Raises InvalidRequest for missing or wrongly typed join keys and for names that collide.
    """
    names = output_names(service, full=full_feature_names, taken=spine.columns)
    check_spine(spine, service)
    join = _asof if engine == "duckdb" else _running_maximum
    for projection in service.projections:
        rows = _rows(projection.view, dataset, known_time=known_time, bounds=bounds)
        columns = spine.columns
        joined = join(spine, projection, rows)
        features = {names[projection.name, f]: _within_ttl(joined, projection.view, f) for f in projection.features}
        spine = joined.select(*columns, **features)
    return spine


def check_spine(spine: Table, service: FeatureService) -> None:
    """Raise InvalidRequest unless the spine has `event_timestamp` and the service's join keys, of their types."""
    if EVENT_TIMESTAMP not in spine.columns:
        raise InvalidRequest(f"The rows asked for have no column '{EVENT_TIMESTAMP}'. Columns: {list(spine.columns)}.")
    if not spine[EVENT_TIMESTAMP].type().is_timestamp():
        raise InvalidRequest(f"Column '{EVENT_TIMESTAMP}' is {spine[EVENT_TIMESTAMP].type()}; make it a timestamp.")
    for projection in service.projections:
        for column, key in zip(projection.join_keys, projection.view.key_columns, strict=True):
            if column not in spine.columns:
                raise InvalidRequest(
                    f"The rows asked for have no column '{column}', a join key of '{projection.name}'. "
                    f"Columns: {list(spine.columns)}."
                )
            given, wanted = spine[column].type(), IBIS_TYPES[key.type]
            if not given.is_null() and not (given.is_integer() if wanted.is_integer() else given.is_string()):
                raise InvalidRequest(f"Join key '{column}' is {given}; '{projection.name}' needs {wanted}.")


def _rows(view: FeatureView, dataset: str, *, known_time: bool, bounds: Bounds | None) -> Table:
    """The rows that can count: at most one per key and instant of becoming visible (`_v`)."""
    rows = rows_of(view, dataset)
    if bounds is not None:
        rows = rows.filter(rows[EVENT_TIMESTAMP] <= ibis.literal(bounds[1]))
        if view.ttl is not None:
            rows = rows.filter(rows[EVENT_TIMESTAMP] >= ibis.literal(bounds[0] - view.ttl))
    keys = list(view.join_keys)
    if known_time and view.has_created_timestamp:
        created = ibis.coalesce(rows[CREATED_TIMESTAMP], rows[EVENT_TIMESTAMP])
        rows = rows.mutate(**{_VISIBLE: ibis.greatest(rows[EVENT_TIMESTAMP], created)})
        rows = newest_by(rows, view, [*keys, _VISIBLE])
        # A row that becomes visible when a greater one already is never counts.
        rank = ibis.row_number().over(ibis.window(group_by=keys or None, order_by=newest_first(view)))
        rows = rows.mutate(_rank=rank)
        seen = ibis.window(group_by=keys or None, order_by=_VISIBLE, rows=(None, 0))
        rows = rows.mutate(_best=rows["_rank"].min().over(seen))
        rows = rows.filter(rows["_rank"] == rows["_best"])
    else:
        rows = rows.mutate(**{_VISIBLE: rows[EVENT_TIMESTAMP]})
        if view.has_created_timestamp or view.table is not None:  # otherwise the gate saw to it
            rows = newest_by(rows, view, [*keys, _VISIBLE])
    renamed = {f"_k{i}": rows[key] for i, key in enumerate(keys)}
    features = {f"_f_{feature.name}": rows[feature.name] for feature in view.features}
    return rows.select(**renamed, **{_TIME: rows[EVENT_TIMESTAMP], _VISIBLE: rows[_VISIBLE]}, **features)


def _moment(spine: Table) -> Value:
    return spine[EVENT_TIMESTAMP].cast("timestamp('UTC', 6)")


def _asof(spine: Table, projection: FeatureViewProjection, rows: Table) -> Table:
    spine = spine.mutate(_moment=_moment(spine))
    keys = [spine[key] == rows[f"_k{i}"] for i, key in enumerate(projection.join_keys)]
    return spine.asof_join(rows, spine["_moment"] >= rows[_VISIBLE], keys)


def _running_maximum(spine: Table, projection: FeatureViewProjection, rows: Table) -> Table:
    spine = spine.mutate(_moment=_moment(spine))
    own = [f"_k{i}" for i in range(len(projection.join_keys))]
    wanted = dict(zip((f"_s{i}" for i in range(len(own))), projection.join_keys, strict=True))
    moments = spine.select(**{s: spine[key] for s, key in wanted.items()}, _m=spine["_moment"]).distinct()
    never = ibis.null("timestamp('UTC', 6)")
    # Rows go before moments of the same instant: both ends of the ttl are included.
    merged = ibis.union(
        rows.select(**{s: rows[k] for s, k in zip(wanted, own, strict=True)}, _m=rows[_VISIBLE], _r=rows[_VISIBLE],
                    _moments=ibis.literal(0, "int64")),
        moments.mutate(_r=never, _moments=ibis.literal(1, "int64")),
    )  # fmt: skip
    before = ibis.window(group_by=list(wanted) or None, order_by=["_m", "_moments"], rows=(None, 0))
    matched = merged.mutate(_r=merged["_r"].max().over(before))
    matched = matched.filter(matched["_moments"] == 1).drop("_moments")
    found = matched.inner_join(
        rows, [matched["_r"] == rows[_VISIBLE], *((matched[s], rows[k]) for s, k in zip(wanted, own, strict=True))]
    )
    found = found.drop(_VISIBLE, *own)
    keys = [spine[key] == found[s] for s, key in wanted.items()]
    return spine.left_join(found, [spine["_moment"] == found["_m"], *keys])


def _within_ttl(joined: Table, view: FeatureView, feature: str) -> Value:
    value = joined[f"_f_{feature}"]
    if view.ttl is None:
        return value
    age = ibis.interval(microseconds=view.ttl // timedelta(microseconds=1))
    return (joined[_TIME] >= joined["_moment"] - age).ifelse(value, ibis.null(value.type()))
