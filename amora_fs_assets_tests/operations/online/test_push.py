"""Push: checked by the schema, served at once, and kept offline."""

from __future__ import annotations

import math
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pandas as pd
import pandera.ibis as pandera
import pyarrow as pa
import pytest

from amora_fs_assets import FeatureSchema, FeatureStore, FeatureView, Settings, Timestamp
from amora_fs_assets.domain import catalogue_json as plain_form
from amora_fs_assets.domain.errors import ChecksFailed, DefinitionNotApplied, InvalidRequest
from amora_fs_assets.domain.ports.offline import OfflineStore
from amora_fs_assets.domain.ports.online import OnlineStore
from amora_fs_assets.operations.online.materialize import materialize
from amora_fs_assets.operations.online.push import push
from amora_fs_assets.operations.online.pushed_rows import table_of
from amora_fs_assets.operations.registry.apply import apply_plan
from amora_fs_assets.operations.registry.plan import plan
from amora_fs_assets.stores.bigquery.offline_store import BigQueryOfflineStore
from amora_fs_assets_tests.emulators.bigquery import BigQueryEmulator
from amora_fs_assets_tests.operations.online.test_materialize import END, VIEW, load, publish, served
from amora_fs_assets_tests.small import at, catalogue
from amora_fs_assets_tests.stores.offline_store_contract import OfflineStoreContract

ROW: dict[str, Any] = {"customer": 1, "event_timestamp": at(5), "amount": 5.0}


def pushed(online: OnlineStore, offline: OfflineStore | None, *rows: dict[str, Any]) -> int:
    return push(VIEW, list(rows), online=online, offline=offline, run_id=f"push-{len(rows)}", clock=END, expire=False)


@pytest.fixture
def loaded(offline: OfflineStore, online: OnlineStore) -> None:
    """Customer 1 as of the first, customer 2 as of the ninth."""
    publish(offline, (1, at(1), 1.0), (2, at(9), 9.0))
    load(offline, online)


@pytest.mark.usefixtures("loaded")
class TestPush:
    def test_a_newer_row_is_served_at_once_and_kept_offline(self, offline: OfflineStore, online: OnlineStore) -> None:
        assert pushed(online, offline, ROW) == 1
        assert served(online, 1) == [(at(5), 5.0)]
        assert OfflineStoreContract().read(offline) == [(1, at(1), 1.0), (1, at(5), 5.0), (2, at(9), 9.0)]
        assert offline.publications("spending")[-1].rows == 1

    def test_an_older_row_is_kept_offline_and_not_served(self, offline: OfflineStore, online: OnlineStore) -> None:
        assert pushed(online, offline, {**ROW, "customer": 2}) == 0
        assert served(online, 2) == [(at(9), 9.0)]
        assert (2, at(5), 5.0) in OfflineStoreContract().read(offline)

    def test_a_row_of_the_same_key_and_time_replaces_the_one_offline(
        self, offline: OfflineStore, online: OnlineStore
    ) -> None:
        for amount in (5.0, 6.0):
            pushed(online, offline, {**ROW, "amount": amount})
        assert OfflineStoreContract().read(offline) == [(1, at(1), 1.0), (1, at(5), 6.0), (2, at(9), 9.0)]

    def test_the_next_load_agrees_with_the_push(self, offline: OfflineStore, online: OnlineStore) -> None:
        pushed(online, offline, ROW)
        load(offline, online)
        assert served(online, 1, 2) == [(at(5), 5.0), (at(9), 9.0)]

    def test_a_push_that_was_taken_back_offline_is_not_served_any_more(
        self, offline: OfflineStore, online: OnlineStore
    ) -> None:
        pushed(online, offline, ROW)
        publish(offline, (1, at(1), 1.0), (2, at(9), 9.0))
        load(offline, online)
        assert served(online, 1) == [(at(1), 1.0)]

    def test_online_only_leaves_offline_as_it_was(self, offline: OfflineStore, online: OnlineStore) -> None:
        pushed(online, None, ROW)
        assert served(online, 1) == [(at(5), 5.0)]
        assert len(offline.publications("spending")) == 1

    def test_a_full_load_forgets_what_was_pushed_online_only(self, offline: OfflineStore, online: OnlineStore) -> None:
        pushed(online, None, ROW)
        materialize(VIEW, store=offline, online=online, clock=END, full=True, expire=False)
        assert served(online, 1) == [(at(1), 1.0)]

    @pytest.mark.parametrize(
        ("change", "message"),
        [
            ({"amount": -1.0}, r"'amount': -1\.0 of row 0 is not greater_than_or_equal_to"),
            ({"customer": None}, r"'customer' is never null, but it is null in row 0"),
            ({"event_timestamp": None}, r"'event_timestamp' is never null"),
        ],
    )
    def test_rows_that_break_the_schema_are_written_nowhere(
        self, offline: OfflineStore, online: OnlineStore, change: dict[str, Any], message: str
    ) -> None:
        with pytest.raises(ChecksFailed, match=f"{message}.*Nothing was pushed"):
            pushed(online, offline, {**ROW, **change})
        assert served(online, 1) == [(at(1), 1.0)]
        assert len(offline.publications("spending")) == 1

    @pytest.mark.parametrize(
        ("change", "message"),
        [
            ({"amount": "much"}, "column 'amount' takes float64"),
            ({"customer": 1.5}, "column 'customer' takes int64"),
            ({"event_timestamp": "yesterday"}, "column 'event_timestamp' takes timestamp"),
            ({"colour": "red"}, "has no column 'colour'. Its columns: customer"),
        ],
    )
    def test_rows_of_other_columns_or_types_are_refused(
        self, offline: OfflineStore, online: OnlineStore, change: dict[str, Any], message: str
    ) -> None:
        with pytest.raises(InvalidRequest, match=message):
            pushed(online, offline, {**ROW, **change})

    def test_a_key_twice_is_refused(self, offline: OfflineStore, online: OnlineStore) -> None:
        with pytest.raises(ChecksFailed, match="rows 0 and 1 have the same key and time"):
            pushed(online, offline, ROW, ROW)

    def test_no_rows_are_no_publication(self, offline: OfflineStore, online: OnlineStore) -> None:
        assert pushed(online, offline) == 0
        assert len(offline.publications("spending")) == 1


