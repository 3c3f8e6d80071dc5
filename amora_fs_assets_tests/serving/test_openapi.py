"""The server does what its OpenAPI document says, whatever is sent: by Schemathesis, over the socket."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from amora_fs_assets_tests.serving.conftest import Serving, serving

SEED = 20_261_126


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serving]:
    """A server whose rows may be overwritten."""
    with serving(tmp_path_factory.mktemp("home")) as running:
        yield running


def schemathesis(home: Path, *words: str) -> None:
    """Fail with what it found, and how to have that again."""
    command = [str(Path(sys.executable).with_name("schemathesis")), "run", *words, "--checks", "all"]
    command += ["--seed", str(SEED), "--continue-on-failure", "--no-color", "--suppress-health-check", "all"]
    done = subprocess.run(command, cwd=home, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("examples", [10, pytest.param(50, marks=pytest.mark.slow)])
def test_whatever_is_sent_is_answered_as_the_document_says(own: Serving, tmp_path: Path, examples: int) -> None:
    """Right and wrong bodies, methods and headers: no status that is not listed, no 5xx, every answer of its schema."""
    document = f"{own.client.base_url}/openapi.json"
    schemathesis(tmp_path, document, "-n", str(examples), "--exclude-checks", "positive_data_acceptance")


@pytest.mark.parametrize("examples", [20, pytest.param(60, marks=pytest.mark.slow)])
def test_what_is_right_for_these_views_is_accepted(own: Serving, tmp_path: Path, examples: int) -> None:
    """The document cannot say which views there are; with that said, whatever follows it succeeds."""
    document = own.client.get("/openapi.json").json()
    schemas: dict[str, Any] = document["components"]["schemas"]
    text = {"type": "string", "pattern": "^(0|-?[1-9][0-9]{0,17})$"}
    key = {"anyOf": [{"enum": [0, 1, -7, 2**63 - 1, -(2**63)]}, text]}  # 1.0 is an integer in JSON Schema, and no key
    keys = {"type": "array", "items": {"anyOf": [key, {"type": "null"}]}, "maxItems": 50}
    features = {"enum": ["spending:amount", "spending:note", "whole:total", "unloaded:other"]}
    schemas["FeaturesRequest"]["properties"] = {
        "entities": {"type": "object", "properties": {"customer": keys}, "required": ["customer"],
                     "additionalProperties": False},
        "features": {"type": "array", "items": features, "minItems": 1},
        "full_feature_names": {"type": "boolean"},
    }  # fmt: skip
    schemas["FeaturesRequest"]["required"] = ["entities", "features"]
    row = {
        "customer": key,
        "event_timestamp": {"enum": ["2026-01-01T00:00:00Z", "1969-12-31T23:59:59.999999+14:00"]},
        "amount": {"anyOf": [{"type": "number", "minimum": 0, "maximum": 1e300}, {"type": "null"}]},
        "note": {"type": ["string", "null"]},
    }
    rows = {"type": "object", "properties": row, "required": ["customer", "event_timestamp"],
            "additionalProperties": False}  # fmt: skip
    schemas["PushRequest"]["properties"] = {
        "feature_view": {"enum": ["spending"]},
        "rows": {"type": "array", "items": rows, "maxItems": 1},
        "to_offline": {"enum": [False]},
    }
    schemas["PushRequest"]["required"] = ["feature_view", "rows", "to_offline"]

    def one_row(**body: Any) -> dict[str, Any]:
        columns = {name: {"type": "array", "items": items, "minItems": 1, "maxItems": 1} for name, items in row.items()}
        table = {"type": "object", "properties": columns, "required": [*row], "additionalProperties": False}
        return {"properties": {**body, "df": table}, "required": [*body, "df"]}

    schemas["FeastPushRequest"] |= one_row(push_source_name={"enum": ["spending"]}, to={"enum": ["online"]})
    schemas["WriteRequest"] |= one_row(feature_view_name={"enum": ["spending"]})
    for path in ("/materialize", "/materialize-incremental"):  # there is no offline store behind these views
        del document["paths"][path]
    (tmp_path / "schemathesis.toml").write_text("[checks]\npositive_data_acceptance.expected-statuses = [200]\n")
    (tmp_path / "narrow.json").write_text(json.dumps(document))
    schemathesis(tmp_path, "narrow.json", "--url", str(own.client.base_url), "-n", str(examples), "--mode", "positive")
    assert own.client.get("/metrics").text.count('status="200"') >= 2
