"""The asset specs of definitions: keys, groups, owners, tags, and a team's changes to these."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import dagster as dg

from amora_fs_assets.domain.catalogue import Catalogue
from amora_fs_assets.domain.errors import DefinitionError
from amora_fs_assets.domain.feature_view import FeatureView
from amora_fs_assets.domain.identity.definition import code_version
from amora_fs_assets.domain.on_demand_view import OnDemandFeatureView
from amora_fs_assets.domain.source import Source
from amora_fs_assets.domain.table_names import table_name
from amora_fs_assets.domain.training_set import TrainingSet
from amora_fs_assets.orchestration.metadata import column_schema, owners_of, tags_of
from amora_fs_assets.orchestration.names import Kind, Names
from amora_fs_assets.orchestration.pages import (
    code_metadata,
    group_of,
    on_demand_words,
    place_metadata,
    table_metadata,
    training_set_words,
    view_words,
)
from amora_fs_assets.settings import Settings

_IDLE = ~dg.AutomationCondition.any_deps_in_progress() & ~dg.AutomationCondition.in_progress()
_CHANGED = dg.AutomationCondition.any_deps_updated().since_last_handled()
WHEN_ITS_VIEW_CHANGED = (_CHANGED & _IDLE).with_label("after_its_view")
"""The automation condition of online values, where Dagster's own sensor is used."""

Specs = Mapping[tuple[Kind, str], dg.AssetSpec]
"""The spec of each asset, by kind and name of the definition."""


@dataclass(frozen=True, kw_only=True)
class AssetProps:
    """The input of a translator for one asset."""

    kind: Kind
    """"raw" (a source), "feature_view", "online", "on_demand" or "training_set"."""
    definition: Source | FeatureView | OnDemandFeatureView | TrainingSet
    """The definition; for "online" the feature view."""
    spec: dg.AssetSpec
    """The spec of the asset without a translator."""


class FeatureStoreTranslator:
    """Makes the spec of the asset of each definition. Subclass it to change keys, groups, owners, tags or metadata.

    ```
    class Ours(FeatureStoreTranslator):
        def get_asset_spec(self, props: AssetProps) -> dg.AssetSpec:
            return super().get_asset_spec(props).replace_attributes(group_name="ml")
    ```
    """

    def get_asset_spec(self, props: AssetProps) -> dg.AssetSpec:
        """The spec of an asset, of which key, group, description, owners, tags and metadata are used."""
        return props.spec


def specs_of(
    code: Catalogue,
    settings: Settings,
    *,
    group: str = "",
    key_prefix: tuple[str, ...] = (),
    translator: FeatureStoreTranslator | None = None,
) -> dict[tuple[Kind, str], dg.AssetSpec]:
    """The specs of all assets of the catalogue. Raises DefinitionError if two assets get the same key."""
    translator = translator or FeatureStoreTranslator()
    specs: dict[tuple[Kind, str], dg.AssetSpec] = {}
    for props in _props(code, settings, group, key_prefix):
        spec = translator.get_asset_spec(props)
        if not isinstance(spec, dg.AssetSpec):
            raise DefinitionError(
                f"{type(translator).__name__}.get_asset_spec gave {type(spec).__name__} for "
                f"{props.spec.key.to_user_string()}. Return an AssetSpec, such as "
                "`props.spec.replace_attributes(group_name=...)`."
            )
        if isinstance(props.definition, Source) and props.definition.asset:
            spec = spec.replace_attributes(key=props.spec.key)  # the asset is the team's own, and keeps its key
        specs[props.kind, props.definition.name] = spec
    _check_keys(specs)
    return specs


def asset_arguments(spec: dg.AssetSpec) -> dict[str, Any]:
    """The spec as arguments of `dagster.asset` and `dagster.graph_asset`."""
    names = ("key", "group_name", "description", "owners", "tags", "metadata", "code_version", "automation_condition")
    return {name: getattr(spec, name) for name in names}


def names_of(store: str, specs: Specs, clients: Mapping[str, str]) -> Names:
    """The names of a feature store with these assets. `clients`: keys of the host's resources for Google's clients."""
    return Names(store, {of: spec.key for of, spec in specs.items() if spec.key != dg.AssetKey(list(of))}, clients)


