"""What is wrong with a definition is said at import, by name and with the fix."""

from __future__ import annotations

from datetime import date
from functools import partial
from typing import Any

import ibis.expr.datatypes as dt
import pytest

from amora_fs_assets import Entity, FeatureSchema, FeatureService, FeatureView, Field, Source, Timestamp
from amora_fs_assets.domain.catalogue import Catalogue
from amora_fs_assets.domain.errors import (
    DefinitionError,
    FeatureServiceNotFound,
    FeatureViewNotFound,
    RegistryCorrupt,
    UnsupportedType,
)
from amora_fs_assets.domain.identity.definition import code_version, definition_hash
from amora_fs_assets_tests import small


def refused(error: type[Exception], *words: str) -> Any:
    return pytest.raises(error, match="(?s)" + ".*".join(words))


def test_a_schema_without_the_join_key_is_refused() -> None:
    class Keyless(FeatureSchema):
        amount: float

    with refused(DefinitionError, "'spending'", "Keyless", "no column 'customer'", "Add the column or drop the entity"):
        FeatureView(
            "spending", Keyless, [small.customer], [small.orders()], transform=lambda orders: orders, start="2020-01-01"
        )


def test_a_parameter_that_names_no_source_is_refused() -> None:
    with refused(DefinitionError, "'spending'", "parameter 'order' names none of its sources", "Name each parameter"):
        small.spending(small.orders(), lambda order: order)


def test_a_transform_that_is_no_function_is_refused() -> None:
    with refused(DefinitionError, "'spending'", "transform is a partial", "Give a function"):
        small.spending(small.orders(), partial(lambda orders, factor: orders, factor=2))


def test_a_nullable_join_key_is_refused() -> None:
    class Nullable(FeatureSchema):
        customer: int = Field(nullable=True)
        amount: float

    with refused(DefinitionError, "join key 'customer' is never null"):
        FeatureView(
            "v", Nullable, [small.customer], [small.orders()], transform=lambda orders: orders, start="2020-01-01"
        )


@pytest.mark.parametrize("annotation", [dict[int, int], list[list[int]], dt.Struct({"a": dt.int32}), complex])
def test_an_unsupported_type_is_refused(annotation: Any) -> None:
    schema = type("Odd", (FeatureSchema,), {"__annotations__": {"customer": int, "odd": annotation}})
    with pytest.raises(DefinitionError, match="Odd|odd"):
        FeatureView(
            "v", schema, [small.customer], [small.orders()], transform=lambda orders: orders, start="2020-01-01"
        )


def test_an_optional_column_is_refused_with_the_word_for_null() -> None:
    schema = type("Maybe", (FeatureSchema,), {"__annotations__": {"customer": int, "a": int | None}})
    with refused((DefinitionError, UnsupportedType), "'a'|Optional|nullable"):  # type: ignore[arg-type]
        FeatureView(
            "v", schema, [small.customer], [small.orders()], transform=lambda orders: orders, start="2020-01-01"
        )


def test_every_supported_type_is_carried_by_the_catalogue() -> None:
    class Every(FeatureSchema):
        customer: int
        b: bool
        f: float
        s: str
        y: bytes
        d: date
        t: Timestamp
        m: dt.Decimal(38, 9)  # type: ignore[valid-type]
        li: list[int]
        lf: list[float]
        ls: list[str]
        lb: list[bool]
        ld: list[date]

    view = FeatureView("every", Every, [small.customer], table="a.b")
    assert [str(column.type) for column in view.features] == [
        "boolean", "float64", "string", "bytes", "date", "timestamp", "decimal(38, 9)",
        "list<int64>", "list<float64>", "list<string>", "list<boolean>", "list<date>",
    ]  # fmt: skip
    assert Catalogue.from_json(Catalogue.of([view]).to_json()).feature_view("every") == view


def test_a_source_says_when_its_rows_happened() -> None:
    with refused(DefinitionError, "'orders'", "timestamp_field", "valid_from"):
        Source("orders", small.Orders)


def test_a_catalogue_is_the_same_after_json_and_knows_its_hash() -> None:
    code = small.catalogue()
    read = Catalogue.from_json(code.to_json())
    assert read.hash == code.hash
    assert read.feature_views["spending"] == code.feature_views["spending"]
    assert definition_hash(read.feature_view("spending")) == definition_hash(code.feature_view("spending"))


def test_a_changed_transform_changes_the_code_version() -> None:
    one = small.spending(small.orders())
    two = small.spending(
        small.orders(), lambda orders: orders.select("customer", amount=orders.amount * 2, event_timestamp=orders["at"])
    )
    assert code_version(one) != code_version(two)
    assert one.schema_hash == two.schema_hash


def test_a_catalogue_of_a_newer_format_is_refused() -> None:
    with pytest.raises(RegistryCorrupt, match="Upgrade"):
        Catalogue.from_json('{"format": 99}')


def test_an_unknown_name_gets_the_nearest_as_a_hint() -> None:
    with pytest.raises(FeatureViewNotFound, match="Did you mean 'spending'"):
        small.catalogue().feature_view("spendin")


def test_an_unknown_service_may_have_meant_a_view() -> None:
    code = Catalogue.of([small.spending(small.orders())])
    with refused(FeatureServiceNotFound, "'spendings'", "Did you mean 'spending'"):
        code.feature_service("spendings")
    with refused(FeatureServiceNotFound, "'weather'", "Known: spending."):
        code.feature_service("weather")


def test_one_name_for_two_things_is_refused() -> None:
    view = small.spending(small.orders())
    with pytest.raises(DefinitionError, match="Rename one"):
        Catalogue.of([view, FeatureService("spending", [view.alias("other")])])
    with pytest.raises(DefinitionError, match="defined twice"):
        Catalogue.of([Entity("a", description="x"), Entity("a", description="y")])
