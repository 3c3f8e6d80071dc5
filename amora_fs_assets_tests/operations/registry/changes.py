"""Changes of plain definitions: the text, severity and effect of each, the definitions that it affects, the work."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from amora_fs_assets.domain.changes import Severity
from amora_fs_assets_tests.operations.catalogues import (
    Plain,
    column,
    find,
    projection,
    view,
)

COMPATIBLE, RECOMPUTE, BREAKING = Severity


def spending(**changes: Any) -> Callable[[Plain], None]:
    return lambda plain: find(plain, "feature_views", "spending").update(changes)


def payments(**changes: Any) -> Callable[[Plain], None]:
    return lambda plain: find(plain, "feature_views", "payments").update(changes)


def source(**changes: Any) -> Callable[[Plain], None]:
    return lambda plain: find(plain, "sources", "orders").update(changes)


def training_set(**changes: Any) -> Callable[[Plain], None]:
    return lambda plain: find(plain, "training_sets", "bought").update(changes)


def service(**changes: Any) -> Callable[[Plain], None]:
    return lambda plain: find(plain, "feature_services", "shopping").update(changes)


def features(*columns: Plain) -> Callable[[Plain], None]:
    return spending(columns=[column("customer", "int64"), *columns])


def rename_amount(plain: Plain) -> None:
    """As it is in code: the service that takes the whole view takes the new name."""
    features(column("paid_amount", rules=RULES), ORDERS)(plain)
    service(features=[projection("spending", "paid_amount", "orders"), projection("payments", "paid")])(plain)


def other_key(plain: Plain) -> None:
    """Every view of the entity has to follow."""
    find(plain, "entities", "customer")["join_keys"] = ["shopper"]
    find(plain, "entities", "client")["join_keys"] = ["shopper"]
    for each in plain["feature_views"]:
        each["columns"][0] = column("shopper", "int64")


def other_key_type(plain: Plain) -> None:
    for each in plain["feature_views"]:
        each["columns"][0] = column("customer", "string")


RULES = [{"name": "ge", "arguments": {"min_value": 0}}]
AMOUNT, ORDERS = column("amount", rules=RULES), column("orders", "int64")
STRICTER = [*RULES, {"name": "le", "arguments": {"max_value": 9}}]
COLUMNS = [column("customer", "int64"), column("at", "timestamp"), column("amount")]

Case = tuple[Callable[[Plain], Any], str, Severity, set[str], set[str]]
# Each row: the change, its text, its severity, the definitions that it affects, and the intervals to compute.
CASES: dict[str, Case] = {
    "an entity's words": (
        lambda plain: find(plain, "entities", "client").update(description="Who buys."),
        "entity 'client'", COMPATIBLE, set(), set(),
    ),
    "an entity's join key": (
        other_key, "entity 'customer'", BREAKING,
        {"feature view 'payments'", "feature view 'spending'", "feature view 'totals'", "feature service 'shopping'",
         "training set 'bought'"},
        {"spending", "totals"},
    ),
    "a source's words": (source(description="All."), "source 'orders'", COMPATIBLE, set(), set()),
    "a source's owner": (source(owner="a@b.c"), "source 'orders'", COMPATIBLE, set(), set()),
    **{
        f"a source's {name}": (
            source(**{name: value}), "source 'orders'", RECOMPUTE,
            {"feature view 'spending'", "feature view 'totals'", "feature service 'shopping'", "training set 'bought'"},
            {"spending", "totals"},
        )
        for name, value in [
            ("table", "raw.other"),
            ("available_at", "at"),
            ("columns", [*COLUMNS[:2], column("amount", "int64")]),
        ]
    },
    "a source's new column": (
        source(columns=[*COLUMNS, column("b")]), "source 'orders'", COMPATIBLE, set(), set(),
    ),
    "a source's column that is declared no more": (
        source(columns=COLUMNS[:2]), "source 'orders'", COMPATIBLE, set(), set(),
    ),
    **{
        f"a view's {name}": (spending(**{name: value}), "feature view 'spending'", COMPATIBLE, set(), set())
        for name, value in [
            ("description", "All."), ("owner", "a@b.c"), ("tags", {"a": "b"}), ("partitions", "day"),
            ("partitions", None), ("entities", ["client"]), ("start", "2020-02-01T00:00:00+00:00"),
        ]
    },
    **{
        f"a view's {name}": (
            spending(**{name: value}), "feature view 'spending'", RECOMPUTE,
            {"feature view 'totals'", "feature service 'shopping'", "training set 'bought'"}, {"spending", "totals"},
        )
        for name, value in [("code_hash", "2"), ("lookback_seconds", 60.0), ("start", "2019-01-01T00:00:00+00:00")]
    },
    "a view's sources": (
        spending(sources=["payments"]), "feature view 'spending'", RECOMPUTE,
        {"feature view 'totals'", "feature service 'shopping'", "training set 'bought'"}, {"spending", "totals"},
    ),
    "a view's ttl": (
        spending(ttl_seconds=60.0), "feature view 'spending'", RECOMPUTE,
        {"feature view 'totals'", "feature service 'shopping'", "training set 'bought'"}, set(),
    ),
    "a view's table": (
        payments(table="finance.other"), "feature view 'payments'", RECOMPUTE,
        {"feature service 'shopping'", "training set 'bought'", "online generation 'payments'"}, set(),
    ),
    "a view's timestamp_field": (
        payments(timestamp_field="booked_at"), "feature view 'payments'", RECOMPUTE,
        {"feature service 'shopping'", "training set 'bought'", "online generation 'payments'"}, set(),
    ),
    "a join key's type": (
        other_key_type, "feature view 'spending'", BREAKING,
        {"feature view 'totals'", "feature service 'shopping'", "training set 'bought'",
         "online generation 'spending'"},
        {"spending", "totals"},
    ),
    "a new feature": (
        features(AMOUNT, ORDERS, column("new")), "feature view 'spending'", RECOMPUTE,
        {"feature view 'totals'", "online generation 'spending'"}, {"spending", "totals"},
    ),
    "a feature that was renamed": (
        rename_amount, "feature view 'spending'", BREAKING,
        {"feature view 'totals'", "feature service 'shopping'", "training set 'bought'",
         "online generation 'spending'"},
        {"spending", "totals"},
    ),
    "a feature's type": (
        features(AMOUNT, column("orders", "float64")), "feature view 'spending'", BREAKING,
        {"feature view 'totals'", "feature service 'shopping'", "training set 'bought'",
         "online generation 'spending'"},
        {"spending", "totals"},
    ),
    "a feature that may be null": (
        features(AMOUNT, {**ORDERS, "nullable": True}), "feature view 'spending'", COMPATIBLE,
        {"online generation 'spending'"}, set(),
    ),
    "a feature's new rule": (
        features({**AMOUNT, "rules": STRICTER}, ORDERS), "feature view 'spending'", RECOMPUTE,
        {"feature view 'totals'", "feature service 'shopping'", "training set 'bought'"}, {"spending", "totals"},
    ),
    "a feature's dropped rule": (
        features({**AMOUNT, "rules": []}, ORDERS), "feature view 'spending'", COMPATIBLE, set(), set(),
    ),
    "a feature's words": (
        features({**AMOUNT, "description": "Paid [EUR]."}, ORDERS), "feature view 'spending'", COMPATIBLE, set(), set(),
    ),
    "another order of features": (
        features(ORDERS, AMOUNT), "feature view 'spending'", COMPATIBLE, {"online generation 'spending'"}, set(),
    ),
    "a new created_timestamp": (
        features(AMOUNT, ORDERS, column("created_timestamp", "timestamp")), "feature view 'spending'", RECOMPUTE,
        {"feature view 'totals'", "feature service 'shopping'", "training set 'bought'",
         "online generation 'spending'"},
        {"spending", "totals"},
    ),
    "a service's words": (service(description="All."), "feature service 'shopping'", COMPATIBLE, set(), set()),
    **{
        f"a service's {name}": (
            service(features=picks), "feature service 'shopping'", severity, {"training set 'bought'"}, set(),
        )
        for name, severity, picks in [
            ("lost feature", BREAKING, [projection("spending", "amount"), projection("payments", "paid")]),
            ("lost view", BREAKING, [projection("spending", "amount", "orders")]),
            ("new view", RECOMPUTE, [projection("spending", "amount", "orders"), projection("payments", "paid"),
                                     projection("totals", "total")]),
            ("order of features", BREAKING, [projection("spending", "orders", "amount"),
                                             projection("payments", "paid")]),
            ("order of views", BREAKING, [projection("payments", "paid"),
                                          projection("spending", "amount", "orders")]),
            ("alias", BREAKING, [{**projection("spending", "amount", "orders"), "alias": "other"},
                                 projection("payments", "paid")]),
            ("join keys", BREAKING, [{**projection("spending", "amount", "orders"), "join_keys": {"customer": "who"}},
                                     projection("payments", "paid")]),
        ]
    },
    "a training set's words": (training_set(owner="a@b.c"), "training set 'bought'", COMPATIBLE, set(), set()),
    **{
        f"a training set's {name}": (training_set(**{name: value}), "training set 'bought'", RECOMPUTE, set(), set())
        for name, value in [("code_hash", "2"), ("service", "spending"), ("sources", ["orders", "payments"])]
    },
    "a new view": (
        lambda plain: plain["feature_views"].append(view("visits", column("n"), sources=["orders"])),
        "feature view 'visits'", COMPATIBLE, set(), {"visits"},
    ),
}  # fmt: skip
