"""The plan of an apply: changes, affected definitions, and intervals to compute again."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime

from amora_fs_assets.domain.catalogue import Catalogue, Definition
from amora_fs_assets.domain.catalogue_json import feature_view as plain_view
from amora_fs_assets.domain.catalogue_json import read_view
from amora_fs_assets.domain.changes import KINDS, Change, Difference, Effect, Kind, Severity, kind_of, removal
from amora_fs_assets.domain.comparison import compare
from amora_fs_assets.domain.errors import BreakingChanges, DefinitionError, NotFound
from amora_fs_assets.domain.feature_service import FeatureService
from amora_fs_assets.domain.feature_view import FeatureView
from amora_fs_assets.domain.known import is_late
from amora_fs_assets.domain.on_demand_view import OnDemandFeatureView, OnDemandProjection
from amora_fs_assets.domain.ports.registry import Registry
from amora_fs_assets.domain.projection import FeatureViewProjection
from amora_fs_assets.domain.protocol import new_view_id
from amora_fs_assets.domain.source import Source
from amora_fs_assets.domain.time import Interval
from amora_fs_assets.domain.training_set import TrainingSet
from amora_fs_assets.operations.offline.corrections import Correction
from amora_fs_assets.operations.offline.coverage import Coverage, without
from amora_fs_assets.operations.offline.transform import query_of
from amora_fs_assets.operations.registry import impact
from amora_fs_assets.operations.registry.daily_reads import Daily
from amora_fs_assets.operations.registry.impact import Affected, Infrastructure, Recompute, Scan


@dataclass(frozen=True, kw_only=True)
class Plan:
    """The effects of an `apply`."""

    changes: tuple[Change, ...]
    hits: Mapping[Change, tuple[Affected, ...]] = field(hash=False)
    recompute: tuple[Recompute, ...]
    infrastructure: tuple[Infrastructure, ...]
    kept: tuple[str, ...]  # definitions that are only in the registry; they stay unless pruned
    pruned: bool
    catalogue: Catalogue  # the registry's catalogue after the apply
    parent: str | None  # the head that the plan starts from
    late: tuple[Correction, ...] = ()  # corrections of sources, if requested
    day: tuple[Daily, ...] = ()  # the scans of a day of automation, if requested
    unfit: tuple[str, ...] = ()  # sources and external views whose rows cannot be read now
    unread: str = ""  # why the offline store could not be read; empty if it was read or not needed

    @property
    def empty(self) -> bool:
        """Whether applying would change nothing."""
        return not self.changes

    @property
    def severity(self) -> Severity:
        """The greatest severity of the changes."""
        return max((change.severity for change in self.changes), default=Severity.COMPATIBLE)

    @property
    def exit_code(self) -> int:
        """0: no changes; 2: changes; 3: breaking changes."""
        return 0 if self.empty else 3 if self.severity is Severity.BREAKING else 2

    def __str__(self) -> str:
        """One line per change, with its differences, per interval to compute, and per table that cannot be read."""
        changes = [*map(_line, self.changes)] or ["No changes."]
        left = [f"to compute: {each}" for each in self.recompute]
        late, unfit = (f"late: {each}" for each in self.late), (f"not readable: {each}" for each in self.unfit)
        return "\n".join([*changes, *left, *late, *unfit])

    @property
    def breaking(self) -> tuple[Change, ...]:
        """The breaking changes, without pruned definitions, since pruning was requested explicitly."""
        return tuple(
            change
            for change in self.changes
            if change.severity is Severity.BREAKING and not (self.pruned and change.action == "removed")
        )

    @property
    def views_to_audit(self) -> tuple[str, ...]:
        """The computed views that are new, whose definition changes their rows, or whose source changes."""
        changed = {
            (each.kind, each.name)
            for each in self.changes
            if each.action == "added" or (each.action == "changed" and each.effect is Effect.ROWS)
        }
        return tuple(
            view.name
            for view in self.catalogue.in_order
            if view.table is None
            and (
                ("feature view", view.name) in changed or any(("source", each.name) in changed for each in view.sources)
            )
        )

    def refuse_breaking(self, allowed: Collection[Change] = ()) -> None:
        """Raise BreakingChanges if there are breaking changes that are not `allowed`."""
        breaking = [change for change in self.breaking if change not in allowed]
        if breaking:
            text = "; ".join(f"{change}: {_worst(change)}" for change in breaking)
            hit = sorted({str(hit) for change in breaking for hit in self.hits[change]})
            raise BreakingChanges(
                f"Nothing was applied, since the changes would break reads: {text}."
                + (f" Affected: {', '.join(hit)}." if hit else "")
                + " See `amora-fs plan`. To apply anyway: `amora-fs apply --allow-breaking`."
            )


def plan(code: Catalogue, registry: Registry, *, clock: datetime, dataset: str, prune: bool = False) -> Plan:
    """Compare the code's definitions with the registry's. Changes nothing.

    Intervals to compute end at `clock`. Views' tables are in `dataset`. Raises DefinitionError for a transform whose
    event_timestamp may be before `known_at` of a late source.
    """
    _check_labels(code, clock, dataset)
    head = registry.head()
    applied = registry.catalogue()
    for name in code.feature_views.keys() & applied.feature_views.keys():
        code.feature_views[name].remember(applied.feature_views[name])
    merged, kept, dropped = _merged(code, applied, prune=prune)
    changes = tuple(
        removal(change.kind, change.name, f"it does not fit the code: {dropped[change.kind, change.name]}")
        if (change.kind, change.name) in dropped
        else _with_clash(change, code, applied)
        for change in compare(applied, merged)
    )
    return Plan(
        changes=changes,
        hits={change: tuple(impact.hits(change, applied, merged)) for change in changes},
        recompute=impact.recompute(changes, applied, merged, clock),
        infrastructure=tuple(impact.infrastructure(changes, applied, merged, dataset)),
        kept=kept,
        pruned=prune,
        catalogue=replace(
            merged, packages=_packages(code, applied, merged, changes), view_ids=_view_ids(applied, merged)
        ),
        parent=head.hash if head else None,
    )


def _check_labels(code: Catalogue, clock: datetime, dataset: str) -> None:
    """Check the event_timestamp of each view that reads a late table, by building its query."""
    for view in code.feature_views.values():
        if view.transform is None or not any(map(is_late, view.sources)):
            continue
        whole = view.interval(clock)
        first = whole if view.partitions is None else Interval(whole.start, view.partitions.next(whole.start))
        query_of(view, first, dataset)


def _with_clash(change: Change, code: Catalogue, applied: Catalogue) -> Change:
    """The change, with a breaking difference if another package defines the name."""
    kind = KINDS[change.kind]
    owner = applied.packages.get(kind, {}).get(change.name)
    package = code.packages.get(kind, {}).get(change.name)
    if change.action != "changed" or not owner or not code.packages or owner == package:
        return change
    text = (
        f"packages {owner} and {package} both define this name: rename one"
        if package
        else f"package {owner} defines it, but the imported package is not the applied one: install the applied one"
    )
    return replace(change, differences=(Difference(text, Severity.BREAKING), *change.differences))


def _packages(
    code: Catalogue, applied: Catalogue, merged: Catalogue, changes: Iterable[Change]
) -> dict[str, dict[str, str]]:
    """The package of each definition after the apply: the package before, unless another package changes it."""
    changed = {(change.kind, change.name) for change in changes}
    found: dict[str, dict[str, str]] = {}
    for kind, attribute in KINDS.items():
        package, before = code.packages.get(attribute, {}), applied.packages.get(attribute, {})
        for name in sorted(getattr(merged, attribute).keys() & {*package, *before}):
            first, second = (package, before) if (kind, name) in changed else (before, package)
            found.setdefault(attribute, {})[name] = first.get(name) or second[name]
    return found


def _line(change: Change) -> str:
    sign = {"added": "+", "changed": "~", "removed": "-"}[change.action]
    text = "; ".join(each.what for each in change.differences)
    return f"{sign} {change} ({change.severity}){': ' * bool(text)}{text}"


def _view_ids(applied: Catalogue, merged: Catalogue) -> dict[str, str]:
    """Each view's `view_id`: kept, or new for a view that is added or changes between computed and external."""
    ids: dict[str, str] = {}
    for name, view in merged.feature_views.items():
        before = applied.feature_views.get(name)
        same = before is not None and (before.table is None) == (view.table is None)
        ids[name] = applied.view_ids.get(name, "") if same else new_view_id()
    return ids


