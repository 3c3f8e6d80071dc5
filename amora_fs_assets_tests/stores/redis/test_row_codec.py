"""Rows as bytes: what goes in comes out, exactly."""

from __future__ import annotations

import itertools
import math
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from amora_fs_assets import FeatureView
from amora_fs_assets.domain.column import Column
from amora_fs_assets.domain.errors import OnlineStoreError
from amora_fs_assets.domain.ports.online import NEVER, OnlineRows
from amora_fs_assets.domain.types import DataType
from amora_fs_assets.stores.redis import row_codec
from amora_fs_assets_tests import nested
from amora_fs_assets_tests.stores.online_rows import AMOUNT, CUSTOMER, NOTE, batch, hour, micros, view_of

_SCALARS: dict[DataType, st.SearchStrategy[Any]] = {
    DataType.INT64: st.integers(-(2**63), 2**63 - 1),
    DataType.FLOAT64: st.floats(),
    DataType.STRING: st.text(st.characters(exclude_categories=["Cs"])),
    DataType.BOOLEAN: st.booleans(),
    DataType.BYTES: st.binary(),
    DataType.DATE: st.dates(),
    DataType.TIMESTAMP: st.datetimes(datetime(1678, 1, 1), datetime(2261, 1, 1), timezones=st.just(UTC)),
    DataType.DECIMAL: st.decimals(-(10**28), 10**28, places=9, allow_nan=False),
    DataType.TIME: st.times(),
    DataType.UUID: st.uuids().map(str),
    DataType.JSON: st.sampled_from(["null", "{}", '{"a":[1]}']),
}
COLUMNS = tuple(Column(f"f{place}", type_, nullable=True) for place, type_ in enumerate((*DataType, *nested.NESTED)))
EVERYTHING = view_of(*COLUMNS)


def values(type_: DataType) -> st.SearchStrategy[Any]:
    if type_.is_list:
        return st.none() | st.lists(values(type_.item), max_size=3)
    if type_.is_map:
        return st.none() | st.dictionaries(_SCALARS[DataType.STRING], values(type_.fields["value"]), max_size=3)
    if type_.is_struct:
        return st.none() | st.fixed_dictionaries({name: values(field) for name, field in type_.fields.items()})
    return st.none() | _SCALARS[type_]


ROW = st.tuples(*(values(column.type) for column in COLUMNS))


def through(view: FeatureView, *rows: Any, sequence: int = 1) -> OnlineRows:
    """The rows encoded and decoded again."""
    encoded = [row for part in row_codec.encode(view, batch(view, *rows), sequence) for row in part.rows]
    return decoder(view)(encoded)


def decoder(view: FeatureView) -> row_codec.Decoder:
    return row_codec.Decoder([(c.name, c.type.value) for c in view.features], view.schema_hash)


def same(one: Any, other: Any) -> bool:
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(same(one[name], other[name]) for name in one)
    if isinstance(one, list):
        return len(one) == len(other) and all(map(same, one, other))
    if isinstance(one, float) and one == 0 == other:
        return math.copysign(1, one) == math.copysign(1, other)
    return type(one) is type(other) and (one == other or (one != one and other != other))


@given(st.lists(ROW, min_size=1, max_size=4))
def test_every_type_comes_back_as_it_was(rows: list[tuple[Any, ...]]) -> None:
    found = through(EVERYTHING, *((place, hour(0), *row) for place, row in enumerate(rows)))
    for column, expected in zip(COLUMNS, zip(*rows, strict=True), strict=True):
        for value, wanted in zip(found.columns[column.name], expected, strict=True):
            assert same(value, wanted), (column, value, wanted)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, -0.0, 5e-324, 1.7976931348623157e308])
def test_floats_that_are_no_ordinary_numbers(value: float) -> None:
    assert same(through(view_of(AMOUNT), (1, hour(0), value)).columns["amount"][0], value)