@pytest.mark.google
def test_what_is_pushed_is_kept_in_bigquery_too(bigquery_emulator: BigQueryEmulator, online: OnlineStore) -> None:
    """A newer row, an older one, one of the same key and time, and the load that follows."""
    with bigquery_emulator.client() as client:
        offline = BigQueryOfflineStore(client, dataset="pushed", storage_client=bigquery_emulator.read_client())
        publish(offline, (1, at(1), 1.0), (2, at(9), 9.0))
        load(offline, online)
        assert pushed(online, offline, ROW, {**ROW, "customer": 2}) == 1
        assert pushed(online, offline, {**ROW, "amount": 6.0}) == 0, "not newer: the next load brings it"
        kept = [(1, at(1), 1.0), (1, at(5), 6.0), (2, at(5), 5.0), (2, at(9), 9.0)]
        assert OfflineStoreContract().read(offline) == kept
        assert served(online, 1, 2) == [(at(5), 5.0), (at(9), 9.0)]
        load(offline, online)
        assert served(online, 1, 2) == [(at(5), 6.0), (at(9), 9.0)]


@pytest.mark.parametrize(
    "rows",
    [
        [ROW],
        {name: [value] for name, value in ROW.items()},
        pd.DataFrame([ROW]),
        pa.Table.from_pylist([ROW]),
        [{**ROW, "event_timestamp": "2020-01-05T00:00:00Z"}],
        [{**ROW, "event_timestamp": datetime(2020, 1, 5)}],
    ],
    ids=lambda rows: type(rows).__name__,
)
def test_frames_tables_and_dicts_are_taken(rows: Any) -> None:
    assert table_of(VIEW, rows).to_pylist() == [ROW]


def test_a_nullable_feature_may_be_left_out_and_nan_stays_nan() -> None:
    assert table_of(VIEW, [{"customer": 1, "event_timestamp": at(5)}]).column("amount").to_pylist() == [None]
    (value,) = table_of(VIEW, [{**ROW, "amount": math.nan}]).column("amount").to_pylist()
    assert math.isnan(value)