def _worst(change: Change) -> str:
    return ", ".join(each.what for each in change.differences if each.severity is Severity.BREAKING)


def _merged(
    code: Catalogue, applied: Catalogue, *, prune: bool
) -> tuple[Catalogue, tuple[str, ...], dict[tuple[Kind, str], str]]:
    """The catalogue after the apply, the definitions kept without code, and the reasons for those that cannot stay."""
    kept: list[str] = []
    dropped: dict[tuple[Kind, str], str] = {}
    merged = code
    for each in () if prune else _only_in_registry(code, applied):
        try:
            merged = Catalogue.of([*_all(merged), _rebuilt(each, merged)])
        except (DefinitionError, NotFound) as error:
            dropped[kind_of(each), each.name] = str(error)
        else:
            kept.append(f"{kind_of(each)} '{each.name}'")
    return merged, tuple(kept), dropped


def _only_in_registry(code: Catalogue, applied: Catalogue) -> Iterator[Definition]:
    for attribute in KINDS.values():
        known = getattr(code, attribute)
        before = applied.in_order if attribute == "feature_views" else getattr(applied, attribute).values()
        yield from (each for each in before if each.name not in known)


def _all(catalogue: Catalogue) -> Iterator[Definition]:
    return (each for attribute in KINDS.values() for each in getattr(catalogue, attribute).values())


