"""docs/from-amora.md, command by command and call by call: Amora's documented notebook, re-made."""

from __future__ import annotations

import json
import re
from datetime import timedelta
from pathlib import Path

import pytest

from amora_fs_assets.domain.errors import SettingsError
from amora_fs_assets.settings import AMORA_PREFIX, OF_AMORA, Settings
from amora_fs_assets.stores.registry.feast_registry import _encoded
from amora_fs_assets_tests.emulators.process import free_ports
from amora_fs_assets_tests.feast.asked import definitions
from amora_fs_assets_tests.pages import DOCS, environment, script, shell

PAGE = "from-amora.md"


@pytest.mark.parametrize("name", OF_AMORA)
def test_a_setting_of_amora_is_refused_with_its_new_name(name: str) -> None:
    with pytest.raises(SettingsError, match=re.escape(f"{AMORA_PREFIX}{name} by {OF_AMORA[name] or 'nothing'}")):
        Settings.from_env({f"{AMORA_PREFIX}{name}": ""})


def test_all_settings_of_amora_are_refused_at_once() -> None:
    given = {f"{AMORA_PREFIX}{name}": "x" for name in ("REGISTRY", "HTTP_SERVER_PORT", "SOMETHING_NEW")}
    with pytest.raises(SettingsError) as refusal:
        Settings.from_env(given)
    assert all(name in str(refusal.value) for name in (*given, "AMORA_FS_REGISTRY", "AMORA_FS_HTTP_PORT"))


def test_every_setting_of_amora_is_on_the_page_and_no_other() -> None:
    table = (DOCS / PAGE).read_text().split("## Settings")[1].split("## ")[0]
    listed = set(re.findall(rf"`{AMORA_PREFIX}([A-Z_]+)`", table))
    assert listed == set(OF_AMORA)


REGISTRY = {
    "registrySchemaVersion": "1",
    "projects": [{"spec": {"name": "amora"}}],
    "entities": [{"spec": {"name": "source_name", "joinKey": "source_name", "valueType": "STRING"}}],
    "featureViews": [{"spec": {
        "name": "step_count_by_source", "project": "amora", "entities": ["source_name"], "ttl": "3600s", "online": True,
        "entityColumns": [{"name": "source_name", "valueType": "STRING"}],
        "features": [{"name": "value_avg", "valueType": "FLOAT"}, {"name": "value_count", "valueType": "INT64"}],
        "batchSource": {
            "type": "BATCH_BIGQUERY", "name": "team.health.step_count_by_source", "timestampField": "event_timestamp",
            "bigqueryOptions": {"table": "team.health.step_count_by_source"},
        },
        "owner": "Ann Lee <ann@example.com>", "description": "Step counts by hour",
    }}],
    "featureServices": [{"spec": {
        "name": "amora_fs__step_count_by_source", "project": "amora",
        "features": [{"featureViewName": "step_count_by_source", "featureColumns": [
            {"name": "value_avg", "valueType": "FLOAT"}, {"name": "value_count", "valueType": "INT64"},
        ]}],
    }}],
}  # fmt: skip
"""What Amora's decorator writes for the model of the page."""


@pytest.mark.slow
def test_every_command_and_call_of_the_page_works(feast_python: str, tmp_path: Path) -> None:
    registry = tmp_path / "registry.db"
    registry.write_bytes(_encoded(json.dumps(REGISTRY).encode(), feast_python))
    (port,) = free_ports(1)
    commands = script(
        PAGE,
        {
            "import requests": "import httpx as requests",
            "http://localhost:8666": f"http://127.0.0.1:{port}",
            "gs://team-features/registry.db --python ~/amora/.venv/bin/python": f"{registry} --python {feast_python}",
        },
    )
    served = """
amora-fs serve > served.txt 2>&1 & server=$!
trap 'kill $server; wait $server || true; amora-fs stop' EXIT
until (: < /dev/tcp/127.0.0.1/$AMORA_FS_HTTP_PORT) 2> /dev/null; do kill -0 $server; sleep 0.1; done
python notebook.py
"""
    shell(commands + served, tmp_path, {**environment(), "AMORA_FS_HTTP_PORT": str(port)})
    kept = definitions(tmp_path / "health_features" / "kept_models")
    assert kept.feature_view("step_count_by_source").table == "team.health.step_count_by_source"
    assert kept.feature_view("step_count_by_source").ttl == timedelta(hours=1)
    assert kept.feature_view("step_count_by_source").owner == "ann@example.com"
    assert list(kept.feature_services) == ["amora_fs__step_count_by_source"]
