"""Compares a definition in the code with the applied definition: may the code publish?"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from amora_fs_assets.domain.catalogue import Catalogue
from amora_fs_assets.domain.changes import Severity, kind_of
from amora_fs_assets.domain.comparison import OTHER_LOADER, compare
from amora_fs_assets.domain.errors import DefinitionNotApplied
from amora_fs_assets.domain.feature_view import FeatureView
from amora_fs_assets.domain.identity.definition import computing_identity, definition_hash
from amora_fs_assets.domain.training_set import TrainingSet


def check_applied(definition: FeatureView | TrainingSet, catalogue: Catalogue) -> str:
    """The hash of the applied definition, if the rows of the code's definition may be published under this hash.

    A view's `computing_identity` determines its rows: views with equal identities pass. Otherwise, and for training
    sets, only compatible changes are allowed: other descriptions, owners and tags, and dropped rules. Raises
    DefinitionNotApplied.
    """
    applied = applied_definition(definition, catalogue)
    if differences := _outdated(definition, applied):
        raise DefinitionNotApplied(
            f"{definition}: its definition differs from the one in the registry. Run `amora-fs apply` first. "
            f"Differences: {'; '.join(differences)}."
        )
    return definition_hash(applied)


_Definition = TypeVar("_Definition", bound="FeatureView | TrainingSet")


def applied_definition(definition: _Definition, catalogue: Catalogue) -> _Definition:
    """The applied definition of the same name. Raises DefinitionNotApplied if the registry has none."""
    known: Mapping[str, Any] = catalogue.feature_views
    if isinstance(definition, TrainingSet):
        known = catalogue.training_sets
    applied: _Definition | None = known.get(definition.name)
    if applied is None:
        raise DefinitionNotApplied(f"{definition}: its definition is not in the registry. Run `amora-fs apply` first.")
    return applied


def _outdated(here: FeatureView | TrainingSet, applied: FeatureView | TrainingSet) -> tuple[str, ...]:
    """The differences between the code and the applied definition that are more than compatible changes."""
    if isinstance(here, FeatureView) and isinstance(applied, FeatureView):
        # A view without partitions replaces its whole table, from `start` on.
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
