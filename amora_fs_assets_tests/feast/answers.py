"""What Feast itself answers: applies a repository, loads it and reads. Runs in Feast's own environment.

answers.py <request.json> <answer.json>

The request: `repository`, its folder; `template`, to make it first by `feast init`; `replaced`, texts to change in its
files; `load`, the first and the last time of the rows that are loaded online, or null for none; `historical` and
`online`, lists of requests. Knows nothing of ours.
"""

import base64
import json
import os
import sys
from datetime import datetime
from pathlib import Path
from typing import Any

import pandas as pd
from feast import FeatureStore
from feast.repo_config import load_repo_config
from feast.repo_operations import apply_total, init_repo


def main() -> None:
    """Write the answers."""
    request = json.loads(Path(sys.argv[1]).read_text())
    answer = Path(sys.argv[2]).absolute()
    folder = Path(request["repository"]).absolute()
    if "template" in request:
        os.chdir(folder.parents[1])
        init_repo(folder.parent.name, request["template"])
    os.chdir(folder)
    sys.path.insert(0, str(folder))
    for file, replaced in request.get("replaced", {}).items():
        text = Path(file).read_text()
        for old, new in replaced.items():
            assert old in text, old
            text = text.replace(old, new)
        Path(file).write_text(text)
    apply_total(load_repo_config(folder, folder / "feature_store.yaml"), folder, skip_source_validation=True)
    feast = FeatureStore(repo_path=str(folder))
    if request["load"]:
        feast.materialize(*map(datetime.fromisoformat, request["load"]))
    answers = {
        "historical": [historical(feast, **each) for each in request["historical"]],
        "online": [online(feast, **each) for each in request["online"]],
    }
    answer.write_text(json.dumps(answers, default=plain))


def features_of(feast: FeatureStore, features: Any) -> Any:
    """A service by name, or references."""
    return feast.get_feature_service(features) if isinstance(features, str) else features


def historical(feast: FeatureStore, features: Any, spine: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The spine with the features, in the spine's order."""
    rows = pd.DataFrame(spine)
    rows["event_timestamp"] = pd.to_datetime(rows["event_timestamp"], utc=True, format="ISO8601")
    job = feast.get_historical_features(rows, features_of(feast, features), full_feature_names=True)
    return [
        {name: None if value is pd.NaT else value for name, value in row.items()}
        for row in job.to_arrow().sort_by("row").to_pylist()
    ]


def online(feast: FeatureStore, features: Any, rows: list[dict[str, Any]]) -> dict[str, list[Any]]:
    """The newest values, by column."""
    found = feast.get_online_features(features_of(feast, features), rows, full_feature_names=True)
    return dict(found.to_dict())


def plain(value: Any) -> Any:
    """A value that JSON does not have."""
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    if isinstance(value, datetime):
        return value.isoformat()
    return value.tolist()


if __name__ == "__main__":
    main()
