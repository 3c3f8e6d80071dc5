"""What a user of stock Feast does, in Feast's own environment: says as JSON what it sees. Knows nothing of ours.

client.py list <registry.db> <project>
client.py historical <registry.db> <project> <google project> <dataset> <service> <spine as JSON>
"""

import json
import sys
import tempfile
from pathlib import Path
from typing import Any

import pandas as pd
from feast import FeatureStore, RepoConfig
from feast.feature_view import FeatureView


def store(registry: str, project: str, offline_store: dict[str, str]) -> FeatureStore:
    """As feature_store.yaml would say it."""
    return FeatureStore(
        config=RepoConfig(
            project=project,
            provider="local",
            registry=registry,
            offline_store=offline_store,
            online_store={"type": "sqlite", "path": str(Path(tempfile.mkdtemp()) / "online.db")},
            entity_key_serialization_version=3,
        )
    )


def listed(feast: FeatureStore) -> dict[str, Any]:
    """Everything that there is to list."""
    return {
        "entities": {e.name: [e.join_key, e.value_type.name, e.description] for e in feast.list_entities()},
        "sources": {s.name: [type(s).__name__, s.timestamp_field, s.owner] for s in feast.list_data_sources()},
        "views": {view.name: seen(view) for view in feast.list_feature_views()},
        "services": {
            s.name: {
                "owner": s.owner,
                "description": s.description,
                "tags": s.tags,
                "features": [
                    [p.name, p.name_to_use(), p.join_key_map, [f.name for f in p.features]]
                    for p in s.feature_view_projections
                ],
            }
            for s in feast.list_feature_services()
        },
    }


def seen(view: FeatureView) -> dict[str, Any]:
    """What Feast knows of a view."""
    return {
        "entities": view.entities,
        "keys": [[column.name, str(column.dtype)] for column in view.entity_columns],
        "features": [[feature.name, str(feature.dtype), feature.description] for feature in view.features],
        "ttl": view.ttl.total_seconds() if view.ttl else None,
        "description": view.description,
        "owner": view.owner,
        "tags": view.tags,
        "created": view.batch_source.created_timestamp_column,
    }


def historical(feast: FeatureStore, service: str, spine: str) -> Any:
    """The spine with the service's features, in the spine's order."""
    rows = pd.DataFrame(json.loads(spine))
    rows["event_timestamp"] = pd.to_datetime(rows["event_timestamp"], utc=True, format="ISO8601")
    job = feast.get_historical_features(entity_df=rows, features=feast.get_feature_service(service))
    return json.loads(job.to_df().sort_values("row").to_json(orient="records", date_format="iso"))


def main() -> None:
    """Print the answer."""
    what, registry, project, *rest = sys.argv[1:]
    if what == "list":
        answer = listed(store(registry, project, {"type": "dask"}))
    else:
        google_project, dataset, service, spine = rest
        offline_store = {"type": "bigquery", "project_id": google_project, "dataset": dataset}
        answer = historical(store(registry, project, offline_store), service, spine)
    sys.stdout.write(json.dumps(answer))


if __name__ == "__main__":
    main()
