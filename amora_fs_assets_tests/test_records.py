"""Whatever was done to a view is in its history: each kind of run, good or not, with what it read and wrote."""

from __future__ import annotations

import json
import logging
import subprocess
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import redis
from click.testing import CliRunner

from amora_fs_assets import FeatureStore, FeatureView, Settings
from amora_fs_assets.cli.main import main
from amora_fs_assets.domain.catalogue import Catalogue
from amora_fs_assets.domain.errors import ChecksFailed, InvalidRequest, OnlineStoreError, OnlineStoreUnavailable
from amora_fs_assets.domain.identity.definition import definition_hash
from amora_fs_assets.domain.records import Input, Output, RunRecord
from amora_fs_assets.operations.online import push as push_verb
from amora_fs_assets.operations.records.git_commit import commit_of
from amora_fs_assets.stores.embedded.server import EmbeddedServer
from amora_fs_assets_tests import small
from amora_fs_assets_tests.small import CLOCK, at

ROW: dict[str, Any] = {"customer": 1, "event_timestamp": at(1, month=2), "amount": 5.0}
ROWS: list[tuple[int, datetime, float | None]] = [(1, at(1), 10.0), (2, at(2), 20.0), (1, at(1, month=3), -5.0)]


def code() -> Catalogue:
    """A view whose March is refused, and an external view over its table."""
    ours = small.catalogue(ROWS)
    external = FeatureView("external", small.Spending, [small.customer], table="feature_store.spending")
    return Catalogue.of([ours.feature_view("spending"), external])


def opened(home: Path, **settings: Any) -> FeatureStore:
    module = ModuleType("definitions")
    vars(module).update(code().feature_views)
    return FeatureStore(Settings(home=home, now=at(1, month=4), **settings), module)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("home")


@pytest.fixture(scope="module")
def store(home: Path) -> Iterator[FeatureStore]:
    """Computed to the end of February, and online in two generations."""
    with opened(home, commit="0123456789") as store:
        store.apply()
        store.compute("2020-01-01", "2020-03-01", ["spending"])
        store.compute("2020-01-01", "2020-03-01", ["external"])
        store.materialize_incremental(feature_views=["spending"])
        store.materialize_incremental(feature_views=["spending"], full=True)
        yield store


def newest(store: FeatureStore, name: str = "spending") -> RunRecord:
    return next(store.registry.records(name, limit=1))


def of_kind(store: FeatureStore, kind: str, name: str = "spending") -> RunRecord:
    return next(store.registry.records(name, kind=kind, limit=1))


def test_a_computation_says_what_it_read_and_wrote_and_at_which_commit(store: FeatureStore) -> None:
    run = of_kind(store, "compute")
    assert run.inputs == (Input(name="orders", table="raw.orders", sequence=1),)
    assert run.outputs == (Output(name="spending", table="feature_store.spending", sequence=2),)
    assert run.commit == "0123456789"
    assert run.duration == run.finished_at - run.started_at
    assert run.bytes is None  # DuckDB does not say


def test_a_source_that_was_loaded_says_which_publication_it_made(store: FeatureStore) -> None:
    assert newest(store, "orders").outputs == (Output(name="orders", table="raw.orders", sequence=1),)


def test_an_external_table_is_checked_and_that_is_a_run_of_its_own_kind(store: FeatureStore) -> None:
    run = newest(store, "external")
    assert (run.kind, run.status, run.outputs) == ("check", "succeeded", ())
    assert run.inputs == (Input(name="external", table="feature_store.spending", sequence=2),)
    assert [check.name for check in run.checks] == ["customer", "event_timestamp", "amount"]


def test_a_load_says_the_publication_that_it_read_and_its_generation(store: FeatureStore) -> None:
    runs = list(store.registry.records("spending", kind="materialize"))
    assert [run.outputs[0].generation for run in runs] == [2, 1]
    assert runs[0].inputs == (Input(name="spending", table="feature_store.spending", sequence=2),)
    assert (runs[0].rows, runs[0].sequence, bool(runs[0].code_version)) == (2, 2, True)


