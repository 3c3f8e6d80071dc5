"""A catalogue as the registry holds it, without code, in which tests change one thing at a time.

orders -> spending -> totals (a view that reads a view); payments: an external table.
Service shopping picks from spending and payments; training set bought is made of it.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from amora_fs_assets.domain import catalogue_json as plain_form
from amora_fs_assets.domain.catalogue import Catalogue
from amora_fs_assets.domain.errors import FeatureStoreError
from amora_fs_assets.stores.registry.folder import FolderObjectStore
from amora_fs_assets.stores.registry.object_registry import ObjectRegistry

CLOCK = datetime(2020, 3, 1, tzinfo=UTC)
Plain = dict[str, Any]
NO_CATALOGUE = (FeatureStoreError, AttributeError, KeyError, TypeError, ValueError)
"""What `catalogue` raises for a JSON form that is none."""


def column(name: str, type_: str = "float64", **changes: Any) -> Plain:
    return {"name": name, "type": type_, "nullable": False, "description": "", "rules": [], **changes}


def view(name: str, *features: Plain, sources: list[str], **changes: Any) -> Plain:
    return {
        "name": name,
        "entities": ["customer"],
        "sources": sources,
        "table": None,
        "timestamp_field": "event_timestamp",
        "ttl_seconds": 864000.0,
        "partitions": "month",
        "start": "2020-01-01T00:00:00+00:00",
        "lookback_seconds": 0.0,
        "description": "",
        "owner": "shop@example.com",
        "tags": {},
        "code_hash": "1",
        "columns": [column("customer", "int64"), *features],
        **changes,
    }


def projection(name: str, *features: str) -> Plain:
    return {"view": name, "features": list(features), "alias": None, "join_keys": {}}


PLAIN: Plain = {
    "format": 1,
    "entities": [
        {"name": "client", "join_keys": ["customer"], "description": ""},
        {"name": "customer", "join_keys": ["customer"], "description": ""},
    ],
    "sources": [
        {
            "name": "orders",
            "table": "raw.orders",
            "timestamp_field": "at",
            "available_at": None,
            "valid_from": None,
            "description": "",
            "owner": "",
            "columns": [column("customer", "int64"), column("at", "timestamp"), column("amount")],
        }
    ],
    "feature_views": [
        view(
            "payments",
            column("paid"),
            sources=[],
            table="finance.payments",
            timestamp_field="paid_at",
            partitions=None,
            start=None,
            code_hash="",
        ),
        view(
            "spending",
            column("amount", rules=[{"name": "ge", "arguments": {"min_value": 0}}]),
            column("orders", "int64"),
            sources=["orders"],
        ),
        view("totals", column("total"), sources=["spending"]),
    ],
    "feature_services": [
        {
            "name": "shopping",
            "features": [projection("spending", "amount", "orders"), projection("payments", "paid")],
            "description": "",
            "owner": "",
            "tags": {},
        }
    ],
    "training_sets": [
        {
            "name": "bought",
            "service": "shopping",
            "sources": ["orders"],
            "description": "",
            "owner": "",
            "tags": {},
            "code_hash": "1",
        }
    ],
}


def catalogue(change: Callable[[Plain], Any] | None = None) -> Catalogue:
    """The catalogue, after `change` has been at its JSON form. Raises whatever where it is none any more."""
    plain = copy.deepcopy(PLAIN)
    if change is not None:
        change(plain)
    made = Catalogue(**plain_form.read(plain))
    _ = made.hash, made.in_order  # picks that are not there show here
    return made


def find(plain: Plain, kind: str, name: str) -> Plain:
    """A definition in the JSON form."""
    found: Plain = next(each for each in plain[kind] if each["name"] == name)
    return found


def applied(catalogue: Catalogue, folder: Any) -> ObjectRegistry:
    """A new registry in a folder, with the catalogue applied."""
    registry = ObjectRegistry(FolderObjectStore(folder))
    registry.apply(catalogue, parent=None, clock=CLOCK)
    return registry
