"""What changed between two catalogues, and how bad that is: what `plan` and `history` say."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import IntEnum
from typing import Any, Literal

from amora_fs_assets.domain import catalogue_json as plain_form
from amora_fs_assets.domain.catalogue import Catalogue, Definition
from amora_fs_assets.domain.column import Column
from amora_fs_assets.domain.entity import Entity
from amora_fs_assets.domain.feature_service import FeatureService
from amora_fs_assets.domain.feature_view import FeatureView
from amora_fs_assets.domain.meaning import Meaning
from amora_fs_assets.domain.source import Source
from amora_fs_assets.domain.training_set import TrainingSet

Kind = Literal["entity", "source", "feature view", "feature service", "training set"]
Action = Literal["added", "changed", "removed"]


class Severity(IntEnum):
    """How bad a change is for those who use what was there."""

    COMPATIBLE = 0
    """Nothing that is stored or read becomes wrong."""
    RECOMPUTE = 1
    """What is stored is not what the definition says any more: rows, values online, versions of training sets."""
    BREAKING = 2
    """Somebody who reads by name gets an error, or values of another meaning."""

    def __str__(self) -> str:
        """As people read it."""
        return ("compatible", "needs recompute", "breaking")[self]


class Effect(IntEnum):
    """How far a difference reaches."""

    WORDS = 0
    """Nothing is read or computed otherwise."""
    READS = 1
    """Readers get something else out of the same stored rows."""
    ROWS = 2
    """The rows are to be computed again."""


@dataclass(frozen=True)
class Difference:
    """One thing that is not what it was."""

    what: str
    severity: Severity
    effect: Effect = Effect.WORDS
    features: tuple[str, ...] = ()  # that it is about; none: the definition as a whole
    since: datetime | None = None  # rows before this instant alone are to be computed


@dataclass(frozen=True)
class Change:
    """What happened to one definition."""

    kind: Kind
    name: str
    action: Action
    differences: tuple[Difference, ...] = ()

    def __str__(self) -> str:
        """As messages name it: `feature view 'carrier_punctuality'`."""
        return f"{self.kind} '{self.name}'"

    @property
    def severity(self) -> Severity:
        """The worst of its differences."""
        return max((each.severity for each in self.differences), default=Severity.COMPATIBLE)

    @property
    def effect(self) -> Effect:
        """The farthest of its differences."""
        return max((each.effect for each in self.differences), default=Effect.WORDS)

    @property
    def features(self) -> frozenset[str] | None:
        """The features that readers have to look at; None where it is all of them."""
        reaching = [each for each in self.differences if each.effect > Effect.WORDS]
        if any(not each.features for each in reaching):
            return None
        return frozenset(name for each in reaching for name in each.features)


KINDS: dict[Kind, str] = {
    "entity": "entities",
    "source": "sources",
    "feature view": "feature_views",
    "feature service": "feature_services",
    "training set": "training_sets",
}
"""Each kind of definition, and where a catalogue has it."""

_PLAIN: dict[str, Any] = {
    "entity": plain_form.entity,
    "source": plain_form.source,
    "feature view": plain_form.feature_view,
    "feature service": plain_form.feature_service,
    "training set": plain_form.training_set,
}
# Fields that say for themselves how bad it is that they differ.
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
        "lookback_seconds": (Severity.RECOMPUTE, Effect.ROWS),
        "code_hash": (Severity.RECOMPUTE, Effect.ROWS),
        # Values of another age are given out, and rows online are kept for another while.
        "ttl_seconds": (Severity.RECOMPUTE, Effect.READS),
        "partitions": (Severity.COMPATIBLE, Effect.WORDS),
        "table_partitions": (Severity.COMPATIBLE, Effect.WORDS),  # how the table lies, not what is in it
        "entities": (Severity.COMPATIBLE, Effect.WORDS),  # what matters about them are their join keys
    },
    "feature service": {},
    "training set": dict.fromkeys(("service", "sources", "known_time", "code_hash"), (Severity.RECOMPUTE, Effect.ROWS)),
}
_WORDS = ("description", "owner", "tags")
_NAMES = {"code_hash": "code", "ttl_seconds": "ttl [s]", "lookback_seconds": "lookback [s]",
          "max_lateness_seconds": "max_lateness [s]"}  # fmt: skip
OTHER_LOADER = "other loader"
"""The difference that another function fills a source."""
_OF_OTHERS = {"version"}  # follows from what else differs, here or in the views


def compare(old: Catalogue, new: Catalogue) -> tuple[Change, ...]:
    """What is in `new` and was not so in `old`, in the order of kinds and names."""
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


def removal(kind: Kind, name: str, why: str = "it is gone from the code") -> Change:
    """That a definition is no longer there: what is read by its name is read no more."""
    read = kind in ("feature view", "feature service")
    severity, effect = (Severity.BREAKING, Effect.READS) if read else (Severity.COMPATIBLE, Effect.WORDS)
    return Change(kind, name, "removed", (Difference(why, severity, effect),))


def _differences(kind: Kind, old: Definition, new: Definition) -> Iterator[Difference]:
    before, after = _PLAIN[kind](old), _PLAIN[kind](new)
    told = {"columns", "features", "start", "meaning", *_OF_OTHERS}
    if "loader" not in before:  # a release before loaders counted applied it
        told.add("loader")
    was, is_ = getattr(old, "meaning", None), getattr(new, "meaning", None)
    if was is not None and is_ is not None and was.comparable(is_):
        told.add("code_hash")  # which decides where one of them was applied by a release before meanings
        yield from _meaning(was, is_, {column.name for column in getattr(new, "features", ())})
    for field in {**before, **after}:
        if before.get(field) == after.get(field) or field in told:
            continue
        if field in _WORDS:
            yield Difference(f"another {field}", Severity.COMPATIBLE)
        else:
            # A field that this release does not know better is taken for one that rows depend on.
            severity, effect = _FIELDS[kind].get(field, (Severity.RECOMPUTE, Effect.ROWS))
            yield Difference(_said(_NAMES.get(field, field), before.get(field), after.get(field)), severity, effect)
    if isinstance(old, FeatureView) and isinstance(new, FeatureView):
        yield from _keys(old, new)
        yield from _start(old, new)
        yield from _features(old.features, new.features)
        yield from _created(old, new)
    elif isinstance(old, Source) and isinstance(new, Source):
        yield from _source_columns(old, new)
    elif isinstance(old, FeatureService) and isinstance(new, FeatureService):
        yield from _projections(old, new)


def _meaning(old: Meaning, new: Meaning, features: set[str]) -> Iterator[Difference]:
    """Which columns are made in another way, and whether other rows are made."""
    if old.rows != new.rows:
        said = "every column means something else: other rows (filters, joins or groups)"
        yield Difference(said, Severity.RECOMPUTE, Effect.ROWS)
    for name in new.changed(old):
        feature = name in features
        said = f"{'feature' if feature else 'column'} '{name}' means something else"
        yield Difference(said, Severity.RECOMPUTE, Effect.ROWS, (name,) if feature else ())


def _said(name: str, old: Any, new: Any) -> str:
    return f"other {name}" if name in ("code", "loader") else f"{name}: {_word(old)} -> {_word(new)}"


def _word(value: Any) -> str:
    return ", ".join(map(str, value)) or "none" if isinstance(value, list | tuple) else str(value)


def _keys(old: FeatureView, new: FeatureView) -> Iterator[Difference]:
    before = {column.name: column.type for column in old.key_columns}
    after = {column.name: column.type for column in new.key_columns}
    if before != after:
        said = (", ".join(f"{name} {type_}" for name, type_ in keys.items()) or "none" for keys in (before, after))
        yield Difference(f"join keys: {' -> '.join(said)}", Severity.BREAKING, Effect.ROWS)
    elif old.join_keys != new.join_keys:
        yield Difference(_said("order of join keys", old.join_keys, new.join_keys), Severity.COMPATIBLE)
    for was, is_ in _pairs(old.key_columns, new.key_columns):
        if was.type is is_.type:
            yield from _column(f"join key '{is_.name}'", was, is_, ())


def _start(old: FeatureView, new: FeatureView) -> Iterator[Difference]:
    if old.start == new.start:
        return
    said = f"start: {old.start and old.start.isoformat()} -> {new.start and new.start.isoformat()}"
    if old.start is not None and new.start is not None and new.start > old.start:
        yield Difference(f"{said}; rows before stay in the table", Severity.COMPATIBLE)
    else:
        yield Difference(said, Severity.RECOMPUTE, Effect.ROWS, since=old.start)


def _created(old: FeatureView, new: FeatureView) -> Iterator[Difference]:
    if old.has_created_timestamp != new.has_created_timestamp:
        said = "has" if new.has_created_timestamp else "has no longer"
        yield Difference(f"{said} created_timestamp", Severity.RECOMPUTE, Effect.ROWS)
    for was, is_ in _pairs(old.row_columns, new.row_columns):
        if is_.name == "created_timestamp":
            yield from _column(is_.name, was, is_, ())


def _features(old: Sequence[Column], new: Sequence[Column]) -> Iterator[Difference]:
    before, after = {each.name: each for each in old}, {each.name: each for each in new}
    fresh = [each for each in new if each.name not in before]
    for column in old:
        if column.name not in after:
            like = next((each for each in fresh if each.type is column.type and each.rules == column.rules), None)
            renamed = f"; new '{like.name}' is like it: renamed?" if like else ""
            yield Difference(
                f"feature '{column.name}' is gone{renamed}", Severity.BREAKING, Effect.READS, (column.name,)
            )
    for column in fresh:
        said = f"new feature '{column.name}': null in joins, NOT_FOUND online, until its first computation and load"
        yield Difference(said, Severity.RECOMPUTE, Effect.ROWS, (column.name,))
    for was, is_ in _pairs(old, new):
        if was.type is not is_.type:
            said = f"feature '{is_.name}': {was.type} -> {is_.type}"
            yield Difference(said, Severity.BREAKING, Effect.ROWS, (is_.name,))
        yield from _column(f"feature '{is_.name}'", was, is_, (is_.name,))
    kept = [name for name in before if name in after]
    if kept != [name for name in after if name in before]:
        yield Difference("another order of features", Severity.COMPATIBLE)


def _column(what: str, old: Column, new: Column, features: tuple[str, ...]) -> Iterator[Difference]:
    if old.nullable and not new.nullable:
        yield Difference(f"{what} is never null any more", Severity.RECOMPUTE, Effect.ROWS, features)
    elif new.nullable and not old.nullable:
        yield Difference(f"{what} may be null", Severity.COMPATIBLE, features=features)
    before, after = (set(map(str, column.rules)) for column in (old, new))
    for rule in sorted(after - before):
        # Rows that are published already were not held against it.
        yield Difference(f"{what}: new rule {rule}", Severity.RECOMPUTE, Effect.ROWS, features)
    for rule in sorted(before - after):
        yield Difference(f"{what}: no longer {rule}", Severity.COMPATIBLE, features=features)
    if old.description != new.description:
        yield Difference(f"{what}: another description", Severity.COMPATIBLE, features=features)
    if before == after and old.rules != new.rules:
        yield Difference(f"{what}: another order of rules", Severity.COMPATIBLE, features=features)


def _source_columns(old: Source, new: Source) -> Iterator[Difference]:
    before, after = ({each.name: each for each in source.columns} for source in (old, new))
    for name in sorted({*before, *after}):
        if name not in after:
            yield Difference(f"column '{name}' is not declared any more", Severity.COMPATIBLE)
        elif name not in before:
            yield Difference(f"new column '{name}'", Severity.COMPATIBLE)
        elif before[name].type is not after[name].type:
            said = f"column '{name}': {before[name].type} -> {after[name].type}"
            yield Difference(said, Severity.RECOMPUTE, Effect.ROWS)
        elif before[name] != after[name]:
            yield Difference(f"column '{name}': other words or rules", Severity.COMPATIBLE)
    if list(before) != list(after) and before == after:
        yield Difference("another order of columns", Severity.COMPATIBLE)


def _projections(old: FeatureService, new: FeatureService) -> Iterator[Difference]:
    before, after = ({each.name: each for each in service.projections} for service in (old, new))
    for name in sorted({*before, *after}):
        was, is_ = before.get(name), after.get(name)
        if is_ is None:
            yield Difference(f"'{name}' is gone", Severity.BREAKING, Effect.READS)
        elif was is None:
            yield Difference(f"new '{name}'", Severity.RECOMPUTE, Effect.READS)
        elif was.view.name != is_.view.name or dict(was.join_key_map) != dict(is_.join_key_map):
            said = _said(f"'{name}'", _read(was.view.name, was.join_keys), _read(is_.view.name, is_.join_keys))
            yield Difference(said, Severity.BREAKING, Effect.READS)
        else:
            for gone in (each for each in was.features if each not in is_.features):
                yield Difference(f"'{name}:{gone}' is gone", Severity.BREAKING, Effect.READS)
            for fresh in (each for each in is_.features if each not in was.features):
                yield Difference(f"new '{name}:{fresh}'", Severity.RECOMPUTE, Effect.READS)
            kept = [each for each in was.features if each in is_.features]
            if kept != [each for each in is_.features if each in was.features]:
                # A model that takes its inputs by position would take them wrongly, and nobody would notice.
                yield Difference(f"'{name}': another order of features", Severity.BREAKING, Effect.READS)
    common = [name for name in before if name in after]
    if common != [name for name in after if name in before]:
        yield Difference("another order of views", Severity.BREAKING, Effect.READS)


def _read(view: str, keys: Iterable[str]) -> str:
    return f"{view} by {', '.join(keys) or 'nothing'}"


def _pairs(old: Iterable[Column], new: Iterable[Column]) -> Iterator[tuple[Column, Column]]:
    before = {column.name: column for column in old}
    return ((before[column.name], column) for column in new if column.name in before)


def kind_of(definition: Definition) -> Kind:
    """The word for what it is."""
    match definition:
        case Entity():
            return "entity"
        case Source():
            return "source"
        case FeatureView():
            return "feature view"
        case FeatureService():
            return "feature service"
        case TrainingSet():
            return "training set"
