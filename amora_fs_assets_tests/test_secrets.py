"""What lets one in to Google Cloud is in no log, error, object of the registry, or metadata of Dagster."""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from dagster_gcp import BigQueryResource
from google.cloud import bigquery
from google.oauth2.service_account import Credentials

from amora_fs_assets import FeatureStore, Settings
from amora_fs_assets.operations.registry.apply import apply
from amora_fs_assets.orchestration.code_location import build_definitions
from amora_fs_assets_tests import small
from amora_fs_assets_tests.emulators.bigquery import BigQueryEmulator
from amora_fs_assets_tests.small import at

pytestmark = [pytest.mark.google, pytest.mark.e2e, pytest.mark.slow]
TOKEN = "ya29.hush-hush-7"


class KeyedBigQuery(BigQueryResource):
    """A team's own resource: a service account's key in a file, against the emulator."""

    key_file: str
    host: str

    @contextmanager
    def get_client(self) -> Iterator[bigquery.Client]:
        credentials = Credentials.from_service_account_file(self.key_file)
        with bigquery.Client("secrets", credentials, client_options={"api_endpoint": self.host}) as client:
            yield client


@pytest.fixture
def token_server() -> Iterator[dict[str, Any]]:
    """Google's token endpoint: its url, how many tokens it gave, and whether it takes the key."""
    said: dict[str, Any] = {"given": 0, "takes": True}

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            said["given"] += said["takes"]
            body = {"access_token": TOKEN, "expires_in": 3600} if said["takes"] else {"error": "invalid_grant"}
            self.send_response_only(200 if said["takes"] else 400)
            self.end_headers()
            self.wfile.write(json.dumps(body).encode())

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
    yield said | {"said": said, "url": f"http://127.0.0.1:{server.server_address[1]}/token"}
    server.shutdown()
    server.server_close()


def test_a_key_its_file_and_its_token_are_nowhere_to_be_found(
    bigquery_emulator: BigQueryEmulator, token_server: dict[str, Any], tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture,
) -> None:  # fmt: skip
    monkeypatch.setenv("BIGQUERY_EMULATOR_HOST", bigquery_emulator.host)
    monkeypatch.setenv("BIGQUERY_STORAGE_GRPC_ENDPOINT", bigquery_emulator.grpc_address)
    caplog.set_level(logging.DEBUG)  # Google's clients' own and urllib3's, too
    key = rsa.generate_private_key(public_exponent=65_537, key_size=2_048).private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    key_file = tmp_path / "hush-hush-8.json"
    key_file.write_text(
        json.dumps(
            {"client_email": "runner@secrets.iam.gserviceaccount.com", "private_key_id": "hush-hush-9",
             "private_key": key.decode(), "token_uri": token_server["url"], "type": "service_account"}
        )
    )  # fmt: skip
    home = tmp_path / "home"
    (home / "dagster").mkdir(parents=True)
    settings = Settings(
        home=home, offline_store="bigquery", bigquery_project="secrets", now=datetime(2020, 1, 10, tzinfo=UTC)
    )
    store = FeatureStore(settings)
    apply(small.catalogue(), store.registry, clock=at(1))
    team = KeyedBigQuery(project="secrets", key_file=str(key_file), host=bigquery_emulator.host)
    definitions = build_definitions(
        settings, definitions=small.catalogue(), overrides={"bigquery": team, "executor": dg.in_process_executor}
    )
    went = []
    with dg.DagsterInstance.local_temp(str(home / "dagster")) as instance:
        for takes, keys, partition in (
            (True, "raw/orders", None),
            (True, "feature_view/spending", "2020-01-01"),
            (True, "online/spending", None),
            (False, "feature_view/spending", "2020-01-01"),
        ):
            token_server["said"]["takes"] = takes
            run = definitions.resolve_implicit_global_asset_job_def().execute_in_process(
                instance=instance, asset_selection=[dg.AssetKey(keys.split("/"))], partition_key=partition,
                raise_on_error=False,
            )  # fmt: skip
            went.append(run.success)
    store.close()
    assert went == [True, True, True, False]
    assert token_server["said"]["given"] > 0
    said = "".join(capfd.readouterr()) + caplog.text
    assert "gcloud auth application-default login" in said  # what failed is said, with its fix
    kept = [path for path in home.rglob("*") if path.is_file()]
    assert len(kept) > 10
    for secret in (TOKEN, key_file.name, "hush-hush-9", key.decode().splitlines()[5]):
        assert secret not in said
        assert [path for path in kept if secret.encode() in path.read_bytes()] == []
