"""What a transform means: its expression, its branches on the interval, its functions, the code of loaders."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import ibis
import pyarrow as pa
import pytest
from ibis.expr.types import Table

from amora_fs_assets import FeatureView, Interval, Source
from amora_fs_assets.domain.errors import DefinitionError
from amora_fs_assets.domain.identity.code import code_hash
from amora_fs_assets.domain.identity.meaning import Meaning
from amora_fs_assets_tests import small
from amora_fs_assets_tests.domain.identity.projects import imported

LOOKBACK = timedelta(days=2)


def meaning(transform: Callable[..., Any]) -> Meaning:
    found = view(transform).meaning
    assert found is not None
    return found


def view(transform: Callable[..., Any]) -> FeatureView:
    return small.spending(small.orders(), transform)


def selected(orders: Table, amount: Any) -> Table:
    return orders.select("customer", amount=amount, event_timestamp=orders["at"])


def test_an_instant_of_the_interval_is_a_marker_whatever_the_code_is_called() -> None:
    def one(orders: Table, interval: Interval) -> Table:
        recent = orders.filter(orders["at"] >= interval.start - timedelta(days=2))
        return selected(recent, (recent["at"] < interval.end).ifelse(recent.amount, 0.0))

    def two(orders: Table, interval: Interval) -> Table:
        since = interval.start - LOOKBACK
        kept = orders.filter(orders["at"] >= since)
        return selected(kept, (kept["at"] < interval.end).ifelse(kept.amount, 0.0))

    def three(orders: Table, interval: Interval) -> Table:
        recent = orders.filter(orders["at"] >= interval.start - timedelta(days=3))
        return selected(recent, (recent["at"] < interval.end).ifelse(recent.amount, 0.0))

    assert meaning(one) == meaning(two)
    assert meaning(one).rows != meaning(three).rows
    assert meaning(one).columns == meaning(three).columns


TURNS: dict[str, Callable[[Interval, datetime], bool]] = {
    "a comparison": lambda interval, turn: interval.start < turn,
    "a comparison the other way round": lambda interval, turn: turn > interval.start,
    "a question of the interval": lambda interval, turn: interval.contains(turn),
    "its length": lambda interval, turn: interval.end - interval.start > timedelta(days=turn.year),
    "a part of an instant": lambda interval, turn: interval.start.year < turn.year,
    "text": lambda interval, turn: str(interval.start) < str(turn),
    "an instant made of it": lambda interval, turn: interval.start + timedelta(days=1) < turn,
    "its place in a dict": lambda interval, turn: {turn: 1}.get(interval.start) is None,
}


def test_code_that_branches_on_the_interval_counts() -> None:
    """Both turns lie before any interval that the transform is tried with: the expressions are equal."""
    for branch in TURNS.values():

        def made(turn: datetime, branch: Callable[[Interval, datetime], bool] = branch) -> Meaning:
            def transform(orders: Table, interval: Interval) -> Table:
                return selected(orders, orders.amount if branch(interval, turn) else -orders.amount)

            return meaning(transform)

        assert made(small.at(1)).columns == made(small.at(2)).columns
        assert made(small.at(1)).rows != made(small.at(2)).rows
        assert made(small.at(1)) == made(small.at(1))


def test_a_transform_that_returns_another_expression_each_time_is_refused() -> None:
    numbers = itertools.count()
    with pytest.raises(DefinitionError, match="'spending'.*two different expressions.*Remove what differs"):
        _ = view(lambda orders: selected(orders, orders.amount + next(numbers))).meaning


def test_a_transform_that_gives_what_was_applied_is_run_once() -> None:
    runs = itertools.count()

    def counted(orders: Table) -> Table:
        next(runs)
        return selected(orders, orders.amount + 1)

    applied, again = view(counted), view(counted)
    assert applied.meaning is not None
    again.remember(applied)
    assert again.meaning == applied.meaning
    assert next(runs) == 3


def test_a_transform_that_does_not_give_what_was_applied_is_run_twice() -> None:
    numbers = itertools.count()
    changed = view(lambda orders: selected(orders, orders.amount + next(numbers)))
    with pytest.raises(DefinitionError, match="two different expressions"):
        changed.remember(view(lambda orders: selected(orders, orders.amount + 9)))


@pytest.mark.parametrize(
    "transform",
    [lambda orders: orders.nosuch, lambda _orders: None, lambda _orders: ibis.memtable({"customer": [1]})],
    ids=["it fails", "no table", "rows in memory"],
)
def test_a_transform_that_cannot_be_computed_means_its_code(transform: Callable[..., Any]) -> None:
    def named(orders: Table) -> Any:
        return transform(orders)

    def other(orders: Table) -> Any:
        return transform(orders.limit(3))

    assert meaning(named) == meaning(named)
    assert meaning(named).rows != meaning(other).rows


def udf(factor: int, *, name: str = "scaled") -> Callable[..., Any]:
    def scaled(value: float) -> float:
        return value * factor

    scaled.__name__ = name
    function: Callable[..., Any] = ibis.udf.scalar.python(scaled)
    return function


def test_the_code_of_a_function_that_the_engine_calls_counts() -> None:
    def made(function: Callable[..., Any]) -> Meaning:
        return meaning(lambda orders: selected(orders, function(orders.amount)))

    assert made(udf(2)) == made(udf(2, name="other"))
    assert made(udf(2)).columns["amount"] != made(udf(3)).columns["amount"]
    assert made(udf(2)).columns["customer"] == made(udf(3)).columns["customer"]


def test_an_as_of_join_that_is_added_leaves_the_other_columns_as_they_were() -> None:
    def joined(orders: Table) -> Table:
        other = orders.view()
        both = orders.asof_join(other, orders["at"] >= other["at"], predicates="customer")
        return both.select(both.customer, amount=orders.amount, event_timestamp=orders["at"], more=other.amount)

    plain, more = meaning(lambda orders: selected(orders, orders.amount)), meaning(joined)
    assert more.rows == plain.rows
    assert {name: more.columns[name] for name in plain.columns} == plain.columns


def loader(factor: int) -> Callable[[], pa.Table]:
    return lambda: small.orders_table([(1, small.at(1), 1.0 * factor)])


def source(load: Callable[[], pa.Table] | None) -> Source:
    return Source("orders", small.Orders, timestamp_field="at", loader=load)


def test_the_code_of_a_loader_counts() -> None:
    assert source(loader(2)).loader_hash == source(loader(2)).loader_hash
    assert source(loader(2)).loader_hash != source(loader(3)).loader_hash
    assert source(None).loader_hash == ""


CODE = """
    import functools
    import json as words
    from datetime import timedelta
    from decimal import Decimal

    LIMITS = {"low": [1, 2], "high": (Decimal("1.5"), {3, 4})}
    PAUSE = timedelta(hours=1)

    class Rates:
        vat = 20

        def of(self, amount):
            return amount * self.vat

    RATES = Rates()

    @functools.cache
    def cached(x):
        return x + 7

    def helper(x, *, by=11):
        return x * by

    partial = functools.partial(helper, by=13)

    def main(rows):
        from shop import later
        total = [helper(row) for row in rows if row > LIMITS["low"][0]]
        try:
            total += [(lambda y: y + cached(y))(each) for each in rows]
        except ValueError as error:
            raise KeyError(words.dumps(str(error))) from error
        match rows:
            case [first, *rest]:
                total.append(first)
            case _:
                pass
        return partial(sum(total)), RATES.of(total), PAUSE, later.last(total)
