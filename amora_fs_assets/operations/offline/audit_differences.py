"""The rows in which other computations of a view differ from the first one, compared in the engine."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import ibis
from ibis.expr.types import BooleanValue, Table, Value

from amora_fs_assets.domain.feature_view import FeatureView
from amora_fs_assets.domain.names import CREATED_TIMESTAMP, EVENT_TIMESTAMP
from amora_fs_assets.domain.ports.offline import OfflineStore
from amora_fs_assets.domain.time import EPOCH, Interval
from amora_fs_assets.operations.offline.audit_finding import Finding, Only, Rule

_RELATIVE = 1e-9  # engines sum in no fixed order


@dataclass(frozen=True)
class Pair:
    """Two computations that must have the same rows."""

    whole: Table
    other: Table


@dataclass(frozen=True)
class Difference:
    """The rows in which a pair differs."""

    pair: int  # its number
    rows: int
    row: Mapping[str, Any]  # the keys of the first row, in order of time
    columns: Mapping[str, tuple[Any, Any]]  # of the first row: the features' values of the whole, and the other ones
    only: Only | None  # the side that has the first row, if the other side lacks it

    def finding(self, rule: Rule, at: datetime | Interval | None) -> Finding:
        """The difference as the breach of a rule."""
        return Finding(rule=rule, at=at, rows=self.rows, row=self.row, columns=self.columns, only=self.only)


def differences(view: FeatureView, pairs: Sequence[Pair], store: OfflineStore) -> list[Difference]:
    """The differences of the pairs that differ, in the order of the pairs. One query for all pairs.

    Floats may differ by a relative 1e-9.
    """
    found = differing(view, pairs, store)
    first = sorted(view.row_key, key=lambda name: name != EVENT_TIMESTAMP)
    order = [ibis.coalesce(found[f"w_{name}"], found[f"o_{name}"]) for name in first]
    of_pair = ibis.window(group_by=found["pair"])
    numbered = found.mutate(
        rows=found.count().over(of_pair),
        place=ibis.row_number().over(ibis.window(group_by=found["pair"], order_by=order)),
    )
    with store.read(numbered.filter(numbered["place"] == 0)) as batches:
        examples = batches.read_all().to_pylist()
    return [_difference(view, each) for each in sorted(examples, key=lambda each: each["pair"])]


def differing(view: FeatureView, pairs: Sequence[Pair], store: OfflineStore) -> Table:
    """The rows of either side of a pair that its other side lacks or has with other values.

    The columns are the pair's number as `pair`, and the values of both sides as `w_<name>` and `o_<name>`.
    """
    names = [column.name for column in view.row_columns]
    one = ibis.union(*(
        each.whole.select(**{f"w_{name}": each.whole[name] for name in names}, pair_w=ibis.literal(number))
        for number, each in enumerate(pairs)
    ))  # fmt: skip
    two = ibis.union(*(
        each.other.select(**{f"o_{name}": each.other[name] for name in names}, pair_o=ibis.literal(number))
        for number, each in enumerate(pairs)
    ))  # fmt: skip
    equal: list[BooleanValue] = [one["pair_w"] == two["pair_o"]]
    for name in view.row_key:
        left, right = one[f"w_{name}"], two[f"o_{name}"]
        if name == CREATED_TIMESTAMP:
            nothing = ibis.literal(EPOCH)
            left, right = left.coalesce(nothing), right.coalesce(nothing)
        equal.append(left == right)
    both = one.outer_join(two, equal)
    changed = [_changed(both[f"w_{each.name}"], both[f"o_{each.name}"], store) for each in view.features]
    missing = both["pair_w"].isnull() | both["pair_o"].isnull()
    return both.filter(ibis.or_(missing, *changed)).mutate(pair=ibis.coalesce(both["pair_w"], both["pair_o"]))


def _changed(one: Value, other: Value, store: OfflineStore) -> BooleanValue:
    type_ = one.type()
    if type_.is_nested() or type_.is_json():
        one, other = (store.dialect.json(each) for each in (one, other))
    differs = (one != other).coalesce(False)
    if type_.is_floating():
        near = (one - other).abs() <= _RELATIVE * ibis.greatest(one.abs(), other.abs(), 1.0)
        differs &= ~(near.coalesce(False) | (one.isnan() & other.isnan()))
    return differs | (one.isnull() != other.isnull())


def _difference(view: FeatureView, example: Mapping[str, Any]) -> Difference:
    values = {each.name: (example[f"w_{each.name}"], example[f"o_{each.name}"]) for each in view.features}
    only: Only | None = "other" if example["pair_w"] is None else "whole" if example["pair_o"] is None else None
    return Difference(
        pair=example["pair"],
        rows=example["rows"],
        row={name: example[f"{'o' if only == 'other' else 'w'}_{name}"] for name in view.row_key},
        columns={name: pair for name, pair in values.items() if only or not _equal(*pair)},
        only=only,
    )


def _equal(one: Any, other: Any) -> bool:
    if isinstance(one, float) and isinstance(other, float):
        return abs(one - other) <= _RELATIVE * max(abs(one), abs(other), 1.0) or (one != one and other != other)
    return bool(one == other)
