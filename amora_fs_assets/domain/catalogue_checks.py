"""The checks of a catalogue's definitions against each other: names, tables, and the types of join keys."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from amora_fs_assets.domain.errors import DefinitionError
from amora_fs_assets.domain.feature_service import FeatureService
from amora_fs_assets.domain.feature_view import FeatureView
from amora_fs_assets.domain.source import Source
from amora_fs_assets.domain.types import DataType

if TYPE_CHECKING:
    from amora_fs_assets.domain.catalogue import Catalogue


def check(catalogue: Catalogue) -> None:
    """Check the definitions against each other. Raises DefinitionError."""
    views = catalogue.feature_views.keys() | catalogue.on_demand_feature_views.keys()
    for clash in sorted(views & catalogue.feature_services.keys()):
        raise DefinitionError(
            f"Feature service '{clash}' has the name of a feature view. A view is a service already. Rename one."
        )
    for clash in sorted(catalogue.feature_views.keys() & catalogue.on_demand_feature_views.keys()):
        raise DefinitionError(f"On-demand feature view '{clash}' has the name of a feature view. Rename one.")
    for kind, tables in (("a feature view", catalogue.feature_views), ("a source", catalogue.sources)):
        for word, others in (("Source", catalogue.sources), ("Training set", catalogue.training_sets)):
            for clash in sorted(tables.keys() & others.keys()) if tables is not others else ():
                raise DefinitionError(f"{word} '{clash}' has the name of {kind}. Rename one.")
    _check_tables(catalogue)
    types: dict[str, tuple[DataType, FeatureView]] = {}
    for view in catalogue.feature_views.values():
        for key in view.key_columns:
            known, other = types.setdefault(key.name, (key.type, view))
            if known is not key.type:
                raise DefinitionError(
                    f"{view}: join key '{key.name}' is {key.type}, but {known} in {other}. One type per key."
                )
    _check_aliases(catalogue, types)
    _ = catalogue.in_order  # raises if views read each other in a circle


def _check_tables(catalogue: Catalogue) -> None:
    filled: dict[str, Source] = {}
    for source in catalogue.sources.values():
        if source.loader is None:
            continue
        # DuckDB's table names are case-insensitive.
        other = filled.setdefault(source.table.lower(), source)
        if other is not source:
            raise DefinitionError(
                f"Sources '{other.name}' and '{source.name}' both fill table '{source.table}': each would replace "
                "the rows of the other. Give one of them another table=."
            )


def _check_aliases(catalogue: Catalogue, types: Mapping[str, tuple[DataType, FeatureView]]) -> None:
    views = catalogue.on_demand_feature_views.values()
    for service in (*catalogue.feature_services.values(), *(FeatureService(view.name, [view]) for view in views)):
        for projection in service.reads:
            for column, key in zip(projection.join_keys, projection.view.key_columns, strict=True):
                known, other = types.get(column, (key.type, projection.view))
                if known is not key.type:
                    raise DefinitionError(
                        f"Feature service '{service.name}': '{projection.name}' reads its key '{key.name}', which "
                        f"is {key.type}, from column '{column}', which is {known}, the join key of {other}. "
                        "Read the key from a column of another name."
                    )
