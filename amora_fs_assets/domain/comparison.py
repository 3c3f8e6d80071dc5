"""Compares two catalogues: which definitions changed, how, and with which severity."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from amora_fs_assets.domain import catalogue_json as plain_form
from amora_fs_assets.domain.catalogue import Catalogue, Definition
from amora_fs_assets.domain.changes import KINDS, Change, Difference, Effect, Kind, Severity, removal
from amora_fs_assets.domain.column import Column
from amora_fs_assets.domain.feature_service import FeatureService, Part
from amora_fs_assets.domain.feature_view import FeatureView
from amora_fs_assets.domain.identity.meaning import Meaning
from amora_fs_assets.domain.on_demand_view import OnDemandFeatureView, OnDemandProjection
from amora_fs_assets.domain.source import Source
from amora_fs_assets.domain.types import DataType

_PLAIN: dict[str, Any] = {
    "entity": plain_form.entity,
    "source": plain_form.source,
    "feature view": plain_form.feature_view,
    "on-demand feature view": plain_form.on_demand_feature_view,
    "feature service": plain_form.feature_service,
    "training set": plain_form.training_set,
}
# The severity and effect of a changed field.
_FIELDS: dict[Kind, dict[str, tuple[Severity, Effect]]] = {
    "entity": {"join_keys": (Severity.BREAKING, Effect.READS)},
    "source": dict.fromkeys(
        ("table", "timestamp_field", "available_at", "max_lateness_seconds", "valid_from", "loader"),
        (Severity.RECOMPUTE, Effect.ROWS),
    ),
    "feature view": {
        "sources": (Severity.RECOMPUTE, Effect.ROWS),
        "table": (Severity.RECOMPUTE, Effect.ROWS),
        "timestamp_field": (Severity.RECOMPUTE, Effect.ROWS),
        "valid_to_field": (Severity.RECOMPUTE, Effect.ROWS),  # rows that ended count, or no longer count
        "lookback_seconds": (Severity.RECOMPUTE, Effect.ROWS),
        "code_hash": (Severity.RECOMPUTE, Effect.ROWS),
        # Reads accept values of another age, and online rows are kept for another time.
        "ttl_seconds": (Severity.RECOMPUTE, Effect.READS),
        "partitions": (Severity.COMPATIBLE, Effect.WORDS),
        "table_partitions": (Severity.COMPATIBLE, Effect.WORDS),  # the table's layout, not its rows
        "entities": (Severity.COMPATIBLE, Effect.WORDS),  # their join keys are compared as columns
    },
    "on-demand feature view": {},
    "feature service": {},
    "training set": dict.fromkeys(("service", "sources", "known_time", "code_hash"), (Severity.RECOMPUTE, Effect.ROWS)),
}
_WORDS = ("description", "owner", "tags", "asset")
_NAMES = {"code_hash": "code", "ttl_seconds": "ttl [s]", "lookback_seconds": "lookback [s]",
          "max_lateness_seconds": "max_lateness [s]"}  # fmt: skip
OTHER_LOADER = "loader changed"
"""The difference that another function fills a source."""
_DERIVED = {"version"}  # changes only with other fields, of the service or of its views


def compare(old: Catalogue, new: Catalogue) -> tuple[Change, ...]:
    """The changes from `old` to `new`, in the order of kinds and names."""
    return tuple(_compare(old, new))


def _compare(old: Catalogue, new: Catalogue) -> Iterator[Change]:
    for kind, attribute in KINDS.items():
        before: Mapping[str, Any] = getattr(old, attribute)
        after: Mapping[str, Any] = getattr(new, attribute)
        for name in sorted({*before, *after}):
            if name not in before:
                yield Change(kind, name, "added")
            elif name not in after:
                yield removal(kind, name)
            elif differences := tuple(_differences(kind, before[name], after[name])):
                yield Change(kind, name, "changed", differences)


def _differences(kind: Kind, old: Definition, new: Definition) -> Iterator[Difference]:
    before, after = _PLAIN[kind](old), _PLAIN[kind](new)
    handled = {"columns", "features", "start", "meaning", "request", "on_demand", "inputs", *_DERIVED}
    if "loader" not in before:  # applied by a release that did not store loaders
        handled.add("loader")
    was, now = getattr(old, "meaning", None), getattr(new, "meaning", None)
    if was is not None and now is not None and was.comparable(now):
        handled.add("code_hash")  # compared only if a release before meanings applied one of the two
        yield from _meaning(was, now, {column.name for column in getattr(new, "features", ())})
    for field in {**before, **after}:
        if before.get(field) == after.get(field) or field in handled:
            continue
        if field in _WORDS:
            yield Difference(f"{field} changed", Severity.COMPATIBLE)
        else:
            # An unknown field is treated as one that determines rows.
            severity, effect = _FIELDS[kind].get(field, (Severity.RECOMPUTE, Effect.ROWS))
            yield Difference(_changed(_NAMES.get(field, field), before.get(field), after.get(field)), severity, effect)
    if isinstance(old, FeatureView) and isinstance(new, FeatureView):
        yield from _keys(old, new)
        yield from _start(old, new)
        yield from _features(old.features, new.features)
        yield from _created(old, new)
    elif isinstance(old, Source) and isinstance(new, Source):
        yield from _source_columns(old, new)
    elif isinstance(old, OnDemandFeatureView) and isinstance(new, OnDemandFeatureView):
        yield from _on_demand(old, new)
    elif isinstance(old, FeatureService) and isinstance(new, FeatureService):
        yield from _projections(old.projections, new.projections)
        yield from _projections(old.on_demand, new.on_demand)
        yield from _request(old.request, new.request)


def _meaning(old: Meaning, new: Meaning, features: set[str]) -> Iterator[Difference]:
    """The columns that are computed differently, and whether the set of rows changes."""
    if old.rows != new.rows:
        what = "every column is computed differently: other rows (filters, joins or groups)"
        yield Difference(what, Severity.RECOMPUTE, Effect.ROWS)
    for name in new.changed(old):
        feature = name in features
        what = f"{'feature' if feature else 'column'} '{name}' is computed differently"
        yield Difference(what, Severity.RECOMPUTE, Effect.ROWS, (name,) if feature else ())


def _changed(name: str, old: Any, new: Any) -> str:
    return f"{name} changed" if name in ("code", "loader") else f"{name}: {_word(old)} -> {_word(new)}"


def _word(value: Any) -> str:
    return ", ".join(map(str, value)) or "none" if isinstance(value, list | tuple) else str(value)


def _keys(old: FeatureView, new: FeatureView) -> Iterator[Difference]:
    before = {column.name: column.type for column in old.key_columns}
    after = {column.name: column.type for column in new.key_columns}
    if before != after:
        what = (", ".join(f"{name} {type_}" for name, type_ in keys.items()) or "none" for keys in (before, after))
        yield Difference(f"join keys: {' -> '.join(what)}", Severity.BREAKING, Effect.ROWS)
    elif old.join_keys != new.join_keys:
        yield Difference(_changed("order of join keys", old.join_keys, new.join_keys), Severity.COMPATIBLE)
    for was, now in _pairs(old.key_columns, new.key_columns):
        if was.type is now.type:
            yield from _column(f"join key '{now.name}'", was, now, ())


def _start(old: FeatureView, new: FeatureView) -> Iterator[Difference]:
    if old.start == new.start:
        return
    what = f"start: {old.start and old.start.isoformat()} -> {new.start and new.start.isoformat()}"
    if old.start is not None and new.start is not None and new.start > old.start:
        yield Difference(f"{what}; rows before stay in the table", Severity.COMPATIBLE)
    else:
        yield Difference(what, Severity.RECOMPUTE, Effect.ROWS, since=old.start)


def _created(old: FeatureView, new: FeatureView) -> Iterator[Difference]:
    if old.has_created_timestamp != new.has_created_timestamp:
        what = "has" if new.has_created_timestamp else "no longer has"
        yield Difference(f"{what} created_timestamp", Severity.RECOMPUTE, Effect.ROWS)
    for was, now in _pairs(old.row_columns, new.row_columns):
        if now.name == "created_timestamp":
            yield from _column(now.name, was, now, ())


def _features(old: Sequence[Column], new: Sequence[Column]) -> Iterator[Difference]:
    before, after = {each.name: each for each in old}, {each.name: each for each in new}
    fresh = [each for each in new if each.name not in before]
    for column in old:
        if column.name not in after:
            like = next((each for each in fresh if each.type is column.type and each.rules == column.rules), None)
            renamed = f"; new '{like.name}' has the same type and rules: renamed?" if like else ""
            yield Difference(
                f"feature '{column.name}' was removed{renamed}", Severity.BREAKING, Effect.READS, (column.name,)
            )
    for column in fresh:
        what = f"new feature '{column.name}': null in joins, NOT_FOUND online, until its first computation and load"
        yield Difference(what, Severity.RECOMPUTE, Effect.ROWS, (column.name,))
    for was, now in _pairs(old, new):
        if was.type is not now.type:
            what = f"feature '{now.name}': {was.type} -> {now.type}"
            yield Difference(what, Severity.BREAKING, Effect.ROWS, (now.name,))
        yield from _column(f"feature '{now.name}'", was, now, (now.name,))
    kept = [name for name in before if name in after]
    if kept != [name for name in after if name in before]:
        yield Difference("order of features changed", Severity.COMPATIBLE)


def _on_demand(old: OnDemandFeatureView, new: OnDemandFeatureView) -> Iterator[Difference]:
    """Nothing is stored, so a change takes effect with the apply. Training sets hold values of the old expressions."""
    yield from _inputs(old, new)
    yield from _request({c.name: c.type for c in old.request}, {c.name: c.type for c in new.request})
    before, after = {each.name: each for each in old.features}, {each.name: each for each in new.features}
    for name in sorted({*before, *after}):
        if name not in after:
            yield Difference(f"feature '{name}' was removed", Severity.BREAKING, Effect.READS, (name,))
        elif name not in before:
            yield Difference(f"new feature '{name}'", Severity.COMPATIBLE, Effect.READS, (name,))
        elif before[name].type is not after[name].type:
            what = f"feature '{name}': {before[name].type} -> {after[name].type}"
            yield Difference(what, Severity.BREAKING, Effect.READS, (name,))
        else:
            if old.formulas[name].plain != new.formulas[name].plain:
                what = f"feature '{name}': {old.formulas[name]} -> {new.formulas[name]}"
                yield Difference(what, Severity.RECOMPUTE, Effect.READS, (name,))
            yield from _column(f"feature '{name}'", before[name], after[name], (name,))
    if [name for name in before if name in after] != [name for name in after if name in before]:
        yield Difference("order of features changed", Severity.COMPATIBLE)


def _inputs(old: OnDemandFeatureView, new: OnDemandFeatureView) -> Iterator[Difference]:
    """The stored features that the view reads. A request without a new join key is refused."""
    was, now = (
        sorted(
            f"{part.name}:{feature}" + (f" ({_read(part)})" if part.name_alias else "")
            for part in view.inputs
            for feature in part.features
        )
        for view in (old, new)
    )
    if was != now:
        yield Difference(f"inputs: {', '.join(was)} -> {', '.join(now)}", Severity.RECOMPUTE, Effect.READS)
    for key in new.join_keys:
        if key not in old.join_keys:
            what = f"new join key '{key}': requests must bring it"
            yield Difference(what, Severity.BREAKING, Effect.READS)


def _request(old: Mapping[str, DataType], new: Mapping[str, DataType]) -> Iterator[Difference]:
    """The columns that requests bring. A request without a new column is refused."""
    for name in sorted({*old, *new}):
        if name not in new:
            yield Difference(f"request column '{name}' is no longer read", Severity.COMPATIBLE)
        elif name not in old:
            yield Difference(f"new request column '{name}': requests must bring it", Severity.BREAKING, Effect.READS)
        elif old[name] is not new[name]:
            what = f"request column '{name}': {old[name]} -> {new[name]}"
            yield Difference(what, Severity.BREAKING, Effect.READS)


def _column(what: str, old: Column, new: Column, features: tuple[str, ...]) -> Iterator[Difference]:
    if old.nullable and not new.nullable:
        yield Difference(f"{what} no longer allows null", Severity.RECOMPUTE, Effect.ROWS, features)
    elif new.nullable and not old.nullable:
        yield Difference(f"{what} allows null", Severity.COMPATIBLE, features=features)
    before, after = (set(map(str, column.rules)) for column in (old, new))
    for rule in sorted(after - before):
        # The published rows were not checked by the new rule.
        yield Difference(f"{what}: new rule {rule}", Severity.RECOMPUTE, Effect.ROWS, features)
    for rule in sorted(before - after):
        yield Difference(f"{what}: dropped rule {rule}", Severity.COMPATIBLE, features=features)
    if old.description != new.description:
        yield Difference(f"{what}: description changed", Severity.COMPATIBLE, features=features)
    if old.tags != new.tags:
        yield Difference(f"{what}: tags changed", Severity.COMPATIBLE, features=features)
    if before == after and old.rules != new.rules:
        yield Difference(f"{what}: order of rules changed", Severity.COMPATIBLE, features=features)


def _source_columns(old: Source, new: Source) -> Iterator[Difference]:
    before, after = ({each.name: each for each in source.columns} for source in (old, new))
    for name in sorted({*before, *after}):
        if name not in after:
            yield Difference(f"column '{name}' is no longer declared", Severity.COMPATIBLE)
        elif name not in before:
            yield Difference(f"new column '{name}'", Severity.COMPATIBLE)
        elif before[name].type is not after[name].type:
            what = f"column '{name}': {before[name].type} -> {after[name].type}"
            yield Difference(what, Severity.RECOMPUTE, Effect.ROWS)
        elif before[name] != after[name]:
            yield Difference(f"column '{name}': description, rules or tags changed", Severity.COMPATIBLE)
    if list(before) != list(after) and before == after:
        yield Difference("order of columns changed", Severity.COMPATIBLE)


def _projections(old: Sequence[Part], new: Sequence[Part]) -> Iterator[Difference]:
    before, after = ({each.name: each for each in parts} for parts in (old, new))
    for name in sorted({*before, *after}):
        was, now = before.get(name), after.get(name)
        if now is None:
            yield Difference(f"'{name}' was removed", Severity.BREAKING, Effect.READS)
        elif was is None:
            yield Difference(f"new '{name}'", Severity.RECOMPUTE, Effect.READS)
        elif _origin(was) != _origin(now):
            what = _changed(f"'{name}'", _read(was), _read(now))
            yield Difference(what, Severity.BREAKING, Effect.READS)
        else:
            for gone in (each for each in was.features if each not in now.features):
                yield Difference(f"'{name}:{gone}' was removed", Severity.BREAKING, Effect.READS)
            for fresh in (each for each in now.features if each not in was.features):
                yield Difference(f"new '{name}:{fresh}'", Severity.RECOMPUTE, Effect.READS)
            kept = [each for each in was.features if each in now.features]
            if kept != [each for each in now.features if each in was.features]:
                # A model that takes its inputs by position would silently take the wrong ones.
                yield Difference(f"'{name}': order of features changed", Severity.BREAKING, Effect.READS)
    common = [name for name in before if name in after]
    if common != [name for name in after if name in before]:
        yield Difference("order of views changed", Severity.BREAKING, Effect.READS)


def _origin(part: Part) -> tuple[str, dict[str, str]]:
    """The view and the other columns of its join keys. The inputs of an on-demand view are compared with the view."""
    return part.view.name, {} if isinstance(part, OnDemandProjection) else dict(part.join_key_map)


def _read(part: Part) -> str:
    keys = () if isinstance(part, OnDemandProjection) else part.join_keys
    return f"{part.view.name} by {', '.join(keys) or 'nothing'}"


def _pairs(old: Iterable[Column], new: Iterable[Column]) -> Iterator[tuple[Column, Column]]:
    before = {column.name: column for column in old}
    return ((before[column.name], column) for column in new if column.name in before)
