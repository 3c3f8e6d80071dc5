"""What a user of stock Feast reads and writes online, in Feast's own environment: answers as JSON.

Each line of the input is a list of steps, and each line of the output that begins with ANSWER has their answers, so
that Feast is imported once. A step has the sections of feature_store.yaml (`config`) and a call: `read`, `write` (to a
`view` or a push `source`) or `materialize` and then a read, `async` (a read on an event loop), `rows` or `historical`.
Knows nothing of ours.
"""

from __future__ import annotations

import asyncio
import json
import sys
import warnings
from datetime import datetime
from typing import Any

import pandas as pd
from feast import FeatureStore, RepoConfig
from feast.protos.feast.serving.ServingService_pb2 import FieldStatus
from feast.protos.feast.types.EntityKey_pb2 import EntityKey
from feast.type_map import feast_value_type_to_python_type, python_values_to_proto_values


def answer(response: Any) -> dict[str, Any]:
    """Names, values, statuses and times."""
    names = list(response.proto.metadata.feature_names.val)
    results = dict(zip(names, response.proto.results, strict=True))
    return {
        "names": names,
        "values": response.to_dict(),
        "statuses": {name: [FieldStatus.Name(each) for each in found.statuses] for name, found in results.items()},
        "times": {name: [each.seconds for each in found.event_timestamps] for name, found in results.items()},
        "versions": [[each.name, each.version] for each in response.proto.metadata.feature_view_metadata],
    }


def read(store: FeatureStore, step: dict[str, Any]) -> Any:
    """The arguments of a read."""
    service = step.get("service")
    features = store.get_feature_service(service) if service else step["features"]
    return {"features": features, "entity_rows": step["rows"], **step.get("options", {})}


def rows_of(store: FeatureStore, step: dict[str, Any]) -> Any:
    """The time and the values of each entity's row, as Feast's own parts read them."""
    keys = [
        EntityKey(join_keys=[*row], entity_values=python_values_to_proto_values([*row.values()]))
        for row in step["keys"]
    ]
    view = store.get_feature_view(step["view"])
    found = store._get_provider().online_read(store.config, view, keys, step["features"])
    return [
        [time and time.isoformat(), row and {name: feast_value_type_to_python_type(each) for name, each in row.items()}]
        for time, row in found
    ]


def done(step: dict[str, Any]) -> Any:
    """The answer of a step, or its error."""
    common = {"provider": "local", "offline_store": {"type": "dask"}, "entity_key_serialization_version": 3}
    store = FeatureStore(config=RepoConfig(**{**common, **step["config"]}))
    call = step.get("call", "read")
    try:
        if call == "materialize":
            store.materialize(datetime.fromisoformat(step["start"]), datetime.fromisoformat(step["end"]), step["views"])
        if call == "historical":
            frame = pd.DataFrame(step["rows"]).assign(
                event_timestamp=lambda f: pd.to_datetime(f["event_timestamp"], utc=True)
            )
            job = store.get_historical_features(entity_df=frame, features=step["features"])
            return json.loads(job.to_df().sort_values("row").to_json(orient="records", date_format="iso"))
        if call == "write":
            frame = pd.DataFrame(step["frame"])
            for name in step.get("moments", ["event_timestamp"]):
                frame[name] = pd.to_datetime(frame[name], utc=True)
            if "source" in step:
                store.push(step["source"], frame)
            else:
                store.write_to_online_store(step["view"], frame)
        if call == "rows":
            return rows_of(store, step)
        if call == "async":
            return answer(asyncio.run(store.get_online_features_async(**read(store, step))))
        return answer(store.get_online_features(**read(store, step))) if "rows" in step else None
    except Exception as error:  # noqa: BLE001  (the test reads it)
        return {"error": f"{type(error).__name__}: {error}"}


def plain(value: Any) -> Any:
    """What JSON does not know."""
    return value.hex() if isinstance(value, bytes) else str(value)


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    for line in sys.stdin:
        print("ANSWER", json.dumps([done(step) for step in json.loads(line)], default=plain), flush=True)
