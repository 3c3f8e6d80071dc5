"""Runs in an interpreter that has Feast, without this package: prints a registry as JSON.

feast_script.py <registry.db>, or <folder with feature_store.yaml>

The answer: `registry`, Feast's RegistryProto in the JSON form of Protocol Buffers; `config`, the text's values of
feature_store.yaml; `problems`, a sentence for each object that Feast could not complete. Exit code 1: the last line of
the standard error says why the registry or repository cannot be read.
"""

import importlib.util
import json
import os
import sys
import tempfile
import types
from pathlib import Path
from typing import Any


def of_file(path: Path) -> dict[str, Any]:
    """The registry in a file. Leaves out feast/__init__, whose import takes seconds."""
    found = importlib.util.find_spec("feast")
    if found is None:
        raise SystemExit("No module named 'feast'")
    package = types.ModuleType("feast")
    package.__path__ = list(found.submodule_search_locations or ())
    sys.modules["feast"] = package
    from feast.protos.feast.core.Registry_pb2 import Registry
    from google.protobuf.message import DecodeError

    try:
        registry = Registry.FromString(path.read_bytes())
    except DecodeError as error:
        raise SystemExit(f"{path} is not a registry of Feast: {error}") from None
    return {"registry": _plain(registry), "config": {}, "problems": []}


def of_repository(folder: Path) -> dict[str, Any]:
    """What `feast apply` would write into an empty registry. Reads neither the repository's registry nor its stores,
    except the columns of a table whose types the code does not say.
    """
    import yaml

    try:
        said = yaml.safe_load(os.path.expandvars((folder / "feature_store.yaml").read_text()))
    except yaml.YAMLError as error:
        raise SystemExit(f"feature_store.yaml is not YAML: {' '.join(str(error).split())}") from None
    if not isinstance(said, dict) or "project" not in said:
        raise SystemExit("feature_store.yaml has no project")
    from feast import FeatureStore, RepoConfig
    from feast.repo_operations import parse_repo

    os.chdir(folder)
    sys.path.insert(0, str(folder))
    sys.dont_write_bytecode = True
    with tempfile.TemporaryDirectory() as temporary:
        config = RepoConfig(
            **{key: value for key, value in said.items() if key not in ("auth", "feature_server", "materialization")}
            | {
                "project": "imported",  # SQLite takes few names
                "registry": f"{temporary}/registry.db",
                "online_store": {"type": "sqlite", "path": f"{temporary}/online.db"},
            }
        )
        config.repo_path = folder
        contents = parse_repo(folder)
        problems = _complete(contents, FeatureStore(config=config))
        registry = contents.to_registry_proto()
    registry.registry_schema_version = "1"
    return {"registry": _plain(registry), "config": said, "problems": problems}


def _complete(contents: Any, store: Any) -> list[str]:
    """Infer times, columns and services, object by object, as `feast apply` does for all at once."""
    from feast import inference

    problems: list[str] = []

    def attempt(what: str, step: Any, *arguments: Any) -> None:
        try:
            step(*arguments)
        except Exception as error:  # noqa: BLE001  (Feast, Google's clients and a repository's own code raise anything)
            problems.append(f"{what}: {type(error).__name__}: {' '.join(str(error).split())}")

    views = [*contents.feature_views, *contents.stream_feature_views]
    for source in contents.data_sources:
        attempt(
            f"data source '{source.name}'", inference.update_data_sources_with_inferred_event_timestamp_col,
            [source], store.config,
        )  # fmt: skip
    for view in views:
        attempt(
            f"feature view '{view.name}'", inference.update_feature_views_with_inferred_features_and_entities,
            store.provider, [view], contents.entities, store.config,
        )  # fmt: skip
    known = {view.name: view for view in [*views, *contents.on_demand_feature_views, *contents.label_views]}
    for service in contents.feature_services:
        what = f"feature service '{service.name}'"
        attempt(what, service.resolve_pending_refs, store.project, store.registry, known)
        attempt(what, service.infer_features, known)
    return problems


def _plain(registry: Any) -> Any:
    from google.protobuf import json_format

    return json.loads(json_format.MessageToJson(registry))


if __name__ == "__main__":
    place = Path(sys.argv[1]).absolute()
    answer = of_repository(place) if place.is_dir() else of_file(place)
    with Path(sys.argv[2]).open("w") as out:  # the code of a repository may print
        json.dump(answer, out)
