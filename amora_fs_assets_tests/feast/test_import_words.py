"""An import from Feast: any name, tag, text and type of Feast becomes a valid one, or is reported."""

from __future__ import annotations

import ast
import tomllib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from amora_fs_assets.domain import arguments
from amora_fs_assets.domain.names import check_column, check_name
from amora_fs_assets.scaffold.feast import names, types
from amora_fs_assets.scaffold.feast.names import Names
from amora_fs_assets.scaffold.feast.report import Report
from amora_fs_assets.scaffold.feast.text import docstring, quoted


@given(st.text())
def test_any_text_becomes_a_valid_name(text: str) -> None:
    check_name("Feature view", names.snake(text))
    check_column("", names.column(text))
    arguments.owner_of("", names.owner(text.replace("\0", ""), "", Report()))


@given(st.dictionaries(st.text(), st.text(), max_size=5))
def test_any_tags_become_valid_tags_and_none_is_lost(given: dict[str, str]) -> None:
    found = names.tags(given, "", Report())
    assert arguments.tags_of("", found) == found
    assert len(found) == len(given)


@given(st.lists(st.sampled_from(["a b", "a_b", "A_b", "A b", "a_b_2", "x", "ä"]), unique=True))
def test_columns_stay_different_and_valid_ones_keep_their_names(given: list[str]) -> None:
    found = names.columns(given, [], "", Report())
    assert len({each.lower() for each in found.values()}) == len(given)
    kept = [each for each in given if names.column(each) == each]
    alone = [each for each in kept if [other.lower() for other in kept].count(each.lower()) == 1]
    assert [found[each] for each in alone] == alone


@given(st.lists(st.text(max_size=5) | st.sampled_from(["a b", "a_b", "a_b_2"]), unique=True),
       st.sets(st.sampled_from(["a", "b", "x"])))  # fmt: skip
def test_names_of_a_kind_stay_different_and_the_same_at_each_call(given: list[str], others: set[str]) -> None:
    kind = Names("view", Report(), given, others, suffix="view")
    found = [kind[each] for each in given]
    assert all(kind[each] == each for each in given if names.snake(each) == each and each not in others)
    assert len({*found}) == len(given)
    assert not others & {*found}
    assert [kind[each] for each in given] == found


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_any_text_is_the_same_literal_in_python_and_toml(text: str) -> None:
    assert ast.literal_eval(quoted(text)) == text
    assert tomllib.loads(f"x = {quoted(text)}") == {"x": text}
    assert isinstance(ast.literal_eval(docstring(text)), str)


@pytest.mark.parametrize(
    ("value_type", "annotation", "shown"),
    [("INT32", "int", "Int32"), ("DOUBLE", "float", "Float64"), ("BYTES_LIST", "list[bytes]", "Array(Bytes)"),
     ("UNIX_TIMESTAMP", "Timestamp", "UnixTimestamp"), ("INT64_SET", None, "Set(Int64)"), ("JSON", "dt.json", "Json"),
     ("UUID", "UUID", "Uuid"), ("MAP", "dict[str, str]", "Map"), ("MAP_LIST", None, "Array(Map)"),
     ("STRUCT", None, "Struct"), ("SCALAR_MAP", None, "ScalarMap"), ("VALUE_LIST", None, "Array(Value)")],
)  # fmt: skip
def test_a_type_of_feast_has_an_annotation_or_none(value_type: str, annotation: str | None, shown: str) -> None:
    assert types.annotation(value_type) == annotation
    assert types.shown(value_type) == shown


@pytest.mark.parametrize(
    ("text", "annotation"),
    [('{"name": "STRING", "age": "INT32"}', 'dt.Struct({"name": dt.string, "age": dt.int64})'),
     ('{"ids": "Array(INT64)"}', 'dt.Struct({"ids": dt.Array(dt.int64)})'),
     ('{"in": "{\\"__struct__\\": {\\"x\\": \\"FLOAT32\\"}}"}', 'dt.Struct({"in": dt.Struct({"x": dt.float64})})'),
     ('{"a": "MAP"}', None), ('{"a b": "STRING"}', None), ("{}", None), ("", None)],
)  # fmt: skip
def test_a_struct_of_feast_keeps_its_fields(text: str, annotation: str | None) -> None:
    assert types.annotation("STRUCT", {types.STRUCT_TAG: text}) == annotation
    expected = annotation and f"dt.Array({annotation})"
    assert types.annotation("STRUCT_LIST", {types.STRUCT_TAG: text}) == expected
