"""FeatureStoreComponent: a feature store among a team's other components, described in `defs.yaml`.

Dagster reads the annotations of components, which therefore must not be strings here.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

import dagster as dg
from dagster.components.scaffold.scaffold import scaffold_with
from dagster.components.utils.translation import TranslationFn, TranslationFnResolver
from pydantic import BaseModel, Field

from amora_fs_assets.domain.errors import DefinitionError, shown
from amora_fs_assets.orchestration.code_location import build_definitions
from amora_fs_assets.orchestration.selection import Selection
from amora_fs_assets.orchestration.translator import AssetProps, FeatureStoreTranslator
from amora_fs_assets.settings import Settings


class ScaffoldParams(BaseModel):
    """The parameters of `dg scaffold defs amora_fs_assets.FeatureStoreComponent NAME`."""

    definitions: str | None = Field(
        default=None,
        description="Package with the definitions; by default a new package NAME next to defs/.",
    )


class FeatureStoreScaffolder(dg.Scaffolder[ScaffoldParams]):
    """Writes `defs.yaml`, and a package of definitions to begin with."""

    @classmethod
    def get_scaffold_params(cls) -> type[ScaffoldParams]:
        """The parameters of the scaffold command."""
        return ScaffoldParams

    def scaffold(self, request: dg.ScaffoldRequest[ScaffoldParams]) -> None:
        """Write the files. An existing package stays as it is."""
        definitions = request.params.definitions
        if definitions is None:
            definitions = _package_beside(request)
        dg.scaffold_component(request, {"definitions": definitions})


def _package_beside(request: dg.ScaffoldRequest[ScaffoldParams]) -> str:
    from amora_fs_assets.scaffold.project import write_package

    target = Path(request.target_path)
    defs = next((folder for folder in target.parents if folder.name == "defs"), target.parent)
    root, name = defs.parent, target.name
    write_package(root / name, package=f"{root.name}.{name}")
    return f"{root.name}.{name}"


@scaffold_with(FeatureStoreScaffolder)
@dataclass
class FeatureStoreComponent(dg.Component, dg.Resolvable):
    """A feature store: sources, feature views, online values and training sets as assets, with their checks.

    Settings are AMORA_FS_* in the environment and [tool.amora_fs] in the project's pyproject.toml. Subclass the
    component and override `get_asset_spec` to change the assets' specs in Python.
    """

    definitions: Annotated[str, dg.Resolver.default(description="Package with the definitions, such as shop.features.")]
    name: Annotated[
        str,
        dg.Resolver.default(
            description="Name of the job and the resource. Feature stores in one code location need different names."
        ),
    ] = "feature_store"
    select: Annotated[
        Sequence[str],
        dg.Resolver.default(
            description="Definitions to run: names such as order_*, owner:team:shop, tag:domain=shop; by default all."
        ),
    ] = field(default_factory=list)
    exclude: Annotated[Sequence[str], dg.Resolver.default(description="Definitions not to run, in the same forms.")] = (
        field(default_factory=list)
    )
    key_prefix: Annotated[Sequence[str], dg.Resolver.default(description="Prefix of the assets' keys.")] = field(
        default_factory=list
    )
    group: Annotated[str, dg.Resolver.default(description="Tag whose value is an asset's group, or 'owner'.")] = ""
    online: Annotated[bool, dg.Resolver.default(description="Whether to define assets for online values.")] = True
    automation: Annotated[bool, dg.Resolver.default(description="Whether a sensor keeps everything up to date.")] = (
        False
    )
    audit: Annotated[
        bool | str,
        dg.Resolver.default(
            description="Whether views get the check `audit`; a cron schedule (UTC), such as 0 4 * * 1, also runs it."
        ),
    ] = False
    resources: Annotated[
        Mapping[str, str],
        dg.Resolver.default(description="Resources of this project for Google's clients, such as bigquery: warehouse."),
    ] = field(default_factory=dict)
    translation: (
        Annotated[
            TranslationFn[AssetProps],
            TranslationFnResolver[AssetProps](
                lambda props: {"props": props, "kind": props.kind, "definition": props.definition}
            ),
        ]
        | None
    ) = None

    def __post_init__(self) -> None:
        """Refuse texts in place of true and false, which Dagster accepts as templates. Raises DefinitionError."""
        for attribute in ("online", "automation"):
            if not isinstance(getattr(self, attribute), bool):
                raise DefinitionError(
                    f"FeatureStoreComponent: {attribute} is {shown(getattr(self, attribute))}. Write true or false."
                )

    def get_asset_spec(self, props: AssetProps) -> dg.AssetSpec:
        """The spec of an asset, changed by `translation`."""
        return self.translation(props.spec, props) if self.translation is not None else props.spec

    def build_defs(self, context: dg.ComponentLoadContext) -> dg.Definitions:
        """The assets, checks, job and resources of the feature store."""
        return build_definitions(
            Settings.from_env(project=context.path),
            definitions=self.definitions,
            overrides=dict(self.resources),
            automation=self.automation,
            audit=self.audit,
            group=self.group,
            name=self.name,
            key_prefix=self.key_prefix,
            translator=_OfComponent(self),
            select=Selection(self.select, self.exclude),
            online=self.online,
        )


class _OfComponent(FeatureStoreTranslator):
    def __init__(self, component: FeatureStoreComponent) -> None:
        self._component = component

    def get_asset_spec(self, props: AssetProps) -> Any:
        return self._component.get_asset_spec(props)