"""
LATER = """
    def last(x):
        return x[-1]
"""


def hash_of(folder: Path, text: str, later: str = LATER) -> str:
    import importlib

    with imported(folder, {"shop": "", "shop.code": text, "shop.later": later}):
        return code_hash(importlib.import_module("shop.code").main)


@pytest.mark.parametrize(
    ("old", "new"),
    [("[1, 2]", "[0, 2]"), ('"1.5"', '"1.6"'), ("{3, 4}", "{3, 5}"), ("hours=1", "hours=2"), ("vat = 20", "vat = 21"),
     ("x + 7", "x + 8"), ("by=11", "by=12"), ("by=13", "by=14"), ("x[-1]", "x[0]"), ("y + cached", "y - cached"),
     ("KeyError", "IndexError"), ("words.dumps", "words.loads"), ("[first, *rest]", "[*rest, first]"),
     ("amount * self.vat", "amount + self.vat"), ("row > LIMITS", "row < LIMITS")],
)  # fmt: skip
def test_what_changes_a_result_changes_the_hash_of_code(tmp_path: Path, old: str, new: str) -> None:
    assert (CODE + LATER).count(old) == 1
    changed = hash_of(tmp_path / "after", CODE.replace(old, new), LATER.replace(old, new))
    assert changed != hash_of(tmp_path / "before", CODE)


@pytest.mark.parametrize(
    ("old", "new"),
    [("error", "problem"), ("rest", "tail"), ("total", "sums"), ("y", "z"), ("row ", "each_row "), ("cached", "kept"),
     ("LIMITS", "BOUNDS"), ("words", "texts"), ("later", "afterwards"), ("return x * by", "return x * by  # why"),
     ("helper(x,", "helper(number,"), ("def main(rows):", 'def main(rows: list[int]) -> "tuple":\n        "Words."')],
)  # fmt: skip
def test_names_comments_and_annotations_change_no_hash_of_code(tmp_path: Path, old: str, new: str) -> None:
    text = CODE
    if old == "y":
        text = CODE.replace("(lambda y: y + cached(y))", "(lambda z: z + cached(z))")
    elif old == "row ":
        text = CODE.replace("helper(row) for row in rows if row >", "helper(each) for each in rows if each >")
    elif old == "later":
        text = CODE.replace("import later", "import later as afterwards").replace("later.last", "afterwards.last")
    elif old == "words":
        text = CODE.replace("words", new)
    elif old == "helper(x,":
        text = CODE.replace("helper(x,", "helper(number,").replace("return x * by", "return number * by")
    else:
        text = CODE.replace(old, new)
    assert text != CODE
    assert hash_of(tmp_path / "after", text) == hash_of(tmp_path / "before", CODE)


def test_a_library_is_not_followed() -> None:
    def one(x: list[int]) -> list[int]:
        return functools.reduce(lambda a, b: a + b, [x])

    assert code_hash(one) == code_hash(one)
    assert code_hash(ibis.table) == code_hash(ibis.table)


def test_lambdas_of_one_line_are_told_apart() -> None:
    one, two = (lambda x: x + 1), (lambda x: x + 2)
    assert code_hash(one) != code_hash(two)
    assert code_hash(one) == code_hash(lambda y: y + 1)
