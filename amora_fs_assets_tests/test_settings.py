"""Settings: what the environment says, and what it may not say."""

from __future__ import annotations

from dataclasses import fields, replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from amora_fs_assets import Settings
from amora_fs_assets.domain.errors import SettingsError
from amora_fs_assets.stores.bigquery.jobs import JobOptions
from amora_fs_assets.stores.bigquery.offline_store import BigQueryOfflineStore
from amora_fs_assets.stores.open import open_offline_store


@pytest.fixture(autouse=True)
def _no_project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The working directory is in no project, whose settings would be read, too."""
    monkeypatch.chdir(tmp_path)


def test_without_any_variable_everything_is_embedded_in_the_home() -> None:
    settings = Settings.from_env({})
    assert settings == Settings()
    assert settings.offline_store == "duckdb"
    assert settings.registry == str(Path.cwd() / ".amora_fs" / "registry")


def test_every_variable_is_read_in_its_own_type() -> None:
    settings = Settings.from_env(
        {
            "AMORA_FS_OFFLINE_STORE": "bigquery",
            "AMORA_FS_REGISTRY": "gs://bucket/prefix",
            "AMORA_FS_HOME": "/somewhere",
            "AMORA_FS_LOCK_TIMEOUT": "1.5",
            "AMORA_FS_BIGQUERY_PROJECT": "my-project",
            "AMORA_FS_DATASET": "features",
            "AMORA_FS_BIGQUERY_LOCATION": "europe-west3",
            "AMORA_FS_BIGQUERY_MAXIMUM_BYTES_BILLED": "1000",
            "AMORA_FS_BIGQUERY_PRIORITY": "batch",
            "AMORA_FS_BIGQUERY_TIMEOUT": "7.5",
            "AMORA_FS_BIGQUERY_PRICE_PER_TIB": "5",
            "AMORA_FS_BIGQUERY_IMPERSONATE": "runner@my-project.iam.gserviceaccount.com",
            "AMORA_FS_DEFINITIONS": "shop.features",
            "AMORA_FS_NOW": "2014-01-01T05:00Z",
            "AMORA_FS_HTTP_PORT": "80",
            "AMORA_FS_API_TOKENS": "a, b,",
        }
    )
    assert settings == Settings(
        offline_store="bigquery",
        registry="gs://bucket/prefix",
        home=Path("/somewhere"),
        lock_timeout=1.5,
        bigquery_project="my-project",
        dataset="features",
        bigquery_location="europe-west3",
        bigquery_maximum_bytes_billed=1000,
        bigquery_priority="batch",
        bigquery_timeout=7.5,
        bigquery_price_per_tib=5.0,
        bigquery_impersonate="runner@my-project.iam.gserviceaccount.com",
        definitions="shop.features",
        now=datetime(2014, 1, 1, 5, tzinfo=UTC),
        http_port=80,
        api_tokens=("a", "b"),
    )


def test_an_empty_variable_is_an_unset_one() -> None:
    assert Settings.from_env({"AMORA_FS_LOCK_TIMEOUT": ""}).lock_timeout == 60


@pytest.mark.parametrize(
    ("variable", "value", "said"),
    [
        ("AMORA_FS_OFFLINE_STORE", "postgres", "duckdb or bigquery"),
        ("AMORA_FS_LOCK_TIMEOUT", "soon", "number of seconds"),
        ("AMORA_FS_NOW", "yesterday", "ISO 8601"),
        ("AMORA_FS_HTTP_PORT", "http", "port number"),
        ("AMORA_FS_ONLINE_SHARDS", "some", "whole number of shards"),
        ("AMORA_FS_ONLINE_SHARDS", "0", "from 1 to 10,000"),
        ("AMORA_FS_DATASET", "a; drop", "letters, digits, underscores"),
        ("AMORA_FS_BIGQUERY_MAXIMUM_BYTES_BILLED", "10 GB", "whole number of bytes"),
        ("AMORA_FS_BIGQUERY_PRIORITY", "urgent", "interactive or batch"),
        ("AMORA_FS_BIGQUERY_TIMEOUT", "an hour", "number of seconds"),
        ("AMORA_FS_BIGQUERY_TIMEOUT", "0", "more than zero"),
        ("AMORA_FS_BIGQUERY_PRICE_PER_TIB", "cheap", "price"),
        ("AMORA_FS_BIGQUERY_PRICE_PER_TIB", "-1", "zero or more"),
        ("AMORA_FS_BIGQUERY_MAXIMUM_BYTES_BILLED", "-1", "zero or more"),
        ("AMORA_FS_API_TOKENS", ",", "tokens, separated by commas"),
        ("AMORA_FS_API_TOKENS_READ_ONLY", " ", "tokens, separated by commas"),
        ("AMORA_FS_BIGQUERY_DATASET", "features", "is called AMORA_FS_DATASET now"),
        ("AMORA_FS_OFLINE_STORE", "duckdb", "is not a setting. Known: .*AMORA_FS_OFFLINE_STORE"),
    ],
)
def test_a_bad_variable_is_named_with_what_it_takes(variable: str, value: str, said: str) -> None:
    with pytest.raises(SettingsError, match=f"{variable}.*{said}"):
        Settings.from_env({variable: value})


_OUT_OF_RANGE: dict[str, list[Any]] = {
    "definitions": ["shop-features", "shop..features", None, 1, "../shop"],
    "offline_store": ["DuckDB", None, ["duckdb"]],
    "online_store_url": [
        None,
        6379,
        b"redis://",
        "redis://host:99999",
        "redis://host:0",
        "rediss+cluster://a:1,b:65536",
        "redis://[::1",
    ],
    "online_store_ca": [1, "a\0b"],
    "online_shards": [0, -1, 1.5, True, 10**6, None],
    "training_set_versions": [0, -1, 1.5, True, 10**9],
    "registry": [None, 3, "a\0b"],
    "home": [None, 3, "\ud800"],
    "project": ["", " ", None, 3],
    "lock_timeout": [0, -1, float("nan"), float("inf"), 1e300, True, None, timedelta(seconds=3)],
    "bigquery_project": [None, 3],
    "dataset": ["", "é", "a-b", "a.b", None, "x" * 1025, "1a"],
    "bigquery_location": [3],
    "bigquery_maximum_bytes_billed": [-1, 2**63, 1.5, True, float("inf")],
    "bigquery_priority": ["BATCH", None],
    "bigquery_timeout": [0, float("inf"), None],
    "bigquery_price_per_tib": [-1, float("nan"), float("inf"), None],
    "bigquery_hash_inputs": [None, 2, "perhaps", ["true"]],
    "audit_at_apply": [None, 2, "perhaps", ["true"]],
    "bigquery_impersonate": [None],
    "commit": [None, b"abc"],
    "now": ["soon", 3, pd.NaT, "9999-12-31T23:59:59-05:00", timedelta(1)],
    "http_host": ["", None],
    "http_port": [0, -1, 65_536, 99_999, True, 80.5, None],
    "api_tokens": [None, 3, b"secret", {"secret"}, ["a", 3], "\ud800"],
    "api_tokens_read_only": [None, 3, b"secret", {"secret"}, ["a", 3], "\ud800"],
}


@pytest.mark.parametrize("name", [each.name for each in fields(Settings)])
def test_a_keyword_out_of_range_is_refused_by_its_name(name: str) -> None:
    for value in _OUT_OF_RANGE[name]:
        with pytest.raises(SettingsError, match=f"AMORA_FS_{name.upper()}.* it takes ") as refused:
            Settings(**{name: value})
        assert "secret" not in str(refused.value)


def test_a_keyword_takes_what_the_environment_takes() -> None:
    variables = {
        "AMORA_FS_ONLINE_SHARDS": "4", "AMORA_FS_HOME": "/somewhere", "AMORA_FS_LOCK_TIMEOUT": "1.5",
        "AMORA_FS_BIGQUERY_MAXIMUM_BYTES_BILLED": "1000", "AMORA_FS_BIGQUERY_TIMEOUT": "7.5",
        "AMORA_FS_BIGQUERY_PRICE_PER_TIB": "5", "AMORA_FS_NOW": "2014-01-01T05:00Z", "AMORA_FS_HTTP_PORT": "80",
        "AMORA_FS_API_TOKENS": "a, b,", "AMORA_FS_PROJECT": "p", "AMORA_FS_OFFLINE_STORE": "bigquery",
    }  # fmt: skip
    keywords: dict[str, Any] = {name.removeprefix("AMORA_FS_").lower(): value for name, value in variables.items()}
    settings = Settings(**keywords)
    assert settings == Settings.from_env(variables)
    assert (settings.http_port, settings.api_tokens) == (80, ("a", "b"))
    assert replace(settings, http_port=81).api_tokens == ("a", "b")


def test_the_clock_takes_every_kind_of_instant() -> None:
    noon = datetime(2014, 1, 1, 12, tzinfo=UTC)
    for now in (noon, "2014-01-01T12:00Z", pd.Timestamp("2014-01-01T12:00:00.000000999Z"), noon.replace(tzinfo=None)):
        assert Settings(now=now).clock() == noon  # type: ignore[arg-type]
    assert Settings(now=date(2014, 1, 1)).clock() == datetime(2014, 1, 1, tzinfo=UTC)  # type: ignore[arg-type]
    assert type(Settings(now=pd.Timestamp("2014-01-01")).now) is datetime


def test_tokens_and_passwords_are_not_shown() -> None:
    assert "hush" not in repr(Settings(api_tokens=("hush",), online_store_url="redis://:hush@127.0.0.1"))


def test_a_fixed_clock_stands_and_a_naive_one_is_utc() -> None:
    assert Settings(now=datetime(2014, 1, 1)).clock() == datetime(2014, 1, 1, tzinfo=UTC)
    assert abs((Settings().clock() - datetime.now(UTC)).total_seconds()) < 5


def test_what_is_set_for_bigquery_reaches_its_store(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BIGQUERY_EMULATOR_HOST", "http://127.0.0.1:1")  # nobody is asked
    settings = Settings(
        offline_store="bigquery",
        bigquery_project="my-project",
        dataset="features",
        bigquery_location="europe-west3",
        bigquery_maximum_bytes_billed=1000,
        bigquery_priority="batch",
        bigquery_timeout=7.5,
        bigquery_price_per_tib=5.0,
    )
    store = open_offline_store(settings)
    assert isinstance(store, BigQueryOfflineStore)
    assert store.dataset == "features"
    assert (store._client.project, store._client.location) == ("my-project", "europe-west3")
    assert store._options == JobOptions(
        location="europe-west3", maximum_bytes_billed=1000, priority="batch", timeout=7.5, price_per_tib=5.0
    )
