"""Whether the code may publish: its definition against the applied one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from amora_fs_assets.domain.catalogue import Catalogue, computing_identity, definition_hash
from amora_fs_assets.domain.changes import OTHER_LOADER, Severity, compare, kind_of
from amora_fs_assets.domain.errors import DefinitionNotApplied
from amora_fs_assets.domain.feature_view import FeatureView
from amora_fs_assets.domain.training_set import TrainingSet


def check_applied(definition: FeatureView | TrainingSet, catalogue: Catalogue) -> str:
    """The hash of the definition as it was applied, if what this one makes may be published under that.

    A view's `computing_identity` decides its rows. Where that is another one, and of a training set, what was applied
    may differ by compatible changes alone: other words, owners and tags, and rules that were dropped since. Raises
    DefinitionNotApplied.
    """
    applied = applied_definition(definition, catalogue)
    if differences := _outdated(definition, applied):
        raise DefinitionNotApplied(
            f"{definition}: its definition differs from the one in the registry. Run `amora-fs apply` first. "
            f"Differences: {'; '.join(differences)}."
        )
    return definition_hash(applied)


_Made = TypeVar("_Made", bound="FeatureView | TrainingSet")


def applied_definition(definition: _Made, catalogue: Catalogue) -> _Made:
    """What the registry says under the definition's name. Raises DefinitionNotApplied where it is nothing."""
    known: Mapping[str, Any] = catalogue.feature_views
    if isinstance(definition, TrainingSet):
        known = catalogue.training_sets
    applied: _Made | None = known.get(definition.name)
    if applied is None:
        raise DefinitionNotApplied(f"{definition}: its definition is not in the registry. Run `amora-fs apply` first.")
    return applied


def _outdated(here: FeatureView | TrainingSet, applied: FeatureView | TrainingSet) -> tuple[str, ...]:
    """Why what the code here makes is not what was applied: all that is more than a compatible change."""
    if isinstance(here, FeatureView) and isinstance(applied, FeatureView):
        # A view without partitions replaces its table from its start on.
        same_reach = here.partitions is not None or here.start == applied.start
        if same_reach and computing_identity(here) == computing_identity(applied):
            return ()
    about = {("source", source.name) for source in here.sources} | {(kind_of(here), here.name)}
    return tuple(
        difference.what
        for change in compare(Catalogue.of([here]), Catalogue.of([applied]))
        if isinstance(here, TrainingSet) or (change.kind, change.name) in about
        for difference in change.differences
        # A loader fills the source, not the view.
        if difference.severity > Severity.COMPATIBLE and difference.what != OTHER_LOADER
    )