def _rebuilt(definition: Definition, on: Catalogue) -> Definition:
    """The definition over the present definitions it refers to. Raises DefinitionError or NotFound if impossible."""
    match definition:
        case FeatureView():
            readable: dict[str, Source | FeatureView] = {**on.sources, **on.feature_views}
            for part in (*definition.sources, *definition.entities):
                if part.name not in readable and part.name not in on.entities:
                    raise DefinitionError(f"{definition} needs '{part.name}', which no longer exists")
            return read_view(plain_view(definition), on.entities, readable, definition.gate)
        case FeatureService():
            return FeatureService.applied(
                definition.name,
                [_projection(part, on) for part in definition.projections],
                definition.description,
                definition.owner,
                definition.tags,
                on_demand=[_on_demand(part, on) for part in definition.on_demand],
            )
        case OnDemandFeatureView():
            return definition.over([_projection(part, on) for part in definition.inputs])
        case TrainingSet():
            service = definition.service
            return TrainingSet(
                definition.name,
                on.feature_service(service.name),
                [on.sources.get(each.name) or on.feature_view(each.name) for each in definition.sources],
                description=definition.description,
                owner=definition.owner,
                tags=definition.tags,
                known_time=definition.known_time,
                code_hash=definition.code_hash,
                applied_meaning=definition.meaning,
            )
        case _:
            return definition


def _projection(part: FeatureViewProjection, on: Catalogue) -> FeatureViewProjection:
    if part.view.name not in on.feature_views:
        raise DefinitionError(f"it needs feature view '{part.view.name}', which no longer exists")
    picked = on.feature_view(part.view.name)[part.features]
    if part.view.join_keys != picked.view.join_keys:
        raise DefinitionError(f"{picked.view} has other join keys now")
    return picked if part.name_alias is None else picked.alias(part.name_alias, part.join_key_map)


def _on_demand(part: OnDemandProjection, on: Catalogue) -> OnDemandProjection:
    if part.view.name not in on.on_demand_feature_views:
        raise DefinitionError(f"it needs on-demand feature view '{part.view.name}', which no longer exists")
    return on.on_demand_feature_view(part.view.name)[part.features]


def with_coverage(plan: Plan, found: Mapping[str, Coverage]) -> Plan:
    """Add the missing, stale and part-computed intervals to the plan. `found` is the coverage by view."""
    recompute: list[Recompute] = []
    for view in plan.catalogue.in_order:
        changed = [each for each in plan.recompute if each.view == view.name]
        gaps = found[view.name].gaps if view.name in found else ()
        recompute += changed
        recompute += [
            Recompute(view.name, left, f"{gap.state}: {gap.because}")
            for gap in gaps
            for left in without(gap.interval, [each.interval for each in changed])
        ]
    return replace(plan, recompute=tuple(recompute))


def with_scans(plan: Plan, scans: Mapping[Recompute, Scan]) -> Plan:
    """Add the estimated scans to the plan."""
    return replace(plan, recompute=tuple(replace(each, scan=scans.get(each)) for each in plan.recompute))
