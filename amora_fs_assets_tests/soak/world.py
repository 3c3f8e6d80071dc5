"""The shop that the soak lives in: sources, views and entities, as plain data that the model and the product share.

Imports nothing of the product: the model reads it, and `definitions` writes the product's code from it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

START = datetime(2026, 1, 5, tzinfo=UTC)
"""From when on every view is computed. The soak's life begins here, with some rows from before."""
TRAINING_SET = "spending"

DEVICES = [1, 2, 3, 4, 5, 6]
CUSTOMERS = [1, 2, 3, 4, 5]
SHOPS = ["north", "south'; --"]
"""One has a name that is an attack on SQL."""


@dataclass(frozen=True)
class SourceTable:
    """An external table: types by column, and the columns with the times at which a row happened and became known."""

    name: str
    columns: Mapping[str, str]
    time: str = "at"
    known: str | None = None


SOURCES = {
    each.name: each
    for each in (
        SourceTable(
            "readings",
            {"device": "int64", "at": "timestamp", "loaded_at": "timestamp", "value": "float64"},
            known="loaded_at",
        ),
        SourceTable("orders", {"customer": "int64", "shop": "string", "at": "timestamp", "amount": "int64"}),
        SourceTable(
            "profiles",
            {"customer": "int64", "at": "timestamp", "written_at": "timestamp", "score": "int64", "name": "string"},
        ),
    )
}


@dataclass(frozen=True)
class View:
    """A feature view as its team has it now. `variant` and `added` are what `apply` changes."""

    name: str
    keys: Mapping[str, str]
    reads: str
    features: tuple[str, ...]
    ttl: timedelta | None
    partitions: str | None
    lookback: timedelta = timedelta(0)
    created: bool = False
    variant: int = 1
    added: tuple[int, ...] = ()

    @property
    def all_features(self) -> tuple[str, ...]:
        """Names in the order of the schema."""
        return (*self.features, *(f"plus_{number}" for number in self.added))


Views = Mapping[str, View]


def first_views() -> dict[str, View]:
    """What the team applies on its first day."""
    hour, day = timedelta(hours=1), timedelta(days=1)
    return {
        each.name: each
        for each in (
            View("last_reading", {"device": "int64"}, "readings", ("value",), 36 * hour, "hour"),
            View(
                "daily_spend", {"customer": "int64", "shop": "string"}, "orders", ("total", "orders"),
                3 * day, "day", lookback=day,
            ),
            View("recent", {"customer": "int64"}, "orders", ("amount_48h",), None, "day", lookback=2 * day),
            View(
                "profile", {"customer": "int64"}, "profiles", ("score", "name"), None, None,
                lookback=9 * day, created=True,
            ),
            View("activity", {}, "daily_spend", ("spenders", "spent"), 2 * day, "day"),
        )
    }  # fmt: skip


FEATURE_TYPES = {
    "value": "float64", "total": "int64", "orders": "int64", "amount_48h": "int64", "score": "int64",
    "name": "string", "spenders": "int64", "spent": "int64",
}  # fmt: skip


FILLED = "filled"
"""The on-demand view of some features, with -1 in the place of null."""
FILLED_OF = {"amount_48h": "recent", "score": "profile", "spent": "activity"}
"""The features that FILLED fills, as `filled_<feature>`, and the view of each."""


def filled_of(value: Any) -> Any:
    """The value of an on-demand feature of FILLED over a stored value."""
    return -1 if value is None else value


def feature_type(view: View, feature: str) -> str:
    """The type of a feature; one that was added later has that of the view's first one."""
    return FEATURE_TYPES[feature if feature in FEATURE_TYPES else view.features[0]]


def with_feature(view: View, number: int) -> View:
    """One feature more."""
    return replace(view, added=(*view.added, number))


def without_feature(view: View, number: int) -> View:
    """One of the added features less."""
    return replace(view, added=tuple(each for each in view.added if each != number))


def with_variant(view: View, variant: int) -> View:
    """The same features, computed otherwise."""
    return replace(view, variant=variant)


@dataclass(frozen=True)
class Row:
    """A row of a view: what was published, or is served."""

    key: tuple[Any, ...]
    at: datetime
    values: Mapping[str, Any] = field(hash=False)
    created: datetime | None = None

    @property
    def times(self) -> tuple[datetime, bool, datetime | None]:
        """By which the newer of two rows is known; a missing created_timestamp is before any other."""
        return (self.at, self.created is not None, self.created)


def newer(one: Row, other: Row) -> bool:
    """Whether one row is newer than another."""
    if one.at != other.at or one.created is None or other.created is None:
        return one.times[:2] > other.times[:2]
    return one.created > other.created
