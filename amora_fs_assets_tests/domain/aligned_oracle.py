"""Views to align, their alignment in plain Python, and random rows of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

import pyarrow as pa
from hypothesis import strategies as st
from ibis.expr.types import Table

from amora_fs_assets import (
    Entity,
    FeatureSchema,
    FeatureView,
    Field,
    Interval,
    Source,
    SourceSchema,
    Timestamp,
    aligned,
    lookback_of,
)
from amora_fs_assets.domain.known import handing
from amora_fs_assets.domain.ports.offline import OfflineStore
from amora_fs_assets.operations.expressions.tables import known_rows
from amora_fs_assets_tests.operations.oracle import NEVER, Row
from amora_fs_assets_tests.small import at

US = timedelta(microseconds=1)
DAY = timedelta(days=1)
TIME = pa.timestamp("us", tz="UTC")
START, END = at(5), at(12)


class Spend(FeatureSchema):
    customer: int
    spend: float = Field(nullable=True)


class Visits(FeatureSchema):
    customer: int
    created_timestamp: Timestamp = Field(nullable=True)
    visits: int = Field(nullable=True)


class Grade(FeatureSchema):
    customer: int
    created_timestamp: Timestamp = Field(nullable=True)
    grade: str = Field(nullable=True)


class Orders(SourceSchema):
    customer: int
    at: Timestamp
    amount: float


customer = Entity("customer")
orders = Source("orders", Orders, timestamp_field="at")


def of_orders(orders: Table) -> Table:
    return orders.select("customer", event_timestamp=orders["at"], spend=orders["amount"], visits=orders["customer"])


def spend_of(ttl: timedelta | None) -> FeatureView:
    return FeatureView("spend", Spend, [customer], [orders], transform=of_orders, start="2020-01-01", ttl=ttl)


def visits_of(ttl: timedelta | None) -> FeatureView:
    """Rows become known later than they happened."""
    return FeatureView("visits", Visits, [customer], [orders], transform=of_orders, start="2020-01-01", ttl=ttl)


def grade_of(ttl: timedelta | None) -> FeatureView:
    """An external table whose rows end, tie and are known late."""
    return FeatureView("grade", Grade, [customer], table="theirs.grade", ttl=ttl, valid_to_field="valid_to")


VIEWS: list[Callable[[timedelta | None], FeatureView]] = [spend_of, visits_of, grade_of]


def table(view: FeatureView, rows: Sequence[Row]) -> pa.Table:
    types = {"int64": pa.int64(), "float64": pa.float64(), "string": pa.string(), "timestamp": TIME}
    schema = pa.schema([(column.name, types[column.type.value]) for column in view.row_columns])
    return pa.Table.from_pylist([{name: row.get(name) for name in schema.names} for row in rows], schema)


def newest(view: FeatureView, rows: Sequence[Row], key: int, moment: datetime) -> tuple[Any, bool]:
    """The row that is the view's newest of those known at the moment, by its place, and whether it holds then."""

    def known(row: Row) -> datetime:
        time: datetime = row["event_timestamp"]
        return max(time, row.get("created_timestamp") or time)

    def rank(place: int) -> Any:
        row = rows[place]
        time, end, value = row["event_timestamp"], row.get("valid_to"), row[view.features[0].name]
        ends = [end is None or end > time, end is not None, NEVER - (end or NEVER)]
        return [time, row.get("created_timestamp") or time, *ends, value is not None, value or type(value)()]

    seen = [
        place for place, row in enumerate(rows)
        if row["customer"] == key and row["event_timestamp"] is not None and known(row) <= moment
        and (view.ttl is None or known(row) <= row["event_timestamp"] + view.ttl)
    ]  # fmt: skip
    if not seen:
        return None, False
    best = max(seen, key=rank)
    row = rows[best]
    held = view.ttl is None or moment <= row["event_timestamp"] + view.ttl
    end = row.get("valid_to")
    # Of equal rows any may be the newest.
    return tuple(sorted(row.items(), key=str)), held and (end is None or end > moment)


