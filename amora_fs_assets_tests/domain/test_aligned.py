"""Aligned views equal plain Python: a row at each change of one of them, with the values of a point-in-time join."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from itertools import count as numbers
from itertools import pairwise
from pathlib import Path
from typing import Any

import ibis
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, Phase, given, settings
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
from amora_fs_assets.domain.errors import DefinitionError
from amora_fs_assets.domain.known import handing
from amora_fs_assets.domain.ports.offline import OfflineStore
from amora_fs_assets.domain.table_names import table_name
from amora_fs_assets.operations.expressions.tables import known_rows
from amora_fs_assets.stores.bigquery.offline_store import BigQueryOfflineStore
from amora_fs_assets.stores.duckdb.offline_store import DuckDBOfflineStore
from amora_fs_assets.testing import assert_causal, assert_splits, compute
from amora_fs_assets_tests.emulators.bigquery import BigQueryEmulator
from amora_fs_assets_tests.operations.oracle import NEVER, Row
from amora_fs_assets_tests.operations.stores import fill, fill_bigquery
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


def _of_orders(orders: Table) -> Table:
    return orders.select("customer", event_timestamp=orders["at"], spend=orders["amount"], visits=orders["customer"])


def spend_of(ttl: timedelta | None) -> FeatureView:
    return FeatureView("spend", Spend, [customer], [orders], transform=_of_orders, start="2020-01-01", ttl=ttl)


def visits_of(ttl: timedelta | None) -> FeatureView:
    """Rows become known later than they happened."""
    return FeatureView("visits", Visits, [customer], [orders], transform=_of_orders, start="2020-01-01", ttl=ttl)


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
_numbers = numbers()


@pytest.fixture
def embedded(tmp_path: Path) -> Filled:
    def filled(views: Sequence[FeatureView], rows: dict[str, list[Row]]) -> OfflineStore:
        fill(tmp_path, {table_name(view, "feature_store"): table(view, rows[view.name]) for view in views})
        return DuckDBOfflineStore(tmp_path)

    return filled


@pytest.fixture
def emulated(bigquery_emulator: BigQueryEmulator) -> Iterator[Filled]:
    with bigquery_emulator.client() as client:

        def filled(views: Sequence[FeatureView], rows: dict[str, list[Row]]) -> OfflineStore:
            dataset = f"aligned_{next(_numbers)}"
            fill_bigquery(client, {table_name(view, dataset): table(view, rows[view.name]) for view in views})
            return BigQueryOfflineStore(client, dataset=dataset, storage_client=bigquery_emulator.read_client())

        yield filled


EDGES: dict[str, list[Row]] = {
    "spend": [
        {"customer": 1, "event_timestamp": time, "spend": spend}
        for time, spend in [(at(2), 0.0), (at(6), 1.0), (at(6) + US, 2.0), (at(8), None), (END - US, 4.0), (END, 5.0)]
    ],
    "visits": [
        {"customer": key, "event_timestamp": time, "created_timestamp": known, "visits": visits}
        for key, time, known, visits in [
            (1, at(6), None, 1), (1, at(6), at(7), 2), (1, at(5), at(9), 3), (1, at(6) - US, at(6), 4),
            (2, at(6), at(6) + 2 * DAY, 5), (2, at(6), at(6) + 2 * DAY + US, 6), (2, at(7), at(6), 7),
        ]
    ],
    "grade": [
        {"customer": key, "event_timestamp": time, "created_timestamp": known, "valid_to": end, "grade": grade}
        for key, time, known, end, grade in [
            (1, at(6), None, at(7), "a"), (1, at(7), None, at(7), "b"), (1, at(7), None, at(8), "c"),
            (1, at(8) + US, at(9), None, "d"), (1, at(10), None, NEVER, "e"), (1, at(10), None, at(11), "f"),
            (2, at(3), None, at(6), "g"), (2, at(4), at(7), at(6), "h"), (None, at(6), None, None, "i"),
        ]
    ],
}  # fmt: skip


@pytest.mark.parametrize("ttl", [None, 2 * DAY])
def test_the_edges_of_aligned_views_are_exact(ttl: timedelta | None, embedded: Filled) -> None:
    views = [each(ttl) for each in VIEWS]
    compare(views, EDGES, embedded(views, EDGES), (START, at(7), at(8) + US, END))


@pytest.mark.slow
@pytest.mark.google
@pytest.mark.parametrize("ttl", [None, 2 * DAY])
def test_the_edges_of_aligned_views_are_exact_on_bigquery(ttl: timedelta | None, emulated: Filled) -> None:
    views = [each(ttl) for each in VIEWS]
    compare(views, EDGES, emulated(views, EDGES), (START, END))


examples = settings(
    max_examples=25, deadline=None, suppress_health_check=list(HealthCheck), phases=set(Phase) - {Phase.shrink}
)


@pytest.mark.slow
def test_aligned_views_equal_their_definition(embedded: Filled) -> None:
    @examples
    @given(cases())
    def check(case: tuple[list[FeatureView], dict[str, list[Row]], list[datetime]]) -> None:
        views, rows, cuts = case
        compare(views, rows, embedded(views, rows), cuts)

    check()


class Ratio(FeatureSchema):
    customer: int
    per_visit: float = Field(nullable=True)


def per_visit(spend: Table, visits: Table, interval: Interval) -> Table:
    both = aligned(spend, visits, interval=interval)
    return both.select("customer", "event_timestamp", per_visit=both.spend / both.visits.nullif(0))


def ratio_of(
    transform: Any = per_visit, ttl: timedelta | None = DAY, views: Sequence[FeatureView] = (), **arguments: Any
) -> FeatureView:
    sources = views or [spend_of(ttl), visits_of(ttl)]
    given = {"start": "2020-01-01", "lookback": lookback_of(*sources), **arguments}
    return FeatureView("ratio", Ratio, [customer], list(sources), transform=transform, **given)


GIVEN: dict[str, Any] = {
    "spend": [{"customer": 1, "event_timestamp": at(5, hour), "spend": float(hour)} for hour in (1, 20)],
    "visits": [
        {"customer": 1, "event_timestamp": at(5, 2), "visits": 2},
        {"customer": 1, "event_timestamp": at(5, 20), "created_timestamp": at(6, 3), "visits": 4},
        {"customer": 2, "event_timestamp": at(5, 2), "visits": 1},
    ],
}


def test_a_ratio_of_two_views_is_written_at_each_change_of_either() -> None:
    rows = compute(ratio_of(), Interval(at(5), at(8)), **GIVEN).to_pylist()
    assert [(row["event_timestamp"], row["per_visit"]) for row in rows if row["customer"] == 1] == [
        (at(5, 1), None),
        (at(5, 2), 0.5),
        (at(5, 20), 10.0),
        (at(6, 2) + US, None),  # the ttl of the visits of 2 o'clock
        (at(6, 3), 5.0),
        (at(6, 20) + US, None),
    ]


@pytest.mark.parametrize("ttl", [DAY, None])
def test_aligned_views_pass_the_audit_and_split(ttl: timedelta | None) -> None:
    assert_causal(ratio_of(ttl=ttl), Interval(at(5), at(8)), **GIVEN)
    assert_splits(ratio_of(ttl=ttl), Interval(at(5), at(8)), **GIVEN)


def test_the_example_of_the_documentation_is_exact() -> None:
    page = (Path(__file__).parents[2] / "docs" / "writing-features.md").read_text()

    class Spent(FeatureSchema):
        customer: str
        spend_30d: float

    class Visited(FeatureSchema):
        customer: str
        visits_30d: int

    person = Entity("customer")
    names: dict[str, Any] = {
        "__name__": __name__, "Table": Table, "Interval": Interval, "customer": person,
        "customer_spend": FeatureView("customer_spend", Spent, [person], table="theirs.spend"),
        "visits": FeatureView("visits", Visited, [person], table="theirs.visits"),
    }  # fmt: skip
    exec(page.split("## Views on views")[1].split("```python\n")[1].split("```")[0], names)
    spend = [{"customer": "a", "event_timestamp": at(5, hour), "spend_30d": float(hour)} for hour in (1, 3)]
    visits = [{"customer": "a", "event_timestamp": at(5, 2), "visits_30d": 2}]
    days = Interval(at(5), at(6))
    rows = compute(names["spend_per_visit"], days, customer_spend=spend, visits=visits).to_pylist()
    assert [row["spend_per_visit"] for row in rows] == [None, 0.5, 1.5]
    assert_causal(names["spend_per_visit"], days, customer_spend=spend, visits=visits)
    assert_splits(names["spend_per_visit"], days, customer_spend=spend, visits=visits)


def test_a_lookback_that_loses_rows_is_refused_at_import() -> None:
    with pytest.raises(DefinitionError, match=r"'ratio'.*the longest ttl is 1 day.*lookback_of\(spend, v"):
        ratio_of(lookback=DAY)
    with pytest.raises(DefinitionError, match=r"lookback=0:00:00 does not reach.*'spend' has no ttl.*lookback_of\("):
        ratio_of(ttl=None, lookback=timedelta(0))
    assert lookback_of(spend_of(DAY), visits_of(3 * DAY)) == 3 * DAY + US


def test_a_ttl_that_ends_values_that_still_hold_is_refused_at_import() -> None:
    for ttl in (DAY, None):
        with pytest.raises(DefinitionError, match="a value that still holds would expire. Leave ttl out"):
            FeatureView(
                "ratio", Ratio, [customer], [spend_of(ttl), visits_of(ttl)], transform=per_visit, start="2020-01-01",
                lookback=lookback_of(spend_of(ttl), visits_of(ttl)), ttl=DAY - US,
            )  # fmt: skip


class Shops(FeatureSchema):
    shop: int
    visits: int


def test_what_cannot_be_aligned_is_refused_with_the_fix() -> None:
    shops = FeatureView("visits", Shops, [Entity("shop")], table="theirs.shops")
    with pytest.raises(
        DefinitionError, match=r"'spend' has the join keys \['customer'\], and .*'visits' has \['shop'\]"
    ):
        ratio_of(views=[spend_of(None), shops])
    twice = FeatureView("visits", Spend, [customer], table="theirs.spend")
    with pytest.raises(DefinitionError, match="both have a feature 'spend'. Use full_feature_names=True"):
        ratio_of(views=[spend_of(None), twice])
    with pytest.raises(DefinitionError, match="aligned takes two feature views or more"):
        ratio_of(lambda spend, visits, interval: aligned(spend, interval=interval))
    with pytest.raises(DefinitionError, match="as the transform received them, and a table is derived from one"):
        ratio_of(lambda spend, visits, interval: aligned(spend.limit(1), visits, interval=interval))
    with pytest.raises(DefinitionError, match="a table is a source"):
        FeatureView(
            "ratio", Ratio, [customer], [spend_of(DAY), orders], start="2020-01-01",
            transform=lambda spend, orders, interval: aligned(spend, orders, interval=interval),
        )  # fmt: skip
    with pytest.raises(DefinitionError, match="only on the tables that a transform receives"):
        aligned(ibis.table({"customer": "int64"}), interval=Interval(at(5), at(8)))


def test_features_of_one_name_get_the_names_of_their_views() -> None:
    def both(spend: Table, refunds: Table, interval: Interval) -> Table:
        found = aligned(spend, refunds, interval=interval, full_feature_names=True)
        return found.select("customer", "event_timestamp", per_visit=found["spend__spend"] - found["refunds__spend"])

    refunds = FeatureView("refunds", Spend, [customer], [orders], transform=_of_orders, start="2020-01-01")
    given = {"spend": GIVEN["spend"], "refunds": GIVEN["spend"][:1]}
    rows = compute(ratio_of(both, views=[spend_of(None), refunds]), Interval(at(5), at(8)), **given).to_pylist()
    assert [row["per_visit"] for row in rows] == [0.0, 19.0]


def test_a_table_whose_rows_end_is_read_with_its_own_names_and_ends_values() -> None:
    tariffs = FeatureView(
        "tariffs", Grade, [customer], table="dim.tariffs", timestamp_field="valid_from", valid_to_field="until",
        field_mapping={"name": "grade"},
    )  # fmt: skip

    class Paid(FeatureSchema):
        customer: int
        spend: float = Field(nullable=True)
        grade: str = Field(nullable=True)

    def paid(spend: Table, tariffs: Table, interval: Interval) -> Table:
        return aligned(spend, tariffs, interval=interval)

    views = [spend_of(None), tariffs]
    view = FeatureView(
        "paid", Paid, [customer], views, transform=paid, start="2020-01-01", lookback=lookback_of(*views)
    )
    given: dict[str, Any] = {
        "spend": GIVEN["spend"],
        "tariffs": [{"customer": 1, "event_timestamp": at(5), "valid_to": at(5, 10), "grade": "gold"}],
    }
    rows = compute(view, Interval(at(5), at(6)), **given).to_pylist()
    assert [(row["event_timestamp"], row["spend"], row["grade"]) for row in rows] == [
        (at(5), None, "gold"),
        (at(5, 1), 1.0, "gold"),
        (at(5, 10), 1.0, None),
        (at(5, 20), 20.0, None),
    ]
    assert_causal(view, Interval(at(5), at(6)), **given)
    assert_splits(view, Interval(at(5), at(6)), **given)
