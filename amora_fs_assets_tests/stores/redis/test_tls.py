"""The online store over TLS with a password: Debian's Redis, which has TLS, one server and a cluster."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import redis

from amora_fs_assets import Settings
from amora_fs_assets.domain.errors import OnlineStoreUnavailable, SettingsError
from amora_fs_assets.stores.redis.online_store import RedisOnlineStore
from amora_fs_assets.stores.redis.setup import opened as connect
from amora_fs_assets_tests.certificates import Authority
from amora_fs_assets_tests.conftest import missing
from amora_fs_assets_tests.servers import bundled_valkey, debian_redis, redis_cluster, redis_server
from amora_fs_assets_tests.stores.online_rows import AMOUNT, batch, hour, request, view_of
from amora_fs_assets_tests.stores.online_store_contract import OnlineStoreContract

VIEW = view_of(AMOUNT)
PASSWORD = "hush-7351"


@dataclass
class Tls:
    """A server with TLS and a password."""

    url: str  # without the password
    ca: Path

    def to(self, password: str, ca: Path | None = None) -> Settings:
        """The settings of somebody who has that password, and trusts that authority."""
        url = self.url.replace("://", f"://:{password}@") if password else self.url
        return Settings(project="tests", online_store_url=url, online_store_ca=str(ca or self.ca))


@pytest.fixture(scope="module")
def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tls]:
    program = debian_redis()
    if program is None:
        missing(request.config, "There is no redis-server: apt-get install redis-server.")
    folder = tmp_path_factory.mktemp("tls")
    authority = Authority(folder)
    with redis_server(program, folder, *options(authority), "--requirepass", PASSWORD, tls=True) as running:
        yield Tls(running.url, authority.ca)


def options(authority: Authority) -> list[str]:
    certificate, key = authority.signed()
    return ["--tls-cert-file", str(certificate), "--tls-key-file", str(key), "--tls-ca-cert-file", str(authority.ca),
            "--tls-auth-clients", "no"]  # fmt: skip


def served(store: RedisOnlineStore, timeout: float | None = None) -> list[float | None]:
    return list(store.read([request(VIEW, [1])], timeout=timeout)[0].columns["amount"])


async def served_async(store: RedisOnlineStore) -> list[float | None]:
    try:
        return list((await store.read_async([request(VIEW, [1])]))[0].columns["amount"])
    finally:
        await store.close_async()


def attempts(store: RedisOnlineStore) -> list[Callable[[], object]]:
    return [lambda: served(store), lambda: asyncio.run(served_async(store))]


class TestOverTls(OnlineStoreContract):
    @pytest.fixture
    def store(self, server: Tls) -> Iterator[RedisOnlineStore]:
        url = server.url.replace("://", f"://:{PASSWORD}@")
        redis.Redis.from_url(url, ssl_ca_certs=str(server.ca)).flushall()
        store = connect(server.to(PASSWORD))
        yield store
        store.close()


@pytest.mark.parametrize("password", ["wrong-9172", ""])
def test_a_wrong_password_is_said_and_not_shown(server: Tls, password: str) -> None:
    store = connect(server.to(password))
    for attempt in attempts(store):
        with pytest.raises(OnlineStoreUnavailable, match="password in AMORA_FS_ONLINE_STORE_URL") as caught:
            attempt()
        assert "wrong-9172" not in f"{caught.value} {caught.value.__cause__}"


def test_a_server_that_another_authority_signed_is_not_trusted(server: Tls, tmp_path: Path) -> None:
    store = connect(server.to(PASSWORD, Authority(tmp_path, "others").ca))
    for attempt in attempts(store):
        with pytest.raises(
            OnlineStoreUnavailable, match="(?s)CERTIFICATE_VERIFY_FAILED.*AMORA_FS_ONLINE_STORE_CA"
        ) as caught:
            attempt()
        assert PASSWORD not in str(caught.value)


def test_a_server_that_the_systems_authorities_did_not_sign_is_not_trusted(server: Tls) -> None:
    url = server.url.replace("://", f"://:{PASSWORD}@")
    with pytest.raises(OnlineStoreUnavailable, match="AMORA_FS_ONLINE_STORE_CA"):
        served(connect(Settings(online_store_url=url)))


def test_a_server_without_tls_is_said(tmp_path: Path, server: Tls) -> None:
    with redis_server(bundled_valkey(), tmp_path) as plain:
        url = plain.url.replace("redis://", "rediss://")
        with pytest.raises(OnlineStoreUnavailable, match="AMORA_FS_ONLINE_STORE_URL"):
            served(connect(Settings(online_store_url=url, online_store_ca=str(server.ca))), timeout=0.3)


def test_authorities_that_are_not_there_and_tls_that_is_not_asked_for_are_refused(tmp_path: Path, server: Tls) -> None:
    with pytest.raises(SettingsError, match=r"AMORA_FS_ONLINE_STORE_CA is .*gone\.pem, but there is no such file"):
        connect(Settings(online_store_url="rediss://127.0.0.1", online_store_ca=str(tmp_path / "gone.pem")))
    with pytest.raises(SettingsError, match="AMORA_FS_ONLINE_STORE_CA is for TLS.*redis://"):
        connect(Settings(online_store_url="redis://127.0.0.1", online_store_ca=str(server.ca)))


def test_a_cluster_speaks_tls_with_a_password_too(server: Tls, tmp_path: Path) -> None:
    program = debian_redis()
    assert program is not None, "the fixture has it"
    secret = ["--requirepass", PASSWORD, "--masterauth", PASSWORD, "--tls-cluster", "yes", "--tls-replication", "yes"]
    with redis_cluster(
        program, tmp_path, *options(Authority(tmp_path)), *secret, password=PASSWORD, ca=tmp_path / "tests-ca.pem"
    ) as cluster:
        tls = Tls(cluster.url, tmp_path / "tests-ca.pem")
        store = connect(tls.to(PASSWORD))
        store.load(VIEW, [batch(VIEW, (1, hour(1), 1.0))], published_through=1, clock=hour(1), new_generation=True)
        assert served(store) == [1.0]
        assert asyncio.run(served_async(store)) == [1.0]
        with pytest.raises(OnlineStoreUnavailable, match="password in AMORA_FS_ONLINE_STORE_URL") as caught:
            served(connect(tls.to("wrong-9172")))
        assert "wrong-9172" not in str(caught.value)
        with pytest.raises(OnlineStoreUnavailable, match="AMORA_FS_ONLINE_STORE_CA"):
            served(connect(tls.to(PASSWORD, Authority(tmp_path, "others").ca)))
