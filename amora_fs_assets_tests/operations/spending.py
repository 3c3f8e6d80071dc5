"""The view `spending` in variants, and what is stored and served of it, for the tests of docs/protocol.md."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

import pytest
from ibis.expr.types import Table

from amora_fs_assets import FeatureSchema, FeatureStore, FeatureView, Field, Timestamp
from amora_fs_assets.domain.catalogue import Catalogue
from amora_fs_assets.operations.offline import compute as verb
from amora_fs_assets_tests import small

Rows = list[tuple[int, datetime, float | None]]
Opened = Callable[..., FeatureStore]
ALL = ("2020-01-01", small.CLOCK)


class Doubled(small.Spending):
    """What a customer spends, and twice that."""

    double: float = Field(description="Twice the amount [EUR].")


class Whole(FeatureSchema):
    """What a customer spends, in whole units."""

    customer: int
    amount: int = Field(nullable=True)


class Known(FeatureSchema):
    """What a customer spends, with the time at which that became known."""

    customer: int
    created_timestamp: Timestamp = Field(nullable=True)
    amount: float


def doubled(orders: Table) -> Table:
    return orders.select("customer", "amount", double=orders["amount"] * 2, event_timestamp=orders["at"])


def whole(orders: Table) -> Table:
    return orders.select("customer", amount=orders["amount"].cast("int64"), event_timestamp=orders["at"])


def view_of(rows: Rows, schema: type[FeatureSchema] = small.Spending, transform: Any = None, **more: Any) -> Catalogue:
    """The view `spending` over these orders."""
    arguments: dict[str, Any] = {"partitions": "month", "start": "2020-01-01", **more}
    entities = arguments.pop("entities", [small.customer])
    copied = transform or (lambda orders: orders.select("customer", "amount", event_timestamp=orders["at"]))
    source = small.orders(rows)
    return Catalogue.of([FeatureView("spending", schema, entities, [source], transform=copied, **arguments)])


def served(store: FeatureStore, *customers: int, feature: str = "amount") -> list[Any]:
    return store.get_online_features([f"spending:{feature}"], {"customer": list(customers)}).to_dict()[feature]


def kept(store: FeatureStore) -> list[Any]:
    rows = store.get_historical_features("spending", start="2020-01-01", end="2020-03-01").to_arrow()
    return sorted(rows["amount"].to_pylist())


def between(monkeypatch: pytest.MonkeyPatch, action: Callable[[], object]) -> None:
    """Do something between the reading and the publishing of the next computation."""
    real = verb.publish

    def publish(computed: verb.StagedRows, **more: Any) -> Any:
        monkeypatch.setattr(verb, "publish", real)
        action()
        return real(computed, **more)

    monkeypatch.setattr(verb, "publish", publish)
