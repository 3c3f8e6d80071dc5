"""What every offline store does; each implementation's tests inherit these."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import ibis
import pyarrow as pa
import pytest

from amora_fs_assets.domain.column import Column
from amora_fs_assets.domain.errors import OfflineStoreError, TableNotFound
from amora_fs_assets.domain.ibis_types import IBIS_TYPES
from amora_fs_assets.domain.ownership import TO_TABLE
from amora_fs_assets.domain.ports.offline import Draft, OfflineStore
from amora_fs_assets.domain.records import Publication
from amora_fs_assets.domain.time import Interval
from amora_fs_assets.domain.types import DataType
from amora_fs_assets.operations.expressions.tables import unbound
from amora_fs_assets_tests.small import at

KEY = Column("customer", DataType.INT64)
TIME = Column("event_timestamp", DataType.TIMESTAMP)
AMOUNT = Column("amount", DataType.FLOAT64, nullable=True)
COLUMNS = (KEY, TIME, AMOUNT)
NEW_COLUMNS = ("identity", "inputs", "computed_from", "computed_until")
"""Of `_publications`: what earlier releases did not write."""
JANUARY, FEBRUARY = Interval(at(1), at(1, month=2)), Interval(at(1, month=2), at(1, month=3))
EVERYTHING: dict[DataType, Any] = {
    DataType.INT64: 2**62,
    DataType.FLOAT64: -0.5,
    DataType.STRING: 'it\'s "quoted", \\ and ünï',
    DataType.BOOLEAN: True,
    DataType.BYTES: b"\x00\xff",
    DataType.DATE: date(2020, 2, 29),
    DataType.TIMESTAMP: datetime(2020, 1, 1, 1, 2, 3, 456789, tzinfo=UTC),
    DataType.DECIMAL: Decimal("12345678901234567890.123456789"),
}


def rows(*values: tuple[int, datetime | None, float | None], columns: tuple[Column, ...] = COLUMNS) -> pa.Table:
    names = [column.name for column in columns]
    schema = pa.schema([(c.name, IBIS_TYPES[c.type].to_pyarrow()) for c in columns])
    return pa.Table.from_pylist([dict(zip(names, each, strict=True)) for each in values], schema)


class OfflineStoreContract:
    """Subclasses give the fixture `store`: an empty one."""

    def publish(
        self,
        store: OfflineStore,
        data: pa.Table,
        interval: Interval | None = JANUARY,
        *,
        columns: tuple[Column, ...] = COLUMNS,
        name: str = "spending",
        run_id: str = "run",
    ) -> Publication:
        draft = Draft(
            name=name,
            table=f"{store.dataset}.{name}",
            columns=columns,
            keys=("customer",),
            time="event_timestamp",
            interval=interval,
            run_id=run_id,
            published_at=at(1, month=3),
        )
        return store.publish(store.stage(data, name=name, run_id=run_id), draft)

    def read(self, store: OfflineStore, columns: tuple[Column, ...] = COLUMNS, name: str = "spending") -> list[Any]:
        query = unbound(columns, f"{store.dataset}.{name}").order_by([column.name for column in columns[:2]])
        with store.read(query) as batches:
            return [tuple(row.values()) for row in batches.read_all().to_pylist()]

    def test_published_rows_are_read_again(self, store: OfflineStore) -> None:
        publication = self.publish(store, rows((1, at(1), 1.5), (2, at(2), None)))
        assert self.read(store) == [(1, at(1), 1.5), (2, at(2), None)]
        assert (publication.sequence, publication.rows, publication.start) == (1, 2, at(1))
        assert store.publications() == (publication,)

    def test_an_interval_is_replaced_and_no_other(self, store: OfflineStore) -> None:
        self.publish(store, rows((1, at(1), 1.0), (2, at(2), 2.0)))
        self.publish(store, rows((1, at(1, month=2), 3.0)), FEBRUARY)
        self.publish(store, rows((1, at(5), 4.0)))
        assert self.read(store) == [(1, at(5), 4.0), (1, at(1, month=2), 3.0)]

    def test_a_publication_says_what_was_computed_of_what(self, store: OfflineStore) -> None:
        said = {"identity": "i", "inputs": '{"orders": "\\"}', "computed_from": at(1), "computed_until": at(2, 3)}
        draft = Draft(
            name="whole", table=f"{store.dataset}.whole", columns=COLUMNS, run_id="run", published_at=at(1), **said,  # type: ignore[arg-type]
        )  # fmt: skip
        published = store.publish(store.stage(rows(), name="whole", run_id="run"), draft)
        assert {name: getattr(published, name) for name in said} == said
        assert store.publications() == (published,)
        assert published.computed == Interval(at(1), at(2, 3))

    def test_rows_outside_the_interval_are_not_published(self, store: OfflineStore) -> None:
        publication = self.publish(store, rows((1, at(1), 1.0), (1, at(1, month=2), 2.0)))
        assert publication.rows == 1
        assert self.read(store) == [(1, at(1), 1.0)]

    def test_of_a_whole_table_too_only_the_rows_that_were_checked_are_published(self, store: OfflineStore) -> None:
        """A view without partitions: all is replaced by the staged rows of [start, clock)."""
        self.publish(store, rows((9, at(1), 9.0)), None)
        staged = rows((1, at(4), 1.0), (2, at(5), 2.0), (3, at(20), 3.0))
        draft = Draft(
            name="spending", table=f"{store.dataset}.spending", columns=COLUMNS, keys=("customer",),
            time="event_timestamp", run_id="run", published_at=at(1, month=3), computed_from=at(5),
            computed_until=at(20),
        )  # fmt: skip
        publication = store.publish(store.stage(staged, name="spending", run_id="run"), draft)
        assert (publication.rows, publication.start, self.read(store)) == (1, None, [(2, at(5), 2.0)])

    def test_without_an_interval_the_whole_table_is_replaced(self, store: OfflineStore) -> None:
        self.publish(store, rows((1, at(1), 1.0)), None)
        self.publish(store, rows((2, at(2, month=2), 2.0)), None)
        assert self.read(store) == [(2, at(2, month=2), 2.0)]

    def test_sequences_grow_over_all_tables(self, store: OfflineStore) -> None:
        data = rows((1, at(1), 1.0))
        assert [self.publish(store, data, name=name).sequence for name in ("a", "b", "a")] == [1, 2, 3]
        assert [each.sequence for each in store.publications("a")] == [1, 3]
        assert [each.sequence for each in store.publications(after=1)] == [2, 3]
        assert [each.sequence for each in store.publications(newest=True)] == [2, 3]
        assert [each.sequence for each in store.publications("a", newest=True)] == [3]

    def test_keys_that_lost_their_rows_are_kept(self, store: OfflineStore) -> None:
        self.publish(store, rows((1, at(1), 1.0), (2, at(2), 2.0)))
        self.publish(store, rows((1, at(3), 1.0)))
        dropped = (Column("sequence", DataType.INT64), KEY)
        assert self.read(store, dropped, "_dropped_spending") == [(2, 2)]

    def test_keys_that_lost_their_rows_are_kept_anew_where_the_join_keys_change(self, store: OfflineStore) -> None:
        """A feature becomes a join key, which is called as the column that says which publication dropped a key."""
        columns = (KEY, Column("sequence", DataType.INT64), TIME, AMOUNT)
        self.publish(store, rows((1, 5, at(1), 1.0), columns=columns), columns=columns)  # type: ignore[arg-type]
        for key in (6, 7):
            draft = Draft(
                name="spending", table=f"{store.dataset}.spending", columns=columns, keys=("customer", "sequence"),
                time="event_timestamp", interval=JANUARY, run_id=f"run{key}", published_at=at(1),
            )  # fmt: skip
            store.publish(store.stage(rows((1, key, at(1), 1.0), columns=columns), name="s", run_id="s"), draft)  # type: ignore[arg-type]
        dropped = (Column("_sequence", DataType.INT64), KEY, columns[1])
        assert self.read(store, dropped, "_dropped_spending") == [(2, 1, 5), (3, 1, 6)]

    def test_a_new_column_is_null_in_older_rows(self, store: OfflineStore) -> None:
        wider = (*COLUMNS, Column("note", DataType.STRING, nullable=True))
        self.publish(store, rows((1, at(1), 1.0)))
        self.publish(store, rows((1, at(1, month=2), 1.0, "x"), columns=wider), FEBRUARY, columns=wider)  # type: ignore[arg-type]
        assert self.read(store, wider) == [(1, at(1), 1.0, None), (1, at(1, month=2), 1.0, "x")]

    def test_another_type_is_refused_while_older_rows_would_stay(self, store: OfflineStore) -> None:
        text = (KEY, TIME, Column("amount", DataType.STRING, nullable=True))
        self.publish(store, rows((1, at(1), 1.0)))
        with pytest.raises(OfflineStoreError, match="spending.*compute the whole view"):
            self.publish(store, rows((1, at(1, month=2), "x"), columns=text), FEBRUARY, columns=text)  # type: ignore[arg-type]
        assert self.read(store) == [(1, at(1), 1.0)]
        self.publish(store, rows((1, at(1), "x"), columns=text), columns=text)  # type: ignore[arg-type]
        assert self.read(store, text) == [(1, at(1), "x")]

    def test_an_external_table_is_not_overwritten(self, store: OfflineStore) -> None:
        self.publish(store, rows((1, at(1), 1.0)), name="mine")
        foreign = store.stage(rows((1, at(1), 1.0)), name="theirs", run_id="x")
        draft = Draft(
            name="v", table=foreign, columns=COLUMNS, keys=("customer",), time="event_timestamp", interval=JANUARY,
            run_id="run", published_at=at(1),
        )  # fmt: skip
        with pytest.raises(OfflineStoreError, match="is external"):
            store.publish(store.stage(rows((2, at(1), 2.0)), name="v", run_id="run"), draft)

    def test_what_another_writer_published_last_is_not_overwritten(self, store: OfflineStore) -> None:
        writers: dict[str, dict[str, str]] = {
            "source 'report'": {"name": "report", "run_id": "load"},
            "feature view 'report'": {"name": "report", "run_id": "compute", "definition_hash": "1"},
            "to_table": {"name": "report", "run_id": f"{TO_TABLE}1"},
        }
        for number, (owner, by) in enumerate(writers.items()):
            table = f"{store.dataset}.report_{number}"
            self.write(store, table, **by)
            for other, with_ in writers.items():
                if other == owner:
                    self.write(store, table, **with_ | {"run_id": f"{with_['run_id']}2"})
                    continue
                said = f"report_{number} belongs to {owner}.*{other} does not write"
                with pytest.raises(OfflineStoreError, match=said):
                    self.write(store, table, **with_)
            assert len(self.read(store, name=f"report_{number}")) == 1

    def test_what_an_earlier_release_wrote_with_to_table_may_be_replaced_by_to_table(self, store: OfflineStore) -> None:
        table = f"{store.dataset}.report"
        self.write(store, table, name="report", run_id="0123456789abcdef" * 2)
        self.write(store, table, name="report", run_id=f"{TO_TABLE}1")
        with pytest.raises(OfflineStoreError, match="belongs to to_table"):
            self.write(store, table, name="report", run_id="load")

    def test_a_name_finds_a_definitions_publications_and_not_those_of_to_table(self, store: OfflineStore) -> None:
        self.publish(store, rows((1, at(1), 1.0)))
        self.write(store, f"{store.dataset}.other", name="spending", run_id=f"{TO_TABLE}1")
        assert [each.sequence for each in store.publications("spending")] == [1]
        assert [each.sequence for each in store.publications()] == [1, 2]

    def write(self, store: OfflineStore, table: str, **draft: str) -> None:
        """Replace a whole table."""
        staged = store.stage(rows((1, at(1), 1.0)), name="any", run_id=draft["run_id"])
        try:
            store.publish(staged, Draft(table=table, columns=COLUMNS, published_at=at(1), **draft))  # type: ignore[arg-type]
        finally:
            store.discard(staged)

    def test_staging_again_replaces_and_discard_drops(self, store: OfflineStore) -> None:
        staged = store.stage(rows((1, at(1), 1.0), (2, at(1), 1.0)), name="spending", run_id="run")
        assert store.stage(rows((3, at(1), 1.0)), name="spending", run_id="run") == staged
        assert self.read(store, name=staged.rpartition(".")[2]) == [(3, at(1), 1.0)]
        store.discard(staged)
        store.discard(staged)
        assert store.columns(staged) is None

    def test_discard_drops_a_published_table_too(self, store: OfflineStore) -> None:
        """As pruning a training set does."""
        published = self.publish(store, rows((1, at(1), 1.0)))
        store.discard(published.table)
        assert store.columns(published.table) is None
        assert store.publications() == (published,)

    def test_a_query_is_staged(self, store: OfflineStore) -> None:
        self.publish(store, rows((1, at(1), 1.0), (2, at(2), 2.0)))
        table = unbound(COLUMNS, f"{store.dataset}.spending")
        staged = store.stage(table.filter(table.amount > 1.5), name="spending", run_id="other")
        assert self.read(store, name=staged.rpartition(".")[2]) == [(2, at(2), 2.0)]

    def test_a_frame_is_joined_by_its_name(self, store: OfflineStore) -> None:
        self.publish(store, rows((1, at(1), 1.0), (2, at(2), 2.0)))
        frame = pa.table({"customer": pa.array([2], pa.int64())})
        asked = ibis.table({"customer": "int64"}, name="asked")
        query = asked.inner_join(unbound(COLUMNS, f"{store.dataset}.spending"), "customer").select("amount")
        with store.read(query, {"asked": frame}) as batches:
            assert batches.read_all().to_pylist() == [{"amount": 2.0}]

    def test_a_missing_table_is_named(self, store: OfflineStore) -> None:
        with pytest.raises(TableNotFound, match="nowhere"), store.read(unbound(COLUMNS, f"{store.dataset}.nowhere")):
            pass
        assert store.columns(f"{store.dataset}.nowhere") is None
        assert store.publications() == ()

    def test_an_empty_publication_empties_the_interval(self, store: OfflineStore) -> None:
        self.publish(store, rows((1, at(1), 1.0)))
        assert self.publish(store, rows()).rows == 0
        assert self.read(store) == []

    def test_every_type_comes_back_as_it_was(self, store: OfflineStore) -> None:
        scalars = [Column(f"c{i}", type_, nullable=True) for i, type_ in enumerate(EVERYTHING)]
        lists = [
            Column(f"l{i}", type_, nullable=True)
            for i, type_ in enumerate(DataType)
            if type_.is_list and type_.item in EVERYTHING
        ]
        columns = (KEY, TIME, *scalars, *lists)
        full = (1, at(1), *EVERYTHING.values(), *([EVERYTHING[c.type.item]] * 2 for c in lists))
        self.publish(store, rows(full, columns=columns), columns=columns)
        assert self.read(store, columns) == [full]