@pytest.mark.usefixtures("loaded")
class TestFromTheFuture:
    """The clock stands at the first of March."""

    def test_a_row_waits_offline_for_its_time_and_the_load_after_brings_it(
        self, offline: OfflineStore, online: OnlineStore
    ) -> None:
        late = END + timedelta(days=2)
        assert pushed(online, offline, ROW, {**ROW, "event_timestamp": late, "amount": 7.0}) == 1
        assert served(online, 1) == [(at(5), 5.0)]
        load(offline, online, clock=END + timedelta(days=1))
        assert served(online, 1) == [(at(5), 5.0)]
        load(offline, online, clock=late)
        assert served(online, 1) == [(late, 7.0)]

    def test_a_row_of_this_very_instant_is_served(self, offline: OfflineStore, online: OnlineStore) -> None:
        assert pushed(online, offline, {**ROW, "event_timestamp": END}) == 1
        assert served(online, 1) == [(END, 5.0)]

    def test_with_nowhere_to_wait_it_is_refused(self, online: OnlineStore) -> None:
        late = END + timedelta(microseconds=1)
        said = rf"event_timestamp of row 1 is {late.isoformat()}, after the clock, {END.isoformat()}".replace(
            "+", r"\+"
        )
        with pytest.raises(InvalidRequest, match=rf"{said}.*Nothing was pushed"):
            pushed(online, None, ROW, {**ROW, "event_timestamp": late})
        assert served(online, 1) == [(at(1), 1.0)]

    def test_the_last_instant_that_there_is_is_refused(self, offline: OfflineStore, online: OnlineStore) -> None:
        last = datetime.max.replace(tzinfo=UTC)
        with pytest.raises(InvalidRequest, match="row 0 is the last possible instant"):
            pushed(online, offline, {**ROW, "event_timestamp": last})
        assert pushed(online, offline, {**ROW, "event_timestamp": last - timedelta(microseconds=1)}) == 0


class Known(FeatureSchema):
    customer: int
    created_timestamp: Timestamp
    amount: float


def test_a_value_that_is_pushed_was_not_known_only_later(offline: OfflineStore, online: OnlineStore) -> None:
    view = FeatureView("known", Known, VIEW.entities, transform=lambda: None, start="2020-01-01")
    row = {**ROW, "created_timestamp": END + timedelta(days=1)}
    with pytest.raises(InvalidRequest, match="created_timestamp of row 0 is .* A pushed value must be known already"):
        push(view, [row], online=online, offline=offline, run_id="push", clock=END)


class Span(FeatureSchema):
    customer: int
    low: int
    high: int

    @pandera.dataframe_check
    @classmethod
    def ordered(cls, data: Any) -> Any:
        return data.table["low"] <= data.table["high"]


def test_a_row_that_breaks_a_check_of_whole_rows_is_refused(offline: OfflineStore, online: OnlineStore) -> None:
    view = FeatureView("span", Span, VIEW.entities, transform=lambda: None, start="2020-01-01")
    kept = plain_form.read_view(plain_form.feature_view(view), {"customer": VIEW.entities[0]}, {}, view.gate)
    assert kept.schema is None, "as a model server has it"
    rows = [{"customer": each, "event_timestamp": at(5), "low": each, "high": 11} for each in range(20)]
    with pytest.raises(ChecksFailed, match=r"row 12 breaks the whole-row rule ordered: .*Nothing was pushed"):
        push(kept, rows, online=online, offline=offline, run_id="push", clock=END)


def test_a_view_that_an_earlier_release_applied_says_to_apply_it_again(tmp_path: Path) -> None:
    """The registry's catalogue of before had no gates; applying writes them, and nothing counts as changed."""
    with FeatureStore(Settings(home=tmp_path, now=END)) as store:
        code = catalogue()
        before = replace(code, feature_views={n: without_gate(v) for n, v in code.feature_views.items()})
        store.registry.apply(before, parent=None, clock=END)
        with pytest.raises(DefinitionNotApplied, match=r"earlier release.*amora-fs apply"):
            store.push("spending", [ROW])
        planned = plan(code, store.registry, clock=END, dataset="feature_store")
        assert planned.changes == ()
        apply_plan(planned, store.registry, clock=END)
        assert store.registry.catalogue().feature_view("spending").gate == code.feature_view("spending").gate
        head = store.registry.head()
        apply_plan(plan(code, store.registry, clock=END, dataset="feature_store"), store.registry, clock=END)
        assert store.registry.head() == head, "nothing to write any more"


def without_gate(view: FeatureView) -> FeatureView:
    plain = plain_form.feature_view(view)
    return plain_form.read_view(plain, {e.name: e for e in view.entities}, {s.name: s for s in view.sources})
