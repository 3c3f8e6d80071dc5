"""Views over late rows, and what they hold by plain Python: when each row became known, and nothing of intervals."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from random import Random

import ibis
import pyarrow as pa
from ibis.expr.types import Table

from amora_fs_assets import Entity, FeatureSchema, FeatureView, Field, Source, SourceSchema, Timestamp, known_at

US = pa.timestamp("us", tz="UTC")
START = datetime(2026, 11, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)
END = START + timedelta(days=7)
BOUND = timedelta(days=2)
Row = tuple[int, datetime, datetime | None, int]  # customer, when it happened, when it could be known, amount
Found = tuple[int, datetime, int]  # customer, event_timestamp, amount


class Orders(SourceSchema):
    customer: int
    at: Timestamp
    loaded: Timestamp = Field(nullable=True)
    amount: int


class Amounts(FeatureSchema):
    customer: int
    amount: int


class Corrected(FeatureSchema):
    customer: int
    created_timestamp: Timestamp = Field(nullable=True)
    amount: int


customer = Entity("customer")
unbounded = Source("orders", Orders, table="theirs.orders", timestamp_field="at", available_at="loaded")
bounded = Source(
    "orders", Orders, table="theirs.orders", timestamp_field="at", available_at="loaded", max_lateness=BOUND
)


def row_wise(orders: Table) -> Table:
    return orders.filter(orders.amount % 2 == 0).select("customer", amount=orders.amount * 10)


def hourly(orders: Table) -> Table:
    hour = known_at(orders).truncate("h") + ibis.interval(hours=1)
    return orders.group_by("customer", event_timestamp=hour).aggregate(amount=orders.amount.sum())


def trailing(orders: Table) -> Table:
    per_hour = hourly(orders)
    window = ibis.range_window(preceding=5, following=0, group_by="customer",
                               order_by=per_hour.event_timestamp.epoch_seconds() // 3600)  # fmt: skip
    return per_hour.mutate(amount=per_hour.amount.sum().over(window))


def pairs(orders: Table, refunds: Table) -> Table:
    both = orders.inner_join(refunds, "customer")
    known = both.select("customer", known=known_at(both), amount=both.amount * both.amount_right)
    return known.group_by("customer", event_timestamp=known.known).aggregate(amount=known.amount.sum())


def corrected(orders: Table) -> Table:
    later = known_at(orders) + orders.amount.as_interval("h")
    return orders.group_by("customer", event_timestamp=known_at(orders)).aggregate(
        amount=orders.amount.sum(), created_timestamp=(orders.amount % 3 != 0).ifelse(later, ibis.null()).max()
    )


def of_corrected(corrected: Table) -> Table:
    known = known_at(corrected)
    return corrected.group_by("customer", event_timestamp=known).aggregate(amount=corrected.amount.sum())


def views(source: Source) -> dict[str, FeatureView]:
    """Each kind of view over that source, by the name of its transform."""
    refunds = Source("refunds", Orders, table=source.table, timestamp_field="at", available_at="loaded",
                     max_lateness=source.max_lateness)  # fmt: skip

    def view(name: str, transform: object, *sources: Source | FeatureView, **given: object) -> FeatureView:
        schema = given.pop("schema", Amounts)
        return FeatureView(name, schema, [customer], sources, transform=transform, start=START, **given)  # type: ignore[arg-type]

    inner = view("corrected", corrected, source, schema=Corrected)
    return {
        "row_wise": view("row_wise", row_wise, source),
        "hourly": view("hourly", hourly, source, lookback=HOUR),
        "trailing": view("trailing", trailing, source, lookback=6 * HOUR),
        "pairs": view("pairs", pairs, source, refunds, lookback=timedelta(days=30)),
        "corrected": inner,
        "of_corrected": view("of_corrected", of_corrected, inner),
    }


def known(row: Row) -> datetime:
    """When the row became known."""
    return row[1] if row[2] is None else max(row[1], row[2])


def expected(rows: Sequence[Row]) -> dict[str, list[Found]]:
    """What each view holds, whoever computes it when."""
    hours = _sums((row[0], _hour_end(known(row)), row[3]) for row in rows)
    pairs = ((a[0], max(known(a), known(b)), a[3] * b[3]) for a in rows for b in rows if a[0] == b[0])
    groups: dict[tuple[int, datetime], list[int]] = {}
    for row in rows:
        groups.setdefault((row[0], known(row)), []).append(row[3])
    created = {
        (who, when): max([when, *(when + n * HOUR for n in amounts if n % 3)])
        for (who, when), amounts in groups.items()
    }
    return {
        "row_wise": sorted((row[0], known(row), row[3] * 10) for row in rows if row[3] % 2 == 0),
        "hourly": hours,
        "trailing": [
            (who, end, sum(n for other, hour, n in hours if other == who and end - 5 * HOUR <= hour <= end))
            for who, end, _ in hours
        ],
        "pairs": _sums(pairs),
        "corrected": sorted((who, when, sum(amounts)) for (who, when), amounts in groups.items()),
        "of_corrected": _sums((who, created[who, when], sum(amounts)) for (who, when), amounts in groups.items()),
    }


def _hour_end(instant: datetime) -> datetime:
    return instant.replace(minute=0, second=0, microsecond=0) + HOUR


def _sums(rows: Iterable[Found]) -> list[Found]:
    found: dict[tuple[int, datetime], int] = {}
    for who, when, amount in rows:
        found[who, when] = found.get((who, when), 0) + amount
    return sorted((who, when, amount) for (who, when), amount in found.items())


def some_rows(rng: Random, latest: timedelta) -> list[Row]:
    """Rows of a few customers and days; a third known at once, some known before they happened, others late."""
    rows: list[Row] = []
    for number in range(rng.randint(1, 25)):
        happened = START + timedelta(hours=rng.randint(0, 72), minutes=rng.choice([0, 0, 30, 59]))
        late = rng.choice([None, timedelta(0), -HOUR, HOUR, latest * rng.random(), latest])
        # One of a kind, so that the row-wise view has no two rows of one key and instant.
        happened += timedelta(microseconds=number)
        rows.append((rng.randint(1, 3), happened, None if late is None else happened + late, rng.randint(1, 9)))
    return rows


def some_cuts(rng: Random) -> list[datetime]:
    """From START to END: by the day, in one go, or anywhere."""
    if rng.random() < 0.3:
        return [START + timedelta(days=n) for n in range(8)]
    minutes = int((END - START) / timedelta(minutes=1))
    cuts = {START + timedelta(minutes=rng.randrange(1, minutes)) for _ in range(rng.randrange(5))}
    return sorted({START, END, *cuts})


def as_table(rows: Sequence[Row]) -> pa.Table:
    """As the source's table holds them."""
    customers, times, loaded, amounts = zip(*rows, strict=True) if rows else ((), (), (), ())
    return pa.table(
        {
            "customer": pa.array(customers, pa.int64()),
            "at": pa.array(times, US),
            "loaded": pa.array(loaded, US),
            "amount": pa.array(amounts, pa.int64()),
        }
    )
