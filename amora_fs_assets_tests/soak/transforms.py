"""What the shop's transforms compute, in plain Python: rows of a view from the rows of its source."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from amora_fs_assets_tests.soak.world import SOURCES, Row, View

SourceRow = Mapping[str, Any]
DAY = timedelta(days=1)


def known_at(source: str, row: SourceRow) -> datetime:
    """From when on a source row counts: when it happened or, if that is later, when it could be known."""
    table = SOURCES[source]
    happened: datetime = row[table.time]
    known = row[table.known] if table.known else None
    return happened if known is None else max(happened, known)


def rows_of(view: View, read: Sequence[Any], start: datetime, end: datetime) -> list[Row]:
    """The view's rows of [start, end), from the rows of its source known in [start - lookback, end)."""
    if view.reads in SOURCES:
        read = [row for row in read if start - view.lookback <= known_at(view.reads, row) < end]
    else:
        read = [row for row in read if start - view.lookback <= row.at < end]
    return [row for row in _TRANSFORMS[view.name](view, read) if start <= row.at < end]


def _with_added(view: View, values: dict[str, Any], base: float | None) -> dict[str, Any]:
    return values | {f"plus_{n}": None if base is None else base + n for n in view.added}


def _times(value: Any, factor: int) -> Any:
    return None if value is None else value * factor


def _sum(values: Iterable[Any]) -> Any:
    """As SQL sums: nulls are left out, and the sum of nothing is null."""
    there = [value for value in values if value is not None]
    return sum(there) if there else None


def _last_reading(view: View, readings: Sequence[SourceRow]) -> list[Row]:
    return [
        Row(
            (each["device"],),
            known_at("readings", each),
            _with_added(view, {"value": _times(each["value"], view.variant)}, each["value"]),
        )
        for each in readings
    ]


def _groups(rows: Iterable[Any], of: Callable[[Any], Any]) -> dict[Any, list[Any]]:
    groups: dict[Any, list[Any]] = {}
    for row in rows:
        groups.setdefault(of(row), []).append(row)
    return groups


def _midnight(moment: datetime) -> datetime:
    return moment.replace(hour=0, minute=0, second=0, microsecond=0)


def _daily_spend(view: View, orders: Sequence[SourceRow]) -> list[Row]:
    rows = []
    for (customer, shop, end), group in _groups(
        orders, lambda each: (each["customer"], each["shop"], _midnight(each["at"]) + DAY)
    ).items():
        total = _sum(each["amount"] for each in group)
        values = {"total": _times(total, view.variant), "orders": len(group)}
        rows.append(Row((customer, shop), end, _with_added(view, values, total)))
    return rows


def _recent(view: View, orders: Sequence[SourceRow]) -> list[Row]:
    rows = []
    for (customer, at), _ in _groups(orders, lambda each: (each["customer"], each["at"])).items():
        total = _sum(
            each["amount"] for each in orders if each["customer"] == customer and at - 2 * DAY < each["at"] <= at
        )
        rows.append(Row((customer,), at, _with_added(view, {"amount_48h": _times(total, view.variant)}, total)))
    return rows


def _profile(view: View, profiles: Sequence[SourceRow]) -> list[Row]:
    return [
        Row(
            (each["customer"],),
            each["at"],
            _with_added(view, {"score": _times(each["score"], view.variant), "name": each["name"]}, each["score"]),
            each["written_at"],
        )
        for each in profiles
    ]


def _activity(view: View, days: Sequence[Row]) -> list[Row]:
    rows = []
    for end, group in _groups(days, lambda each: each.at).items():
        spent = _sum(each.values["total"] for each in group)
        values = {"spenders": len(group) * view.variant, "spent": spent}
        rows.append(Row((), end, _with_added(view, values, len(group))))
    return rows


_TRANSFORMS: dict[str, Callable[[View, Sequence[Any]], list[Row]]] = {
    "last_reading": _last_reading,
    "daily_spend": _daily_spend,
    "recent": _recent,
    "profile": _profile,
    "activity": _activity,
}
