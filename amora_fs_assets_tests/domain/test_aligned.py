"""Aligned views equal plain Python: a row at each change of one of them, with the values of a point-in-time join."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from itertools import count as numbers
from pathlib import Path
from typing import Any

import ibis
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from ibis.expr.types import Table

from amora_fs_assets import (
    Entity,
    FeatureSchema,
    FeatureView,
    Field,
    Interval,
    aligned,
    lookback_of,
)
from amora_fs_assets.domain.errors import DefinitionError
from amora_fs_assets.domain.ports.offline import OfflineStore
from amora_fs_assets.domain.table_names import table_name
from amora_fs_assets.stores.bigquery.offline_store import BigQueryOfflineStore
from amora_fs_assets.stores.duckdb.offline_store import DuckDBOfflineStore
from amora_fs_assets.testing import assert_causal, assert_splits, compute
from amora_fs_assets_tests.domain.aligned_oracle import (
    DAY,
    END,
    START,
    US,
    VIEWS,
    Filled,
    Grade,
    Spend,
    cases,
    compare,
    customer,
    of_orders,
    orders,
    spend_of,
    table,
    visits_of,
)
from amora_fs_assets_tests.emulators.bigquery import BigQueryEmulator
from amora_fs_assets_tests.operations.oracle import NEVER, Row
from amora_fs_assets_tests.operations.stores import fill, fill_bigquery
from amora_fs_assets_tests.small import at

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

    refunds = FeatureView("refunds", Spend, [customer], [orders], transform=of_orders, start="2020-01-01")
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