def expected(views: Sequence[FeatureView], rows: dict[str, list[Row]]) -> dict[tuple[int, datetime], dict[str, Any]]:
    """The rows of the interval, by going through all instants at which anything can change."""
    instants = {
        time + shift
        for view in views for row in rows[view.name]
        for time in (row["event_timestamp"], row.get("created_timestamp"), row.get("valid_to")) if time is not None
        for shift in (timedelta(0), *([] if view.ttl is None or time == NEVER else [view.ttl + US]))
    }  # fmt: skip
    found: dict[tuple[int, datetime], dict[str, Any]] = {}
    for key in {row["customer"] for each in rows.values() for row in each if row["customer"] is not None}:
        for moment in sorted(each for each in instants if START <= each < END):
            now = [newest(view, rows[view.name], key, moment) for view in views]
            before = [newest(view, rows[view.name], key, moment - US) for view in views]
            changed = [a[0] != b[0] or (b[1] and not a[1]) for a, b in zip(now, before, strict=True)]
            if any(changed):
                values = {}
                for view, (row, held) in zip(views, now, strict=True):
                    name = view.features[0].name
                    values[name] = dict(row)[name] if held else None
                found[key, moment] = values
    return found


def computed(views: Sequence[FeatureView], store: OfflineStore, interval: Interval) -> dict[Any, dict[str, Any]]:
    given = {view.name: known_rows(view, store.dataset, interval, lookback_of(*views)) for view in views}
    with handing(given, {view.name: view for view in views}):
        query = aligned(*given.values(), interval=interval)
    with store.read(query) as batches:
        rows = batches.read_all().to_pylist()
    found = {(row.pop("customer"), row.pop("event_timestamp").astimezone(UTC)): row for row in rows}
    assert len(found) == len(rows), "an instant has one row"
    return found


def compare(
    views: Sequence[FeatureView], rows: dict[str, list[Row]], store: OfflineStore, cuts: Sequence[datetime]
) -> None:
    """A computation in parts gives exactly the rows of the definition."""
    found: dict[Any, dict[str, Any]] = {}
    for start, end in pairwise(cuts):
        found |= computed(views, store, Interval(start, end))
    right = expected(views, rows)
    assert sorted(found) == sorted(right)
    assert found == right


instants = st.builds(
    lambda day, step: at(day) + step * US, st.sampled_from([3, 5, 6, 7, 7, 8, 12]), st.sampled_from([-1, 0, 0, 1])
)
ttls = st.sampled_from([None, timedelta(0), 2 * US, DAY, 2 * DAY])


@st.composite
def rows_of(draw: st.DrawFn, view: FeatureView) -> list[Row]:
    """Rows with ties and late rows; external ones with null keys, too."""
    rows: dict[Any, Row] = {}
    external = view.table is not None
    for place in range(draw(st.integers(0, 7))):
        time = draw(instants)
        row: Row = {"customer": draw(st.sampled_from([1, 1, 2])), "event_timestamp": time}
        row[view.features[0].name] = {"spend": float(place), "visits": place, "grade": "abc"[place % 3]}[view.name]
        if view.has_created_timestamp:
            row["created_timestamp"] = draw(st.one_of(st.none(), instants))
        if external:
            row["valid_to"] = draw(st.one_of(st.none(), st.just(NEVER), instants))
            if draw(st.integers(0, 9)) == 0:
                row["customer"] = None
        known = max(time, row.get("created_timestamp") or time)
        rows[place if external else (row["customer"], time, known)] = row
    return list(rows.values())


@st.composite
def cases(draw: st.DrawFn) -> tuple[list[FeatureView], dict[str, list[Row]], list[datetime]]:
    made = draw(st.permutations(VIEWS))[: draw(st.integers(2, 3))]
    views = [each(draw(ttls)) for each in made]
    inner = draw(st.lists(instants, max_size=2))
    cuts = sorted({START, *(each for each in inner if START < each < END), END})
    return views, {view.name: draw(rows_of(view)) for view in views}, cuts


Filled = Callable[[Sequence[FeatureView], dict[str, list[Row]]], OfflineStore]
