"""Objects on Google Cloud Storage, through the real client against the emulator."""

from __future__ import annotations

import socket
from collections.abc import Callable
from typing import Any
from uuid import uuid4

import pytest
import requests
from google.api_core.exceptions import Forbidden
from google.auth.credentials import AnonymousCredentials
from google.auth.exceptions import RefreshError
from google.cloud.storage import Client

from amora_fs_assets.domain.errors import RegistryError
from amora_fs_assets.stores.registry.gcs import GcsObjectStore
from amora_fs_assets_tests.stores.object_store_contract import ObjectStoreContract, OpenStore

pytestmark = pytest.mark.google

MakeClient = Callable[[], Client]


class TestGcsObjectStore(ObjectStoreContract):
    @pytest.fixture
    def open_store(self, gcs_client: MakeClient, bucket: str) -> OpenStore:
        return lambda: GcsObjectStore(gcs_client(), bucket, "team/registry")


@pytest.fixture
def store(gcs_client: MakeClient, bucket: str) -> GcsObjectStore:
    return GcsObjectStore(gcs_client(), bucket, "registry")


def test_the_prefix_may_be_empty(gcs_client: MakeClient, bucket: str) -> None:
    store = GcsObjectStore(gcs_client(), bucket, "/")
    assert store.create("a/b", b"1")
    assert store.url == f"gs://{bucket}"
    assert list(store.names("")) == ["a/b"]


def test_objects_beside_the_prefix_are_not_seen(gcs_client: MakeClient, bucket: str) -> None:
    GcsObjectStore(gcs_client(), bucket, "registry-2").create("a", b"")
    GcsObjectStore(gcs_client(), bucket, "").create("b", b"")
    assert list(GcsObjectStore(gcs_client(), bucket, "registry").names("")) == []


def lose_the_answer(store: GcsObjectStore, monkeypatch: pytest.MonkeyPatch, meanwhile: Callable[[], Any]) -> None:
    """Let the next upload arrive and its answer be lost, and do `meanwhile` before the client tries again."""
    session: Any = store._client._http
    lost: list[str] = []
    request = session.request

    def flaky(method: str, url: str, *args: Any, **kwargs: Any) -> requests.Response:
        response: requests.Response = request(method, url, *args, **kwargs)
        if method == "POST" and not lost:
            lost.append(url)
            meanwhile()
            raise requests.ConnectionError("connection reset by peer")
        return response

    monkeypatch.setattr(session, "request", flaky)


def test_a_create_that_arrived_although_its_answer_was_lost_is_ours(
    store: GcsObjectStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    lose_the_answer(store, monkeypatch, meanwhile=lambda: None)
    assert store.create("a", b"1")


def test_a_replacement_whose_answer_was_lost_is_not_ours_once_another_one_came(
    store: GcsObjectStore, gcs_client: MakeClient, bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = GcsObjectStore(gcs_client(), bucket, "registry")
    store.create("count", b"1")
    first = store.read("count")
    assert first is not None

    def replace() -> None:
        stored = other.read("count")
        assert stored is not None and stored.data == b"2"
        assert other.replace("count", b"2", generation=stored.generation)  # the same bytes, but not our write

    lose_the_answer(store, monkeypatch, meanwhile=replace)
    assert not store.replace("count", b"2", generation=first.generation)


def test_an_object_that_was_there_is_not_ours_for_having_our_bytes(store: GcsObjectStore) -> None:
    assert store.create("a", b"1")
    assert not store.create("a", b"1")


def test_a_missing_bucket_is_reported_with_the_fix(gcs_client: MakeClient) -> None:
    store = GcsObjectStore(gcs_client(), "no-such-bucket", "registry")
    for work in (
        lambda: store.read("head.json"),
        lambda: store.create("a", b""),
        lambda: list(store.names("")),
    ):
        with pytest.raises(RegistryError, match="gs://no-such-bucket/registry.*gcloud storage buckets create"):
            work()


def refuse(store: GcsObjectStore, monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    def request(*args: Any, **kwargs: Any) -> None:
        raise error

    monkeypatch.setattr(store._client._http, "request", request)


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (Forbidden("account token=hush lacks storage.objects.get"), "no permission to .*Storage Object User"),
        (RefreshError("invalid_grant: hush"), "no valid Google credentials .*gcloud auth"),
    ],
)
def test_a_refusal_names_the_url_and_the_fix_but_repeats_nothing_that_may_be_secret(
    store: GcsObjectStore, monkeypatch: pytest.MonkeyPatch, error: Exception, said: str
) -> None:
    refuse(store, monkeypatch, error)
    for work in (lambda: store.read("a"), lambda: store.create("a", b""), lambda: list(store.names(""))):
        with pytest.raises(RegistryError, match=said) as caught:
            work()
        assert store.url in str(caught.value)
        assert "hush" not in str(caught.value)


def test_a_server_out_of_reach_is_reported_when_the_deadline_has_passed() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # and does not listen
        endpoint = f"http://127.0.0.1:{taken.getsockname()[1]}"
        client = Client("test", AnonymousCredentials(), client_options={"api_endpoint": endpoint})
        store = GcsObjectStore(client, f"b-{uuid4().hex}", "registry", deadline=0.3)
        for work in (lambda: store.read("a"), lambda: store.create("a", b""), lambda: list(store.names(""))):
            with pytest.raises(RegistryError, match="Google Cloud Storage cannot be reached"):
                work()