def test_a_refused_computation_is_recorded_with_its_checks(store: FeatureStore) -> None:
    with pytest.raises(ChecksFailed):
        store.compute("2020-03-01", "2020-04-01", ["spending"])
    run = newest(store)
    assert (run.kind, run.status, run.outputs) == ("compute", "failed", ())
    assert {check.name for check in run.checks if not check.passed} == {"amount"}
    assert "not greater_than_or_equal_to" in run.error


def test_a_push_is_recorded_with_its_publication(store: FeatureStore) -> None:
    store.push("spending", [ROW])
    run = newest(store)
    published = store.offline.publications("spending")[-1]
    assert (run.kind, run.status, run.rows, run.run_id) == ("push", "succeeded", 1, published.run_id)
    assert run.outputs == (Output(name="spending", table="feature_store.spending", sequence=published.sequence),)
    assert (run.details["newer"], run.details["to_offline"], run.details["to_online"]) == (1, True, True)
    assert run.schema_hash and run.definition_hash


def test_a_push_that_went_online_alone_has_no_publication(store: FeatureStore) -> None:
    store.push("spending", [{**ROW, "event_timestamp": at(2, month=2)}], to_offline=False)
    assert (newest(store).kind, newest(store).sequence, newest(store).outputs) == ("push", None, ())


@pytest.mark.parametrize(
    ("row", "error"), [({**ROW, "amount": "much"}, InvalidRequest), ({**ROW, "amount": -1.0}, ChecksFailed)]
)
def test_a_push_that_was_refused_is_recorded(store: FeatureStore, row: dict[str, Any], error: type[Exception]) -> None:
    with pytest.raises(error) as caught:
        store.push("spending", [row])
    run = newest(store)
    assert (run.kind, run.status, run.error, run.sequence) == ("push", "failed", str(caught.value), None)


def test_a_push_whose_server_is_away_publishes_nothing(store: FeatureStore, home: Path) -> None:
    before = store.offline.publications("spending")
    away = opened(home, online_store_url="redis://127.0.0.1:1/0")
    with pytest.raises(OnlineStoreUnavailable):
        away.push("spending", [ROW])
    run = newest(store)
    assert (run.kind, run.status, run.sequence) == ("push", "failed", None)
    assert store.offline.publications("spending") == before


