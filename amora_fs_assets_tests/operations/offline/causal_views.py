"""Random views that do not look ahead, and random rows of their sources.

A view is one of eight shapes, with random filters, columns, frames, windows, lookback and partitions. Each reads at
least as far back as its transform needs.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from functools import cache
from pathlib import Path
from typing import Any

import duckdb
import ibis
import ibis.expr.operations as ops
import pyarrow as pa
from hypothesis import strategies as st
from ibis.expr.types import Table, Value

from amora_fs_assets import (
    Entity,
    FeatureSchema,
    FeatureView,
    Field,
    Interval,
    Source,
    SourceSchema,
    Timestamp,
    Windowed,
    known_at,
    rolling,
)
from amora_fs_assets.stores.duckdb.offline_store import DuckDBOfflineStore
from amora_fs_assets.windows import Windows, count, last, max_, mean, min_, nunique, stddev, sum_
from amora_fs_assets_tests.small import at

US = pa.timestamp("us", tz="UTC")
DAY, HOUR = timedelta(days=1), timedelta(hours=1)
ALL = timedelta(days=30)  # longer than the time of all rows
SETS, DAYS, ROWS = 8, 6, 60  # sets of rows, their days, and the orders of a set
Draw = Callable[[st.SearchStrategy[Any]], Any]


class Orders(SourceSchema):
    key: int
    customer: int
    at: Timestamp
    settled: Timestamp
    amount: float = Field(nullable=True)
    kind: str


class Values(FeatureSchema):
    key: int
    value: float = Field(nullable=True)


WINDOWS = (Windows("1h", "6h"), Windows("24h", at="6h"), Windows("2h", "12h", at="events"), Windows("1d", at="1d"))
NUMBERS, AMOUNTS = (count(), nunique("kind")), (sum_, mean, min_, max_, stddev, last)
key = Entity("key")


class InMemory(DuckDBOfflineStore):
    """The embedded store on one connection to a database in memory."""

    def __init__(self, tables: Mapping[str, pa.Table]) -> None:
        super().__init__(Path())
        self._compiled: dict[ops.Node, str] = {}
        self._connection = duckdb.connect(":memory:")
        self._connection.execute("SET TimeZone = 'UTC'; SET threads = 1; CREATE SCHEMA theirs")
        self._connection.execute("CREATE SCHEMA feature_store")
        for name, rows in tables.items():
            self._connection.register("given", rows)
            self._connection.execute(f"CREATE TABLE {name} AS FROM given")

    def close(self) -> None:
        self._connection.close()

    def stage(self, data: Table | pa.Table | str, *, name: str, run_id: str, clustered_by: str = "") -> str:
        """Stage under one name, so that queries of the staged rows are the same for all views, and compiled once."""
        return super().stage(data, name=name, run_id="audit", clustered_by=clustered_by)

    def sql(self, query: Table) -> str:
        if query.op() not in self._compiled:
            self._compiled[query.op()] = super().sql(query)
        return self._compiled[query.op()]

    @contextmanager
    def _open(self, *, write: bool = False) -> Iterator[duckdb.DuckDBPyConnection]:
        yield self._connection


def tables() -> dict[str, pa.Table]:
    """Orders, each settled up to two days later: a table for each set. The rows of the view BASE."""
    found = {}
    for number in range(SETS):
        chance = random.Random(number)
        seconds = [chance.choice((3_600, 3_600, 900, 1)) for _ in range(ROWS)]
        times = [at(1) + timedelta(seconds=chance.randrange(DAYS * 86_400) // each * each) for each in seconds]
        late = [timedelta(hours=chance.choice((0, 0, 1, 5, 30, chance.random() * 48))) for _ in times]
        found[f"theirs.orders_{number}"] = pa.table(
            {
                "key": pa.array(range(ROWS), pa.int64()),
                "customer": pa.array([chance.randrange(4) for _ in times], pa.int64()),
                "at": pa.array(times, US),
                "settled": pa.array([one + delay for one, delay in zip(times, late, strict=True)], US),
                "amount": pa.array([chance.choice((None, 1.5, chance.uniform(-9, 99))) for _ in times], pa.float64()),
                "kind": pa.array([chance.choice("abc") for _ in times], pa.string()),
            }
        )
    instants = sorted({(who, when) for when in times for who in range(3)})
    found["feature_store.base"] = pa.table(
        {
            "key": pa.array([who for who, _ in instants], pa.int64()),
            "event_timestamp": pa.array([when for _, when in instants], US),
            "value": pa.array([chance.uniform(0, 9) for _ in instants], pa.float64()),
        }
    )
    return found


@cache
def source(number: int, *, late: bool, name: str = "orders") -> Source:
    """The orders of a set: known when they happen, or when they are settled."""
    available = "settled" if late else None
    return Source(name, Orders, table=f"theirs.orders_{number}", timestamp_field="at", available_at=available)


def _amounts(orders: Table) -> Table:
    return orders.select("key", value=orders.amount, event_timestamp=orders["at"])


BASE = FeatureView("base", Values, [key], [source(0, late=False)], transform=_amounts, start="2020-01-01")


@st.composite
def causal_views(draw: Draw, shape: str) -> tuple[FeatureView, Interval]:
    """A view of the shape that does not look ahead, and an interval of its rows."""
    number = draw(st.integers(0, SETS - 1))
    view = SHAPES[shape](draw, number, draw(st.booleans()))
    begin = at(1) + draw(st.integers(0, (DAYS - 1) * 24)) * HOUR
    return view, Interval(begin, begin + draw(st.integers(6, 72)) * HOUR)


def _view(draw: Draw, transform: Any, sources: list[Any], lookback: timedelta, schema: Any = None) -> FeatureView:
    return FeatureView(
        "view",
        schema or Values,
        [key],
        sources,
        transform=transform,
        start="2019-12-01",
        lookback=lookback + draw(st.sampled_from((timedelta(0), HOUR, DAY))) if lookback else timedelta(0),
        partitions=draw(st.sampled_from(("hour", "day", "week"))),
    )


def _filters(draw: Draw) -> Callable[[Table], Table]:
    """Keeps some rows, or all."""
    least, kinds = draw(st.floats(-5, 50)), draw(st.sets(st.sampled_from("abc"), min_size=1))
    chosen: Callable[[Table], Table] = draw(
        st.sampled_from((
            lambda rows: rows,
            lambda rows: rows.filter(rows.amount > least),
            lambda rows: rows.filter(rows.kind.isin(sorted(kinds))),
            lambda rows: rows.filter(rows.amount.isnull() | (rows.kind != min(kinds))),
        ))
    )  # fmt: skip
    return chosen


def _columns(draw: Draw) -> Callable[[Table], Value]:
    """A number of each row."""
    factor = draw(st.floats(-3, 3))
    chosen: Callable[[Table], Value] = draw(
        st.sampled_from((
            lambda rows: rows.amount * factor,
            lambda rows: rows.amount.coalesce(factor),
            lambda rows: (rows.kind == "a").cast("float64") + factor,
            lambda rows: rows["at"].hour().cast("float64") - factor,
        ))
    )  # fmt: skip
    return chosen


_REDUCED: tuple[Callable[[Value], Value], ...] = (
    lambda value: value.sum(),
    lambda value: value.mean(),
    lambda value: value.max(),
    lambda value: value.min(),
    lambda value: value.count().cast("float64"),
    lambda value: value.std(),
)


def row_wise(draw: Draw, number: int, late: bool) -> FeatureView:
    kept, value = _filters(draw), _columns(draw)

    def transform(orders: Table) -> Table:
        orders = kept(orders)
        return orders.select("key", value=value(orders), event_timestamp=known_at(orders))

    return _view(draw, transform, [source(number, late=late)], timedelta(0))


def preceding_rows(draw: Draw, number: int, late: bool) -> FeatureView:
    """Aggregates and lags of earlier rows, in an order without ties."""
    kept, value, groups = _filters(draw), _columns(draw), draw(st.sampled_from((None, "customer", "kind")))
    rows, lag, reduced = draw(st.integers(0, 9)), draw(st.booleans()), draw(st.sampled_from(_REDUCED))

    def transform(orders: Table) -> Table:
        orders = kept(orders)
        orders = orders.mutate(known=known_at(orders), one=value(orders))
        order = [orders.known, orders.key]
        if lag:
            found = orders.one.lag(rows).over(ibis.window(group_by=groups, order_by=order))
        else:
            found = reduced(orders.one).over(ibis.window(group_by=groups, order_by=order, preceding=rows, following=0))
        return orders.select("key", value=found.cast("float64"), event_timestamp=orders.known)

    return _view(draw, transform, [source(number, late=late)], ALL)


def preceding_time(draw: Draw, number: int, late: bool) -> FeatureView:
    """Aggregates over a duration before each row, with the rows of the same instant."""
    kept, value, groups = _filters(draw), _columns(draw), draw(st.sampled_from((None, "customer", "kind")))
    hours, reduced = draw(st.integers(1, 72)), draw(st.sampled_from(_REDUCED))

    def transform(orders: Table) -> Table:
        orders = kept(orders)
        orders = orders.mutate(known=known_at(orders), one=value(orders))
        frame = ibis.trailing_range_window(preceding=ibis.interval(hours=hours), group_by=groups, order_by=orders.known)
        return orders.select("key", value=reduced(orders.one).over(frame), event_timestamp=orders.known)

    return _view(draw, transform, [source(number, late=late)], hours * HOUR)


def periods(draw: Draw, number: int, late: bool) -> FeatureView:
    """Aggregates of hours or days at their ends, and the change since the period before."""
    kept, value, reduced = _filters(draw), _columns(draw), draw(st.sampled_from(_REDUCED))
    unit, change = draw(st.sampled_from(("h", "D"))), draw(st.booleans())

    def transform(orders: Table) -> Table:
        orders = kept(orders)
        end = known_at(orders).truncate(unit) + ibis.interval(1, unit)
        grouped = orders.mutate(one=value(orders), end=end).group_by(key="customer", event_timestamp="end")
        found = grouped.aggregate(value=reduced(ibis._.one))
        before = found.value.lag().over(ibis.window(group_by="key", order_by=found.event_timestamp))
        return found.mutate(value=found.value - before) if change else found

    return _view(draw, transform, [source(number, late=late)], ALL if change else DAY)


def windows(draw: Draw, number: int, late: bool) -> FeatureView:
    """`rolling`, with one aggregate."""
    chosen, kept = draw(st.sampled_from(WINDOWS)), _filters(draw)
    aggregate = draw(st.sampled_from((*NUMBERS, *(each("amount") for each in AMOUNTS))))

    def transform(orders: Table, interval: Interval) -> Table:
        orders = kept(orders).drop("key").rename(key="customer")
        return rolling(orders, chosen, by="key", time="at", interval=interval, value=aggregate)

    return _view(
        draw, transform, [source(number, late=late)], timedelta(0), _rolled(chosen, whole=aggregate in NUMBERS)
    )


@cache
def _rolled(chosen: Windows, *, whole: bool) -> type[FeatureSchema]:
    class Numbers(FeatureSchema, windows=chosen):
        key: int
        value: Windowed[int]

    class Amounts(FeatureSchema, windows=chosen):
        key: int
        value: Windowed[float] = Field(nullable=True)

    return Numbers if whole else Amounts


def joined_as_of(draw: Draw, number: int, late: bool) -> FeatureView:
    """The newest row of another table that was known at each row."""
    kept, value, hours = _filters(draw), _columns(draw), draw(st.integers(1, 72))

    def transform(orders: Table, others: Table) -> Table:
        orders, others = orders.mutate(known=known_at(orders)), kept(others)
        others = others.select("customer", other="key", then=known_at(others), one=value(others))
        since = orders.known - ibis.interval(hours=hours)
        both = orders.left_join(
            others, [orders.customer == others.customer, others.then <= orders.known, others.then >= since]
        )
        newest = ibis.window(group_by=both.key, order_by=[both.then.desc(), both.other.desc()])
        found = both.mutate(place=ibis.row_number().over(newest)).filter(ibis._.place == 0)
        return found.select("key", value=found.one, event_timestamp=found.known)

    others = (number + 1) % SETS
    sources = [source(number, late=late), source(others, late=draw(st.booleans()), name="others")]
    return _view(draw, transform, sources, hours * HOUR)


def over_a_view(draw: Draw, number: int, late: bool) -> FeatureView:
    """The rows of another view, and their earlier values."""
    rows, reduced = draw(st.integers(0, 9)), draw(st.sampled_from(_REDUCED))

    def transform(base: Table) -> Table:
        values = base
        frame = ibis.window(group_by="key", order_by=values.event_timestamp, preceding=rows, following=0)
        return values.mutate(value=reduced(values.value).over(frame))

    return _view(draw, transform, [BASE], ALL)


def two_tables(draw: Draw, number: int, late: bool) -> FeatureView:
    """The events of two tables in one order."""
    kept, value, rows = _filters(draw), _columns(draw), draw(st.integers(0, 9))
    reduced = draw(st.sampled_from(_REDUCED))

    def transform(orders: Table, others: Table) -> Table:
        tables = [kept(orders), kept(others)]
        events = ibis.union(*(
            each.select("customer", "key", table=ibis.literal(place), known=known_at(each), one=value(each))
            for place, each in enumerate(tables)
        ))  # fmt: skip
        order = [events.known, events.table, events.key]
        frame = ibis.window(group_by=events.customer, order_by=order, preceding=rows, following=0)
        found = events.mutate(value=reduced(events.one).over(frame)).filter(events.table == 0)
        return found.select("key", "value", event_timestamp=found.known)

    others = source((number + 1) % SETS, late=draw(st.booleans()), name="others")
    return _view(draw, transform, [source(number, late=late), others], ALL)


SHAPES: dict[str, Callable[[Draw, int, bool], FeatureView]] = {
    each.__name__: each
    for each in (
        row_wise, preceding_rows, preceding_time, periods, windows, joined_as_of, over_a_view, two_tables
    )
}  # fmt: skip
