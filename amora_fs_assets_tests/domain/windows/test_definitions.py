"""Windows in definitions: what the schema expands to, what follows for the view, and what is refused at import."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from ibis.expr.types import Table

from amora_fs_assets import Entity, FeatureSchema, FeatureView, Field, Interval, Source, SourceSchema, Timestamp
from amora_fs_assets.domain.errors import DefinitionError
from amora_fs_assets.windows import (
    Windowed,
    Windows,
    by_value,
    count,
    every,
    last_k,
    local_days,
    mean,
    quantile,
    ratio,
    rolling,
    since_last,
    stddev,
    sum_,
    top_k,
    window,
)

SHORT = Windows("1h", "24h")
HOUR = timedelta(hours=1)
WRONG: Any = "both"


class Orders(SourceSchema):
    customer: str
    paid_at: Timestamp
    amount: float = Field(nullable=True)
    channel: str
    paid: bool


class Spend(FeatureSchema, windows=SHORT):
    """Orders and amounts of a customer."""

    customer: str
    orders: Windowed[int] = Field(ge=0, description="Orders in the last {window} [count].")
    spend: Windowed[float] = Field(ge=0, description="Amount paid in the last {window} [EUR].")


orders = Source("orders", Orders, timestamp_field="paid_at")
customer = Entity("customer")
Build = Callable[[Table, Interval], Table]


def spend(orders: Table, interval: Interval) -> Table:
    return rolling(
        orders, SHORT, by="customer", time="paid_at", interval=interval, orders=count(), spend=sum_("amount")
    )


def view_of(transform: Any, **arguments: Any) -> FeatureView:
    given = {"schema": Spend, "entities": [customer], "sources": [orders], "start": "2026-01-01", **arguments}
    return FeatureView("spend", transform=transform, **given)


def built(windows: Any = SHORT, **arguments: Any) -> Build:
    given: dict[str, Any] = {"by": "customer", "time": "paid_at", "orders": count(), "spend": sum_("amount")}
    return lambda orders, interval: rolling(orders, windows, interval=interval, **{**given, **arguments})


def test_a_windowed_field_is_a_column_per_window_with_its_checks_and_words() -> None:
    columns = {column.name: column for column in Spend.columns_of("spend")}
    assert [*columns] == ["event_timestamp", "customer", "orders_1h", "orders_24h", "spend_1h", "spend_24h"]
    assert columns["spend_24h"].description == "Amount paid in the last 24 hours [EUR]."
    assert columns["spend_24h"].rules == columns["spend_1h"].rules
    assert columns["orders_1h"].rules[0].name == "greater_than_or_equal_to"


def test_annotations_as_text_are_read_alike() -> None:
    written: Any = type(
        "Written",
        (FeatureSchema,),
        {"__annotations__": {"customer": "str", "orders": "Windowed[int]"}, "__module__": __name__},
        windows=SHORT,
    )
    assert [column.name for column in written.columns_of("written")][2:] == ["orders_1h", "orders_24h"]


def test_the_lookback_follows_from_the_windows_and_one_tick() -> None:
    assert view_of(spend).lookback == timedelta(hours=25)
    assert view_of(spend, lookback=timedelta(days=3)).lookback == timedelta(days=3)
    assert Windows("1h", window("7d", ending="7d")).lookback == timedelta(days=14, hours=1)
    assert Windows("1h", None).lookback > timedelta(days=36_500)


def test_the_hop_is_the_greatest_common_divisor_of_tick_windows_and_shifts() -> None:
    assert Windows("1h", "24h").hop == 3_600
    assert Windows("90m", "5h").hop == 1_800
    assert Windows("24h", window("24h", ending="40m"), at="1h").hop == 1_200


def test_windows_have_words() -> None:
    shown = [str(each) for each in Windows("1h", "36h", "2w", window("7d", ending="7d"), None).windows]
    assert shown == ["1 hour", "36 hours", "2 weeks", "7 days, ending 7 days ago", "lifetime"]
    assert str(local_days(1, ending=2)) == "1 local day, ending 2 local days ago"


@pytest.mark.parametrize(
    ("windows", "message"),
    [
        (lambda: Windows("30m"), "window '30m' is shorter than the time between two ticks.*at='30m'"),
        (lambda: Windows("1x"), "'1x' is not a duration .*'24h'"),
        (lambda: Windows("1h", "1h"), "two windows have the name '1h'"),
        (lambda: Windows(), "no window is given"),
        (lambda: Windows("1h", closed=WRONG), "'both' is not 'left' or 'right'"),
        (lambda: Windows(timedelta(milliseconds=1)), "not a duration of 1 second"),
        (lambda: Windows(local_days(1)), "local days need ticks at local midnights"),
        (lambda: Windows(local_days(1), "24h", at=every("1d", tz="Europe/Berlin")), "Make a view of each kind"),
        (lambda: every("1h", tz="Europe/Berlin"), "ticks of a zone are its midnights"),
        (lambda: every("1d", tz="Europe/Atlantis"), "'Europe/Atlantis' is not a time zone"),
        (lambda: local_days(0), "days=0 is not a whole number"),
        (lambda: by_value("channel", []), "is not a list of different values"),
    ],
)
def test_wrong_windows_are_refused(windows: Callable[[], object], message: str) -> None:
    with pytest.raises(DefinitionError, match=message):
        windows()


@pytest.mark.parametrize(
    ("transform", "message"),
    [
        (built(spend=sum_("amout")), "spend: the table has no column 'amout'. Did you mean 'amount'"),
        (built(spend=sum_("channel")), "column 'channel' is string, not a number"),
        (built(spend=mean("amount", where="amount")), "where= is float64, not a condition"),
        (built(spend=mean("amount", where=lambda orders: orders.nothing)), "where= does not fit the table"),
        (built(spend=last_k("amount", 0)), "k=0 is not a whole number"),
        (built(spend=top_k("channel", 0)), "k=0 is not a whole number"),
        (built(spend=top_k("amount", 2)), "column 'amount' is float64, of which few values are equal. Round and cast"),
        (built(spend=quantile("amount", 90)), "q=90 is not a number from 0 to 1"),
        (built(spend=quantile("channel", 0.5)), "column 'channel' is string, not a number"),
        (built(spend=since_last(), idle=ratio("spend", "orders")), "'spend' is timestamp.*, not a number"),
        (built(spend=ratio("spent", "orders")), "'spent' is no feature of the call"),
        (built(spend=5), "spend=5 is no aggregate"),
        (built(spend=mean("amount")), "'spend_1h' of the schema is not nullable. Write `Field.nullable=True"),
        (built(spent=sum_("amount")), "have .'spent_1h', 'spent_24h'., which the schema lacks. Use the same names"),
        (built(["1h"]), "rows lack .'orders_24h', 'spend_24h'.. Use the same names, and the same windows"),
        (
            lambda orders, interval: spend(orders.mutate(paid_at=orders.paid_at.truncate("h")), interval),
            "the table no longer holds 'paid_at' of source 'orders'",
        ),
        (built(by="client"), "by='client' is no column"),
        (built(time="channel"), "time='channel' is string, not a timestamp"),
        (built(Windows("1h", "30d")), "lookback=1 day, 1:00:00 is shorter than its windows"),
        (built(at="2h"), "give the ticks in Windows"),
        (built(["1h", "24h"], at="events", time="paid"), "time='paid' is boolean"),
    ],
)
def test_a_wrong_call_is_refused_at_import(transform: Build, message: str) -> None:
    with pytest.raises(DefinitionError, match=f"Feature view 'spend'.*{message}"):
        view_of(transform)


def test_a_ttl_is_refused_for_rows_that_are_written_on_change() -> None:
    with pytest.raises(DefinitionError, match="a value that stays the same would expire. Leave ttl out"):
        view_of(spend, ttl=timedelta(days=1))


def test_a_ttl_is_taken_with_a_row_for_each_event() -> None:
    windows = Windows("1h", at="events", closed="right")

    class AtEvents(FeatureSchema, windows=windows):
        customer: str
        orders: Windowed[int]

    def transform(orders: Table, interval: Interval) -> Table:
        return rolling(orders, windows, by="customer", time="paid_at", interval=interval, orders=count())

    assert view_of(transform, schema=AtEvents, ttl=HOUR).ttl == HOUR


def test_a_windowed_field_needs_windows() -> None:
    with pytest.raises(DefinitionError, match="'orders' is Windowed, but the schema has no windows"):

        class Without(FeatureSchema):
            orders: Windowed[int]


def test_one_aggregate_gives_a_feature_per_value_of_a_category() -> None:
    class ByChannel(FeatureSchema, windows=SHORT):
        customer: str
        orders_web: Windowed[int]
        orders_shop: Windowed[int]
        spread: Windowed[float] = Field(nullable=True)

    view_of(
        lambda orders, interval: rolling(
            orders, SHORT, by="customer", time="paid_at", interval=interval,
            orders=by_value("channel", ["web", "shop"], count(where="paid")), spread=stddev("amount"),
        ),
        schema=ByChannel,
    ).meaning_of_one_run()  # fmt: skip


def test_the_example_of_the_documentation_is_a_view() -> None:
    page = (Path(__file__).parents[3] / "docs" / "writing-features.md").read_text()

    class Paid(SourceSchema):
        customer: str
        paid_at: Timestamp
        amount: float
        product: str

    code = page.split("```python\n")[1].split("```")[0]
    names: dict[str, Any] = {"customer": customer, "orders": Source("orders", Paid, timestamp_field="paid_at")}
    names["__name__"] = __name__
    exec(code, names)
    view = names["customer_spend"]
    assert view.lookback == timedelta(days=30, hours=1)
    assert len(view.features) == 17
    assert view.meaning_of_one_run().columns.keys() >= {"spend_7d", "mean_order_30d"}
    exec(page.split("## Tests")[1].split("```python\n")[1].split("```")[0], names)
    for name in [name for name in names if name.startswith("test_")]:
        names[name]()