def test_a_push_whose_server_goes_away_says_what_was_published_all_the_same(
    store: FeatureStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = store.offline.publications("spending")[-1].sequence

    def gone(*_: Any, **__: Any) -> int:
        raise OnlineStoreUnavailable("The server went away.")

    monkeypatch.setattr(store.online, "push", gone)
    with pytest.raises(OnlineStoreUnavailable):
        store.push("spending", [ROW])
    run = newest(store)
    assert (run.kind, run.status) == ("push", "failed")
    assert run.sequence == store.offline.publications("spending")[-1].sequence != before


def test_a_push_is_not_stopped_by_a_registry_that_takes_no_records(
    store: FeatureStore, home: Path, caplog: pytest.LogCaptureFixture
) -> None:
    runs = home / "registry" / "runs"
    aside = runs.rename(runs.with_name("aside"))
    runs.write_text("in the way")
    try:
        with caplog.at_level(logging.WARNING):
            row = {**ROW, "event_timestamp": at(3, month=2)}
            assert store.push("spending", [row], to_offline=False) == 1
    finally:
        runs.unlink()
        aside.rename(runs)
    assert "(push of spending) has no record" in caplog.text


def test_a_rollback_and_its_end_are_recorded_with_the_generations(store: FeatureStore) -> None:
    store.rollback("spending")
    back = newest(store)
    assert (back.kind, back.status, back.outputs[0].generation) == ("rollback", "succeeded", 1)
    assert (back.details["from"], back.details["to"]) == (2, 1)
    store.unpin("spending")
    assert (newest(store).kind, newest(store).outputs[0].generation) == ("unpin", 2)


def test_a_rollback_to_a_generation_that_is_gone_is_recorded(store: FeatureStore) -> None:
    with pytest.raises(OnlineStoreError):
        store.rollback("spending", to=17)
    run = newest(store)
    assert (run.kind, run.status, "generation 17" in run.error) == ("rollback", "failed", True)


@pytest.mark.parametrize("kind", ["rollback", "unpin"])
def test_a_rollback_whose_server_is_away_is_recorded(store: FeatureStore, home: Path, kind: str) -> None:
    away = opened(home, online_store_url="redis://127.0.0.1:1/0")
    with pytest.raises(OnlineStoreUnavailable):
        getattr(away, kind)("spending")
    run = newest(store)
    assert (run.kind, run.status) == (kind, "failed")


def test_what_is_applied_here_is_known_here_at_once(home: Path) -> None:
    with opened(home / "of its own") as store:
        assert not store.served.feature_views
        store.apply()
        assert set(store.served.feature_views) == {"spending", "external"}


def test_parity_is_recorded_with_what_it_found(store: FeatureStore) -> None:
    store.materialize_incremental(feature_views=["spending"], full=True)
    assert store.parity("spending").passed
    run = newest(store)
    assert (run.kind, run.status, run.rows, run.error) == ("parity", "succeeded", 2, "")
    (check,) = run.checks
    assert {rule.rule: rule.failed_rows for rule in check.rules} == dict.fromkeys(
        ("missing", "extra", "stale", "different"), 0
    )
    server = EmbeddedServer(store.settings.home)
    client = redis.Redis(unix_socket_path=str(server.acquire()))
    state = store.online.state("spending")
    assert state.live is not None
    for key in client.scan_iter(f"{state.live.location}*"):
        client.delete(key)
    server.release()
    assert not store.parity("spending").passed
    run = newest(store)
    assert (run.kind, run.status, run.error) == ("parity", "failed", "Of 2 keys 2 missing.")
    assert len(run.checks[0].failing_rows) == 2


def test_history_shows_them_all_for_people_and_for_programs(
    store: FeatureStore, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AMORA_FS_HOME", str(home))
    monkeypatch.setenv("AMORA_FS_NOW", CLOCK)
    monkeypatch.setenv("COLUMNS", "200")
    shown = CliRunner().invoke(main, ["history", "spending", "--limit", "100"])
    assert shown.exit_code == 0, shown.output
    plain = json.loads(CliRunner().invoke(main, ["history", "spending", "--limit", "100", "--format", "json"]).output)
    kinds = {run["kind"] for run in plain["runs"]}
    assert {"compute", "materialize", "push", "rollback", "unpin", "parity"} <= kinds
    assert all(kind in shown.output for kind in kinds)
    assert "generation 2" in shown.output and "publication 2" in shown.output and "0123456" in shown.output
    (first,) = [run for run in plain["runs"] if run["kind"] == "compute" and run["status"] == "succeeded"]
    assert first["inputs"] == [{"name": "orders", "table": "raw.orders", "sequence": 1}]
    assert first["outputs"][0]["sequence"] == 2
    assert first["duration"] > 0 and first["bytes"] is None and first["commit"] == "0123456789"
    assert first["checks"]["unique_key"] == {"unique": 0}


class TestWhatAKilledProcessLeft:
    def test_a_push_that_left_no_record_is_completed_as_a_push(self, tmp_path: Path) -> None:
        with opened(tmp_path) as store:
            store.apply()
            store.compute("2020-01-01", "2020-02-01", ["spending"])
            store.materialize_incremental(feature_views=["spending"])
            view = store.get_feature_view("spending")
            push_verb.push(
                view,
                [ROW],
                online=store.online,
                offline=store.offline,
                run_id="push-killed",
                definition_hash=definition_hash(view),
                clock=store.settings.clock(),
            )
            store.compute("2020-02-01", "2020-03-01", ["spending"])
            kinds = [(run.kind, run.run_id, run.completed) for run in store.registry.records("spending")]
            assert ("push", "push-killed", True) in kinds
            assert len([run for run in kinds if run[0] == "compute"]) == 2
            assert [run.completed for run in store.registry.records("spending", kind="compute")] == [False, False]

    def test_a_later_run_that_did_record_does_not_hide_it(self, tmp_path: Path) -> None:
        with opened(tmp_path) as store:
            store.apply()
            store.compute("2020-01-01", "2020-02-01", ["spending"])
            store.compute("2020-01-01", "2020-02-01", ["spending"])
            registry = Path(store.settings.registry)
            first = min((registry / "runs" / "spending").rglob("*.json"), key=lambda path: path.name)
            first.unlink()
            store.compute("2020-01-01", "2020-02-01", ["spending"])
            runs = list(store.registry.records("spending"))
            assert sorted(run.sequence or 0 for run in runs) == [2, 3, 4]
            assert [run.completed for run in runs if run.sequence == 2] == [True]

    def test_of_two_records_of_one_publication_readers_get_the_runs_own(self, tmp_path: Path) -> None:
        with opened(tmp_path) as store:
            store.apply()
            store.compute("2020-01-01", "2020-02-01", ["spending"])
            own = newest(store)
            registry = Path(store.settings.registry)
            (path,) = (registry / "runs" / "spending").rglob("*.json")
            # Another run comes between publication and record, and completes it.
            aside = path.rename(tmp_path / path.name)
            store.compute("2020-02-01", "2020-03-01", ["spending"])
            assert [run.completed for run in store.registry.records("spending")] == [False, True]
            aside.rename(path)
            assert [run.completed for run in store.registry.records("spending")] == [False, False]
            assert own in list(store.registry.records("spending"))


def git(folder: Path, *arguments: str) -> str:
    who = ["-c", "user.name=Somebody", "-c", "user.email=somebody@example.com"]
    return subprocess.run(
        ["git", "-C", str(folder), *who, *arguments], check=True, capture_output=True, text=True
    ).stdout.strip()


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository with a committed package `features_<random>` and an ignored folder."""
    folder = tmp_path / "repository"
    package = folder / "shop_features"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("")
    (folder / "README").write_text("Ours.\n")
    (folder / ".gitignore").write_text("__pycache__\n.venv\n")
    git(folder, "init", "--quiet")
    git(folder, "add", ".")
    git(folder, "commit", "--quiet", "--message", "first")
    monkeypatch.syspath_prepend(str(folder))
    return folder


class TestCommit:
    def test_it_is_that_of_the_packages_checkout(self, checkout: Path) -> None:
        assert commit_of("shop_features") == git(checkout, "rev-parse", "HEAD")

    @pytest.mark.parametrize("change", ["README", "shop_features/__init__.py", "shop_features/new.py"])
    def test_a_changed_file_or_a_new_one_in_the_package_makes_it_dirty(self, checkout: Path, change: str) -> None:
        (checkout / change).write_text("changed = True\n")
        assert commit_of("shop_features") == f"{git(checkout, 'rev-parse', 'HEAD')}-dirty"

    def test_a_new_file_elsewhere_does_not(self, checkout: Path) -> None:
        (checkout / "notes.txt").write_text("mine")
        assert not commit_of("shop_features").endswith("-dirty")

    def test_what_is_installed_in_a_checkout_is_not_of_it(
        self, checkout: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        installed = checkout / ".venv" / "installed_features"
        installed.mkdir(parents=True)
        (installed / "__init__.py").write_text("")
        monkeypatch.syspath_prepend(str(installed.parent))
        assert commit_of("installed_features") == ""

    def test_outside_of_a_checkout_there_is_none(self, tmp_path: Path) -> None:
        module = ModuleType("definitions")
        module.__file__ = str(tmp_path / "definitions.py")
        assert commit_of(module) == commit_of(ModuleType("typed_into_a_notebook")) == commit_of("no.such.package") == ""

    def test_records_hold_it(self, checkout: Path, tmp_path: Path) -> None:
        module = ModuleType("definitions")
        vars(module).update(code().feature_views, __file__=str(checkout / "shop_features" / "__init__.py"))
        store = FeatureStore(Settings(home=tmp_path, now=at(1, month=4)), module)
        store.apply()
        store.compute("2020-01-01", "2020-02-01", ["spending"])
        assert newest(store).commit == git(checkout, "rev-parse", "HEAD")