@given(st.lists(st.tuples(st.integers(-(2**62), 2**62), st.none() | st.integers(-(2**62), 2**62)), min_size=1))
def test_times_before_and_after_1970_come_back(times: list[tuple[int, int | None]]) -> None:
    view = view_of(AMOUNT, created=True)
    data = {
        "customer": pa.array(range(len(times)), pa.int64()),
        "event_timestamp": pa.array([time for time, _ in times], pa.timestamp("us", tz="UTC")),
        "created_timestamp": pa.array([known for _, known in times], pa.timestamp("us", tz="UTC")),
        "amount": pa.array([1.0] * len(times)),
    }
    encoded = [row for part in row_codec.encode(view, pa.record_batch(data), 1) for row in part.rows]
    found = decoder(view)(encoded)
    assert list(zip(found.event_timestamps, found.created_timestamps, strict=True)) == times


def test_rows_that_are_missing_or_taken_away_are_told_from_those_that_are_there() -> None:
    view = view_of()
    (encoded,) = row_codec.encode(view, batch(view, (1, hour(0), 1.0, "a"), (2, None, None, None)), 1)
    found = decoder(view)([encoded.rows[0], None, encoded.rows[1]])
    assert found.event_timestamps == [micros(hour(0)), NEVER, NEVER]
    assert found.columns == {"amount": [1.0, None, None], "note": ["a", None, None]}
    assert not found.complete


@pytest.mark.parametrize(
    ("rows", "complete"), [([1.0], True), ([1.0, math.nan], True), ([1.0, None], False), ([None], False), ([], True)]
)
def test_complete_says_that_no_value_is_null(rows: list[float | None], complete: bool) -> None:
    view = view_of(AMOUNT)
    assert through(view, *((place, hour(0), value) for place, value in enumerate(rows))).complete is complete


def test_a_list_with_a_null_item_is_a_value() -> None:
    view = view_of(Column("items", DataType.LIST_INT64, nullable=True))
    assert through(view, (1, hour(0), [1, None])).complete


def test_more_than_fifteen_features() -> None:
    """MessagePack writes an array's length differently from there on."""
    for count in (10, 11, 14, 15, 16, 17, 40):
        view = view_of(*(Column(f"f{place}", DataType.INT64) for place in range(count)))
        found = through(view, (1, hour(0), *range(count)))
        assert [column[0] for column in found.columns.values()] == list(range(count))


def test_rows_of_another_schema_are_refused() -> None:
    (encoded,) = row_codec.encode(view_of(AMOUNT), batch(view_of(AMOUNT), (1, hour(0), 1.0)), 1)
    other = view_of(Column("amount", DataType.FLOAT64, nullable=False))
    with pytest.raises(OnlineStoreError, match="other columns"):
        decoder(other)(encoded.rows)


@pytest.mark.parametrize("torn", [b"", b"\xc1", b"\xcf\x00", b"\xc0" * 5])
def test_bytes_that_are_no_row_are_refused(torn: bytes) -> None:
    with pytest.raises(OnlineStoreError, match="cannot be read"):
        decoder(view_of(AMOUNT))([torn])


@given(st.lists(st.tuples(st.text(max_size=3), st.integers(-(2**63), 2**63 - 1), st.text(max_size=3)), unique=True))
def test_no_two_composite_keys_are_the_same_bytes_nor_the_start_of_each_other(keys: list[tuple[str, int, str]]) -> None:
    encoded = sorted(b"".join(map(row_codec.encode_part, key)) for key in keys)
    assert not any(other.startswith(one) for one, other in itertools.pairwise(encoded))


def test_a_batch_and_a_request_make_the_same_key() -> None:
    view = view_of(AMOUNT, keys=[Column("shop", DataType.STRING), CUSTOMER])
    (encoded,) = row_codec.encode(view, batch(view, ("é", -5, hour(0), 1.0)), 1)
    assert encoded.keys == [row_codec.encode_part("é") + row_codec.encode_part(-5)]


def test_an_encoded_batch_comes_in_parts_of_bounded_size() -> None:
    view = view_of(NOTE)
    parts = list(row_codec.encode(view, batch(view, *((key, hour(0), "a") for key in range(25_000))), 1))
    assert [len(part.rows) for part in parts] == [10_000, 10_000, 5_000]


def test_decimals_and_dates_keep_their_types() -> None:
    view = view_of(Column("price", DataType.DECIMAL), Column("day", DataType.DATE))
    found = through(view, (1, hour(0), Decimal("1.500000000"), date(1, 1, 1)))
    assert found.columns == {"price": [Decimal("1.500000000")], "day": [date(1, 1, 1)]}
