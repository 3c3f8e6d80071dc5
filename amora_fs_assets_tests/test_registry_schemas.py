"""The registry's objects are what docs/registry says that they are."""

from __future__ import annotations

import json
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from amora_fs_assets import FeatureStore, Settings
from amora_fs_assets.domain.catalogue import Catalogue
from amora_fs_assets.domain.errors import ChecksFailed
from amora_fs_assets.operations.registry.apply import apply, collect
from amora_fs_assets.operations.training.build import TrainingSetBuild
from amora_fs_assets_tests import small
from amora_fs_assets_tests.operations.on_demand.shop import checkout
from amora_fs_assets_tests.registry_schemas import FOLDER, OBJECTS, schema, text
from amora_fs_assets_tests.small import at


def closed(node: Any) -> Any:
    """The schema with no field allowed that it does not name: nothing is left undocumented."""
    if isinstance(node, dict):
        node = {key: closed(value) for key, value in node.items()}
        if node.get("type") == "object" and "properties" in node:
            node["additionalProperties"] = False
    return [closed(each) for each in node] if isinstance(node, list) else node


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[dict[str, Any]]]:
    """Objects that real work left, by kind: the sample applied; a load, a good run, a refused one, a training set."""
    home = tmp_path_factory.mktemp("home")
    module = ModuleType("definitions")
    code = small.catalogue([(1, at(1), 10.0), (2, at(2), 20.0), (1, at(3, month=2), -5.0)])
    vars(module).update(view=code.feature_view("spending"), set=code.training_set("bought"))
    store = FeatureStore(Settings(home=home, now=at(1, month=3)), module)
    apply(collect("amora_fs_assets.features"), store.registry, clock=at(1))
    apply(Catalogue.of([checkout]), store.registry, clock=at(1))
    store.apply()
    store.compute("2020-01-01", "2020-02-01")
    with pytest.raises(ChecksFailed):
        store.compute("2020-02-01", "2020-03-01")
    made = code.training_set("bought")
    build = TrainingSetBuild(
        made, store=store.offline, registry=store.registry, run_id="run", now=lambda: at(1, month=3)
    )
    build.stage(store.registry.catalogue())
    build.publish()
    registry = Path(store.settings.registry)
    globs = {"head": "head.json", "snapshot": "snapshots/*", "run": "runs/*/*/*", "training_set": "training_sets/*/*"}
    return {
        kind: [json.loads(path.read_text()) for path in sorted(registry.glob(glob))] for kind, glob in globs.items()
    }


@pytest.mark.parametrize("kind", OBJECTS)
def test_the_schema_in_the_docs_is_that_of_the_code(kind: str) -> None:
    assert (FOLDER / f"{kind}.schema.json").read_text() == text(kind), "run make docs"


@pytest.mark.parametrize("kind", OBJECTS)
def test_objects_that_real_work_left_keep_the_schema_and_hold_nothing_else(
    written: dict[str, list[dict[str, Any]]], kind: str
) -> None:
    validator = Draft202012Validator(closed(schema(kind)), format_checker=Draft202012Validator.FORMAT_CHECKER)
    assert written[kind]
    for each in written[kind]:
        assert [error.message for error in validator.iter_errors(each)] == []


@pytest.mark.parametrize("kind", OBJECTS)
def test_a_schema_refuses_an_object_with_a_field_of_another_type(
    written: dict[str, list[dict[str, Any]]], kind: str
) -> None:
    validator = Draft202012Validator(schema(kind))
    for field, value in written[kind][0].items():
        other = 1 if isinstance(value, dict) else {"an": "object"}
        assert not validator.is_valid({**written[kind][0], field: other}), field


@pytest.mark.parametrize(
    ("kind", "field"), [("head", "snapshot"), ("snapshot", "catalogue"), ("run", "kind"), ("training_set", "manifest")]
)
def test_a_schema_refuses_an_object_that_lacks_what_it_is_for(
    written: dict[str, list[dict[str, Any]]], kind: str, field: str
) -> None:
    without = {name: value for name, value in written[kind][0].items() if name != field}
    assert not Draft202012Validator(schema(kind)).is_valid(without)