def _check_keys(specs: Specs) -> None:
    seen: dict[dg.AssetKey, tuple[Kind, str]] = {}
    for of, spec in specs.items():
        other = seen.setdefault(spec.key, of)
        if other != of and not (other[0] == of[0] == "raw"):  # several sources may read the table of one asset
            raise DefinitionError(
                f"Two assets have the key {spec.key.to_user_string()}: {' '.join(other)} and {' '.join(of)}. Give one "
                "of them another key in the translation."
            )


def _props(code: Catalogue, settings: Settings, group: str, prefix: tuple[str, ...]) -> Iterator[AssetProps]:
    for source in code.sources.values():
        yield AssetProps(kind="raw", definition=source, spec=_source(source, settings, group, prefix))
    for view in code.in_order:
        yield AssetProps(kind="feature_view", definition=view, spec=_view(view, code, settings, group, prefix))
        yield AssetProps(kind="online", definition=view, spec=_online(view, group, prefix))
    for computed in code.on_demand_feature_views.values():
        yield AssetProps(kind="on_demand", definition=computed, spec=_on_demand(computed, code, group, prefix))
    for each in code.training_sets.values():
        yield AssetProps(kind="training_set", definition=each, spec=_training_set(each, settings, group, prefix))


def _source(source: Source, settings: Settings, group: str, prefix: tuple[str, ...]) -> dg.AssetSpec:
    return dg.AssetSpec(
        source.asset or (*prefix, "raw", source.name),
        group_name=group_of(source, group, "raw"),
        kinds={settings.offline_store, "table" if source.loader is None else "python"},
        description=source.description or None,
        owners=owners_of(source.owner),
        tags=tags_of(source.tags),
        metadata={
            "dagster/column_schema": column_schema(source.columns),
            **place_metadata(source.place, settings),
            **code_metadata(source),
        },
    )


def _view(view: FeatureView, code: Catalogue, settings: Settings, group: str, prefix: tuple[str, ...]) -> dg.AssetSpec:
    table = table_name(view, settings.dataset)
    where = table_metadata(table, settings) if view.place is None else place_metadata(view.place, settings)
    return dg.AssetSpec(
        (*prefix, "feature_view", view.name),
        group_name=group_of(view, group, "feature_views"),
        description=view_words(view, code),
        owners=owners_of(view.owner),
        tags=tags_of(view.tags),
        kinds={settings.offline_store, "ibis"},
        code_version=code_version(view),
        metadata={
            "dagster/column_schema": column_schema(view.row_columns),
            **where,
            **code_metadata(view),
            "entities": ", ".join(entity.name for entity in view.entities) or "none: features without an entity",
            "ttl": str(view.ttl) if view.ttl else "none: values never expire",
            "lookback": str(view.lookback),
        },
    )


def _online(view: FeatureView, group: str, prefix: tuple[str, ...]) -> dg.AssetSpec:
    return dg.AssetSpec(
        (*prefix, "online", view.name),
        group_name=group_of(view, group, "online"),
        kinds={"redis"},
        description=f"The newest values of '{view.name}' by {', '.join(view.join_keys) or 'no key: one row'}.",
        owners=owners_of(view.owner),
        tags=tags_of(view.tags),
        metadata={"dagster/column_schema": column_schema(view.row_columns), **code_metadata(view)},
        code_version=view.schema_hash[:12],
        automation_condition=WHEN_ITS_VIEW_CHANGED,
    )


def _on_demand(view: OnDemandFeatureView, code: Catalogue, group: str, prefix: tuple[str, ...]) -> dg.AssetSpec:
    return dg.AssetSpec(
        (*prefix, "on_demand", view.name),
        group_name=group_of(view, group, "on_demand_feature_views"),
        kinds={"ibis"},
        description=on_demand_words(view, code),
        owners=owners_of(view.owner),
        tags=tags_of(view.tags),
        metadata={"dagster/column_schema": column_schema(view.features), **code_metadata(view)},
    )


def _training_set(training_set: TrainingSet, settings: Settings, group: str, prefix: tuple[str, ...]) -> dg.AssetSpec:
    return dg.AssetSpec(
        (*prefix, "training_set", training_set.name),
        group_name=group_of(training_set, group, "training_sets"),
        kinds={settings.offline_store, "table"},
        metadata=code_metadata(training_set),
        description=training_set_words(training_set),
        owners=owners_of(training_set.owner),
        tags=tags_of(training_set.tags),
        code_version=code_version(training_set) or None,
    )
