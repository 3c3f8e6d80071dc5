"""The commands that look after what is served."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from amora_fs_assets import FeatureStore, Settings
from amora_fs_assets.cli.main import main
from amora_fs_assets_tests.servers import bundled_valkey, redis_cluster
from amora_fs_assets_tests.small import CLOCK, at, catalogue
from amora_fs_assets_tests.stores.online_rows import batch


@pytest.fixture(scope="module", params=["embedded", "cluster"])
def url(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Where the online store is."""
    if request.param == "embedded":
        yield ""
        return
    with redis_cluster(bundled_valkey(), tmp_path_factory.mktemp("cluster")) as cluster:
        yield cluster.url


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory, url: str) -> Iterator[Path]:
    """A view in its second generation."""
    folder = tmp_path_factory.mktemp("home")
    with FeatureStore(Settings(home=folder, online_store_url=url, now=at(1, month=3)), catalogue()) as store:
        store.apply()
        store.compute("2020-01-01", CLOCK)
        store.materialize_incremental()
        store.materialize_incremental(full=True)
        yield folder


@pytest.fixture(autouse=True)
def environment(home: Path, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AMORA_FS_HOME", str(home))
    monkeypatch.setenv("AMORA_FS_ONLINE_STORE_URL", url)
    monkeypatch.setenv("AMORA_FS_NOW", CLOCK)


def amora_fs(*arguments: str) -> Result:
    return CliRunner().invoke(main, arguments)


def test_status_of_a_view_says_all_about_it_online() -> None:
    result = amora_fs("status", "spending")
    assert result.exit_code == 0, result.output
    for words in (
        "spending: generation 2", "generation 1: loaded", "generation 2 (live): loaded", "publications up to 2",
        "newest row of 2020-02-03 00:00:00", "lag: 0 publications not loaded",
    ):  # fmt: skip
        assert words in result.output


def test_a_dry_run_says_what_a_rollback_would_do_and_does_nothing() -> None:
    result = amora_fs("rollback", "spending", "--dry-run")
    assert (result.exit_code, "from generation 2 to 1" in result.output) == (0, True)
    assert "(live)" in next(
        line
        for line in amora_fs("status", "spending").output.splitlines()
        if "generation 2" in line and "loaded" in line
    )


def test_a_rollback_pins_until_it_is_unpinned() -> None:
    result = amora_fs("rollback", "spending")
    assert (result.exit_code, "from generation 2 to 1" in result.output) == (0, True)
    assert "generation 1, pinned by a rollback" in amora_fs("status", "spending").output
    result = amora_fs("rollback", "spending", "--unpin")
    assert (result.exit_code, "from generation 1 to 2" in result.output) == (0, True)
    assert "pinned" not in amora_fs("status", "spending").output


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("rollback", "spending", "--to", "9"), "generation 9 does not exist (existing: 1, 2; live: 2)"),
        (("rollback", "spendings"), "Did you mean 'spending'?"),
        (("parity", "spendings"), "Did you mean 'spending'?"),
        (("status", "spendings"), "Did you mean 'spending'?"),
    ],
)
def test_what_cannot_be_done_is_explained(arguments: tuple[str, ...], words: str) -> None:
    result = amora_fs(*arguments)
    assert (result.exit_code, words in result.output) == (1, True), result.output


def test_parity_counts_and_fails_where_something_is_wrong(home: Path, url: str) -> None:
    result = amora_fs("parity", "spending")
    assert (result.exit_code, "3 keys compared as of publication 2: 3 equal" in result.output) == (0, True)
    with FeatureStore(Settings(home=home, online_store_url=url, now=at(1, month=3))) as store:
        view = store.get_feature_view("spending")
        damaged = [batch(view, (1, at(2, month=2), -1.0))]
        store.online.load(view, damaged, published_through=2, clock=at(1, month=3), new_generation=True, expire=False)
        result = amora_fs("parity", "spending")
        store.online.rollback("spending")
        store.online.unpin("spending")
    assert result.exit_code == 1
    assert "2 missing" in result.output
    assert "'wrong': 'different'" in result.output
