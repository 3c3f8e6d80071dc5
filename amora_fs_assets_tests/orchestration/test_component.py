"""FeatureStoreComponent: a feature store described in defs.yaml."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from dagster.components.core.package_entry import get_plugin_entry_points
from dagster.components.testing import create_defs_folder_sandbox

from amora_fs_assets import AssetProps, FeatureStoreComponent
from amora_fs_assets_tests import small

TYPE = "amora_fs_assets.FeatureStoreComponent"
PACKAGE = "shop_of_a_component"


class Subclassed(FeatureStoreComponent):
    """A team's own component."""

    def get_asset_spec(self, props: AssetProps) -> dg.AssetSpec:
        return super().get_asset_spec(props).merge_attributes(tags={"of": "us"})


@pytest.fixture(autouse=True)
def _shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A package of definitions, and a home that is the test's."""
    (tmp_path / f"{PACKAGE}.py").write_text(
        "from amora_fs_assets_tests import small\n"
        "code = small.catalogue()\n"
        "spending = code.feature_view('spending')\nbought = code.training_set('bought')\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setenv("AMORA_FS_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("AMORA_FS_NOW", small.CLOCK)
    yield
    sys.modules.pop(PACKAGE, None)


def loaded(
    attributes: dict[str, Any], component: type[FeatureStoreComponent] = FeatureStoreComponent
) -> dg.Definitions:
    with create_defs_folder_sandbox() as sandbox:
        path = sandbox.scaffold_component(
            component_cls=component,
            defs_yaml_contents={
                "type": f"{component.__module__}.{component.__name__}",
                "attributes": {"definitions": PACKAGE, **attributes},
            },
            scaffold_params={"definitions": PACKAGE},
        )
        with sandbox.load_component_and_build_defs(defs_path=path) as (found, defs):
            assert isinstance(found, component)
            dg.Definitions.validate_loadable(defs)
            return defs


def keys(defs: dg.Definitions) -> set[str]:
    return {key.to_user_string() for key in defs.resolve_asset_graph().executable_asset_keys}


def test_it_is_among_the_components_that_dg_lists() -> None:
    (entry,) = [each for each in get_plugin_entry_points() if each.name == "amora_fs_assets"]
    assert f"{entry.value}.FeatureStoreComponent" == TYPE
    assert FeatureStoreComponent.__name__ in dir(sys.modules["amora_fs_assets"])


def test_definitions_alone_give_the_whole_feature_store() -> None:
    defs = loaded({})
    assert keys(defs) == {"raw/orders", "feature_view/spending", "online/spending", "training_set/bought"}
    assert defs.executor is None


def test_each_attribute_counts() -> None:
    defs = loaded(
        {
            "name": "shop", "exclude": ["bought"], "key_prefix": ["ml"], "online": False, "automation": True,
            "translation": {"group_name": "{{ kind }}_of_{{ definition.name }}", "tags": {"team": "ml"}},
        }
    )  # fmt: skip
    assert keys(defs) == {"ml/raw/orders", "ml/feature_view/spending"}
    spec = defs.resolve_asset_graph().get(dg.AssetKey(["ml", "feature_view", "spending"]))
    assert (spec.group_name, spec.tags["team"]) == ("feature_view_of_spending", "ml")
    assert "shop_automation" in {sensor.name for sensor in defs.sensors or ()}
    assert defs.resolve_job_def("shop").name == "shop"


def test_the_translation_gives_keys_from_a_template() -> None:
    defs = loaded({"translation": {"key": "{{ spec.key.path[0] }}/v1/{{ definition.name }}"}})
    assert "feature_view/v1/spending" in keys(defs)


def test_a_subclass_says_it_in_python() -> None:
    defs = loaded({"translation": {"tags": {"team": "ml"}}}, Subclassed)
    tags = defs.resolve_asset_graph().get(dg.AssetKey(["feature_view", "spending"])).tags
    assert (tags["team"], tags["of"]) == ("ml", "us")


@pytest.mark.parametrize(
    ("attributes", "says"),
    [
        ({"selct": ["spending"]}, "selct"),
        ({"definitions": "no_such_package_at_all"}, "There is no package 'no_such_package_at_all'"),
        ({"select": ["ownr:x"]}, "ownr:x"),
        ({"online": "perhaps"}, "online"),
    ],
)
def test_what_is_misspelt_is_named(attributes: dict[str, Any], says: str) -> None:
    with pytest.raises(Exception, match=r"defs\.yaml") as raised:
        loaded(attributes)
    error: BaseException | None = raised.value
    while error is not None and says not in str(error):
        error = error.__cause__ or error.__context__
    assert error is not None, "no error of the chain names what is misspelt"


def test_scaffolding_makes_a_package_of_definitions_to_begin_with() -> None:
    with create_defs_folder_sandbox() as sandbox:
        path = sandbox.scaffold_component(component_cls=FeatureStoreComponent, defs_path="features")
        package = f"{sandbox.project_name}.features"
        assert f"definitions: {package}" in (path / "defs.yaml").read_text()
        assert (sandbox.defs_folder_path.parent / "features" / "customer_orders.py").exists()
        with sandbox.load_component_and_build_defs(defs_path=path) as (_, defs):
            assert "feature_view/customer_orders" in keys(defs)


@pytest.mark.parametrize(("audit", "schedules"), [(False, []), (True, []), ("0 4 * * 1", ["feature_store_audit"])])
def test_views_can_be_audited(audit: bool | str, schedules: list[str]) -> None:
    defs = loaded({"audit": audit})
    checks = {key.name for each in defs.asset_checks or [] for key in getattr(each, "check_keys", ())}
    assert ("audit" in checks) == bool(audit)
    assert [each.name for each in defs.schedules or []] == schedules
